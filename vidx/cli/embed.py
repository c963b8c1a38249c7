"""`vidx embed`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from vidx.cli.estimate import (
    BESIDES,
    COUNTS,
    FAILED,
    SHOWN_FAILURES,
    estimate_as_json,
    print_estimate,
    tell_gone,
    tell_passed_over,
    tell_refused,
)
from vidx.cli.options import (
    any_option,
    batch_size_option,
    collection_option,
    decoder_option,
    engine_options,
    json_option,
    limit_option,
    model_options,
    previews_option,
    prune_option,
    quiet_option,
    workers_option,
)
from vidx.cli.path_lists import with_listed
from vidx.cli.progress import showing_files
from vidx.cli.render import print_json, print_table, shown_path
from vidx.collection import Collection, open_collection
from vidx.models import licence_of
from vidx.options import EmbedOptions
from vidx.words import count

if TYPE_CHECKING:
    from vidx.records import EmbedReport


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
@collection_option
@model_options
@click.option(
    "--frames",
    metavar="N",
    type=click.IntRange(min=1),
    help="Frames sampled from a clip. Default: the collection's; for a new one the model's.",
)
@click.option(
    "--fps",
    metavar="F",
    type=click.FloatRange(min=0, min_open=True),
    help="Frames sampled a second. Default: the collection's; for a new one 7.5.",
)
@click.option(
    "--stride-seconds",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    help="From one clip's start to the next one's. Default: clips are back to back.",
)
@click.option(
    "--segment",
    type=click.Choice(["fixed", "shots"]),
    default="fixed",
    help="fixed: clips from the start of a video to its end. shots: each shot is cut by itself, "
    "so that no clip shows two; every frame is decoded for that. Default: fixed.",
)
@batch_size_option
@workers_option
@decoder_option
@limit_option("Look only at the first N files, in sorted order.")
@any_option
@previews_option
@engine_options("this machine embeds", "the nodes of a Ray cluster embed, this machine commits")
@click.option(
    "--workers-per-node",
    metavar="N",
    type=click.IntRange(min=1),
    help="With --engine ray: decoding processes on each node. Default: one a core that Ray may use "
    "there.",
)
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Try files again that failed before, or of which only a part could be embedded.",
)
@prune_option
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what would be done and what it would take, and change nothing.",
)
@json_option
@quiet_option
@click.pass_context
def embed(
    context: click.Context,
    /,
    paths: tuple[str, ...],
    collection: str | None,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    frames: int | None,
    **others: Any,
) -> None:
    """Embed the videos in files, in folders and at URLs that are new or have changed.

    Folders, and prefixes of object stores, are walked for files whose endings are those of videos;
    a file or object named here is taken whatever its name. A PATH in quotes may have the wildcards
    *, ?, [...] and **; what it matches is taken as in a folder. - reads a list of paths from
    standard input. URLs begin with s3://, gs://, https:// or http://, and take what `pip install
    'vidx[remote]'` installs. A run that was stopped goes on where it was when the same command is
    given again.

    A PATH that ends in .csv, .jsonl or .parquet is a manifest: its column path names a file a row,
    start_seconds and end_seconds a span of it, and further columns become metadata.

    What the collection has from these folders, and is no longer there, is told, and taken out with
    --prune.
    """
    paths = tuple(with_listed(paths))
    opened = open_collection(collection, create=True)
    options = EmbedOptions(num_frames=frames, **others)
    if dry_run:
        started = time.monotonic()
        estimate = opened.estimate(paths, options)
        findings = estimate.findings
        if as_json:
            print_json(estimate_as_json(opened, estimate, time.monotonic() - started))
        elif not quiet:
            print_estimate(estimate)
        looked_at = [one.status for one in findings if one.status not in BESIDES]
        failed = sum(status in FAILED for status in looked_at)
        refused = sum(one.row is not None for one in findings)
        context.exit(exit_code(failed, len(looked_at), refused))
    if not quiet:
        tell_licence(opened, others["model"])
    with showing_files(quiet=quiet) as progress:
        report = opened.embed(paths, options, progress=progress)
    if as_json:
        print_json(report_as_json(report))
    elif not quiet:
        print_report(opened, report, prune=options.prune)
    failed = report.failed + report.failed_before
    context.exit(exit_code(failed, report.num_files, len(report.refused)))


def tell_licence(collection: Collection, model: str | None) -> None:
    """Say under which licence weights that are not vidx's own are, before their first use."""
    licence = None if collection.exists() else licence_of(model)
    if licence and not licence.is_own:
        click.echo(f"The weights of {licence.model} are under {licence.spdx}.", err=True)


def exit_code(failed: int, files: int, refused: int = 0) -> int:
    """3 when a file or row of this run failed or was refused; 4 when no file could be embedded."""
    return 4 if failed == files else 3 if failed or refused else 0


def report_as_json(report: EmbedReport) -> dict[str, Any]:
    """The report's numbers, the rate, and that it was done, in their documented order."""
    return {
        "num_files": report.num_files,
        **{name: getattr(report, name) for name in COUNTS},
        "num_passed_over": report.num_passed_over,
        "gone": report.gone,
        "num_clips": report.num_clips,
        "seconds": round(report.seconds, 3),
        "clips_per_second": round(report.clips_per_second, 3),
        **_speed_as_json(report),
        "collection": report.collection,
        "commit": report.commit,
        "removal": report.removal,
        "num_values": report.num_values,
        "num_without_preview": report.num_without_preview,
        "refused_rows": [row._asdict() for row in report.refused],
        "dry_run": False,
    }


def _speed_as_json(report: EmbedReport) -> dict[str, Any]:
    """What else there is to say of the rate, and of what held it up."""
    busy = report.busy
    return {
        "video_seconds": round(report.video_seconds, 3),
        "video_hours_per_hour": round(report.video_hours_per_hour, 3),
        "busy": {part: round(share, 3) for part, share in busy.shares().items()} if busy else None,
        "bottleneck": busy.bottleneck if busy else None,
    }


def print_report(collection: Collection, report: EmbedReport, *, prune: bool) -> None:
    """What became of the files, for people."""
    parts = [f"{getattr(report, n)} {n.replace('_', ' ')}" for n in COUNTS if getattr(report, n)]
    click.echo(f"{count(report.num_files, 'file')}: {', '.join(parts)}")
    if report.num_clips:
        rate = f"{report.clips_per_second:.1f} clips/s"
        hours = f"{report.video_hours_per_hour:.1f} hours of video an hour"
        click.echo(f"{count(report.num_clips, 'clip')} in {report.seconds:.1f} s ({rate}, {hours})")
    if report.busy and report.num_clips:
        shares = (f"{part} {share:.0%}" for part, share in report.busy.shares().items())
        click.echo(f"Busy: {', '.join(shares)}. {report.busy}")
    if report.num_values:
        click.echo(f"{count(report.num_values, 'value')} of metadata set.")
    click.echo(f"Collection: {shown_path(report.collection)}")
    if report.num_without_preview:
        _tell_without_preview(report.num_without_preview)
    if report.partial:
        click.echo("`vidx videos --remarks` says what is missing of a partial video.")
    tell_passed_over(report.passed_over)
    if prune:
        _tell_pruned(report)
    else:
        tell_gone(report.gone)
    if report.failed:
        rows = collection.failures().to_pylist()
        print_failures(rows[:SHOWN_FAILURES])
        if len(rows) > SHOWN_FAILURES:
            click.echo(f"... and {len(rows) - SHOWN_FAILURES} more: `vidx failures` lists all.")
    tell_refused(report.refused)


def _tell_without_preview(number: int) -> None:
    have = "has" if number == 1 else "have"
    click.echo(
        f"{count(number, 'clip')} of the collection {have} no preview, as embedded without. "
        "To have them made, `vidx remove` the videos and embed them again."
    )


def _tell_pruned(report: EmbedReport) -> None:
    if report.gone:
        click.echo(f"Took out {count(report.gone, 'file')} no longer there.")
    if report.removal:
        them = "it" if report.gone == 1 else "them"
        click.echo(f"`vidx restore {report.removal}` brings {them} back, until `vidx compact`.")


def print_failures(rows: list[dict[str, Any]]) -> None:
    """A table of failures, for people."""
    cells = [(row["reason"], shown_path(row["path"]), row["message"]) for row in rows]
    print_table(("reason", "path", "message"), cells)
