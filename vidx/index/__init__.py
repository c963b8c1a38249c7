"""Nearest neighbours among the vectors of a collection.

`Index.search` is the one question; later kinds of index answer it too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidx.errors import CollectionDamaged
from vidx.index import files
from vidx.index.exact import merge, normalized, search_exact
from vidx.index.files import Matrix, Parts

__all__ = ["Index", "build", "normalized", "reach"]


class Index:
    """The indexed vectors of one collection, and those that are newer than the index.

    Its rows are those on disk and then the newer ones, in the order of clip_id; they stay what they
    are, whatever is written to disk meanwhile.

    Args:
        folder: Where the index is kept.
        collection: The collection's uuid.
        dim: Length of a vector.

    Raises:
        CollectionDamaged: The index is broken, or another collection's.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """

    def __init__(self, folder: Path, collection: str, dim: int) -> None:
        self.folder = folder
        self.dim = dim
        self.collection = collection
        opened = files.open_index(folder, collection, dim)
        self.header = opened[0] if opened else None
        self.indexed = opened[1] if opened else files.empty_matrix(dim)
        self.newer = files.empty_matrix(dim)

    @property
    def end_clip_id(self) -> int:
        """The id after the last clip that the index on disk covers."""
        return self.header.end_clip_id if self.header else 0

    @property
    def commit(self) -> int:
        """The commit at which the index on disk covered all clips below `end_clip_id`."""
        return self.header.commit if self.header else 0

    def __len__(self) -> int:
        """Rows that a search compares with."""
        return len(self.indexed.ids) + len(self.newer.ids)

    def leave_out_disk(self) -> None:
        """Have no rows of what is on disk, which is of no use."""
        self.header, self.indexed = None, files.empty_matrix(self.dim)

    def add_newer(self, parts: Parts) -> None:
        """Hold vectors that are not on disk in the index, so that a search misses none.

        Args:
            parts: Ids int64 (n,) from `end_clip_id` on, ascending; raw vectors (n, dim); numbers
                of their videos int32 (n,).
        """
        pieces = [
            self.newer,
            *(Matrix(ids, normalized(vectors), videos) for ids, vectors, videos in parts),
        ]
        self.newer = Matrix(*(np.concatenate(arrays) for arrays in zip(*pieces, strict=True)))

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the closest vectors by cosine similarity.

        Args:
            queries: Float32, shape (m, dim); need not be normalised.
            k: Neighbours wanted for each query.
            allowed: Shape (rows,): which may be answers; None allows all.

        Returns:
            Scores float32 (m, k) in [-1, 1], best first, equal ones by row; and rows int64 (m, k).
            Where fewer than k are allowed, the rest is -inf and -1.
        """
        queries, old = normalized(queries), len(self.indexed.ids)
        masks = (None, None) if allowed is None else (allowed[:old], allowed[old:])
        answers = [
            search_exact(part.vectors, queries, k, mask)
            for part, mask in zip((self.indexed, self.newer), masks, strict=True)
        ]
        scores, rows = answers[1]
        return merge(k, answers[0], (scores, np.where(rows < 0, rows, rows + old)))

    def of_rows(self, rows: NDArray[np.int64]) -> Matrix:
        """Some rows: their clip_ids, normalised vectors and the numbers of their videos."""
        old = len(self.indexed.ids)
        late = rows >= old
        parts = ((self.indexed, rows[~late]), (self.newer, rows[late] - old))
        order = np.argsort(np.concatenate([np.flatnonzero(~late), np.flatnonzero(late)]))
        return Matrix(
            np.concatenate([part.ids[some] for part, some in parts])[order],
            np.concatenate([part.vectors[some] for part, some in parts])[order],
            np.concatenate([part.videos[some] for part, some in parts])[order],
        )

    def videos(self) -> NDArray[np.int32]:
        """The numbers of the videos of all rows."""
        if not len(self.newer.ids):
            return self.indexed.videos
        return np.concatenate([self.indexed.videos, self.newer.videos])

    def ids_where(self, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The clip_ids of the rows that a mask of shape (rows,) leaves, ascending."""
        old = len(self.indexed.ids)
        return np.concatenate([self.indexed.ids[mask[:old]], self.newer.ids[mask[old:]]])

    def rows_of(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows of some clips, ascending; those that are not here are left out."""
        found = []
        for part, start in ((self.indexed, 0), (self.newer, len(self.indexed.ids))):
            rows = np.searchsorted(part.ids, ids)
            inside = rows < len(part.ids)
            rows, wanted = rows[inside], ids[inside]
            found.append(rows[part.ids[rows] == wanted] + start)
        return np.sort(np.concatenate(found))

    @property
    def numbering(self) -> str:
        """What the numbers of videos in the index on disk belong to; empty without one."""
        return self.header.numbering if self.header else ""

    def extend(self, parts: Parts, end_clip_id: int, commit: int) -> None:
        """Bring the index on disk, of which there is one, up to date with newer vectors.

        Args:
            parts: As for `add_newer`.
            end_clip_id: The id after the last clip there is.
            commit: The one that this is the state of.
        """
        assert self.header is not None  # noqa: S101 - `build` makes the first one
        self.header = files.append(self.folder, self.header, parts, end_clip_id, commit)

    def disagreements(self, parts: Parts) -> list[str]:
        """Compare the index on disk with the vectors that it should hold.

        Args:
            parts: As for `add_newer`, of all clips from the first on.

        Returns:
            One sentence for each thing that is wrong; empty when all agree.
        """
        missing, different = [], []
        for stored_ids, stored_vectors, stored_videos in parts:
            covered = stored_ids < self.end_clip_id
            ids, vectors = stored_ids[covered], normalized(stored_vectors[covered])
            rows = np.searchsorted(self.indexed.ids, ids)
            rows = np.minimum(rows, max(len(self.indexed.ids) - 1, 0))
            there = self.indexed.ids[rows] == ids if len(self.indexed.ids) else ids < 0
            missing += ids[~there].tolist()
            rows = rows[there]
            same = np.all(self.indexed.vectors[rows] == vectors[there], axis=1)
            same &= self.indexed.videos[rows] == stored_videos[covered][there]
            different += ids[there][~same].tolist()
        return [
            f"index: {len(wrong)} clips {what}, first {wrong[0]}"
            for wrong, what in ((missing, "are missing"), (different, "have other vectors"))
            if wrong
        ]


def reach(folder: Path, collection: str) -> int:
    """The id after the last clip that the index on disk has ever covered, 0 without an index."""
    try:
        header = files.read_header(folder, collection)
    except CollectionDamaged:
        return 0
    return header.end_clip_id if header else 0


def build(
    folder: Path,
    collection: str,
    dim: int,
    parts: Parts,
    *,
    end_clip_id: int,
    commit: int,
    numbering: str,
) -> None:
    """Make the index on disk anew, whatever is there.

    Args:
        folder: Where the index is kept.
        collection: The collection's uuid.
        dim: Length of a vector.
        parts: As for `Index.add_newer`, of all clips from the first on.
        end_clip_id: The id after the last clip there is.
        commit: The one that this is the state of.
        numbering: What the numbers of videos belong to.
    """
    header = files.create(folder, collection, dim, numbering)
    files.append(folder, header, parts, end_clip_id, commit)
