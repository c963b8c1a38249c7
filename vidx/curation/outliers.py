"""How unlike its neighbours a thing is, and how lonely beside how they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LEAST_REACH = 1e-10  # so that equal vectors have a density


class Outliers(NamedTuple):
    """Of each place, shape (n,) each.

    Attributes:
        distances: The mean cosine distance to its neighbours, float64.
        factors: The local outlier factor, float64: about 1 where a place lies as densely as its
            neighbours do, larger where it is lonelier.
    """

    distances: NDArray[np.float64]
    factors: NDArray[np.float64]


def outliers(places: NDArray[np.int32], scores: NDArray[np.float32]) -> Outliers:
    """Tell from a graph of the closest who lies apart.

    The local outlier factor (Breunig, Kriegel, Ng and Sander, "LOF: identifying density-based local
    outliers", SIGMOD 2000), with the cosine distance, 1 - score.

    Args:
        places: Of each place its closest others, best first, shape (n, k); -1 where there are no
            more. Each has one or more.
        scores: How similar they are, shape (n, k).
    """
    there = places >= 0
    counts = there.sum(axis=1)
    distances = np.where(there, 1 - np.where(there, scores, 0).astype(np.float64), 0.0)
    farthest = distances.max(axis=1)
    reach = np.where(there, np.maximum(distances, farthest[places]), 0.0)
    densities = 1 / (reach.sum(axis=1) / counts + LEAST_REACH)
    around = np.where(there, densities[places], 0.0).sum(axis=1) / counts
    return Outliers(distances.sum(axis=1) / counts, around / densities)
