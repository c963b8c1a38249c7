"""Progress on standard error: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import click

from vidx.records import Progress

SECONDS_BETWEEN_LINES = 5.0


@contextmanager
def showing_progress(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Give a function to call with each step."""
    if quiet:
        yield lambda _step: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines().show


@contextmanager
def _bar() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("files, {task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda step: bar.update(
            task, total=step.files, completed=step.files_done, description=describe(step)
        )


class _Lines:
    """A line every few seconds, and one at the end."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def show(self, step: Progress) -> None:
        finished = step.files_done == step.files
        if finished or time.monotonic() - self.told >= SECONDS_BETWEEN_LINES:
            self.told = time.monotonic()
            click.echo(f"{step.files_done}/{step.files} files, {describe(step)}", err=True)


def describe(step: Progress) -> str:
    """Clips, rate, time left and failures so far.

    >>> describe(Progress(files_done=5, files=20, clips=30, failed=1, seconds=10.0))
    '30 clips, 3.0 clips/s, ETA 0:00:30, 1 failed'
    """
    rate = step.clips / step.seconds if step.seconds else 0.0
    left = (step.files - step.files_done) * step.seconds / max(step.files_done, 1)
    eta = timedelta(seconds=round(left))
    return f"{step.clips} clips, {rate:.1f} clips/s, ETA {eta}, {step.failed} failed"
