"""Parts of an object that nobody needs: they are not fetched, and read as zeros."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

Range = tuple[int, int]  # the first byte, and the one after the last


@dataclass(frozen=True, slots=True)
class Holes:
    """All of some ranges but what is wanted of them.

    Attributes:
        ranges: In order, apart from each other.
        wanted: Likewise.
    """

    ranges: tuple[Range, ...] = ()
    wanted: tuple[Range, ...] = ()

    def but(self, wanted: Iterable[Range]) -> Holes:
        """The same ranges, of which these bytes alone are wanted.

        Args:
            wanted: In any order.
        """
        joined: list[Range] = []
        for start, end in sorted(wanted):
            if joined and start <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(joined[-1][1], end)
            else:
                joined.append((start, end))
        return Holes(self.ranges, tuple(joined))

    def cover(self, start: int, end: int) -> bool:
        """Whether nobody needs any of these bytes.

        >>> holes = Holes(((10, 100),)).but([(40, 50)])
        >>> holes.cover(10, 40), holes.cover(10, 41), holes.cover(50, 101)
        (True, False, False)
        """
        around = _last_before(self.ranges, start + 1)
        touching = _last_before(self.wanted, end)
        return around[1] >= end and touching[1] <= start


def _last_before(ranges: tuple[Range, ...], end: int) -> Range:
    """The last range that begins before a byte; an empty one where there is none."""
    place = bisect_right(ranges, end - 1, key=lambda one: one[0])
    return ranges[place - 1] if place else (0, 0)


NO_HOLES = Holes()
