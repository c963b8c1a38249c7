"""Pairs of things that are alike, and what they connect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of places.

    Attributes:
        firsts: Int64, shape (n,).
        seconds: Int64, shape (n,).
        scores: How similar the two are, float32, shape (n,).
    """

    firsts: NDArray[np.int64]
    seconds: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.firsts)

    @classmethod
    def joined(cls, some: Iterable[Pairs]) -> Pairs:
        """Several as one."""
        nothing = np.empty(0, np.int64)
        parts = [cls(nothing, nothing, np.empty(0, np.float32)), *some]
        return cls(
            np.concatenate([part.firsts for part in parts]),
            np.concatenate([part.seconds for part in parts]),
            np.concatenate([part.scores for part in parts]),
        )

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """Those of a mask of shape (n,)."""
        return Pairs(self.firsts[mask], self.seconds[mask], self.scores[mask])

    def turned(self) -> Pairs:
        """The same in the other order."""
        return Pairs(self.seconds, self.firsts, self.scores)

    def once(self) -> Pairs:
        """The same without repeats, by place; the higher score counts."""
        order = np.lexsort((-self.scores, self.seconds, self.firsts))
        ordered = Pairs(self.firsts[order], self.seconds[order], self.scores[order])
        new = np.diff(ordered.firsts, prepend=-1) != 0
        new |= np.diff(ordered.seconds, prepend=-1) != 0
        return ordered.where(new)


def connected(num_things: int, pairs: Iterable[tuple[int, int]]) -> NDArray[np.int64]:
    """Who is connected to whom, over however many others.

    Args:
        num_things: n.
        pairs: Of things, by number.

    Returns:
        Of each thing the number of its group, counted in the order of their first members,
        shape (n,).

    >>> connected(5, [(3, 1), (1, 4)]).tolist()
    [0, 1, 2, 1, 1]
    """
    parents = list(range(num_things))

    def root(one: int) -> int:
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parents[high] = low
    roots = np.array([root(one) for one in range(num_things)], np.int64)
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
