"""`vidx bench`."""

from __future__ import annotations

from dataclasses import asdict

import click

from vidx.cli.options import batch_size_option, device_options, json_option, quiet_option
from vidx.cli.progress import showing
from vidx.cli.render import print_json, print_table, printable
from vidx.models import bench as measure


@click.command()
@click.option(
    "--model",
    metavar="MODEL",
    help="builtin:tiny, which vidx brings, or a checkpoint's folder, or a hub id with optional "
    "@revision. Default: MCG-NJU/videomae-base-finetuned-kinetics, from the hub or its cache.",
)
@device_options
@batch_size_option
@click.option(
    "--seconds",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    default=20.0,
    show_default=True,
    help="How long to measure; it takes longer where ten batches do.",
)
@json_option
@quiet_option
def bench(
    model: str | None,
    device: str | None,
    dtype: str | None,
    batch_size: int | None,
    seconds: float,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how fast a model embeds on this machine, decoding left aside.

    Random clips are embedded, from frames that lie on the device already and from frames in main
    memory. Decoding can be slower than this; `vidx embed` tells its own rate.
    """
    with showing(quiet=quiet) as show:
        rate = measure(
            model,
            device=device,
            dtype=dtype,
            batch_size=batch_size,
            seconds=seconds,
            progress=lambda done, of: show(done, of, "measurements"),
        )
    if as_json:
        print_json(asdict(rate))
        return
    if quiet:
        return
    ready = rate.ready_clips_per_second
    rows = [
        ("model", printable(rate.model)),
        ("device", f"{rate.device}, {rate.dtype}, batches of {rate.batch_size}"),
        ("frames on the device", f"{ready:.2f} clips/s" if ready else "not for several devices"),
        ("frames in main memory", f"{rate.host_clips_per_second:.2f} clips/s"),
        ("which is", f"{rate.video_hours_per_hour:.1f} hours of video an hour"),
    ]
    print_table(("", ""), rows)
