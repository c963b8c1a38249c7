"""`vidx leakage` and `vidx split`: the same footage in several splits, and splits without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vidx.cli.curate import give, part_of, question_options, seed_option
from vidx.cli.progress import showing_index
from vidx.cli.render import print_json, print_table, shown_path
from vidx.collection import open_collection
from vidx.questions import table_file
from vidx.words import count, printable

if TYPE_CHECKING:
    from vidx.records import SplitReport

threshold_option = click.option(
    "--threshold",
    metavar="S",
    type=click.FloatRange(-1, 1),
    help="The least similarity, as copies. Default: what docs/curation/duplicates.md says.",
)


@click.command()
@click.argument("column", metavar="[COLUMN]", required=False)
@click.option(
    "--other",
    metavar="FOLDER",
    type=click.Path(file_okay=False),
    help="Look for pairs with another collection instead.",
)
@threshold_option
@question_options
def leakage(
    column: str | None, other: str | None, threshold: float | None, quiet: bool, **asked: Any
) -> None:
    """Find the same footage in several splits.

    COLUMN is the column of metadata that says which split a video or clip is in. Default: split.
    """
    theirs = None if other is None else open_collection(other)
    with showing_index(quiet=quiet or asked["as_json"]) as progress:
        table = part_of(asked).leakage(column, other=theirs, threshold=threshold, progress=progress)
    columns = {
        "split": "split",
        "share": "share",
        "other": "other_split",
        "its share": "other_share",
        "score": "score",
        "is like": "other_path",
    }
    give(table, asked, quiet=quiet, columns=columns, none="No leakage.")


@click.command()
@click.argument("fractions", metavar="NAME=FRACTION...", nargs=-1, required=True)
@click.option(
    "--group",
    metavar="COLUMN",
    help="A column of metadata, such as the camera, whose values must not be in two splits.",
)
@click.option(
    "--stratify",
    metavar="COLUMN",
    help="A column of metadata of which each split is to have the same proportions; or label, the "
    "most probable one of each clip.",
)
@click.option("--save", metavar="COLUMN", help="Set this column of metadata to each video's split.")
@threshold_option
@seed_option
@question_options
def split(
    fractions: tuple[str, ...],
    group: str | None,
    stratify: str | None,
    save: str | None,
    threshold: float | None,
    seed: int,
    quiet: bool,
    **asked: Any,
) -> None:
    """Share out videos, such as train=.8 val=.1 test=.1, so that nothing alike is in two splits.

    Shows the proof: the fractions wanted and got, of clips; --output and --json give the splits.
    """
    wanted = dict(map(_fraction, fractions))
    if len(wanted) < len(fractions):
        raise click.UsageError("a split is named twice.")
    with showing_index(quiet=quiet or asked["as_json"]) as progress:
        report = part_of(asked).split(
            wanted, group, stratify, seed=seed, threshold=threshold, write=save, progress=progress
        )
    if output := asked["output"]:
        table_file(output)(report.table)
    if asked["as_json"]:
        told = {"output": output} if output else {"videos": report.table.to_pylist()}
        print_json({**told, "proof": report.proof.to_pylist(), "num_groups": report.num_groups})
    elif not quiet:
        _print_split(report, output, save)


def _fraction(text: str) -> tuple[str, float]:
    name, _, fraction = text.rpartition("=")
    try:
        return name, float(fraction)
    except ValueError:
        raise click.UsageError(
            f"{printable(text)!r} is no split and its fraction: write such as train=.8"
        ) from None


def _print_split(report: SplitReport, output: str | None, save: str | None) -> None:
    rows = [
        (
            *(printable(row[name] or "") for name in ("check", "value", "split")),
            *(f"{row[name]:.3f}" if row["check"] != "pairs" else "" for name in ("wanted", "got")),
            str(row["count"]),
            printable(row["reason"] or "") if not row["met"] else "ok",
        )
        for row in report.proof.to_pylist()
    ]
    heads = ("what", "of", "split", "wanted", "got", "count", "")
    print_table(heads, rows, "wanted got count")
    videos = count(report.table.num_rows, "video")
    click.echo(f"{videos} in {count(report.num_groups, 'group')}.")
    if output:
        click.echo(f"{count(report.table.num_rows, 'row')} in {shown_path(output)}")
    if save:
        click.echo(f"The column {printable(save)} is set.")
