"""Vectors parted into clusters, by FAISS's k-means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss as typed_faiss
import numpy as np
from numpy.typing import NDArray

faiss: Any = typed_faiss  # its own types lack what is used here

ROUNDS = 10  # of k-means
MOST_SEED = (1 << 31) - 1  # of FAISS
POINTS_A_CENTRE = 256  # that centres are found with, at most
BLOCK_ROWS = 16_384  # vectors in memory at a time

# Gives the vectors of some places: int64 (m,) to float32 (m, dim).
Take = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def centres(
    sample: NDArray[np.float32],
    num_clusters: int,
    *,
    seed: int = 0,
    rounds: int = ROUNDS,
    spherical: bool = False,
) -> NDArray[np.float32]:
    """Find the centres of clusters.

    Args:
        sample: Shape (n, dim), n at least `num_clusters`.
        num_clusters: How many.
        seed: Of the first centres.
        rounds: Of k-means.
        spherical: Whether centres are of length 1.

    Returns:
        Float32, shape (num_clusters, dim).
    """
    means = faiss.Kmeans(
        sample.shape[1],
        num_clusters,
        niter=rounds,
        seed=seed % MOST_SEED + 1,  # 0 makes FAISS draw another each time
        spherical=spherical,
        min_points_per_centroid=1,  # no word about a small collection
        max_points_per_centroid=max(POINTS_A_CENTRE, len(sample) // num_clusters + 1),
    )
    means.train(np.ascontiguousarray(sample))
    found: NDArray[np.float32] = means.centroids
    return found


def sampled(num_rows: int, count: int, seed: int = 0) -> NDArray[np.int64]:
    """Some random places, ascending; all where there are no more."""
    if num_rows <= count:
        return np.arange(num_rows)
    return np.sort(np.random.default_rng(seed).choice(num_rows, count, replace=False))


def nearest_centre(
    take: Take, num_rows: int, found: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The centre that is closest to each vector, by inner product less half the centre's square.

    Args:
        take: Gives the vectors of places below `num_rows`.
        num_rows: How many there are.
        found: Centres, shape (c, dim).

    Returns:
        Which centre, int32 (n,), and the vector's inner product with it, float32 (n,).
    """
    half = np.einsum("cd,cd->c", found, found) / 2
    which = np.empty(num_rows, np.int32)
    scores = np.empty(num_rows, np.float32)
    for start in range(0, num_rows, BLOCK_ROWS):
        places = np.arange(start, min(start + BLOCK_ROWS, num_rows))
        products = take(places) @ found.T
        products -= half
        best = products.argmax(axis=1)
        which[places] = best
        scores[places] = products[np.arange(len(places)), best] + half[best]
    return which, scores
