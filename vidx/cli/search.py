"""`vidx search`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from vidx.cli.options import (
    collection_option,
    json_option,
    model_options,
    verbose_option,
    where_option,
)
from vidx.cli.render import print_json, print_table, shown_path, span
from vidx.collection import open_collection
from vidx.options import SearchOptions
from vidx.records import Hit

SHOWN_LABELS = 2


@click.command()
@click.argument("query", type=click.Path())
@collection_option
@click.option(
    "-k",
    "--top-k",
    "k",
    metavar="N",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="How many hits, the best first.",
)
@click.option(
    "--start",
    "start_seconds",
    metavar="S",
    type=click.FloatRange(min=0),
    help="Search for the span of the file from here on, in seconds.",
)
@click.option(
    "--end",
    "end_seconds",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    help="Search for the span of the file up to here, in seconds.",
)
@click.option(
    "--by",
    type=click.Choice(["clip", "video"]),
    default="clip",
    show_default=True,
    help="Give clips, or the best clip of each video.",
)
@where_option("clips")
@click.option(
    "--label",
    "labels",
    metavar="LABEL",
    multiple=True,
    help="Only clips with this label among their five; given again: or with that one.",
)
@click.option(
    "--path",
    "path_glob",
    metavar="GLOB",
    help="Only videos with a path that matches. * "
    "also matches /; a pattern that begins with neither / nor * may begin at any folder.",
)
@click.option(
    "--exclude-self", is_flag=True, help="Leave out the query's own content, under whatever path."
)
@click.option(
    "--copies",
    "likeness",
    flag_value="copy",
    default="similar",
    help="Search for the same footage, not for the same kind: compare vectors after whitening.",
)
@model_options
@json_option
@verbose_option
def search(query: str, collection: str | None, k: int, as_json: bool, **options: Any) -> None:
    """Find the clips that are most similar to QUERY.

    QUERY is a video file, or the clip_id of a stored clip. A file whose name is a number is
    written with its folder, as in ./42.
    """
    opened, wanted = open_collection(collection), SearchOptions(**options)
    if query.isascii() and query.isdigit():
        hits = opened.search_by_id(int(query), k, wanted)
    else:
        hits = opened.search(query, k, wanted)
    if as_json:
        print_json([hit_as_json(hit) for hit in hits])
    elif hits:
        _print_hits(hits)
    else:
        click.echo("No clips match.", err=True)


def hit_as_json(hit: Hit) -> dict[str, Any]:
    """A hit's fields in their documented order."""
    return asdict(hit)


def _print_hits(hits: list[Hit]) -> None:
    rows = [
        (
            str(hit.rank),
            f"{hit.score:.4f}",
            str(hit.clip_id),
            span(hit.start_seconds, hit.end_seconds),
            shown_path(hit.path),
            ", ".join(f"{one.name} {one.score:.2f}" for one in hit.labels[:SHOWN_LABELS]),
        )
        for hit in hits
    ]
    print_table(("rank", "score", "clip", "time", "path", "labels"), rows, right="rank score clip")
