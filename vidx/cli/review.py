"""`vidx quality`, `vidx label-issues` and other questions about clips themselves."""

from __future__ import annotations

from typing import Any

import click

from vidx.cli.curate import give, output_option, part_of, question_options, seed_option
from vidx.cli.options import collection_option, json_option, quiet_option
from vidx.cli.progress import showing_index
from vidx.cli.render import print_json, print_table
from vidx.collection import open_collection
from vidx.questions import table_file
from vidx.words import count


@click.command()
@click.option(
    "--black",
    metavar="SHARE",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    help="The least share of samples that are black.",
)
@click.option(
    "--frozen",
    metavar="SHARE",
    type=click.FloatRange(min=0),
    default=0.5,
    show_default=True,
    help="The least share of neighbouring samples that are one picture.",
)
@click.option(
    "--static",
    metavar="MOTION",
    type=click.FloatRange(min=0),
    help="The motion below which nothing moves. Default: a 20th of the median.",
)
@click.option(
    "--blurred",
    metavar="SHARPNESS",
    type=click.FloatRange(min=0),
    help="The sharpness below which a clip is blurred. Default: a tenth of the median.",
)
@click.option(
    "--short",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    help="The time below which a clip is too short. Default: half of the median.",
)
@question_options
def quality(
    black: float,
    frozen: float,
    static: float | None,
    blurred: float | None,
    short: float | None,
    quiet: bool,
    **asked: Any,
) -> None:
    """Find clips that are black, frozen, static, blurred or too short."""
    table = part_of(asked).quality(
        black=black, frozen=frozen, static=static, blurred=blurred, short=short
    )
    columns = {"issue": "issue", "value": "value", "limit": "limit"}
    give(table, asked, quiet=quiet, columns=columns, none="No poor clips.")


@click.command("label-issues")
@click.argument("column", metavar="[COLUMN]", required=False)
@question_options
def label_issues(column: str | None, quiet: bool, **asked: Any) -> None:
    """Find labels that disagree with those of the clips around, the surest first.

    COLUMN is of metadata; without one it is about each clip's most probable label by the model.
    """
    with showing_index(quiet=quiet or asked["as_json"]) as progress:
        table = part_of(asked).label_issues(column, progress=progress)
    columns = {"given": "given", "suggested": "suggested", "score": "score"}
    give(table, asked, quiet=quiet, columns=columns, none="No label is doubted.")


@click.command("map")
@click.option(
    "--method",
    default="pca",
    show_default=True,
    help="pca: the axes along which clips differ most; umap: so that neighbours stay neighbours "
    "(pip install 'vidx[umap]').",
)
@seed_option
@question_options
def map_clips(method: str, seed: int, quiet: bool, **asked: Any) -> None:
    """Lay the clips out in two dimensions."""
    table = part_of(asked).map(method, seed=seed)
    give(table, asked, quiet=quiet, columns={"x": "x", "y": "y"}, none="No clips.")


@click.command()
@click.option(
    "--other", metavar="FOLDER", help="Another collection of the same model. Default: none."
)
@click.option("--other-where", metavar="EXPR", help="Its clips that are meant. Default: all.")
@click.option("-k", "k", metavar="N", type=click.IntRange(min=1), help="How many regions.")
@seed_option
@question_options
def compare(
    other: str | None,
    other_where: str | None,
    k: int | None,
    seed: int,
    quiet: bool,
    **asked: Any,
) -> None:
    """Tell what one set of clips has that another lacks, region by region.

    Such as --where "snapshot('v1')" --other-where "snapshot('v2')".
    """
    if other is None and other_where is None:
        raise click.UsageError("name what to compare with: --other FOLDER or --other-where EXPR")
    opened = open_collection(asked["collection"] if other is None else other)
    against = opened if other_where is None else opened.where(other_where)
    found = part_of(asked).compare(against, k, seed=seed)
    numbers = {
        "coverage": found.coverage,
        "other_coverage": found.other_coverage,
        "drift": found.drift,
        "chance_drift": found.chance_drift,
    }
    if asked["as_json"] and not asked["output"]:
        print_json({**numbers, "regions": found.regions.to_pylist()})
        return
    if not quiet and not asked["as_json"]:
        click.echo(
            ", ".join(f"{name.replace('_', ' ')} {one:.3f}" for name, one in numbers.items())
        )
    columns = {"change": "change", "share": "share", "other": "other_share"}
    give(found.regions, asked, quiet=quiet, columns=columns, none="No clips.")


@click.command("threshold-report")
@click.option(
    "--videos",
    "num_videos",
    metavar="N",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Of how many videos copies are made, at most.",
)
@seed_option
@collection_option
@output_option
@json_option
@quiet_option
def threshold_report(
    num_videos: int, seed: int, collection: str | None, quiet: bool, **asked: Any
) -> None:
    """Find the threshold that tells copies of these videos, and keep it for `vidx duplicates`.

    --output is a table of clips with their nearest ones, around each candidate.
    """
    with showing_index(quiet=quiet or asked["as_json"]) as progress:
        found = open_collection(collection).threshold_report(
            num_videos, seed=seed, progress=progress
        )
    if output := asked["output"]:
        table_file(output)(found.pairs)
    rows = found.thresholds.to_pylist()
    if asked["as_json"]:
        told = {"threshold": found.threshold, "num_videos": found.num_videos, "thresholds": rows}
        print_json({**told, "histogram": found.histogram.to_pylist()})
    elif not quiet:
        print_table(tuple(rows[0]), [[f"{one:.2f}" for one in row.values()] for row in rows], "")
        click.echo(f"{found.threshold:g} is kept, by copies of {count(found.num_videos, 'video')}.")
