"""`vidx search`."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import click

from vidx.cli.embed import exit_code, print_failures
from vidx.cli.options import (
    collection_option,
    json_option,
    model_options,
    quiet_option,
    verbose_option,
    where_option,
)
from vidx.cli.progress import showing_files
from vidx.cli.render import print_json, print_table, shown_path
from vidx.collection import Collection, open_collection
from vidx.options import SearchOptions
from vidx.words import count, span

SHOWN_LABELS = 2


@click.command()
@click.argument("queries", metavar="[QUERY]...", nargs=-1, type=click.Path())
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
    type=click.Choice(["clip", "video", "segment"]),
    default="clip",
    show_default=True,
    help="Give clips, or the best clip of each video, or the spans of videos that match spans of "
    "the query.",
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
    "--like",
    metavar="EXAMPLE",
    multiple=True,
    help="In place of QUERY: find what is like this file or clip_id, and all others given so.",
)
@click.option(
    "--unlike",
    metavar="EXAMPLE",
    multiple=True,
    help="And not like this one; may be given again.",
)
@click.option(
    "--diverse", is_flag=True, help="Let hits that are much like better ones make room for others."
)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write the hits to this .parquet, .csv or .jsonl file.",
)
@click.option(
    "--via",
    metavar="ADDRESS",
    help="Ask this vector database for candidates, such as milvus://host/name, which "
    "`vidx index push` keeps in step; scores and answers stay those of the collection.",
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
@quiet_option
@click.pass_context
def search(
    context: click.Context,
    /,
    queries: tuple[str, ...],
    collection: str | None,
    k: int,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    output: str | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Find the clips that are most similar to QUERY.

    QUERY is a video file or its URL, or the clip_id of a stored clip. A file whose name is a
    number is written with its folder, as in ./42. Several of them, or a folder of videos, are
    searched for in one go.
    """
    opened, wanted = open_collection(collection), SearchOptions(**options)
    if like or unlike:
        if queries or output:
            raise click.UsageError("--like and --unlike go with neither QUERY nor --output.")
        found = opened.search_like(_named(like), _named(unlike), k, wanted)
    elif not queries:
        raise click.UsageError("Name a QUERY, or an example with --like.")
    elif output or len(queries) > 1 or os.path.isdir(queries[0]):
        _search_many(context, opened, queries, k, wanted, output, as_json=as_json, quiet=quiet)
        return
    elif _is_id(queries[0]):
        found = opened.search_by_id(int(queries[0]), k, wanted)
    else:
        found = opened.search(queries[0], k, wanted)
    if as_json:
        print_json([hit.as_dict() for hit in found])
    elif found:
        print_hits([hit.as_dict() for hit in found], by=wanted.by)
    else:
        click.echo("No clips match.", err=True)


def _search_many(
    context: click.Context,
    collection: Collection,
    queries: tuple[str, ...],
    k: int,
    options: SearchOptions,
    output: str | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Search for all of them, and end with 3 where some could not be, with 4 where none could."""
    with showing_files(quiet=quiet) as progress:
        report = collection.search_many(
            _named(queries), k, options, output=output, progress=progress
        )
    rows = [] if output else report.hits.to_pylist()
    failed = [{"path": one.path, **asdict(one.problem)} for one in report.failed]
    if as_json:
        counts = {"num_queries": report.num_queries, "num_hits": report.hits.num_rows}
        print_json({**counts, "output": output, "hits": rows, "failed": failed})
    elif not quiet:
        if output:
            hits = count(report.hits.num_rows, "hit")
            click.echo(f"{hits} for {report.num_queries - len(failed)} queries in {output}")
        elif rows:
            print_hits(rows, by=options.by, names_query=True)
        if failed:
            print_failures(failed)
    context.exit(exit_code(len(failed), report.num_queries))


def _named(names: tuple[str, ...]) -> list[str | int]:
    """Files and clip_ids as they are named."""
    return [int(name) if _is_id(name) else name for name in names]


def _is_id(name: str) -> bool:
    return name.isascii() and name.isdigit()


def print_hits(rows: list[dict[str, Any]], *, by: str, names_query: bool = False) -> None:
    """A table of hits, for people.

    Args:
        rows: Hits as dictionaries.
        by: What they are: segments are told with the span of the query.
        names_query: Whether they are of several queries.
    """
    columns: dict[str, list[str]] = {}
    if names_query:
        columns["query"] = [_query_name(row) for row in rows]
    columns["rank"] = [str(row["rank"]) for row in rows]
    columns["score"] = [f"{row['score']:.4f}" for row in rows]
    columns["clip"] = [str(row["clip_id"]) for row in rows]
    if by == "segment":
        columns["of query"] = [
            span(row["query_start_seconds"], row["query_end_seconds"]) for row in rows
        ]
    columns["time"] = [span(row["start_seconds"], row["end_seconds"]) for row in rows]
    columns["path"] = [shown_path(row["path"]) for row in rows]
    columns["labels"] = [
        ", ".join(f"{one['name']} {one['score']:.2f}" for one in row["labels"][:SHOWN_LABELS])
        for row in rows
    ]
    cells = list(zip(*columns.values(), strict=True))
    print_table(tuple(columns), cells, right="rank score clip")


def _query_name(row: dict[str, Any]) -> str:
    path: str | None = row["query_path"]
    return shown_path(path) if path else str(row["query_clip_id"])
