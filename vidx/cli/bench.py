"""`vidx bench`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vidx.benching import bench as measure
from vidx.cli.options import (
    batch_size_option,
    decoder_option,
    device_options,
    json_option,
    quiet_option,
    workers_option,
)
from vidx.cli.progress import showing
from vidx.cli.render import print_json, print_table
from vidx.words import count, in_words, printable

if TYPE_CHECKING:
    from vidx.model_records import BenchReport, LibraryRates


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path())
@click.option(
    "--model",
    metavar="MODEL",
    help="builtin:tiny, which vidx brings, or a checkpoint's folder, or a hub id with optional "
    "@revision. Default: MCG-NJU/videomae-base-finetuned-kinetics, from the hub or its cache.",
)
@device_options
@batch_size_option
@workers_option
@decoder_option
@click.option(
    "--seconds",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="How long to measure; it takes longer where a few batches do.",
)
@json_option
@quiet_option
def bench(
    paths: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Measure how fast a model embeds on this machine, and with PATHs how fast videos do.

    Random clips are embedded, from frames that lie on the device already and from frames in main
    memory. With files and folders of videos, a sample of these is decoded without a model, and
    then decoded and embedded as `vidx embed` does it; nothing is stored. It tells the bottleneck,
    and how long all the files would take.
    """
    with showing(quiet=quiet) as show:
        report = measure(
            paths=paths, progress=lambda done, of: show(done, of, "measurements"), **options
        )
    if as_json:
        print_json(report_as_json(report))
    elif not quiet:
        print_table(("", ""), _rows(report))
        if report.library:
            click.echo(str(report.library.busy))


def report_as_json(report: BenchReport) -> dict[str, Any]:
    """The report's numbers in their documented order, and those of the videos by name."""
    found = asdict(report)
    library = report.library
    if library:
        found["library"]["busy"] = library.busy.shares()
        found["library"]["bottleneck"] = library.busy.bottleneck
    return found


def _rows(report: BenchReport) -> list[tuple[str, str]]:
    ready = report.ready_clips_per_second
    rows = [
        ("model", printable(report.model)),
        ("device", f"{report.device}, {report.dtype}, batches of {report.batch_size}"),
    ]
    if report.library is None:
        on_device = f"{ready:.2f} clips/s" if ready else "not for several devices"
        rows.append(("frames on the device", on_device))
    hours = f"{report.video_hours_per_hour:.1f} hours of video an hour"
    rows += [
        ("frames in main memory", f"{report.host_clips_per_second:.2f} clips/s"),
        ("which is", hours),
    ]
    return rows + (_library_rows(report.library) if report.library else [])


def _library_rows(library: LibraryRates) -> list[tuple[str, str]]:
    workers = count(library.num_workers, "worker")
    rows = [
        ("decoding alone", f"{library.decoding_clips_per_second:.2f} clips/s, {workers}"),
        ("decoding and model", f"{library.clips_per_second:.2f} clips/s"),
        ("which is", f"{library.video_hours_per_hour:.1f} hours of video an hour"),
        ("over the slower one alone", f"{library.over_slower:.0%}"),
    ]
    if library.over_shared is not None:
        rows.append(("over both in turns on the cores", f"{library.over_shared:.0%}"))
    whole = f"{library.library_clips} clips, {library.library_hours:.1f} hours of video"
    files = count(library.num_files, "file")
    return [*rows, (f"estimate for {files}", f"{in_words(library.library_seconds)} ({whole})")]
