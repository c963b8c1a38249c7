"""The closest of some vectors among others, by matrix products and FAISS's heaps."""

from __future__ import annotations

from typing import Any, NamedTuple

import faiss as typed_faiss
import numpy as np
from numpy.typing import NDArray

from vidx.index.clustering import Take
from vidx.index.threads import threads_for

faiss: Any = typed_faiss  # its own types lack what is used here

BLOCK_QUERIES = 1024
BLOCK_CANDIDATES = 8192


class Neighbours(NamedTuple):
    """The closest others of each of some vectors.

    Attributes:
        places: Int32, shape (n, k), best first, equal scores by place; -1 where there are no more.
        scores: Cosine similarities, float32, shape (n, k); -inf where there are no more.
    """

    places: NDArray[np.int32]
    scores: NDArray[np.float32]


def closest(
    take: Take,
    queries: NDArray[np.int64],
    candidates: NDArray[np.int64],
    owners: NDArray[np.int32],
    k: int,
) -> Neighbours:
    """Compare some vectors with all of others.

    Args:
        take: Gives vectors of length 1 by their places.
        queries: Places, shape (m,).
        candidates: Places, shape (c,), each once.
        owners: Of each place: those of one owner are no neighbours of each other.
        k: Neighbours of each.

    Returns:
        m rows of k.
    """
    places = np.full((len(queries), k), -1, np.int32)
    scores = np.full((len(queries), k), -np.inf, np.float32)
    for start in range(0, len(queries), BLOCK_QUERIES):
        some = slice(start, start + BLOCK_QUERIES)
        found = _closest(take, queries[some], candidates, owners, k)
        places[some], scores[some] = found
    return Neighbours(places, scores)


def _closest(
    take: Take,
    queries: NDArray[np.int64],
    candidates: NDArray[np.int64],
    owners: NDArray[np.int32],
    k: int,
) -> Neighbours:
    asked, own = take(queries), owners[queries]
    scores = np.empty((len(queries), k), np.float32)
    which = np.empty((len(queries), k), np.int64)
    heaps = faiss.float_minheap_array_t()
    heaps.nh, heaps.k = len(queries), k
    heaps.val, heaps.ids = faiss.swig_ptr(scores), faiss.swig_ptr(which)
    with threads_for(1):  # several blocks are at work at a time
        heaps.heapify()
        for start in range(0, len(candidates), BLOCK_CANDIDATES):
            some = candidates[start : start + BLOCK_CANDIDATES]
            products = asked @ take(some).T
            products[own[:, None] == owners[some]] = -np.inf
            heaps.addn(len(some), faiss.swig_ptr(products), start, 0, len(queries))
    there = which >= 0
    places = np.where(there, candidates[which], -1)
    scores = np.where(there, np.clip(scores, -1, 1), -np.inf).astype(np.float32)
    order = np.lexsort((places, -scores), axis=1)
    places, scores = (np.take_along_axis(one, order, axis=1) for one in (places, scores))
    return Neighbours(places.astype(np.int32), scores)
