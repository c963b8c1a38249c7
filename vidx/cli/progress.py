"""Progress on standard error: a bar on a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from vidx.cli.interrupt import remembering_interrupts
from vidx.cli.render import shown_path
from vidx.training.telling import READING, TrainingStep

if TYPE_CHECKING:
    from vidx.records import EmbedProgress, IndexProgress, PushProgress, ReportProgress

SECONDS_BETWEEN_LINES = 5.0

# Called with what is done, of how many, and what more there is to say, beginning with their name.
Show = Callable[[int, int, str], None]


@contextmanager
def showing_files(*, quiet: bool) -> Iterator[Callable[[EmbedProgress], None]]:
    """Give a function to call with each step of `embed`."""
    with showing(quiet=quiet) as show:
        yield lambda step: show(step.num_files_done, step.num_files, of_files(step))


@contextmanager
def showing_index(*, quiet: bool) -> Iterator[Callable[[IndexProgress], None]]:
    """Give a function to call with each step of the making of an index."""
    with showing(quiet=quiet) as show:
        yield lambda step: show(step.done, step.total, f"{step.stage} for {step.likeness!r}")


@contextmanager
def showing_push(*, quiet: bool) -> Iterator[Callable[[PushProgress], None]]:
    """Give a function to call with each step of a push to a vector database."""
    with showing(quiet=quiet) as show:
        yield lambda step: show(step.done, step.total, "blocks of clips pushed")


@contextmanager
def showing_report(*, quiet: bool) -> Iterator[Callable[[ReportProgress], None]]:
    """Give a function to call with each step of a report."""
    with showing(quiet=quiet) as show:
        yield lambda step: show(step.done, step.total, step.stage)


@contextmanager
def showing_steps(folder: str, *, quiet: bool) -> Iterator[Callable[[TrainingStep], None]]:
    """Give a function to call with each step of the run in a folder."""
    with showing(quiet=quiet) as show:
        try:
            yield lambda step: show(step.done, step.total, of_training(step))
        except KeyboardInterrupt:
            click.echo(f"\nThe run in {shown_path(folder)} goes on from its last state.", err=True)
            raise


@contextmanager
def showing(*, quiet: bool) -> Iterator[Show]:
    """Give a function that shows how far one is, and raises an interrupt that was dropped."""
    with remembering_interrupts() as check, _shown(quiet=quiet) as show:

        def tell(done: int, total: int, text: str) -> None:
            check()
            show(done, total, text)

        yield tell


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Show]:
    if quiet:
        yield lambda _done, _total, _text: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines().show


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda done, total, text: bar.update(
            task, total=total, completed=done, description=text
        )


class _Lines:
    """A line every few seconds, and one whenever all is done."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def show(self, done: int, total: int, text: str) -> None:
        if done == total or time.monotonic() - self.told >= SECONDS_BETWEEN_LINES:
            self.told = time.monotonic()
            click.echo(f"{done}/{total} {text}", err=True)


def of_files(step: EmbedProgress) -> str:
    """Clips, rate, time left and failures so far; or what is done at the end.

    >>> from vidx import EmbedProgress
    >>> of_files(EmbedProgress(5, num_files=20, num_clips=30, num_failed=1, seconds=10.0))
    'files, 30 clips, 3.0 clips/s, ETA 0:00:30, 1 failed'
    """
    if step.stage != "embedding":
        return f"files, {step.stage}"
    rate = step.num_clips / step.seconds if step.seconds else 0.0
    left = (step.num_files - step.num_files_done) * step.seconds / max(step.num_files_done, 1)
    eta = timedelta(seconds=round(left))
    return f"files, {step.num_clips} clips, {rate:.1f} clips/s, ETA {eta}, {step.num_failed} failed"


def of_training(step: TrainingStep) -> str:
    """Rate, time left, losses, and how good the encoder was when that was last measured.

    >>> of_training(TrainingStep("adapting", 5, 20, {"loss": 0.5, "held_out": 0.625}, rate=2.5))
    'steps, adapting, 2.5 steps/s, ETA 0:00:06, loss 0.5000, held out 0.6250'
    """
    what = "videos" if step.stage == READING else "steps"
    eta = timedelta(seconds=round((step.total - step.done) / step.rate)) if step.rate else "?"
    parts = [what, step.stage, f"{step.rate:.1f} {what}/s", f"ETA {eta}"]
    return ", ".join([*parts, *losses(step.losses), *losses(step.validation)])


def losses(values: Mapping[str, float]) -> list[str]:
    """Each loss with its name."""
    return [f"{name.replace('_', ' ')} {value:.4f}" for name, value in values.items()]
