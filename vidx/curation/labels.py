"""Which given labels disagree with what lies around them, by confident learning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_CELLS = 4_000_000  # of a table of things and classes in memory at a time
MOST_FITTED = 5_000  # things that the sharpness of votes is fitted with
SHARPNESSES = np.geomspace(0.25, 8, 21)
FADING = 2.0  # e-foldings from the weight of the nearest to that of the farthest neighbour
LEEWAY = 0.85  # of what is usual for a label, for it to be suggested: with 1 a fifth more is missed
LEAST_SHARE = 1e-3  # of the votes: no label is impossible

Numbers = NDArray[np.int64]
Shares = NDArray[np.float64]


class Suspects(NamedTuple):
    """Things whose given label is likely wrong, the surest first: shape (m,) each.

    Attributes:
        units: Which, int64.
        suggested: The label that their neighbours speak for, int64.
        scores: How probable that is, float64.
        given_scores: How probable the given one is, float64.
    """

    units: Numbers
    suggested: Numbers
    scores: Shares
    given_scores: Shares


class Votes:
    """What the neighbours of things say of their labels.

    Args:
        places: Of each place its closest others, shape (n, k); -1 where there are no more. None is
            of the place's own unit.
        scores: How similar they are, shape (n, k).
        units: The thing that each place is a part of, from 0 without a gap, shape (n,).
        labels: Of each unit, from 0; -1 where none was given.
        num_labels: How many there are.
    """

    def __init__(
        self,
        places: NDArray[np.int32],
        scores: NDArray[np.float32],
        units: Numbers,
        labels: Numbers,
        num_labels: int,
    ) -> None:
        self.labels, self.num_labels = labels, num_labels
        self._order = np.argsort(units, kind="stable")
        self._starts = np.searchsorted(units[self._order], np.arange(len(labels) + 1))
        self._speakers = np.where(places < 0, 0, units[places])[self._order]  # (n, k)
        weights = _weights(places >= 0, scores)[self._order]
        self._weights = np.where(labels[self._speakers] < 0, 0, weights)
        self._trust = np.ones(len(labels))

    def trust(self, shares: Shares) -> None:
        """Let each unit's word weigh as much as its own neighbours agree with its label."""
        self._trust = shares

    def blocks(self, units: Numbers | None = None) -> Iterator[tuple[Numbers, Shares]]:
        """Units, some at a time, and the shares of their votes for each label: (m, labels)."""
        some = np.arange(len(self.labels)) if units is None else units
        step = max(1, MOST_CELLS // self.num_labels)
        for start in range(0, len(some), step):
            block = some[start : start + step]
            yield block, self._shares(block)

    def _shares(self, block: Numbers) -> Shares:
        """Votes of each unit's places added up; where nobody votes, all labels are alike."""
        counts = self._starts[block + 1] - self._starts[block]
        rows = np.repeat(np.arange(len(block)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        places = np.repeat(self._starts[block], counts) + within
        speakers = self._speakers[places]
        cells = rows[:, None] * self.num_labels + np.maximum(self.labels[speakers], 0)
        weights = self._weights[places] * self._trust[speakers]
        size = len(block) * self.num_labels
        table = np.bincount(cells.ravel(), weights.ravel(), size).reshape(len(block), -1)
        total = table.sum(axis=1, keepdims=True)
        even = 1 / self.num_labels
        shares = np.divide(table, total, out=np.full_like(table, even), where=total > 0)
        return np.asarray((1 - LEAST_SHARE) * shares + LEAST_SHARE * even)


def _weights(there: NDArray[np.bool_], scores: NDArray[np.float32]) -> Shares:
    """The nearest weighs 1, the farthest exp(-`FADING`)."""
    known = np.where(there, scores, 0).astype(np.float64)
    best = known[:, :1]
    farthest = np.where(there, known, best).min(axis=1, keepdims=True)
    reach = np.maximum(best - farthest, 1e-9)
    return np.asarray(np.where(there, np.exp(FADING * (known - best) / reach), 0))


def suspects(votes: Votes) -> Suspects:
    """Find given labels that are likely wrong.

    Shares of votes become probabilities by the sharpness that makes the given labels most likely.
    A label is doubted where another is the most probable one, and about as probable as that one is
    of those that were given it, on average (Northcutt, Jiang and Chuang, "Confident learning:
    estimating uncertainty in dataset labels", JAIR 2021). Those that are doubted say less of the
    others' labels.
    """
    own = _own(votes, 1.0)
    votes.trust(np.where(votes.labels < 0, 0, own))
    sharpness = _sharpness(votes)
    own = _own(votes, sharpness)
    known = votes.labels >= 0
    sums = np.bincount(votes.labels[known], own[known], votes.num_labels)
    counts = np.bincount(votes.labels[known], minlength=votes.num_labels)
    usual = np.divide(sums, counts, out=np.ones(votes.num_labels), where=counts > 0)
    found = [_doubted(votes, block, shares, sharpness, usual) for block, shares in votes.blocks()]
    units, suggested, scores, given = (np.concatenate(one) for one in zip(*found, strict=True))
    order = np.lexsort((units, given - scores))
    return Suspects(units[order], suggested[order], scores[order], given[order])


def _probable(shares: Shares, sharpness: float) -> Shares:
    powers = shares**sharpness
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _own(votes: Votes, sharpness: float) -> Shares:
    """How probable the given label of each unit is; 0 where none was given."""
    parts = []
    for block, shares in votes.blocks():
        labels = votes.labels[block]
        found = _probable(shares, sharpness)[np.arange(len(block)), np.maximum(labels, 0)]
        parts.append(np.where(labels < 0, 0, found))
    return np.concatenate(parts)


def _sharpness(votes: Votes) -> float:
    """The power of shares that gives the given labels the largest likelihood."""
    known = np.flatnonzero(votes.labels >= 0)
    some = known[:: -(-len(known) // MOST_FITTED)]
    losses = np.zeros(len(SHARPNESSES))
    for block, shares in votes.blocks(some):
        own = np.arange(len(block)), votes.labels[block]
        losses += [-np.log(_probable(shares, one)[own]).sum() for one in SHARPNESSES]
    return float(SHARPNESSES[losses.argmin()])


def _doubted(
    votes: Votes, block: Numbers, shares: Shares, sharpness: float, usual: Shares
) -> Suspects:
    """The units of a block whose label is doubted."""
    probable = _probable(shares, sharpness)
    rows, labels = np.arange(len(block)), votes.labels[block]
    given = np.where(labels < 0, np.inf, probable[rows, np.maximum(labels, 0)])
    best = probable.argmax(axis=1)
    scores = probable[rows, best]
    wrong = (scores >= LEEWAY * usual[best]) & (scores > given)
    return Suspects(block[wrong], best[wrong], scores[wrong], given[wrong])
