"""Stages that run beside each other: batches, bounded buffers and commits, event by event."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Stage:
    """One step of the way, such as decoding.

    Attributes:
        name: Such as `decoding`.
        rate: Clips a second, when it has its pool for itself.
        unit: Clips that it takes and gives at once: a batch, or those of a commit.
        pool: What it runs on. Stages of one pool that are at work share it evenly.
    """

    name: str
    rate: float
    unit: int
    pool: str


@dataclass(frozen=True)
class Run:
    """What a simulation gave: clips a second, and the share of time each stage was at work."""

    clips_per_second: float
    busy: dict[str, float]

    @property
    def limit(self) -> str:
        """The stage that the others wait for."""
        return max(self.busy, key=self.busy.__getitem__)


def simulate(stages: Sequence[Stage], clips: int, ahead: int = 2) -> Run:
    """Send clips through stages, each `ahead` units of the larger neighbour before the next."""
    waiting = [clips] + [0] * len(stages)
    rooms = [ahead * max(a.unit, b.unit) for a, b in pairwise(stages)]
    rooms.append(clips)
    work: dict[int, tuple[int, float]] = {}  # stage: clips in hand, those left to do
    now, busy = 0.0, dict.fromkeys((stage.name for stage in stages), 0.0)
    while waiting[-1] < clips:
        for number in range(len(stages)):
            taken = _next(stages, waiting, work, number)
            if number not in work and taken and waiting[number + 1] + taken <= rooms[number]:
                waiting[number] -= taken
                work[number] = (taken, float(taken))
        at_work = Counter(stages[number].pool for number in work)
        speeds = {n: stages[n].rate / at_work[stages[n].pool] for n in work}
        step = min(left / speeds[n] for n, (_, left) in work.items())
        now += step
        for number, (taken, left) in list(work.items()):
            busy[stages[number].name] += step
            work[number] = (taken, left - step * speeds[number])
            if work[number][1] <= 1e-9 * taken:
                waiting[number + 1] += taken
                del work[number]
    return Run(clips / now, {stage.name: busy[stage.name] / now for stage in stages})


def _next(
    stages: Sequence[Stage],
    waiting: list[int],
    work: dict[int, tuple[int, float]],
    number: int,
) -> int:
    """Clips that a stage can take: a whole unit, or what is left when no more can come."""
    unit = stages[number].unit
    held = sum(taken for n, (taken, _) in work.items() if n < number)
    coming = sum(waiting[:number]) + held
    return min(unit, waiting[number]) if waiting[number] >= unit or not coming else 0
