"""How the things of two sets spread over the same regions, and how far apart that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEW = 0.1  # of the other set's share of a region: less counts as nothing
SHUFFLES = 20

Counts = NDArray[np.int64]


def counted(regions: Counts, is_other: NDArray[np.bool_], num_regions: int) -> Counts:
    """How many things of each set each region has, shape (2, num_regions): the one, the other."""
    cells = is_other * num_regions + regions
    return np.asarray(np.bincount(cells, minlength=2 * num_regions).reshape(2, num_regions))


def changes(counts: Counts) -> NDArray[np.str_]:
    """What became of each region: `new` and `vanished` where the one, the other has next to none.

    >>> changes(np.array([[10, 0, 90], [50, 50, 0]])).tolist()
    ['common', 'new', 'vanished']
    """
    one, other = _shares(counts)
    return np.where(one < FEW * other, "new", np.where(other < FEW * one, "vanished", "common"))


def drift(counts: Counts) -> float:
    """The Jensen-Shannon divergence of two sets' shares, in bits: 0 where equal, 1 where apart.

    >>> drift(np.array([[5, 5], [7, 7]])), drift(np.array([[5, 0], [0, 7]]))
    (0.0, 1.0)
    """
    shares = _shares(counts)
    middle = shares.mean(axis=0)
    ratios = np.divide(shares, middle, out=np.ones_like(shares), where=shares > 0)
    return float((shares * np.log2(ratios)).sum() / 2)


def chance_drift(
    regions: Counts, is_other: NDArray[np.bool_], units: Counts, num_regions: int, seed: int
) -> float:
    """The drift, on average, of two sets dealt at random from the same things.

    Args:
        regions: Of each thing, shape (n,).
        is_other: Of which set it is.
        units: The video of each, from 0; those of one are dealt together. A unit is of one set.
        num_regions: How many there are.
        seed: Of the deals.
    """
    of_unit = np.zeros(int(units.max()) + 1, np.bool_)
    of_unit[units] = is_other
    random = np.random.default_rng(seed)
    dealt = [
        drift(counted(regions, random.permutation(of_unit)[units], num_regions))
        for _ in range(SHUFFLES)
    ]
    return float(np.mean(dealt))


def _shares(counts: Counts) -> NDArray[np.float64]:
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
