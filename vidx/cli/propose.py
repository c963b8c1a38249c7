"""`vidx propose`, `vidx apply` and `vidx undo`: duplicates taken out, and taken back."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vidx.cli.curate import SHOWN_ROWS
from vidx.cli.options import collection_option, json_option, quiet_option, where_option
from vidx.cli.progress import showing_index
from vidx.cli.render import print_json, print_table, shown_path
from vidx.cli.splits import threshold_option
from vidx.collection import open_collection
from vidx.proposal import Proposal
from vidx.words import count, printable

if TYPE_CHECKING:
    from vidx.records import LeftAlone


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False))
@click.option(
    "--keep",
    metavar="WHAT",
    default="longest",
    show_default=True,
    help="Of each group: longest, highest-resolution, first (the most like all others), or the one "
    "with the highest value in this column of `vidx videos`, metadata included.",
)
@threshold_option
@collection_option
@where_option("videos that have clips")
@json_option
@quiet_option
def propose(
    file: str,
    keep: str,
    threshold: float | None,
    collection: str | None,
    where: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write to a .parquet FILE which duplicate videos to keep, which to drop, and why.

    Groups are those of `vidx duplicates --by video`. Nothing is done until `vidx apply FILE`.
    """
    if not file.endswith(".parquet"):
        raise click.UsageError(f"{printable(file)!r} does not end with .parquet.")
    opened = open_collection(collection)
    part = opened if where is None else opened.where(where)
    with showing_index(quiet=quiet or as_json) as progress:
        groups = part.duplicates(threshold, by="video", progress=progress)
    proposal = part.propose(groups, keep)
    proposal.save(file)
    rows = proposal.table.to_pylist()
    if as_json:
        print_json(rows)
    elif not quiet:
        cells = [
            (str(row["group"]), row["action"], shown_path(row["path"]), printable(row["why"]))
            for row in rows[:SHOWN_ROWS]
        ]
        if cells:
            print_table(("group", "what", "path", "why"), cells, right="group")
        _print_sum(rows, file)


def _print_sum(rows: list[dict[str, Any]], file: str) -> None:
    """How many go and stay, and how many stay though another one is better."""
    kept = [row["group"] for row in rows if row["action"] == "keep"]
    drops, beside = len(rows) - len(kept), len(kept) - len(set(kept))
    told = f"{count(drops, 'file')} to drop, {len(kept)} to keep"
    if beside:
        them = "it" if beside == 1 else "them"
        told += f", {beside} beside a better one that lacks some of {them}"
    click.echo(f"{told}: vidx apply {shown_path(file)}" if drops else f"{told}.")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False))
@click.option(
    "--files",
    metavar="WHAT",
    help="What becomes of the dropped files themselves: move:FOLDER, empty or not there yet; link, "
    "to the one that is kept; or delete. The last two are for good. Default: they stay as they "
    "are.",
)
@collection_option
@json_option
@quiet_option
@click.pass_context
def apply(
    context: click.Context,
    file: str,
    files: str | None,
    collection: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Drop from the collection what a proposal in FILE drops; `vidx undo` takes it back.

    Files that are gone or have changed since are passed over and told, and the command exits with
    3. What was cut short goes on when the same is called again.
    """
    report = Proposal.load(file, open_collection(collection)).apply(files)
    if as_json:
        print_json(asdict(report))
    else:
        if not quiet:
            touched = f", {count(report.num_files, 'file')} touched" if files else ""
            click.echo(f"Dropped {count(len(report.paths), 'path')}{touched}.")
            if report.paths or report.num_files:
                what = "it back, but not the files" if files in ("delete", "link") else "it back"
                click.echo(f"`vidx undo {report.commit}` takes {what}, until `vidx compact`.")
        _print_left(report.left_alone, "passed over")
    context.exit(3 if report.left_alone else 0)


@click.command()
@click.argument("commit", metavar="COMMIT", type=click.IntRange(min=1))
@collection_option
@json_option
@quiet_option
@click.pass_context
def undo(
    context: click.Context, commit: int, collection: str | None, as_json: bool, quiet: bool
) -> None:
    """Take back what `vidx apply` did: clips are there again, and moved files are moved back.

    `vidx apply` and `vidx commits` tell the number of the COMMIT. Files that are lost are told, and
    the command exits with 3.
    """
    report = open_collection(collection).undo(commit)
    if as_json:
        print_json(asdict(report))
    else:
        if not quiet:
            videos = count(report.num_videos, "video")
            moved = f" {count(report.num_files, 'file')} moved back." if report.num_files else ""
            click.echo(f"{count(report.num_locations, 'path')} restored, {videos}.{moved}")
        _print_left(report.lost, "not there")
    context.exit(3 if report.lost else 0)


def _print_left(left: tuple[LeftAlone, ...], what: str) -> None:
    for one in left:
        why = f"{one.problem.reason}: {printable(one.problem.message)}"
        click.echo(f"{shown_path(one.path)} {what}: {why}", err=True)
