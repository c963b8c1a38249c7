"""Which of many things to take: far from each other, typical, evenly of each kind, or at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

CANDIDATES = 1024  # looked at between two passes over all vectors
BLOCK_ROWS = 16_384  # vectors in memory at a time
SAME = 1 - 1e-6  # from this similarity on vectors are equal: products are rounded

Places: TypeAlias = NDArray[np.int64]
Take: TypeAlias = Callable[[Places], NDArray[np.float32]]
Told: TypeAlias = Callable[[int, int], None]


def farthest(
    take: Take, num_places: int, count: int, seed: int, told: Told = lambda _done, _total: None
) -> Places:
    """Choose places that leave none far from all that are chosen: k-centre, greedily.

    The first is random; the next is always the one that is least similar to its closest chosen
    one, of equal ones the first (Gonzalez, "Clustering to minimize the maximum intercluster
    distance", 1985). Similarities only grow as more is chosen. So of the `CANDIDATES` least similar
    ones, compared with each other, those that stay below all others are what a pass over all
    vectors for each would choose, and many are chosen in one.

    Args:
        take: Gives vectors of length 1 by their places.
        num_places: How many there are.
        count: How many to choose, at most `num_places`.
        seed: Of the first one.
        told: Called with how many of them are chosen.

    Returns:
        Int64, shape (count,), in the order in which they were chosen.
    """
    nearest = np.full(num_places, -np.inf, np.float32)
    chosen = np.array([np.random.default_rng(seed).integers(num_places)], np.int64)
    new = chosen
    while len(chosen) < count:
        _come_closer(take, nearest, new)
        nearest[chosen] = np.inf  # never again
        if nearest.min() >= 1:  # all others are equal to one that is chosen
            new = np.flatnonzero(np.isfinite(nearest))
        else:
            new = _next(take, nearest, count - len(chosen))
        chosen = np.concatenate([chosen, new])[:count]
        told(len(chosen), count)
    return chosen


def _come_closer(take: Take, nearest: NDArray[np.float32], new: Places) -> None:
    """Let each place know how similar the closest chosen one is, with those that are new."""
    centres = take(new).T
    for start in range(0, len(nearest), BLOCK_ROWS):
        places = np.arange(start, min(start + BLOCK_ROWS, len(nearest)))
        products = take(places) @ centres
        nearest[places] = np.maximum(nearest[places], _rounded(products.max(axis=1)))


def _next(take: Take, nearest: NDArray[np.float32], most: int) -> Places:
    """The next places that are chosen, one or more, as far as candidates alone can tell."""
    size = min(CANDIDATES, len(nearest))
    order = np.argpartition(nearest, size - 1)[:size] if size < len(nearest) else np.arange(size)
    places = np.sort(order)
    others = np.ones(len(nearest), np.bool_)
    others[places] = False
    bound = float(nearest[others].min()) if size < len(nearest) else np.inf
    vectors, similar = take(places), nearest[places].copy()
    products = _rounded(vectors @ vectors.T)
    chosen: list[int] = []
    while len(chosen) < most:
        best = int(similar.argmin())
        # An equal one among the others might come first.
        if not np.isfinite(similar[best]) or (chosen and similar[best] >= bound):
            break
        chosen.append(best)
        similar = np.maximum(similar, products[best])
        similar[best] = np.inf
    return places[chosen]


def _rounded(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 where vectors are equal, which rounding would put in some order."""
    return np.where(similarities >= SAME, np.float32(1), similarities)


def at_random(num_places: int, count: int, seed: int) -> Places:
    """Choose any places, each as likely as the other."""
    found = np.random.default_rng(seed).choice(num_places, count, replace=False)
    return np.asarray(found, np.int64)


def shares(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Part a number among groups in proportion to their sizes, by largest remainders.

    Args:
        sizes: Of the groups, shape (g,).
        count: At most their sum.

    Returns:
        How many of each, shape (g,), `count` in all.

    >>> shares(np.array([50, 30, 21]), 10).tolist()
    [5, 3, 2]
    """
    exact = sizes * count / sizes.sum()
    parts: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    order = np.lexsort((np.arange(len(sizes)), parts - exact))
    parts[order[: count - parts.sum()]] += 1
    return parts


def even(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Part a number among groups as evenly as their sizes allow, the first ones getting the rest.

    Args, Returns: As for `shares`.

    >>> even(np.array([50, 2, 21]), 11).tolist()
    [5, 2, 4]
    """
    parts = np.zeros(len(sizes), np.int64)
    while left := count - int(parts.sum()):
        open_ones = np.flatnonzero(parts < sizes)
        each = max(left // len(open_ones), 1)
        some = open_ones[:left]
        parts[some] = np.minimum(parts[some] + each, sizes[some])
    return parts


def of_groups(
    groups: NDArray[np.int64], parts: NDArray[np.int64], ranks: NDArray[np.float64]
) -> Places:
    """Of each group so many, the lowest ranks first.

    Args:
        groups: The group of each place, shape (n,), below g.
        parts: How many of each group, shape (g,), at most its size.
        ranks: Of each place, shape (n,); of equal ones the first place comes first.

    Returns:
        Places, group by group.
    """
    order = np.lexsort((np.arange(len(groups)), ranks, groups))
    sizes = np.bincount(groups, minlength=len(parts))
    starts = np.cumsum(sizes) - sizes
    within = np.arange(len(groups)) - np.repeat(starts, sizes)
    return np.asarray(order[within < np.repeat(parts, sizes)], np.int64)


def entropies(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """How undecided the head of a model is: the entropy of its probabilities, by softmax.

    Args:
        logits: Shape (n, classes).

    Returns:
        Float32, shape (n,), in nats: from 0 to the logarithm of the number of classes.
    """
    moved = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(moved)
    sums = powers.sum(axis=1)
    found: NDArray[np.float32] = np.log(sums) - np.sum(powers * moved, axis=1) / sums
    return found
