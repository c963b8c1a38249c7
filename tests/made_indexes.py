"""Indexes with codes, of vectors that lie as embeddings do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidx import index as indexes
from vidx.index import Index
from vidx.options import IndexOptions
from vidx.records import Likeness

DIM, ROWS, CLIPS_A_VIDEO = 40, 6000, 6
IVF = IndexOptions(kind="ivf", target_recall=0.9)
Part = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]


def clustered(rows: int, seed: int = 0) -> NDArray[np.float32]:
    """Clips of one video are alike, and videos of one kind are; some directions rule."""
    random = np.random.default_rng(seed)
    widths = np.arange(1, DIM + 1) ** -0.5
    kinds = np.random.default_rng(9).standard_normal((30, DIM))
    videos = kinds[random.integers(0, 30, rows // CLIPS_A_VIDEO + 1)]
    videos = videos + 0.6 * random.standard_normal(videos.shape)
    clips = np.repeat(videos, CLIPS_A_VIDEO, axis=0)[:rows]
    return ((clips + 0.5 * random.standard_normal(clips.shape)) * widths).astype(np.float32)


VECTORS = clustered(ROWS)


def part(start: int, end: int) -> Part:
    ids = np.arange(start, end)
    return ids, VECTORS[start:end], (ids // CLIPS_A_VIDEO).astype(np.int32)


def make(folder: Path, rows: int, asked: IndexOptions = IVF) -> Index:
    """An index of the first rows, with codes of both likenesses."""
    parts = [part(i, min(i + 1000, rows)) for i in range(0, rows, 1000)]
    indexes.build(folder, "u", DIM, parts, end_clip_id=rows, commit=1, numbering="n")
    index = Index(folder, "u", DIM)
    index.make_codes(asked, lambda _step: None)
    return Index(folder, "u", DIM)


def true_scores(
    index: Index,
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None,
    likeness: Likeness,
) -> NDArray[np.float64]:
    """The best scores of all rows, by float64 and a full sort."""
    rows = np.arange(len(index)) if allowed is None else np.flatnonzero(allowed)
    asked = index.project(queries, likeness).astype(np.float64)
    scores = asked @ index.vectors_of(rows, likeness).astype(np.float64).T
    return -np.sort(-scores, axis=1)[:, :k]
