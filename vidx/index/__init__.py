"""Nearest neighbours among the vectors of a collection.

`Index.search` is the one question, whether all vectors are compared or codes find candidates first.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.errors import CollectionDamaged
from vidx.index import building, files, header, tuning
from vidx.index.codes import Codes, tell_of_no_use
from vidx.index.exact import merge, normalized, search_exact
from vidx.index.files import Matrix, Parts
from vidx.index.header import CodesFile, Measured
from vidx.index.parted import Parted
from vidx.index.parts import BuildParts, Progress, build_parts, is_as_written, open_part
from vidx.index.whitening import Whitening
from vidx.options import IndexOptions
from vidx.records import IndexReport, Likeness

__all__ = ["Index", "build", "normalized", "reach"]

ROUNDING = 1e-4  # of whitened vectors: blocks of other sizes are added up in another order

logger = logging.getLogger("vidx")


class Named(NamedTuple):
    """What rows are.

    Attributes:
        ids: Their clip_ids, int64, shape (n,).
        videos: The numbers of their videos, int32, shape (n,).
    """

    ids: NDArray[np.int64]
    videos: NDArray[np.int32]


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
        self._whitened = opened[2] if opened else None
        self._lock = threading.Lock()
        self._parts: dict[Likeness, tuple[Parted, NDArray[np.float32]]] = {}

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
        self.header, self.indexed, self._whitened = None, files.empty_matrix(self.dim), None

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
        likeness: Likeness = "similar",
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the closest vectors by cosine similarity; each score is exact.

        Where there are codes, the k best are found as often as their recall says; else always.

        Args:
            queries: Float32, shape (m, dim); need not be normalised.
            k: Neighbours wanted for each query.
            allowed: Shape (rows,): which may be answers; None allows all.
            likeness: In which space.

        Returns:
            Scores float32 (m, k) in [-1, 1], best first, equal ones by row; and rows int64 (m, k).
            Where fewer than k are allowed, the rest is -inf and -1.
        """
        queries, old = self.project(queries, likeness), len(self.indexed.ids)
        space, newer = self._part(likeness)
        masks = (None, None) if allowed is None else (allowed[:old], allowed[old:])
        indexed = space.search(queries, k, masks[0])
        if not len(newer):
            return indexed
        late, rows = search_exact(newer, queries, k, masks[1])
        return merge(k, indexed, (late, np.where(rows < 0, rows, rows + old)))

    def project(
        self, vectors: NDArray[np.float32], likeness: Likeness = "similar"
    ) -> NDArray[np.float32]:
        """Vectors as they are compared: of length 1, and whitened where that is the likeness.

        Args:
            vectors: Shape (m, dim).
            likeness: In which space.

        Returns:
            Float32, shape (m, d).
        """
        normal = normalized(vectors)
        return normal if likeness == "similar" else self._whitening.apply(normal)

    def vectors_of(
        self, rows: NDArray[np.int64], likeness: Likeness = "similar"
    ) -> NDArray[np.float32]:
        """The vectors of some rows, of length 1: float32, shape (n, d)."""
        space, newer = self._part(likeness)
        old = len(self.indexed.ids)
        found = np.empty((len(rows), newer.shape[1]), np.float32)
        late = rows >= old
        found[~late], found[late] = space.vectors[rows[~late]], newer[rows[late] - old]
        return found

    def _part(self, likeness: Likeness) -> tuple[Parted, NDArray[np.float32]]:
        """The rows on disk and the newer vectors, of one likeness; made when first asked for."""
        with self._lock:
            if likeness not in self._parts:
                self._parts[likeness] = self._opened(likeness)
            return self._parts[likeness]

    def _opened(self, likeness: Likeness) -> tuple[Parted, NDArray[np.float32]]:
        if likeness == "similar":
            vectors, newer = self.indexed.vectors, self.newer.vectors
        else:
            newer = self._whitening.apply(self.newer.vectors)
            vectors = self._whitened.vectors if self._whitened else newer[:0]
        codes = self.header.codes.get(likeness) if self.header else None
        if codes is None:
            return Parted.of(vectors), newer
        parts = [(part.rows, self._codes(part)) for part in codes.parts]
        return Parted.of(vectors, parts, codes.settings), newer

    def _codes(self, part: CodesFile) -> Codes | None:
        """The codes of a part, mapped; None where they are gone, or damaged, which is told."""
        try:
            return open_part(self.folder, part)
        except FileNotFoundError as error:
            if header.read_header(self.folder, self.collection) != self.header:
                return None  # a writer has put others in their place: the next look finds them
            problem: Exception = error
        except (OSError, ValueError) as error:
            problem = error
        tell_of_no_use(part.rows, problem)
        return None

    @cached_property
    def _whitening(self) -> Whitening:
        """The map on disk; where there is none yet, one of the newer vectors."""
        if self._whitened:
            return self._whitened.whitening
        if not len(self.newer.vectors):
            return Whitening(np.zeros(self.dim, np.float32), np.eye(self.dim, dtype=np.float32))
        return files.fit(self.newer.vectors)

    def of_rows(self, rows: NDArray[np.int64]) -> Named:
        """What some rows are: their clip_ids and the numbers of their videos."""
        old = len(self.indexed.ids)
        late = rows >= old
        if not late.any():
            return Named(self.indexed.ids[rows], self.indexed.videos[rows])
        found = Named(np.empty(len(rows), np.int64), np.empty(len(rows), np.int32))
        for some, part, start in ((~late, self.indexed, 0), (late, self.newer, old)):
            found.ids[some] = part.ids[rows[some] - start]
            found.videos[some] = part.videos[rows[some] - start]
        return found

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

    def make_codes(
        self, asked: IndexOptions, progress: Progress, build: BuildParts = build_parts
    ) -> None:
        """Make on disk what finds candidates, as asked; it holds for later codes too.

        Args:
            asked: What is wanted.
            progress: Called with an `IndexProgress` at each step.
            build: What makes the files of codes; by itself this process does.

        Raises:
            UsageError: Codes are insisted on, and cannot be had.
            VidxError: The disk is full or the folder cannot be written, or what `build` tells; the
                index is as before.
        """
        if self.header:
            self.header = building.make(self.folder, self.header, asked, progress, build)

    def tend_codes(self, progress: Progress) -> None:
        """Make codes on disk where they pay and are missing, or are of far fewer clips.

        Args, Raises: As for `make_codes`.
        """
        if self.header:
            self.header = building.tend(self.folder, self.header, progress)

    def extend(self, parts: Parts, end_clip_id: int, commit: int) -> None:
        """Bring the index on disk, of which there is one, up to date with newer vectors.

        Args:
            parts: As for `add_newer`.
            end_clip_id: The id after the last clip there is.
            commit: The one that this is the state of.
        """
        assert self.header is not None  # noqa: S101 - `build` makes the first one
        self.header = files.append(self.folder, self.header, parts, end_clip_id, commit)
        self.header = building.grow_codes(self.folder, self.header)

    def report(self, likeness: Likeness = "similar") -> IndexReport:
        """How the vectors on disk are searched, and what was measured when codes were made."""
        asked = self.header.asked if self.header else IndexOptions()
        codes = self.header.codes.get(likeness) if self.header else None
        if codes is None:
            measured, parameters = Measured(1.0, 1.0, 1.0, None, None), {}
        else:
            measured, parameters = codes.measured, asdict(codes.settings)
            if len(codes.parts) > 1:
                parameters["num_parts"] = len(codes.parts)
        return IndexReport(
            kind="ivf" if codes else "exact",
            parameters=parameters,
            clips=len(self.indexed.ids),
            target_recall=asked.target_recall,
            bytes_per_vector=codes.num_bytes / codes.rows if codes else 0.0,
            build_seconds=codes.build_seconds if codes else 0.0,
            **asdict(measured),
        )

    def timed_report(self, likeness: Likeness = "similar") -> IndexReport:
        """The report; where every clip is compared, with the time that this takes."""
        report = self.report(likeness)
        if report.p50_ms is not None:
            return report
        p50_ms, p99_ms = tuning.milliseconds(self._part(likeness)[0])
        return replace(report, p50_ms=p50_ms, p99_ms=p99_ms)

    def check(
        self, likeness: Likeness = "similar", live: NDArray[np.bool_] | None = None
    ) -> IndexReport:
        """The report, with what clips of the collection find now in place of what they found.

        Args:
            likeness: In which space.
            live: Which rows live, shape (rows,); None: all.
        """
        report, space = self.report(likeness), self._part(likeness)[0]
        mask = None if live is None else live[: len(self.indexed.ids)]
        if not space.has_codes:  # also where their files are damaged: every clip is compared
            exact = Measured(1.0, 1.0, 1.0, *tuning.milliseconds(space, live=mask))
            report = replace(report, kind="exact", parameters={}, bytes_per_vector=0.0)
            return replace(report, **asdict(exact))
        return replace(report, **asdict(tuning.checked(space, self.indexed.videos, mask)))

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
            if self._whitened:
                whitened = self._whitened.whitening.apply(vectors[there])
                same &= np.all(abs(self._whitened.vectors[rows] - whitened) < ROUNDING, axis=1)
            different += ids[there][~same].tolist()
        found = [
            f"index: {len(wrong)} clips {what}, first {wrong[0]}"
            for wrong, what in ((missing, "are missing"), (different, "have other vectors"))
            if wrong
        ]
        return found + self._changed_codes()

    def _changed_codes(self) -> list[str]:
        """One sentence for each file of codes that is not what was written."""
        codes = self.header.codes.values() if self.header else ()
        found = []
        for part in (part for one in codes for part in one.parts):
            try:
                if is_as_written(self.folder, part):
                    continue
                problem = "has other bytes than it was made with"
            except OSError as error:
                problem = f"cannot be read ({error.strerror or error})"
            found.append(f"index: {part.file} {problem}: `vidx index` makes codes anew")
        return found


def reach(folder: Path, collection: str) -> int:
    """The id after the last clip that the index on disk has ever covered, 0 without an index."""
    try:
        found = header.read_header(folder, collection)
    except CollectionDamaged:
        return 0
    return found.end_clip_id if found else 0


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
    asked = files.asked_before(folder, collection)
    empty = replace(files.create(folder, collection, dim, numbering), asked=asked)
    files.append(folder, empty, parts, end_clip_id, commit)
