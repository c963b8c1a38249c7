"""Where one shot of a video gives way to another, by tiny pictures of all its frames.

A cut changes the picture as a whole from one frame to the next, more than motion near it does, and
for good: after a flash, or a frame that is broken, things look as before. A dissolve takes its
time, and half-way the picture is the mean of what comes before and after. What only moves, or
becomes brighter, is of one shot: pictures are shifted and levelled before they are told apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.sampling import LEAST_SHOT_SECONDS, TOLERANCE_SECONDS

SIDE = 16  # cells of a tiny picture, in height and width
# A flash is shorter, and motion is judged so far around: by time, but no fewer frames than these.
NEAR_SECONDS, NEAR_FRAMES = 0.4, 4
LEAST_CHANGE = 6.0  # of 255, on average over the picture
SUDDEN = 1.5  # times the changes near by, but for the largest two
SAME = 0.75  # correlation of two pictures of one shot; less when they are not
SHIFT = 3  # cells, by which the picture of one shot may have moved

DISSOLVE_SECONDS = (0.25, 0.5, 1.0)  # from its middle to where both shots are whole
LEAST_DISSOLVE = 16.0  # of 255, between the two shots
BLENDED = 0.35  # of that: how far the middle may be from their mean
CALM = 0.7  # of that: how much each shot may change by itself in the same time
PALE = 0.8  # of the shots' variance: one upon the other they have less
LEAST_STEPS = 3  # frames from its middle
FLAT = 2.0  # of 255: a picture that deviates less shows nothing, and is like no other

_CONTEXT_SECONDS = 2 * max(DISSOLVE_SECONDS) + NEAR_SECONDS
BLOCK_FRAMES = 2000  # looked at together, with what is near of the blocks beside


@dataclass(frozen=True, slots=True)
class Boundary:
    """One shot's end and the next one's start.

    Attributes:
        seconds: When the first frame of the next shot is shown; of a dissolve, its middle.
        change: How much changes, of 255; the larger counts where two are too near.
    """

    seconds: float
    change: float


class ShotFinder:
    """Finds the boundaries between shots while frames come in; holds a block of them at a time."""

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._pictures: list[NDArray[np.uint8]] = []
        self._found: list[Boundary] = []
        self._done_until = 0.0

    def add(self, seconds: float, picture: NDArray[np.uint8]) -> None:
        """Look at the next frame.

        Args:
            seconds: When it is shown.
            picture: uint8, shape (SIDE, SIDE, 3).
        """
        self._seconds.append(seconds)
        self._pictures.append(picture)
        if len(self._seconds) >= BLOCK_FRAMES:
            self._settle(min(seconds - _CONTEXT_SECONDS, self._seconds[-NEAR_FRAMES - 1]))

    def cuts(self) -> list[float]:
        """The boundaries in all that was added, in seconds, in order."""
        self._settle(np.inf)
        return [one.seconds for one in far_apart(self._found)]

    def _settle(self, until: float) -> None:
        """Find the boundaries before a time, and forget the frames that no later one takes."""
        if until <= self._done_until or not self._seconds:
            return
        found = boundaries(np.array(self._seconds), np.stack(self._pictures))
        self._found += [one for one in found if self._done_until <= one.seconds < until]
        self._done_until = until
        first = int(np.searchsorted(self._seconds, until - _CONTEXT_SECONDS)) - NEAR_FRAMES - 1
        first = max(first, 0)
        del self._seconds[:first], self._pictures[:first]


def far_apart(found: list[Boundary]) -> list[Boundary]:
    """Leave out the lesser of two boundaries with less than a least shot between them."""
    kept: list[Boundary] = []
    for one in found:
        if not kept or one.seconds - kept[-1].seconds >= LEAST_SHOT_SECONDS:
            kept.append(one)
        elif one.change > kept[-1].change:
            kept[-1] = one
    return kept


def boundaries(seconds: NDArray[np.float64], pictures: NDArray[np.uint8]) -> list[Boundary]:
    """Find the cuts and dissolves among some frames.

    Args:
        seconds: When each is shown, shape (frames,), in order.
        pictures: uint8, shape (frames, SIDE, SIDE, 3).

    Returns:
        In time order; a dissolve next to a cut is part of it.
    """
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    cuts = list(_cuts(seconds, flat))
    half = max(DISSOLVE_SECONDS)
    far = [
        one
        for one in _dissolves(seconds, flat)
        if all(abs(one.seconds - cut.seconds) > half for cut in cuts)
    ]
    return sorted([*cuts, *far], key=lambda one: one.seconds)


def _cuts(seconds: NDArray[np.float64], flat: NDArray[np.float32]) -> Iterator[Boundary]:
    changes = np.abs(np.diff(flat, axis=0)).mean(axis=1)  # of frame i + 1 from frame i
    for before in np.flatnonzero(changes > LEAST_CHANGE):
        place, change = int(before) + 1, float(changes[before])
        start = np.searchsorted(seconds, seconds[place] - NEAR_SECONDS)
        end = np.searchsorted(seconds, seconds[place] + NEAR_SECONDS, side="right")
        start, end = max(min(start, place - NEAR_FRAMES), 0), max(end, place + NEAR_FRAMES)
        near = np.sort(changes[start : end - 1])
        if change < SUDDEN * float(near[:-3].max(initial=0.0)):
            continue
        # Not the two frames themselves: one of them may be both shots, one upon the other.
        earlier, later = flat[start : place - 1], flat[place + 1 : end]
        if not _any_alike(
            earlier if len(earlier) else flat[:1], later if len(later) else flat[-1:]
        ):
            yield Boundary(float(seconds[place]), change)


def _dissolves(seconds: NDArray[np.float64], flat: NDArray[np.float32]) -> Iterator[Boundary]:
    for half in DISSOLVE_SECONDS:
        inside = (seconds >= seconds[0] + half) & (seconds <= seconds[-1] - half)
        middles = np.flatnonzero(inside)
        if not len(middles):
            continue
        steps = half * np.array([[-2], [-1], [1], [2]])
        places = np.searchsorted(seconds, seconds[middles] + steps - TOLERANCE_SECONDS)
        long_before, before, after, long_after = np.clip(places, 0, len(seconds) - 1)
        apart = _apart(flat[before], flat[after])
        off = _apart(flat[middles], (flat[before] + flat[after]) / 2)
        own = np.maximum(
            _apart(flat[long_before], flat[before]), _apart(flat[after], flat[long_after])
        )
        enough = (middles - before >= LEAST_STEPS) & (after - middles >= LEAST_STEPS)
        own_variance = (flat[before].var(axis=1) + flat[after].var(axis=1)) / 2
        is_one = enough & (apart > LEAST_DISSOLVE) & (off < BLENDED * apart) & (own < CALM * apart)
        is_one &= flat[middles].var(axis=1) < PALE * own_variance
        for run in _runs(is_one):
            best = run[int(np.argmin(off[run] / apart[run]))]
            if not _any_alike(flat[before[best], None], flat[after[best], None]):
                yield Boundary(float(seconds[middles[best]]), float(apart[best]))


def _apart(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean absolute difference of pictures, each from its like."""
    apart: NDArray[np.float32] = np.abs(some - others).mean(axis=-1)
    return apart


