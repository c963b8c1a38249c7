"""Which of many good answers are shown, when those that are alike shall not fill the page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RELEVANCE = 0.5  # the weight of being close to the query; the rest is that of being new
CANDIDATES = 20  # looked at for each hit that is wanted
MOST_CANDIDATES = 5000  # for how many hits ever, where fewer are wanted


def num_candidates(k: int) -> int:
    """How many of the best answers are looked at for k of them."""
    return max(k, min(CANDIDATES * k, MOST_CANDIDATES))


def spread(scores: NDArray[np.float32], vectors: NDArray[np.float32], k: int) -> list[int]:
    """Choose answers that are close to the query and far from each other.

    Maximal marginal relevance (Carbonell and Goldstein, "The use of MMR", SIGIR 1998): the best
    answer is the first; the next is always the one of the largest `RELEVANCE` times its score less
    (1 - `RELEVANCE`) times its similarity to the closest one chosen. Of equal ones the first.

    Args:
        scores: Similarity to the query, shape (n,), best first.
        vectors: Of length 1, shape (n, dim).
        k: How many to choose.

    Returns:
        At most k places, in the order in which they were chosen.

    >>> twins_and_another = np.array([[1, 0], [1, 0], [0.6, 0.8]], np.float32)
    >>> spread(np.array([0.9, 0.9, 0.8], np.float32), twins_and_another, 2)
    [0, 2]
    """
    chosen: list[int] = []
    left = np.ones(len(scores), np.bool_)
    closest = np.full(len(scores), -np.inf, np.float32)
    while len(chosen) < min(k, len(scores)):
        gain = RELEVANCE * scores - (1 - RELEVANCE) * (closest if chosen else 0)
        place = int(np.where(left, gain, -np.inf).argmax())
        chosen.append(place)
        left[place] = False
        closest = np.maximum(closest, vectors @ vectors[place])
    return chosen
