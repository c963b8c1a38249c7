"""Which similarity tells copies from other footage, by copies whose source is known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CANDIDATES = np.round(np.arange(0.2, 0.96, 0.05), 2)
LEAST_PRECISION = 0.95
BIN = 0.05  # of the histogram

Floats = NDArray[np.float64]


class Judged(NamedTuple):
    """How right each candidate is, shape (candidates,) each.

    Attributes:
        precision: Of the sources that copies were found beside, and other videos, the share of
            sources; 1 where nothing is found.
        recall: The share of copies that are found.
    """

    precision: Floats
    recall: Floats


def judged(own: NDArray[np.float32], others: NDArray[np.float32]) -> Judged:
    """Judge all candidates.

    Args:
        own: How similar each copy is to its source, shape (m,).
        others: How similar it is to the nearest clip of other footage, shape (m,).
    """
    right = (own[:, None] >= CANDIDATES).sum(axis=0)
    wrong = (others[:, None] >= CANDIDATES).sum(axis=0)
    found = right + wrong
    precision = np.divide(right, found, out=np.ones(len(CANDIDATES)), where=found > 0)
    return Judged(precision, right / len(own))


def chosen(precision: Floats) -> int:
    """The place of the lowest candidate from which on all are precise enough; else the last.

    >>> chosen(np.array([0.5, 0.96, 0.9, 0.97, 1.0])), chosen(np.array([0.5, 0.6]))
    (3, 1)
    """
    poor = np.flatnonzero(precision < LEAST_PRECISION)
    return min(int(poor[-1]) + 1 if len(poor) else 0, len(precision) - 1)


def histogram(scores: NDArray[np.float32]) -> tuple[Floats, NDArray[np.int64]]:
    """Similarities in steps of `BIN` from -1 to 1: where each begins, and how many lie there."""
    edges = np.round(np.arange(-1, 1 + BIN / 2, BIN), 2)
    counts, _ = np.histogram(np.clip(scores, -1, 1), edges)
    return edges[:-1], counts.astype(np.int64)


def around(scores: NDArray[np.float32], each: int) -> NDArray[np.int64]:
    """Of each candidate the places whose scores lie nearest to it, (candidates * each,)."""
    near = np.argsort(np.abs(scores[None] - CANDIDATES[:, None]), axis=1, kind="stable")
    return np.asarray(near[:, :each].ravel(), np.int64)
