"""What the closest clips of other videos say of labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidx.curation.members import Members, Numbers

FADING = 2.0  # e-foldings from the weight of the nearest to that of the farthest neighbour
LEAST_SHARE = 1e-3  # of the votes: no label is impossible

Floats = NDArray[np.float64]


class Votes:
    """Votes of the neighbours of things for labels; the nearer one is, the more its vote counts.

    Args:
        places: Of each clip its closest others, shape (n, k); -1 where there are no more. None is
            of the clip's own video.
        scores: How similar they are, shape (n, k).
        units: The thing that each clip is a part of, from 0 without a gap, shape (n,).
        labels: Of each thing, from 0; -1 where none was given.
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
        self._places, self._scores, self._units = places, scores, units
        self._labels, self._num_labels = labels, num_labels
        self._members = Members(units)
        self._trust = np.ones(len(labels))

    def learn(self, trust: Floats) -> None:
        """Let the word of each thing count as much as it is trusted, shape (units,)."""
        self._trust = trust

    def logs(self, block: Numbers) -> Floats:
        """The logarithms of the shares of votes for each label, shape (m, labels).

        Where nobody votes, all labels are alike.
        """
        rows, clips = self._members.places(block)
        there = self._places[clips] >= 0
        speakers = self._units[np.where(there, self._places[clips], 0)]
        weights = _weights(there, self._scores[clips]) * self._trust[speakers]
        weights = np.where(self._labels[speakers] < 0, 0, weights)
        cells = rows[:, None] * self._num_labels + np.maximum(self._labels[speakers], 0)
        size = len(block) * self._num_labels
        table = np.bincount(cells.ravel(), weights.ravel(), size).reshape(len(block), -1)
        total = table.sum(axis=1, keepdims=True)
        even = 1 / self._num_labels
        shares = np.divide(table, total, out=np.full_like(table, even), where=total > 0)
        return np.asarray(np.log((1 - LEAST_SHARE) * shares + LEAST_SHARE * even))


def _weights(there: NDArray[np.bool_], scores: NDArray[np.float32]) -> Floats:
    """The nearest weighs 1, the farthest exp(-`FADING`)."""
    known = np.where(there, scores, 0).astype(np.float64)
    best = known[:, :1]
    farthest = np.where(there, known, best).min(axis=1, keepdims=True)
    reach = np.maximum(best - farthest, 1e-9)
    return np.asarray(np.where(there, np.exp(FADING * (known - best) / reach), 0))
