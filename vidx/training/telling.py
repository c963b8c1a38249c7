"""How far a run is, as its caller is told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidx.training.loop import TrainProgress

READING = "reading"


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """How far a run of `train` or `adapt` is.

    Attributes:
        stage: `reading` counts videos; of the others, which count the run's steps, its name.
        done: Of `total`, those of earlier calls included.
        total: All there is to do; where a run's time is bound, as many as it comes to at this pace.
        losses: Of the last step; empty while reading.
        rate: Done a second, in this call.
        validation: How good `train`'s encoder was when that was last measured, see `TrainReport`.
    """

    stage: str
    done: int
    total: int
    losses: Mapping[str, float]
    rate: float
    validation: Mapping[str, float] = field(default_factory=dict)


class Teller:
    """Turns what a run says of itself into what the caller is told."""

    def __init__(self, progress: Callable[[TrainingStep], None] | None) -> None:
        self.progress = progress
        self.started = time.monotonic()
        self.begin(0)

    @property
    def seconds(self) -> float:
        """Since the call."""
        return time.monotonic() - self.started

    def begin(self, total: int) -> None:
        """Count anew."""
        self.total = total
        self.began = time.monotonic()
        self.first: int | None = None
        self.validation: Mapping[str, float] = {}

    def read(self, done: int, total: int) -> None:
        """Tell of each video."""
        self.total = total
        self._tell(READING, done, {})

    def follow(self, steps: Iterable[TrainProgress]) -> None:
        """Tell of each step."""
        planned = self.total
        for step in steps:
            self.total = math.ceil(planned * step.step / step.position)
            self.validation = step.validation or self.validation
            self._tell(step.stage, step.step, step.losses)

    def _tell(self, stage: str, done: int, losses: Mapping[str, float]) -> None:
        if self.first is None:  # what was done in earlier calls took none of this one's time
            self.first = done - 1
        seconds = time.monotonic() - self.began
        rate = (done - self.first) / seconds if seconds else 0.0
        if self.progress:
            self.progress(TrainingStep(stage, done, self.total, losses, rate, self.validation))
