"""How close any two clips of a collection are, by which a score is judged."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

SAMPLE = 256  # clips, of which all pairs are compared: 32,640
LEAST_PAIRS = 100  # fewer say nothing of a share
SEED = 0
LEEWAY = 0.15  # of the way from what chance gives to 1: some pairs are alike by what they show
NORMAL = NormalDist()


class Background:
    """The similarities of random pairs of clips, of two videos each.

    Args:
        vectors: Of some random clips, of length 1, shape (n, dim).
        videos: The numbers of their videos, shape (n,).
    """

    def __init__(self, vectors: NDArray[np.float32], videos: NDArray[np.int32]) -> None:
        upper = np.triu_indices(len(videos), 1)
        other = videos[upper[0]] != videos[upper[1]]
        self.scores = np.sort((vectors @ vectors.T)[upper][other])

    def share_above(self, scores: NDArray[np.float32]) -> list[float | None]:
        """For each score the share of pairs that are closer; None where there are few pairs."""
        pairs = len(self.scores)
        if pairs < LEAST_PAIRS:
            return [None] * len(scores)
        closer = pairs - np.searchsorted(self.scores, scores, side="right")
        return [float(share) for share in closer / pairs]

    def score_of(self, share: float, otherwise: float) -> float:
        """The score that this share of pairs is above, if they are not alike for a reason.

        Where each video is there several times, copies are a good share of all pairs: their scores
        must not be taken for those of chance. So it is not far above what a normal distribution
        with the quartiles of the pairs would give.

        Args:
            share: Such as .01.
            otherwise: Where there are few pairs.
        """
        if len(self.scores) < LEAST_PAIRS:
            return otherwise
        low, middle, high = np.quantile(self.scores, (0.25, 0.5, 0.75))
        deviation = (high - low) / (NORMAL.inv_cdf(0.75) - NORMAL.inv_cdf(0.25))
        by_chance = middle + NORMAL.inv_cdf(1 - share) * deviation
        most = by_chance + LEEWAY * (1 - by_chance)
        return float(min(np.quantile(self.scores, 1 - share), most))


def draw_rows(num_rows: int, live: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Some random rows, always the same ones, ascending.

    Args:
        num_rows: How many there are.
        live: Which of them live, shape (num_rows,); None: all.
    """
    rows = np.arange(num_rows) if live is None else np.flatnonzero(live)
    if len(rows) <= SAMPLE:
        return rows
    return np.sort(np.random.default_rng(SEED).choice(rows, SAMPLE, replace=False))
