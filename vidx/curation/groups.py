"""Groups of alike things, each around one that all others in it are like.

Where a is like b and b like c, a and c need not be alike. So nothing is in a group for a friend's
sake: every member is as similar to the group's first as was asked for. The first is the one that is
like most others (star clustering: Aslam, Pelekhov and Rus, "The star clustering algorithm", 2004).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Places: TypeAlias = NDArray[np.int64]
# Gives the similarities of one place with others.
Compare: TypeAlias = Callable[[int, Places], NDArray[np.float32]]
More: TypeAlias = Callable[[int, Places], tuple[Places, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of places, such that the second one is like the first one; by their first place.

    Attributes:
        starts: Where the pairs of each place begin, and the end, int64, shape (n + 1,).
        others: The second place of each pair, int64, shape (e,); ascending for each first one.
        scores: How similar the two are, float32, shape (e,).
    """

    starts: NDArray[np.int64]
    others: NDArray[np.int64]
    scores: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        num_places: int,
        firsts: NDArray[np.int64],
        seconds: NDArray[np.int64],
        scores: NDArray[np.float32],
    ) -> Edges:
        """Pairs in any order; of one that is told twice the higher score counts."""
        keys = firsts * num_places + seconds
        order = np.lexsort((-scores, keys))
        keys, first = np.unique(keys[order], return_index=True)
        owners, others = np.divmod(keys, num_places)
        starts = np.searchsorted(owners, np.arange(num_places + 1))
        return cls(starts, others, scores[order][first])

    @classmethod
    def among(
        cls, places: NDArray[np.int32], scores: NDArray[np.float32], threshold: float
    ) -> Edges:
        """The pairs of a graph of the closest that are similar enough, in both directions.

        Args:
            places: Of each place its closest others, shape (n, k); -1 where there are no more.
            scores: How similar they are, shape (n, k).
            threshold: The least similarity.
        """
        firsts, column = np.nonzero((scores >= threshold) & (places >= 0))
        seconds = places[firsts, column].astype(np.int64)
        both = np.concatenate([firsts, seconds]), np.concatenate([seconds, firsts])
        return cls.of(len(places), *both, np.tile(scores[firsts, column], 2))

    def of_place(self, place: int) -> slice:
        """Where its pairs are."""
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    def degrees(self) -> NDArray[np.int64]:
        """How many others are like each place."""
        return np.diff(self.starts)


@dataclass(frozen=True, slots=True)
class Groups:
    """Who is in whose group.

    Attributes:
        firsts: Of each place the first of its group, itself where that is it; -1 where it is in
            none. Int64, shape (n,).
        scores: How similar it is to it; 1 where that is itself. Float32, shape (n,).
    """

    firsts: NDArray[np.int64]
    scores: NDArray[np.float32]


def none_more(_place: int, _others: Places) -> tuple[Places, NDArray[np.float32]]:
    """Where the edges tell of all."""
    return np.empty(0, np.int64), np.empty(0, np.float32)


def grouped(
    edges: Edges, more: More = none_more, worth: NDArray[np.float64] | None = None
) -> Groups:
    """Group places around those that are like most others, equal ones in their order.

    Args:
        edges: Who is like whom.
        more: Called with a place and those that edges give it; gives further ones that are like it,
            where the edges do not tell of all, and their scores.
        worth: Of each place as the first of a group, shape (n,). None: how many are like it.

    Returns:
        Groups of two or more.
    """
    degrees = edges.degrees()
    firsts = np.full(len(degrees), -1, np.int64)
    scores = np.zeros(len(degrees), np.float32)
    order = np.lexsort((np.arange(len(degrees)), -(degrees if worth is None else worth)))
    for place in order.tolist():
        if firsts[place] >= 0 or not degrees[place]:
            continue
        own = edges.of_place(place)
        others, similar = edges.others[own], edges.scores[own]
        free = firsts[others] < 0
        others, similar = others[free], similar[free]
        if not len(others):
            continue
        farther, how = more(place, others)
        free = firsts[farther] < 0
        members = np.concatenate([others, farther[free]])
        firsts[place], scores[place] = place, 1
        firsts[members], scores[members] = place, np.concatenate([similar, how[free]])
    return Groups(firsts, scores)


@dataclass(frozen=True, slots=True)
class Farther:
    """Finds what a graph of the k closest leaves out where more than k are alike.

    Attributes:
        edges: Of the graph.
        is_full: Of which places all k are alike, so that there may be more.
        owners: Those of one owner are not compared, shape (n,).
        threshold: The least similarity.
        compare: Gives similarities.
    """

    edges: Edges
    is_full: NDArray[np.bool_]
    owners: NDArray[np.int32]
    threshold: float
    compare: Compare

    def __call__(self, place: int, others: Places) -> tuple[Places, NDArray[np.float32]]:
        """Those among the others of others, and theirs, that the place is like too."""
        found, how = none_more(place, others)
        if not self.is_full[place]:
            return found, how
        seen = np.union1d(others, [place])
        edge = others
        while len(edge):
            near = [self.edges.others[self.edges.of_place(one)] for one in edge.tolist()]
            new = np.setdiff1d(np.concatenate(near), seen)
            new = new[self.owners[new] != self.owners[place]]
            seen = np.union1d(seen, new)
            similar = self.compare(place, new) if len(new) else np.empty(0, np.float32)
            edge = new[similar >= self.threshold]
            found = np.concatenate([found, edge])
            how = np.concatenate([how, similar[similar >= self.threshold]])
        return found, how
