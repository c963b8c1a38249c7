"""Commands that look after a collection: what it holds, how, and what was done to it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vidx.cli.options import (
    collection_option,
    json_option,
    limit_option,
    quiet_option,
    where_option,
)
from vidx.cli.render import print_json, print_table, shown_path
from vidx.collection import open_collection
from vidx.words import count, printable

if TYPE_CHECKING:
    from vidx.records import ExportReport


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@collection_option
@json_option
@quiet_option
def remove(paths: tuple[str, ...], collection: str | None, as_json: bool, quiet: bool) -> None:
    """Take files out of the collection; the files themselves are not touched.

    A folder stands for all that the collection has from it. A video whose last location goes is
    no longer found.
    """
    report = open_collection(collection).remove(paths)
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        paths_gone = count(len(report.paths), "path")
        click.echo(f"Removed {paths_gone}, {count(report.num_videos, 'video')}.")
        if report.num_locations:
            click.echo(f"`vidx restore {report.commit}` brings them back, until `vidx compact`.")


@click.command()
@click.argument("commit", metavar="COMMIT", type=click.IntRange(min=1))
@collection_option
@json_option
@quiet_option
def restore(commit: int, collection: str | None, as_json: bool, quiet: bool) -> None:
    """Take a removal back: its files and their clips are there again.

    `vidx remove` and `vidx commits` tell its number. Paths that hold something else since stay.
    """
    report = open_collection(collection).restore(commit)
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        files = count(report.num_locations, "file")
        click.echo(f"{files} restored, {count(report.num_videos, 'video')} with them.")


@click.command()
@collection_option
@limit_option("List only the last N.")
@json_option
def commits(collection: str | None, limit: int | None, as_json: bool) -> None:
    """List what was done to the collection, the latest first."""
    rows = open_collection(collection).commits(limit).to_pylist()
    if as_json:
        print_json(rows)
        return
    cells = [(str(row["number"]), row["time"], row["verb"]) for row in rows]
    print_table(("commit", "time", "what"), cells, right="commit")


@click.command()
@collection_option
@json_option
@quiet_option
def compact(collection: str | None, as_json: bool, quiet: bool) -> None:
    """Rewrite shards without the clips that are gone, and join small ones.

    Clip ids stay. What was removed before cannot be restored after this.
    """
    report = open_collection(collection).compact()
    if as_json:
        print_json(asdict(report))
    elif not quiet:
        shards = f"{count(report.num_shards_before, 'shard')} before, {report.num_shards_after} now"
        click.echo(f"{count(report.num_clips, 'clip')} dropped; {shards}.")


@click.command()
@collection_option
@json_option
@quiet_option
@click.pass_context
def verify(context: click.Context, collection: str | None, as_json: bool, quiet: bool) -> None:
    """Check that shards, catalogue and index agree, reading all of them.

    Exits with 0 when they do, and with 3 when they do not.
    """
    findings = open_collection(collection).verify()
    if as_json:
        print_json({"ok": not findings, "findings": findings})
    elif not quiet:
        for finding in findings:
            click.echo(printable(finding))
        click.echo("`vidx rebuild` mends what can be." if findings else "All agree.")
    context.exit(3 if findings else 0)


@click.command()
@collection_option
@json_option
@quiet_option
def rebuild(collection: str | None, as_json: bool, quiet: bool) -> None:
    """Make catalogue and index anew from the shards, as far as they do not agree.

    No shard is ever deleted, and clip ids stay.
    """
    report = open_collection(collection).rebuild()
    if as_json:
        print_json(asdict(report))
        return
    if quiet:
        return
    for what, names in (
        ("entered", report.adopted),
        ("dropped, for its file is lost", report.dropped),
        ("left alone", report.ignored),
        ("lost with the catalogue", report.lost),
    ):
        for name in names:
            click.echo(f"{what}: {printable(name)}")
    if report.set_aside:
        click.echo(f"the old catalogue was set aside: {shown_path(report.set_aside)}")
    click.echo(f"{count(report.num_clips, 'clip')} in the collection.")


@click.command()
@click.argument("path", metavar="OUT", type=click.Path())
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "files", "webdataset", "cuts", "fiftyone"]),
    default="parquet",
    show_default=True,
    help="What to write.",
)
@collection_option
@where_option("clips")
@json_option
@quiet_option
@click.pass_context
def export(
    context: click.Context,
    path: str,
    kind: str,
    collection: str | None,
    where: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write all clips, or some, with all that is known of them.

    \b
    parquet     one file with vectors and labels
    files       a folder with an MP4 file a clip, without sound, and metadata.jsonl, as
                Hugging Face's `datasets` loads it
    webdataset  a folder with the like in tar files
    cuts        a folder with cuts.csv, where clips lie in their videos, and cuts.sh, by
                which FFmpeg cuts them out
    fiftyone    a folder with an MP4 file a clip and samples.json, as FiftyOne loads it

    A folder must be empty or not be there yet. Videos that are gone or have changed are passed over
    and told, and the command exits with 3.
    """  # noqa: D301 - click's mark
    if printable(path) != path:
        raise click.UsageError(f"{printable(path)!r} is no good name for a file.")
    opened = open_collection(collection)
    if kind != "parquet":
        report = opened.where(where or "true").export_folder(path, kind)
        _print_export(report, as_json=as_json, quiet=quiet)
        context.exit(3 if report.skipped else 0)
    rows = (opened if where is None else opened.where(where)).export(path)
    if as_json:
        print_json({"path": path, "rows": rows})
    elif not quiet:
        click.echo(f"{count(rows, 'clip')} in {shown_path(path)}")


def _print_export(report: ExportReport, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(asdict(report))
        return
    if not quiet:
        copied = f", {report.num_copied} of them copied" if report.num_copied else ""
        click.echo(f"{count(report.num_clips, 'clip')} in {shown_path(report.path)}{copied}.")
    for one in report.skipped:
        lacking = count(one.num_clips, "clip")
        why = f"{one.problem.reason}: {printable(one.problem.message)}"
        click.echo(f"{lacking} of {shown_path(one.path)} passed over: {why}", err=True)
