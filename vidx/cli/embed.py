"""`vidx embed`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from vidx.cli.options import (
    batch_size_option,
    collection_option,
    json_option,
    limit_option,
    model_options,
    quiet_option,
)
from vidx.cli.path_lists import with_listed
from vidx.cli.progress import showing_files
from vidx.cli.render import count, print_json, print_table, printable, shown_path
from vidx.collection import Collection, open_collection
from vidx.models import licence_of
from vidx.options import EmbedOptions
from vidx.records import EmbedReport, FileFinding, FileStatus, PassedOver, RefusedRow

SHOWN_FAILURES = 10
FAILED = (FileStatus.FAILED, FileStatus.FAILED_BEFORE)
# What can become of a file, as a report counts it.
COUNTS = ("embedded", "partial", "unchanged", "duplicate", "moved", "failed", "failed_before")
# The others are counted under their own names.
_COUNTED_AS = {
    FileStatus.EMBED: "embedded",
    FileStatus.TWIN: "duplicate",
    FileStatus.TOUCHED: "unchanged",
}


_BESIDES = (FileStatus.PASSED_OVER, FileStatus.GONE, FileStatus.REFUSED)  # not looked at


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
@batch_size_option
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=0),
    help="Decoding processes; 0 "
    "decodes in the main one, without isolation. Default: one a core, at most 16.",
)
@limit_option("Look only at the first N files, in sorted order.")
@click.option(
    "--any",
    "any_ending",
    is_flag=True,
    help="Also take files with other endings that hold a video, by their first bytes.",
)
@click.option(
    "--retry-failed",
    is_flag=True,
    help="Try files again that failed before, or of which only a part could be embedded.",
)
@click.option(
    "--prune",
    is_flag=True,
    help="Take out what the collection has from these folders and is no longer there.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
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
        findings = opened.survey(paths, options)
        if as_json:
            print_json(survey_as_json(opened, findings, time.monotonic() - started))
        elif not quiet:
            _print_findings(findings)
        looked_at = [one.status for one in findings if one.status not in _BESIDES]
        failed = sum(status in FAILED for status in looked_at)
        refused = sum(one.row is not None for one in findings)
        context.exit(exit_code(failed, len(looked_at), refused))
    if not quiet:
        _tell_licence(opened, others["model"])
    with showing_files(quiet=quiet) as progress:
        report = opened.embed(paths, options, progress=progress)
    if as_json:
        print_json(report_as_json(report))
    elif not quiet:
        _print_report(opened, report, prune=options.prune)
    failed = report.failed + report.failed_before
    context.exit(exit_code(failed, report.num_files, len(report.refused)))


def _tell_licence(collection: Collection, model: str | None) -> None:
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
        "collection": report.collection,
        "commit": report.commit,
        "removal": report.removal,
        "num_values": report.num_values,
        "refused_rows": [row._asdict() for row in report.refused],
        "dry_run": False,
    }


def survey_as_json(
    collection: Collection, findings: list[FileFinding], seconds: float
) -> dict[str, Any]:
    """The same for what would be done, with each file; nobody knows yet how many clips it has."""
    counted = Counter(_COUNTED_AS.get(one.status, one.status.value) for one in findings)
    return {
        "num_files": sum(counted[name] for name in COUNTS),
        **{name: counted[name] for name in COUNTS},
        "num_passed_over": counted["passed_over"],
        "gone": counted["gone"],
        "num_clips": None,
        "seconds": round(seconds, 3),
        "clips_per_second": None,
        "collection": str(collection.path),
        "commit": None,
        "removal": None,
        "num_values": None,
        "refused_rows": [one.row._asdict() for one in findings if one.row],
        "dry_run": True,
        "findings": [
            {"path": one.source.path, "status": one.status.value}
            for one in findings
            if one.row is None
        ],
    }


def _print_findings(findings: list[FileFinding]) -> None:
    """What `embed` would do."""
    files = [one for one in findings if one.row is None]
    cells = [(one.status.value, shown_path(one.source.path)) for one in files]
    print_table(("status", "path"), cells)
    statuses = Counter(one.status.value for one in findings if one.status not in _BESIDES)
    click.echo(", ".join(f"{number} {status}" for status, number in sorted(statuses.items())))
    others = (one.source.path for one in findings if one.status is FileStatus.PASSED_OVER)
    _tell_passed_over(PassedOver(tuple(others)))
    _tell_gone(sum(one.status is FileStatus.GONE for one in findings))
    _tell_refused([one.row for one in findings if one.row])


def _print_report(collection: Collection, report: EmbedReport, *, prune: bool) -> None:
    parts = [f"{getattr(report, n)} {n.replace('_', ' ')}" for n in COUNTS if getattr(report, n)]
    click.echo(f"{count(report.num_files, 'file')}: {', '.join(parts)}")
    if report.num_clips:
        rate = f"{report.clips_per_second:.1f} clips/s"
        click.echo(f"{count(report.num_clips, 'clip')} in {report.seconds:.1f} s ({rate})")
    if report.num_values:
        click.echo(f"{count(report.num_values, 'value')} of metadata set.")
    click.echo(f"Collection: {shown_path(report.collection)}")
    if report.partial:
        click.echo("`vidx videos --remarks` says what is missing of a partial video.")
    _tell_passed_over(report.passed_over)
    if prune:
        _tell_pruned(report)
    else:
        _tell_gone(report.gone)
    if report.failed:
        rows = collection.failures().to_pylist()
        print_failures(rows[:SHOWN_FAILURES])
        if len(rows) > SHOWN_FAILURES:
            click.echo(f"... and {len(rows) - SHOWN_FAILURES} more: `vidx failures` lists all.")
    _tell_refused(report.refused)


def _tell_refused(rows: Sequence[RefusedRow]) -> None:
    if rows:
        click.echo(f"Passed over {count(len(rows), 'row')} of manifests:")
    for row in rows[:SHOWN_FAILURES]:
        click.echo(printable(f"  {row.manifest}: row {row.row}: {row.reason}"))
    if len(rows) > SHOWN_FAILURES:
        click.echo(f"... and {len(rows) - SHOWN_FAILURES} more: --json lists all.")


def _tell_passed_over(files: PassedOver) -> None:
    if files.paths:
        click.echo(printable(str(files)))


def _tell_gone(number: int) -> None:
    if number:
        files, them = ("file is", "it") if number == 1 else ("files are", "them")
        click.echo(f"{number} {files} no longer there; take {them} out with --prune.")


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
