"""Exact nearest neighbours by inner product."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

_BLOCK_ROWS = 16_384  # rows compared at a time: what a filter copies stays below 50 MB at dim 768
_FEW = 512  # so many rows more are ranked and passed over rather than all others copied


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
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Compare every query with every allowed vector.

    Args:
        vectors: Shape (n, dim), of length 1; may be memory-mapped.
        queries: Shape (m, dim), of length 1.
        k: Neighbours wanted for each query.
        allowed: Shape (n,): which rows may be answers; None allows all.

    Returns:
        Scores float32 (m, k), best first, equal ones by row; and rows int64 (m, k).
        Where fewer than k are allowed, the rest is -inf and -1.
    """
    best = (
        np.full((len(queries), k), -np.inf, np.float32),
        np.full((len(queries), k), -1, np.int64),
    )
    # Where next to nothing is left out, nothing is copied, and one call does.
    whole = allowed is None or len(allowed) - np.count_nonzero(allowed) <= _FEW
    step = max(len(vectors), 1) if whole else _BLOCK_ROWS
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step]
        mask = None if allowed is None else allowed[start : start + step]
        scores, rows = _best_of(block, queries, k, mask)
        best = merge(k, best, (scores, np.where(rows < 0, rows, rows + start)))
    return best


def _best_of(
    block: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    mask: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The best rows of one block."""
    left = len(block) if mask is None else int(np.count_nonzero(mask))
    passed_over = len(block) - left
    if not left:
        return np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    if passed_over > _FEW and mask is not None:
        chosen = np.flatnonzero(mask)
        scores, rows = _ranked(block[chosen], queries, min(k, left))
        return scores, chosen[rows]
    scores, rows = _ranked(block, queries, min(k + passed_over, len(block)))
    if passed_over and mask is not None:
        good = mask[rows]
        scores, rows = np.where(good, scores, -np.inf), np.where(good, rows, -1)
    return scores, rows


def _ranked(
    block: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    scores, rows = faiss.knn(
        queries, np.ascontiguousarray(block), k, metric=faiss.METRIC_INNER_PRODUCT
    )
    # Rounding can carry the product of two unit vectors just past 1.
    return np.clip(scores, -1, 1), rows


def merge(
    k: int, *answers: tuple[NDArray[np.float32], NDArray[np.int64]]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The k best of several answers to the same queries, equal scores by row.

    Args:
        k: How many to keep.
        answers: Pairs of scores (m, any) and rows (m, any) that share no row.

    Returns:
        Scores float32 (m, k) and rows int64 (m, k).
    """
    scores = np.concatenate([answer[0] for answer in answers], axis=1)
    rows = np.concatenate([answer[1] for answer in answers], axis=1)
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)
