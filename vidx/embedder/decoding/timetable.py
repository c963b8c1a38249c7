"""When each picture is shown, known before decoding, and which packets have to be decoded for some.

Packets tell the times of their pictures, and their bitstreams where decoding can begin and what
nothing refers to. So of a sound file no more is decoded than what is sampled, and what that refers
to; pictures that nobody samples and nothing refers to cost no decoding, nor does the rest of a
group of pictures after its last sample.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np

from vidx.embedder.decoding.sampling import TOLERANCE_SECONDS, Sampling, exact, frame_times
from vidx.embedder.decoding.tally import NO_TIME

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidx.embedder.decoding.survey import Survey
    from vidx.records import Clip


class Surprise(Exception):
    """Decoding goes otherwise than the timetable says; the decoder's words, if it had any."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """The pictures of a video in the order they are shown.

    Attributes:
        found: The stream's packets.
        packets: Which packet each picture is in, int64, shape (pictures,).
        seconds: When each is shown, from the first, float64, shape (pictures,).
    """

    found: Survey
    packets: NDArray[np.int64]
    seconds: NDArray[np.float64]

    @classmethod
    def of(cls, found: Survey) -> Self | None:
        """The timetable of a stream; None where there is doubt."""
        times = found.times
        if not (found.is_foreseeable and found.starts[0]):
            return None
        if times[0] not in (NO_TIME, times[times != NO_TIME].min()):
            return None  # pictures that lead the first start may not be there at all
        order = np.argsort(times, kind="stable")
        order = order[times[order] != NO_TIME]
        container_seconds = times[order] * found.time_base  # as the clock reckons
        seconds = container_seconds - container_seconds[0]
        is_steady = np.diff(seconds).max(initial=0.0) <= found.longest_step
        return cls(found, order, seconds) if is_steady else None

    @property
    def end_seconds(self) -> float:
        """When the last picture's time is over."""
        return exact(float(self.seconds[-1]) + self.found.last_seconds)

    def starts_before(self, packet: int) -> NDArray[np.int64]:
        """The packets up to this one that decoding can begin with, and that have a time."""
        is_start = self.found.starts & (self.found.times != NO_TIME)
        return np.flatnonzero(is_start[: packet + 1])

    def groups(self, clips: Iterable[Clip], sampling: Sampling) -> NDArray[np.int64]:
        """In which group of pictures the first sample of each clip is, counted from 1.

        Args:
            clips: Some clips.
            sampling: Frames of a clip and their spacing.
        """
        first = np.array([frame_times(clip, sampling)[0] for clip in clips])
        places = np.searchsorted(self.seconds, first + TOLERANCE_SECONDS, side="right") - 1
        starts = np.flatnonzero(self.found.starts)
        return np.searchsorted(starts, self.packets[np.maximum(places, 0)], side="right")

    def until(self, place: int) -> float:
        """When a picture is replaced by the next one, or its time is over.

        Args:
            place: Its place among the pictures.
        """
        last = place + 1 == len(self.seconds)
        return self.end_seconds if last else float(self.seconds[place + 1])

    def needed(self, clips: Iterable[Clip], sampling: Sampling) -> NDArray[np.bool_]:
        """Which packets have to be decoded, shape (packets,).

        These are the samples' and what they refer to, the pictures at the clips' ends, by which
        one knows that they are over, and the first.

        Args:
            clips: What is cut out.
            sampling: Frames of a clip and their spacing.
        """
        times = [np.append(frame_times(clip, sampling), clip.end_seconds) for clip in clips]
        wanted = np.concatenate([np.zeros(1), *times])
        after = np.searchsorted(self.seconds, wanted + TOLERANCE_SECONDS, side="right")
        is_needed = np.zeros(len(self.found.times), np.bool_)
        is_needed[self.packets[np.maximum(after - 1, 0)]] = True
        return self._with_references(is_needed)

    def places(self, clip: Clip) -> tuple[int, int]:
        """The pictures that are on the screen in a clip: the first one, and the one after the last.

        A picture that is replaced within the tolerance after the clip's start is not in it.
        """
        first = int(np.searchsorted(self.seconds, clip.start_seconds + TOLERANCE_SECONDS, "right"))
        end = int(np.searchsorted(self.seconds, clip.end_seconds - TOLERANCE_SECONDS, "left"))
        return max(first - 1, 0), max(end, first, 1)

    def needed_throughout(self, clips: Iterable[Clip]) -> NDArray[np.bool_]:
        """Which packets are to be decoded to have every picture of some clips, shape (packets,)."""
        is_needed = np.zeros(len(self.found.times), np.bool_)
        for clip in clips:
            first, end = self.places(clip)
            is_needed[self.packets[first:end]] = True
        return self._with_references(is_needed)

    def _with_references(self, is_needed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Add what decoding the needed packets takes, from the last group of pictures to the first.

        A picture may refer to any before it in its group, in the order of the file; one that leads
        its group, being shown before the group's start, to the group before as well.
        """
        times, references = self.found.times, self.found.references
        bounds = [*np.flatnonzero(self.found.starts).tolist(), len(times)]
        goes_on = False
        for start, end in reversed(list(pairwise(bounds))):
            group = is_needed[start:end]
            leads = (times[start:end] < times[start]) & (times[start:end] != NO_TIME)
            last = end - start if goes_on else int(np.flatnonzero(group).max(initial=-1))
            goes_on = bool((group & leads).any())
            before = np.arange(end - start) < last
            group |= before & references[start:end] & (goes_on | ~leads)
        return is_needed
