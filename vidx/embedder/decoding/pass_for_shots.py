"""A pass over a video that looks at every frame, very small, to find its shots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.pass_by_clock import PassByClock
from vidx.embedder.decoding.sampling import Plan, Sampling, at_shots
from vidx.embedder.decoding.shots import SIDE, ShotFinder

if TYPE_CHECKING:
    from vidx.embedder.decoding.cutter import Shown
    from vidx.embedder.decoding.packets import Tick
    from vidx.embedder.decoding.survey import Survey

TINY = FrameGeometry(resize_to=(SIDE, SIDE))


def plan_of_shots(path: str, found: Survey, plan: Plan, tick: Tick) -> Plan:
    """Find the shots of a video, or of the plan's spans.

    Args:
        path: The file.
        found: The stream to decode, as its packets tell it.
        plan: Stride and spans.
        tick: Called at least once a packet.

    Returns:
        The plan whose spans are the shots; the same each time.

    Raises:
        VideoError: The stream gives no frame, or the file cannot be read.
    """
    cuts, duration_seconds = find_cuts(path, found, plan, tick)
    return at_shots(cuts, duration_seconds, plan)


def find_cuts(path: str, found: Survey, plan: Plan, tick: Tick) -> tuple[list[float], float]:
    """Find where shots meet.

    Args:
        path: The file.
        found: The stream to decode, as its packets tell it.
        plan: The spans.
        tick: Called at least once a packet.

    Returns:
        Where they meet, and how long the video is, in seconds.

    Raises:
        VideoError: As for `plan_of_shots`.
    """
    finder = ShotFinder()

    def look(shown: Shown) -> None:
        if shown.time >= plan.start_seconds and shown.sample:
            finder.add(shown.time, shown.sample.pixels)

    looking = PassByClock(path, found, TINY, tick, look)
    for _ in looking.cuts([], Sampling(), plan.end()):
        pass
    return finder.cuts(), looking.duration_seconds
