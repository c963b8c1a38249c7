"""Things that have labels: clips, or videos of several clips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BLOCK_CLIPS = 16_384  # looked at at a time

Numbers: TypeAlias = NDArray[np.int64]


class Members:
    """The clips that each of some things is made of.

    Args:
        units: The thing that each clip is a part of, from 0 without a gap, shape (n,).
    """

    def __init__(self, units: Numbers) -> None:
        self._order = np.argsort(units, kind="stable")
        self._starts = np.searchsorted(units[self._order], np.arange(int(units.max()) + 2))

    def __len__(self) -> int:
        return len(self._starts) - 1

    def blocks(self, units: Numbers) -> Iterator[Numbers]:
        """Some things, as many at a time as have `BLOCK_CLIPS` clips, or one that has more."""
        before = np.cumsum(self._starts[units + 1] - self._starts[units])
        yield from np.split(units, np.flatnonzero(np.diff(before // BLOCK_CLIPS)) + 1)

    def places(self, block: Numbers) -> tuple[Numbers, Numbers]:
        """Their clips.

        Returns:
            For each clip the place in the block of its thing, ascending, and the clip.
        """
        counts = self._starts[block + 1] - self._starts[block]
        rows = np.repeat(np.arange(len(block)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, self._order[np.repeat(self._starts[block], counts) + within]
