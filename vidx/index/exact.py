"""Exact nearest neighbours by inner product."""

from __future__ import annotations

from itertools import repeat

import faiss
import numpy as np
from numpy.typing import NDArray

from vidx.index.threads import threads_for


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
    k_there = min(k, len(vectors))
    scores = np.full((len(queries), k_there), -np.inf, np.float32)
    rows = np.full((len(queries), k_there), -1, np.int64)
    if k_there and len(queries):
        _compare(
            np.ascontiguousarray(vectors), np.ascontiguousarray(queries), allowed, scores, rows
        )
    np.minimum(scores, 1, out=scores)  # rounding can carry the product of unit vectors just past 1
    np.maximum(scores, -1, out=scores)
    scores[rows < 0] = -np.inf
    if (scores[:, 1:] == scores[:, :-1]).any():  # FAISS gives equal ones in any order
        order = np.lexsort((rows, -scores), axis=1)
        scores, rows = np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1)
    if k_there == k:
        return scores, rows
    rest = ((0, 0), (0, k - k_there))
    return (
        np.pad(scores, rest, constant_values=-np.inf),
        np.pad(rows, rest, constant_values=-1),
    )


def _compare(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    allowed: NDArray[np.bool_] | None,
    scores: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> None:
    """Have FAISS fill scores and rows; what a mask leaves out it passes over, without a copy."""
    selector = None
    if allowed is not None:
        bits = np.packbits(allowed, bitorder="little")
        selector = faiss.IDSelectorBitmap(len(allowed), faiss.swig_ptr(bits))
    with threads_for(len(queries)):
        faiss.knn_inner_product(
            faiss.swig_ptr(queries),
            faiss.swig_ptr(vectors),
            queries.shape[1],
            len(queries),
            len(vectors),
            rows.shape[1],
            faiss.swig_ptr(scores),
            faiss.swig_ptr(rows),
            selector,
        )


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
    scores, rows = answers[0]
    if len(answers) > 1:
        scores, rows = (np.concatenate(parts, axis=1) for parts in zip(*answers, strict=True))
    found = scores[:, :k].copy(), rows[:, :k].copy()
    for one, best in enumerate(map(_best, scores, rows, repeat(k))):
        found[0][one], found[1][one] = scores[one, best], rows[one, best]
    return found


def _best(scores: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The places of the k best of one query, or of all, in order."""
    if len(scores) <= k:
        return np.lexsort((rows, -scores))
    some = np.flatnonzero(scores >= np.partition(scores, -k)[-k])
    order: NDArray[np.int64] = some[np.lexsort((rows[some], -scores[some]))[:k]]
    return order
