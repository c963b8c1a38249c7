"""Nearest neighbours among the vectors of a collection.

`Index.search` is the one question; later kinds of index answer it too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidx.index import files
from vidx.index.exact import merge, normalized, search_exact
from vidx.index.files import Matrix, Parts

__all__ = ["Index", "build", "normalized", "reach"]


class Index:
    """The indexed vectors of one collection, and those that are newer than the index.

    Args:
        folder: Where the index is kept.
        collection: The collection's uuid; an index of another one counts as none.
        dim: Length of a vector.
    """

    def __init__(self, folder: Path, collection: str, dim: int) -> None:
        self.folder = folder
        self.dim = dim
        self.collection = collection
        opened = files.open_index(folder, collection, dim)
        self.header = opened[0] if opened else None
        self.indexed = opened[1] if opened else _empty_matrix(dim)
        self.newer = _empty_matrix(dim)

    @property
    def end_clip_id(self) -> int:
        """Every live clip with a smaller id is in the index."""
        return self.header.end_clip_id if self.header else 0

    def __len__(self) -> int:
        """Vectors that a search compares with."""
        return len(self.indexed.ids) + len(self.newer.ids)

    def add_newer(self, parts: Parts) -> None:
        """Hold vectors that are not on disk in the index, so that a search misses none.

        Args:
            parts: Ids int64 (n,) from `end_clip_id` on, ascending; raw vectors (n, dim).
        """
        pieces = [self.newer, *(Matrix(ids, normalized(vectors)) for ids, vectors in parts)]
        self.newer = Matrix(
            np.concatenate([piece.ids for piece in pieces]),
            np.concatenate([piece.vectors for piece in pieces]),
        )

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed_ids: NDArray[np.int64] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the closest vectors by cosine similarity.

        Args:
            queries: Float32, shape (m, dim); need not be normalised.
            k: Neighbours wanted for each query.
            allowed_ids: Only these may be answers, int64 ascending; None allows all.

        Returns:
            Scores float32 (m, k) in [-1, 1], best first, equal ones by id; and ids int64 (m, k).
            Where fewer than k are allowed, the rest is -inf and -1.
        """
        queries = normalized(queries)
        return merge(
            k,
            *(
                search_exact(part.ids, part.vectors, queries, k, allowed_ids)
                for part in (self.indexed, self.newer)
            ),
        )

    def vectors_of(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The normalised vectors of some clips.

        Args:
            ids: int64 (n,), each of them in the index or among the newer ones.

        Returns:
            Float32, shape (n, dim).
        """
        rows = [self._vector_of(int(clip_id)) for clip_id in ids]
        return np.stack(rows) if rows else np.empty((0, self.dim), np.float32)

    def _vector_of(self, clip_id: int) -> NDArray[np.float32]:
        for part in (self.indexed, self.newer):
            row = int(np.searchsorted(part.ids, clip_id))
            if row < len(part.ids) and part.ids[row] == clip_id:
                return np.asarray(part.vectors[row])
        raise KeyError(clip_id)

    def extend(self, parts: Parts, end_clip_id: int) -> None:
        """Bring the index on disk up to date with newer vectors.

        Args:
            parts: Ids int64 (n,) from `end_clip_id` of this index on, and raw vectors (n, dim).
            end_clip_id: The id after the last clip there is.
        """
        header = self.header or files.create(self.folder, self.collection, self.dim)
        self.header = files.append(self.folder, header, parts, end_clip_id)

    def disagreements(self, parts: Parts) -> list[str]:
        """Compare the index on disk with the vectors that it should hold.

        Args:
            parts: Ids int64 (n,) and raw vectors (n, dim) of all live clips, ascending.

        Returns:
            One sentence for each thing that is wrong; empty when all agree.
        """
        missing, different = [], []
        for live_ids, live_vectors in parts:
            covered = live_ids < self.end_clip_id
            ids, vectors = live_ids[covered], normalized(live_vectors[covered])
            rows = np.searchsorted(self.indexed.ids, ids)
            rows = np.minimum(rows, max(len(self.indexed.ids) - 1, 0))
            there = self.indexed.ids[rows] == ids if len(self.indexed.ids) else ids < 0
            missing += ids[~there].tolist()
            same = np.all(self.indexed.vectors[rows[there]] == vectors[there], axis=1)
            different += ids[there][~same].tolist()
        return [
            f"index: {len(wrong)} clips {what}, first {wrong[0]}"
            for wrong, what in ((missing, "are missing"), (different, "have other vectors"))
            if wrong
        ]


def reach(folder: Path, collection: str) -> int:
    """The id after the last clip that the index on disk has ever covered, 0 without an index."""
    header = files.read_header(folder, collection)
    return header.end_clip_id if header else 0


def build(folder: Path, collection: str, dim: int, parts: Parts, end_clip_id: int) -> None:
    """Make the index on disk anew, whatever is there.

    Args:
        folder: Where the index is kept.
        collection: The collection's uuid.
        dim: Length of a vector.
        parts: Ids int64 (n,) and raw vectors (n, dim) of all live clips, ascending.
        end_clip_id: The id after the last clip there is.
    """
    files.append(folder, files.create(folder, collection, dim), parts, end_clip_id)


def _empty_matrix(dim: int) -> Matrix:
    return Matrix(np.empty(0, np.int64), np.empty((0, dim), np.float32))
