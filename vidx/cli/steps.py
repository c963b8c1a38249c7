"""What `vidx train` and `vidx adapt` share: progress by steps, and an interrupt that goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import click

from vidx.cli.interrupt import remembering_interrupts
from vidx.cli.progress import SECONDS_BETWEEN_LINES
from vidx.cli.render import shown_path
from vidx.training.telling import READING, TrainingStep

Show = Callable[[TrainingStep], None]


@contextmanager
def showing_steps(folder: str, *, quiet: bool) -> Iterator[Show]:
    """Give a function to call with each step of the run in a folder."""
    with remembering_interrupts() as check, _shown(quiet=quiet) as show:

        def tell(step: TrainingStep) -> None:
            check()
            show(step)

        try:
            yield tell
        except KeyboardInterrupt:
            click.echo(f"\nThe run in {shown_path(folder)} goes on from its last state.", err=True)
            raise


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Show]:
    if quiet:
        yield lambda _step: None
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _Lines().show


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda step: bar.update(
            task, total=step.total, completed=step.done, description=describe(step)
        )


class _Lines:
    """A line every few seconds, and one at the end of reading and of the run."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def show(self, step: TrainingStep) -> None:
        late = time.monotonic() - self.told >= SECONDS_BETWEEN_LINES
        if late or step.done == step.total:
            self.told = time.monotonic()
            click.echo(f"{step.done}/{step.total} {describe(step)}", err=True)


def describe(step: TrainingStep) -> str:
    """Rate, time left, losses, and how good the encoder was when that was last measured.

    >>> describe(TrainingStep("adapting", 5, 20, {"loss": 0.5, "held_out": 0.625}, rate=2.5))
    'steps, adapting, 2.5 steps/s, ETA 0:00:06, loss 0.5000, held out 0.6250'
    """
    what = "videos" if step.stage == READING else "steps"
    eta = timedelta(seconds=round((step.total - step.done) / step.rate)) if step.rate else "?"
    parts = [what, step.stage, f"{step.rate:.1f} {what}/s", f"ETA {eta}"]
    return ", ".join([*parts, *losses(step.losses), *losses(step.validation)])


def losses(values: Mapping[str, float]) -> list[str]:
    """Each loss with its name."""
    return [f"{name.replace('_', ' ')} {value:.4f}" for name, value in values.items()]
