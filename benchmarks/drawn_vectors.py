"""Drawn vectors that lie as embeddings of videos do, for benchmarks of searches.

There are a thousand kinds of videos. A video's vector is its kind's and a deviation, a clip's is
its video's and a smaller one, and each is of length 1. Everything is drawn along a few directions
more than along others: the deviation of dimension i is i ** -.5, as principal axes of mean-pooled
vectors decay. Each video has a seed of its own, so any clip can be drawn again by its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLIPS_A_VIDEO = 20
KINDS = 1000
VIDEO_DEVIATION = 0.6  # from its kind, whose deviation from all is 1
CLIP_DEVIATION = 0.5  # from its video
BLOCK_CLIPS = 4100  # whole videos, as soon as there are 4096 clips: so does `vidx embed`
STORED, ASKING = 0, 1  # two worlds of videos around the same kinds
_KINDS_SEED = 99

Vectors = NDArray[np.float32]


def video(number: int, dim: int, world: int = STORED) -> Vectors:
    """The clips of one video: shape (CLIPS_A_VIDEO, dim)."""
    kinds, spread = _kinds(dim)
    random = np.random.default_rng([world, number])
    kind = kinds[random.integers(KINDS)]
    own = VIDEO_DEVIATION * random.standard_normal(dim, dtype=np.float32)
    clips = CLIP_DEVIATION * random.standard_normal((CLIPS_A_VIDEO, dim), dtype=np.float32)
    vectors = kind + (own + clips) * spread
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clip(number: int, dim: int) -> Vectors:
    """The clip of this number among all that are stored: shape (dim,)."""
    own: Vectors = _kept_video(number // CLIPS_A_VIDEO, dim)[number % CLIPS_A_VIDEO]
    return own


def blocks(first: int, count: int, dim: int) -> Iterator[Vectors]:
    """The stored clips from a number on, some thousands at a time.

    Args:
        first: The first clip's number, where a video begins.
        count: How many clips.
        dim: Length of a vector.
    """
    for start in range(first, first + count, BLOCK_CLIPS):
        size = min(BLOCK_CLIPS, first + count - start)
        videos = range(start // CLIPS_A_VIDEO, -(-(start + size) // CLIPS_A_VIDEO))
        yield np.concatenate([video(number, dim) for number in videos])[:size]


def into_file(path: Path, count: int, dim: int) -> Vectors:
    """Write the first clips into a file, and map it: shape (count, dim), read-only."""
    with path.open("wb") as file:
        for block in blocks(0, count, dim):
            block.tofile(file)
    return mapped(path, dim)


def mapped(path: Path, dim: int) -> Vectors:
    """The vectors of a file of `into_file`."""
    return np.memmap(path, np.float32, "r").reshape(-1, dim)


def questions(count: int, dim: int) -> Vectors:
    """A clip each of some videos that are not stored: shape (count, dim)."""
    return np.stack([video(number, dim, ASKING)[0] for number in range(count)])


def nearest(vectors: Vectors, queries: Vectors, k: int) -> NDArray[np.int64]:
    """The true neighbours, found by comparing all, a block at a time.

    Args:
        vectors: Shape (n, dim).
        queries: Shape (m, dim).
        k: How many for each.

    Returns:
        Rows, best first, shape (m, k).
    """
    scores, rows = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
    for start in range(0, len(vectors), BLOCK_CLIPS):
        block = vectors[start : start + BLOCK_CLIPS]
        here = np.broadcast_to(np.arange(start, start + len(block)), (len(queries), len(block)))
        scores = np.concatenate([scores, queries @ block.T], axis=1)
        rows = np.concatenate([rows, here], axis=1)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        scores, rows = np.take_along_axis(scores, best, 1), np.take_along_axis(rows, best, 1)
    return rows


def recalls(found: NDArray[np.int64], true: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of each query's true neighbours that were found, in any order.

    Args:
        found: Rows, shape (m, k).
        true: Likewise.

    Returns:
        Shape (m,).
    """
    pairs = zip(found.tolist(), true.tolist(), strict=True)
    return np.array([len({*some} & {*every}) / len(every) for some, every in pairs])


@lru_cache(maxsize=4)
def _kinds(dim: int) -> tuple[Vectors, Vectors]:
    """The kinds' vectors (KINDS, dim), and the deviation of each dimension (dim,)."""
    spread = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
    random = np.random.default_rng(_KINDS_SEED)
    return random.standard_normal((KINDS, dim), dtype=np.float32) * spread, spread


@lru_cache(maxsize=1000)
def _kept_video(number: int, dim: int) -> Vectors:
    """A stored video that may be asked for again."""
    return video(number, dim)
