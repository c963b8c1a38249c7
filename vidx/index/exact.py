"""Exact nearest neighbours by inner product."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 16_384  # rows compared at a time: what a filter copies stays below 50 MB at dim 768


def normalized(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors to length 1, so that their inner product is the cosine similarity.

    Args:
        vectors: Shape (n, dim).

    Returns:
        Float32, shape (n, dim); a vector of zeros stays one.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)


def search_exact(
    ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    allowed_ids: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Compare every query with every allowed vector.

    Args:
        ids: Shape (n,), ascending.
        vectors: Shape (n, dim), of length 1; may be memory-mapped.
        queries: Shape (m, dim), of length 1.
        k: Neighbours wanted for each query.
        allowed_ids: Only these may be answers, ascending; None allows all.

    Returns:
        Scores float32 (m, k), best first, equal ones by id; and their ids int64 (m, k).
        Where fewer than k are allowed, the rest is -inf and -1.
    """
    scores = np.full((len(queries), k), -np.inf, np.float32)
    found = np.full((len(queries), k), -1, np.int64)
    for start in range(0, len(ids), _BLOCK_ROWS):
        block_ids = ids[start : start + _BLOCK_ROWS]
        block = vectors[start : start + _BLOCK_ROWS]
        if allowed_ids is not None:
            low, high = np.searchsorted(allowed_ids, [block_ids[0], block_ids[-1] + 1])
            chosen = np.flatnonzero(np.isin(block_ids, allowed_ids[low:high], assume_unique=True))
            block_ids, block = block_ids[chosen], block[chosen]
        if len(block_ids):
            scores, found = merge(k, (scores, found), _best_of(block_ids, block, queries, k))
    return scores, found


def _best_of(
    ids: NDArray[np.int64], block: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    scores, rows = faiss.knn(
        queries, np.ascontiguousarray(block), min(k, len(ids)), metric=faiss.METRIC_INNER_PRODUCT
    )
    # Rounding can carry the product of two unit vectors just past 1.
    return np.clip(scores, -1, 1), np.asarray(ids)[rows]


def merge(
    k: int, *answers: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best of several answers to the same queries, equal scores by id.

    Args:
        k: How many to keep.
        answers: Pairs of scores (m, any) and ids (m, any) that share no id.

    Returns:
        Scores float32 (m, k) and ids int64 (m, k).
    """
    scores = np.concatenate([answer[0] for answer in answers], axis=1)
    ids = np.concatenate([answer[1] for answer in answers], axis=1)
    order = np.lexsort((ids, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)
