"""Stretches: consecutive clips of a long video that one of several workers decodes.

A stretch begins with a clip that begins in another group of pictures than the clip before, so that
of two stretches no more is decoded twice than what is between a key frame and a clip's start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vidx.embedder.decoding.messages import Rest
from vidx.records import Clip

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidx.embedder.decoding.container import FileState
    from vidx.embedder.decoding.handout import Handout
    from vidx.embedder.decoding.sampling import Sampling
    from vidx.embedder.decoding.timetable import Timetable

# Shorter ones would cost more in what is decoded twice, longer ones more memory to wait in.
STRETCH_SECONDS = 30.0


class Divided(Exception):
    """The rest of a video is left to several.

    Attributes:
        rest: What is left.
    """

    def __init__(self, rest: Rest) -> None:
        super().__init__()
        self.rest = rest


class Divider:
    """Leaves the rest of a video to several, if somebody asks for it and it pays.

    Args:
        state: What the file is like.
        is_asked: Whether somebody does.
    """

    def __init__(self, state: FileState, is_asked: Callable[[], bool]) -> None:
        self._state = state
        self._is_asked = is_asked

    def plan(self, timetable: Timetable, clips: Sequence[Clip], sampling: Sampling) -> None:
        """Say where the video can be divided.

        Args:
            timetable: When each picture is shown.
            clips: All that are to be handed out.
            sampling: Frames of a clip and their spacing.
        """
        self._found = timetable.found
        self._clips = clips
        self._groups = timetable.groups(clips, sampling)

    def check(self, number: int, handout: Handout) -> None:
        """Leave the clips from here on, if that is asked for.

        Args:
            number: How many clips were handed out.
            handout: What was.

        Raises:
            Divided: They make two stretches or more.
        """
        is_start = number == 0 or self._groups[number] != self._groups[number - 1]
        if not (self._found.is_seekable and is_start and self._is_asked()):
            return
        left = stretches(self._clips[number:], self._groups[number:])
        if len(left) > 1:
            given, beyond = handout.given(), handout.beyond
            raise Divided(Rest(self._state, self._found, left, given, beyond))


def stretches(clips: Sequence[Clip], groups: NDArray[np.int64]) -> tuple[tuple[Clip, ...], ...]:
    """Cut clips into stretches of `STRETCH_SECONDS` or more, but for the last.

    Args:
        clips: In time order.
        groups: The group of pictures that each begins in, shape (clips,).

    Returns:
        At least one stretch of at least one clip.
    """
    bounds = [0]
    for number in (np.flatnonzero(np.diff(groups)) + 1).tolist():
        seconds = clips[number].start_seconds - clips[bounds[-1]].start_seconds
        if seconds >= STRETCH_SECONDS:
            bounds.append(number)
    ends = [*bounds[1:], len(clips)]
    return tuple(tuple(clips[start:end]) for start, end in zip(bounds, ends, strict=True))
