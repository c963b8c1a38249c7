"""Codes: one bit a dimension for each vector, in inverted lists, to find candidates quickly.

FAISS's RaBitQ (Gao and Long, "RaBitQ", SIGMOD 2024) after a random rotation, within an IVF index;
what it finds is compared exactly afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import faiss as typed_faiss
import numpy as np
from numpy.typing import NDArray

from vidx.index.exact import search_exact
from vidx.index.threads import threads_for

faiss: Any = typed_faiss  # its own types lack what is used here
logger = logging.getLogger("vidx")

ROTATION_SEED = 1
POINTS_A_LIST = 40  # that the lists' centres are found with
ROUNDS = 10  # of k-means; with fewer, more lists must be looked through
MOST_LISTS = 2048  # more take longer to choose from than they save
BLOCK_ROWS = 65_536  # what is held in memory at a time
# What FAISS keeps of a vector beside its bits: three factors and its row number.
BYTES_BESIDE_BITS = 20


class BrokenCodes(Exception):
    """Codes name rows that there are not; it has been told in the log."""


class Codes:
    """The codes of the first rows of a matrix.

    Args:
        index: FAISS's `IndexPreTransform`: a rotation and then the inverted lists.
        file: The name of the file that it was read from; empty: it was made here.

    Attributes:
        is_broken: Whether they turned out to be of no use.
    """

    def __init__(self, index: Any, file: str = "") -> None:
        self.file = file
        self.is_broken = False
        self._index = index
        self._rotation = faiss.downcast_VectorTransform(index.chain.at(0))
        self._lists = faiss.downcast_index(index.index)
        self.rows: int = index.ntotal
        self.dim: int = index.d
        self.num_lists: int = self._lists.nlist

    @classmethod
    def train(cls, sample: NDArray[np.float32], num_lists: int) -> Codes:
        """Begin codes: find the centres of the lists.

        Args:
            sample: Shape (n, dim), of length 1, about `POINTS_A_LIST` a list.
            num_lists: How many lists.
        """
        dim = sample.shape[1]
        rotation = faiss.RandomRotationMatrix(dim, dim)
        rotation.init(ROTATION_SEED)
        lists = faiss.IndexIVFRaBitQFastScan(
            faiss.IndexFlatIP(dim), dim, num_lists, faiss.METRIC_INNER_PRODUCT
        )
        lists.cp.niter = ROUNDS
        lists.cp.min_points_per_centroid = 1  # no word about a small collection
        index = faiss.IndexPreTransform(rotation, lists)
        index.train(np.ascontiguousarray(sample))
        return cls(index)

    @classmethod
    def open(cls, path: Path, *, to_grow: bool = False) -> Codes:
        """Map a file into memory, or read it so that rows can be added.

        Raises:
            FileNotFoundError: It is not there.
            ValueError: It is no such file.
        """
        path.stat()  # FAISS tells of a missing file as of any other
        try:
            index = faiss.read_index(str(path), 0 if to_grow else faiss.IO_FLAG_MMAP_IFC)
            codes = cls(index, path.name)
            sizes = sum(codes._lists.invlists.list_size(i) for i in range(codes.num_lists))
        except (RuntimeError, AttributeError, MemoryError) as error:
            raise ValueError(f"{path.name} is no file of codes, or is broken") from error
        if sizes != codes.rows:
            raise ValueError(f"{path.name} has {sizes} vectors, not {codes.rows}")
        return codes

    def add(self, blocks: Iterable[NDArray[np.float32]]) -> None:
        """Add the next rows: blocks of shape (n, dim), of length 1."""
        for block in blocks:
            self._index.add(np.ascontiguousarray(block))
            self.rows = self._index.ntotal
        self.__dict__.pop("_members", None)  # these have moved

    def write(self, path: Path) -> None:
        """Write the file.

        Raises:
            OSError: It cannot be written.
        """
        try:
            faiss.write_index(self._index, str(path))
        except RuntimeError as error:  # FAISS keeps the number of the error to itself
            path.touch()  # tells it where the folder or the file is to blame
            raise OSError(None, f"{path.name} could not be written whole") from error

    def candidates(
        self,
        queries: NDArray[np.float32],
        count: int,
        num_probes: int,
        allowed: NDArray[np.bool_] | None,
    ) -> NDArray[np.int64]:
        """The rows that seem to be the closest.

        Args:
            queries: Shape (m, dim), of length 1.
            count: How many for each query.
            num_probes: Lists to look through.
            allowed: Shape (rows,): which may be answers; None allows all.

        Returns:
            Shape (m, count), -1 where there are no more in these lists.

        Raises:
            BrokenCodes: Some of them cannot be.
        """
        selector = None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
        inner = faiss.SearchParametersIVF(nprobe=num_probes, sel=selector)
        parameters = faiss.SearchParametersPreTransform(index_params=inner)
        with threads_for(len(queries)):
            _, rows = self._index.search(np.ascontiguousarray(queries), count, params=parameters)
        return self._checked(rows)

    def members(self, queries: NDArray[np.float32], num_probes: int) -> list[NDArray[np.int64]]:
        """All rows of the nearest lists, without a look at their codes.

        Args:
            queries: Shape (m, dim), of length 1.
            num_probes: How many lists of each query.

        Returns:
            m arrays of rows, in any order.

        Raises:
            BrokenCodes: Some of them cannot be.
        """
        _, lists = search_exact(self._centres, queries, min(num_probes, self.num_lists))
        found = [np.concatenate([self._members[one] for one in some]) for some in lists.tolist()]
        return [self._checked(rows) for rows in found]

    def _checked(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows as a file tells them: what reads the vectors of others ends the process."""
        if rows.size and not -1 <= rows.min() <= rows.max() < self.rows:
            self.is_broken = True
            tell_of_no_use(self.rows, f"{self.file} names clips that there are not")
            raise BrokenCodes
        return rows

    @cached_property
    def _centres(self) -> NDArray[np.float32]:
        """Of the lists, before the rotation: shape (num_lists, dim)."""
        rotated = faiss.downcast_index(self._lists.quantizer).reconstruct_n(0, self.num_lists)
        centres: NDArray[np.float32] = self._rotation.reverse_transform(rotated)
        return centres

    @cached_property
    def _members(self) -> list[NDArray[np.int64]]:
        """The rows of each list, where FAISS has them."""
        lists = self._lists.invlists
        sizes = [lists.list_size(one) for one in range(self.num_lists)]
        return [
            faiss.rev_swig_ptr(lists.get_ids(one), size) if size else np.empty(0, np.int64)
            for one, size in enumerate(sizes)
        ]

    def bytes_read(self, num_probes: int) -> int:
        """About how much a search reads that looks through some of the lists."""
        return round(self.rows * self.dim / 8 * num_probes / self.num_lists)


def tell_of_no_use(num_rows: int, problem: object) -> None:
    """Say in the log that searches take longer, why, and what to do about it."""
    logger.warning(
        "codes of the index cannot be read, so each of their %d clips is compared: %s. "
        "`vidx index` makes them anew.",
        num_rows,
        problem,
    )


def lists_for(rows: int) -> int:
    """How many lists suit so many rows: four square roots, as is usual.

    >>> lists_for(10_000), lists_for(10_000_000)
    (400, 2048)
    """
    return max(1, min(int(4 * rows**0.5), MOST_LISTS))


def expected_bytes(rows: int, dim: int) -> int:
    """About how large the file for so many rows will be."""
    codes = rows * (dim // 8 + BYTES_BESIDE_BITS)
    return codes + lists_for(rows) * dim * 4 + dim * dim * 4
