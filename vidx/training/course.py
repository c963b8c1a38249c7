"""How far a stage of training is: by its steps, or by the clock where time is up before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SAVES = 50  # of each stage that has all the time it wants
SAVE_SECONDS = 100.0  # else; with what a save takes, one comes every two minutes
RESERVE = 1.25  # times what the last save took is left for the last one


class Clock:
    """Seconds that a run has taken, over all its calls.

    Args:
        spent: In earlier calls, as far as their states are kept.
    """

    def __init__(self, spent: float = 0.0) -> None:
        self._began = time.monotonic() - spent

    @property
    def seconds(self) -> float:
        """Until now."""
        return time.monotonic() - self._began


@dataclass(slots=True)
class Course:
    """How far a stage is.

    Schedules go by its position, which counts as steps do, from 0 to `steps`. Where time is short
    it runs ahead of the steps that were done, so that a stage always comes to its schedules' end.

    Attributes:
        steps: It ends with so many.
        planned: Steps before this stage, as its recipe has them.
        first_step: Those that were done: fewer, where time was short.
        until: Seconds on the run's clock at which it ends all the same; None: never.
        clock: The run's.
        done: Steps done at the last save.
        reached: The position then.
        since: Seconds on the clock then.
        saving: Seconds that the last save took, None before the first.
        slowest: Seconds of the longest step since.
    """

    steps: int
    planned: int = 0
    first_step: int = 0
    until: float | None = None
    clock: Clock = field(default_factory=Clock)
    done: int = 0
    reached: float = 0.0
    since: float = 0.0
    saving: float | None = None
    slowest: float = 0.0
    _last: float = 0.0

    def __post_init__(self) -> None:
        self.since = self._last = self.clock.seconds

    @property
    def ended(self) -> bool:
        """Whether the last save was the stage's last."""
        return self.reached >= self.steps

    def position(self, step: int) -> float:
        """Where on the schedules the stage is after some steps; `steps` at its end."""
        if self.until is None:
            return step
        left = self.until - self.since - self.slowest - RESERVE * (self.saving or 0.0)
        passed = self.clock.seconds - self.since
        share = passed / left if passed < left else 1.0
        return min(self.steps, max(step, self.reached + (self.steps - self.reached) * share))

    def went(self) -> None:
        """A step is over."""
        now = self.clock.seconds
        self.slowest, self._last = max(self.slowest, now - self._last), now

    def due(self, step: int, position: float) -> bool:
        """Whether to save after some steps: at the end, and as often as the module says.

        With time short, first of all after one step, which tells how long it takes.
        """
        if position >= self.steps:
            return True
        if self.until is None:
            return step % max(1, self.steps // SAVES) == 0
        return self.saving is None or self.clock.seconds - self.since >= SAVE_SECONDS

    def measures(self, position: float) -> bool:
        """Whether a save measures the encoder: the last does, and all where time is short."""
        return self.until is not None or position >= self.steps

    def saved(self, step: int, position: float, began: float) -> None:
        """A save is over that began at a position, and at some seconds on the clock."""
        self.since = self._last = self.clock.seconds
        self.done, self.reached, self.slowest = step, position, 0.0
        self.saving = self.since - began

    def state_dict(self, position: float, began: float) -> dict[str, Any]:
        """What `load_state_dict` takes, within a save that is as good as over; see `saved`."""
        now = self.clock.seconds
        return {
            "first_step": self.first_step,
            "position": position,
            "saving": now - began,
            "seconds": now,
        }

    def load_state_dict(self, step: int, state: Mapping[str, Any]) -> None:
        """Go on from a state that was saved after some steps; the clock is to have its seconds."""
        self.done, self.saving = step, state["saving"]
        self.reached = step if self.until is None else state["position"]
        self.since = self._last = self.clock.seconds