def _runs(is_one: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """The places of each run of neighbours that are true."""
    places = np.flatnonzero(is_one)
    return np.split(places, np.flatnonzero(np.diff(places) > 1) + 1) if len(places) else []


def _any_alike(some: NDArray[np.float32], others: NDArray[np.float32]) -> bool:
    """Whether one picture of some is like one of others, shifted, brighter or darker."""
    if (np.abs(some[:, None] - others[None]).mean(axis=-1) < LEAST_CHANGE).any():
        return True
    inner = _levelled(_part(others, SHIFT, SHIFT))
    shifts = range(2 * SHIFT + 1)
    return any(
        bool((_levelled(_part(some, down, across)) @ inner.T > SAME).any())
        for down in shifts
        for across in shifts
    )


def _part(flat: NDArray[np.float32], down: int, across: int) -> NDArray[np.float32]:
    """A part of pictures, of the size that is left whatever the shift."""
    side = SIDE - 2 * SHIFT
    pictures = flat.reshape(-1, SIDE, SIDE, 3)
    return pictures[:, down : down + side, across : across + side].reshape(len(flat), -1)


def _levelled(flat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pictures without their brightness and contrast: products of two are correlations."""
    centred = flat - flat.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    scale = np.where(deviation > FLAT, deviation * np.sqrt(flat.shape[1]), np.inf)
    levelled: NDArray[np.float32] = centred / scale
    return levelled
