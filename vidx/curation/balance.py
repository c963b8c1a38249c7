"""Groups of things shared out among parts, so that sizes and labels come out as wanted.

Sharing out best is a knapsack problem. So the largest group comes first, each goes where it leaves
the least deviation, and then groups move or change places as long as that helps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 10  # in which every group is tried elsewhere
SWAPS = 10_000  # of two groups that are tried
LEAST_GAIN = 1e-12


@dataclass(frozen=True)
class Weights:
    """What groups weigh.

    Attributes:
        sizes: Of each group, shape (g,).
        labels: Of each group the labels that it has, int64 each.
        counts: And how much of each, float64 each.
        num_labels: How many labels there are.
    """

    sizes: NDArray[np.float64]
    labels: list[NDArray[np.int64]]
    counts: list[NDArray[np.float64]]
    num_labels: int

    @classmethod
    def of(cls, groups: NDArray[np.int64], labels: NDArray[np.int64]) -> Weights:
        """By clips.

        Args:
            groups: Of each clip, from 0 without gaps, shape (n,).
            labels: Of each clip, -1 where it has none, shape (n,).
        """
        sizes = np.bincount(groups).astype(np.float64)
        here = labels >= 0
        pairs, counts = np.unique(
            np.stack([groups[here], labels[here]]), axis=1, return_counts=True
        )
        ends = np.searchsorted(pairs[0], np.arange(1, len(sizes)))
        return cls(
            sizes,
            np.split(pairs[1], ends),
            np.split(counts.astype(np.float64), ends),
            int(labels.max(initial=-1)) + 1,
        )


class Shares:
    """Who is in which part.

    Args:
        weights: Of the groups.
        fractions: That the parts are to have, shape (p,), 1 in all.
    """

    def __init__(self, weights: Weights, fractions: NDArray[np.float64]) -> None:
        self.parts = np.full(len(weights.sizes), -1, np.int64)
        self._weights = weights
        self._total = weights.sizes.sum()
        totals = np.zeros(weights.num_labels)
        for which, counts in zip(weights.labels, weights.counts, strict=True):
            totals[which] += counts
        # How far each part is above what it is to have, as a share of all there is.
        self._sizes = -fractions
        self._labels = -np.repeat(fractions[:, None], weights.num_labels, axis=1)
        self._label_totals = np.maximum(totals, 1)
        self._label_weight = 1 / max(weights.num_labels, 1)

    def costs(self, group: int) -> NDArray[np.float64]:
        """How much worse all gets when a group that is in no part joins each: shape (p,)."""
        size, which, counts = self._of(group)
        of_labels = (2 * self._labels[:, which] + counts) * counts
        return np.asarray(
            (2 * self._sizes + size) * size + self._label_weight * of_labels.sum(axis=1)
        )

    def put(self, group: int, part: int) -> None:
        """Let a group that is in no part join one."""
        size, which, counts = self._of(group)
        self.parts[group] = part
        self._sizes[part] += size
        self._labels[part, which] += counts

    def take(self, group: int) -> int:
        """Take a group out of its part; returns that part."""
        size, which, counts = self._of(group)
        part = int(self.parts[group])
        self._sizes[part] -= size
        self._labels[part, which] -= counts
        self.parts[group] = -1
        return part

    def _of(self, group: int) -> tuple[float, NDArray[np.int64], NDArray[np.float64]]:
        which = self._weights.labels[group]
        counts = self._weights.counts[group] / self._label_totals[which]
        return float(self._weights.sizes[group] / self._total), which, counts


def shared_out(
    weights: Weights, fractions: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Share groups out.

    Args:
        weights: Of at least as many groups as there are parts.
        fractions: Shape (p,), 1 in all.
        random: Decides between equals.

    Returns:
        The part of each group, shape (g,); none is empty.
    """
    shares = Shares(weights, fractions)
    for group in np.lexsort((random.random(len(weights.sizes)), -weights.sizes)).tolist():
        shares.put(group, int(np.argmin(shares.costs(group))))
    _fill(shares, weights, len(fractions))
    for _ in range(ROUNDS):
        if not _move(shares):
            break
    _swap(shares, random)
    return shares.parts


def _fill(shares: Shares, weights: Weights, num_parts: int) -> None:
    """Give each empty part the smallest group of those that are not alone."""
    for part in np.setdiff1d(np.arange(num_parts), shares.parts).tolist():
        others = np.bincount(shares.parts, minlength=num_parts)[shares.parts] > 1
        group = int(np.flatnonzero(others)[np.argmin(weights.sizes[others])])
        shares.take(group)
        shares.put(group, part)


def _move(shares: Shares) -> bool:
    """Try each group in every other part; whether any moved."""
    moved = False
    members = np.bincount(shares.parts)
    for group in range(len(shares.parts)):
        if members[shares.parts[group]] == 1:
            continue
        before = shares.take(group)
        costs = shares.costs(group)
        best = int(np.argmin(costs))
        part = best if costs[best] < costs[before] - LEAST_GAIN else before
        shares.put(group, part)
        members[before] -= 1
        members[part] += 1
        moved |= part != before
    return moved


def _swap(shares: Shares, random: np.random.Generator) -> None:
    """Let two groups of different parts change places where that helps."""
    for one, two in random.integers(0, len(shares.parts), (SWAPS, 2)).tolist():
        if shares.parts[one] == shares.parts[two]:
            continue
        here, there = shares.take(one), shares.take(two)
        stays = shares.costs(one)[here]
        goes = shares.costs(one)[there]
        shares.put(one, here)
        stays += shares.costs(two)[there]
        shares.take(one)
        shares.put(one, there)
        goes += shares.costs(two)[here]
        if goes < stays - LEAST_GAIN:
            shares.put(two, here)
        else:
            shares.take(one)
            shares.put(one, here)
            shares.put(two, there)
