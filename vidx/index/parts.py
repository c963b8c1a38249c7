"""Codes in parts: which rows go into which file, and making one of them.

A part knows nothing of the others: whoever can read its rows can make it, here or elsewhere, and
needs memory for its own codes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidx.durable import sync_file
from vidx.index.codes import BLOCK_ROWS, POINTS_A_LIST, Codes, expected_bytes, lists_for
from vidx.index.files import Matrix, next_number, open_index
from vidx.index.header import CodesFile, Header, digest
from vidx.records import IndexProgress, Likeness

PART_BYTES = 2 << 30  # the most that one part has, where it is not said how many there are to be

Progress = Callable[[IndexProgress], None]
# Makes parts, of which the names and rows are given; called as `build_parts` is.
BuildParts = Callable[[Path, Header, Likeness, Mapping[str, range], Progress], list[CodesFile]]


def divided(rows: range, dim: int, num_parts: int | None) -> list[range]:
    """Rows as parts of about the same size.

    Args:
        rows: Those that are to have codes.
        dim: Length of a vector.
        num_parts: How many; None: as few as are no larger than `PART_BYTES`.

    >>> divided(range(10), 256, 3)
    [range(0, 3), range(3, 6), range(6, 10)]
    >>> len(divided(range(100_000_000), 768, None))
    6
    """
    count = num_parts or -(-expected_bytes(len(rows), dim) // PART_BYTES)
    bounds = [rows.start + len(rows) * one // count for one in range(count + 1)]
    return [range(*pair) for pair in pairwise(bounds)]


def next_names(folder: Path, likeness: Likeness, count: int) -> list[str]:
    """Names for files of codes that no file has."""
    first = next_number(folder, likeness)
    return [f"{likeness}-{first + one}.faiss" for one in range(count)]


def build_parts(
    folder: Path,
    header: Header,
    likeness: Likeness,
    wanted: Mapping[str, range],
    progress: Progress,
) -> list[CodesFile]:
    """Make the codes of some parts here, one after the other.

    Args:
        folder: The index's folder.
        header: What is there.
        likeness: Whose vectors.
        wanted: The rows of each part, by the name of its file.
        progress: Called at each step, with numbers of all these rows.

    Returns:
        What the header is to say of them, in their order.

    Raises:
        OSError: A file cannot be written; those before it are there.
    """
    made: list[CodesFile] = []
    total = sum(map(len, wanted.values()))

    def tell(step: IndexProgress) -> None:
        if step.stage == "adding":
            done = sum(part.rows for part in made)
            step = replace(step, done=done + step.done, total=total)
        progress(step)

    for file, rows in wanted.items():
        made.append(build_part(folder, header, likeness, rows, file, tell))
    return made


def build_part(
    folder: Path, header: Header, likeness: Likeness, rows: range, file: str, progress: Progress
) -> CodesFile:
    """Make the codes of some rows from scratch, as a file on disk.

    Args:
        folder: The index's folder, of which the matrix is read within these rows alone.
        header: What is there.
        likeness: Whose vectors.
        rows: Which.
        file: The name of the file.
        progress: Called at each step, with numbers of these rows.

    Returns:
        What the header is to say of it.

    Raises:
        OSError: The file cannot be written; there is none.
    """
    vectors = rows_of(folder, header, likeness)[1][rows.start : rows.stop]
    progress(IndexProgress(likeness, "training", 0, 1))
    codes = Codes.train(vectors[learned_from(len(rows))], lists_for(len(rows)))
    progress(IndexProgress(likeness, "training", 1, 1))
    codes.add(_telling(blocks(vectors, 0), len(rows), likeness, progress))
    return write(folder / file, codes)


def learned_from(count: int) -> NDArray[np.int64]:
    """The rows of a part of so many that its lists are found with, ascending."""
    wanted = min(count, POINTS_A_LIST * lists_for(count))
    return np.sort(np.random.default_rng(0).permutation(count)[:wanted])


def write(path: Path, codes: Codes) -> CodesFile:
    """A file of codes, on disk.

    Raises:
        OSError: It cannot be written; there is none.
    """
    try:
        codes.write(path)
        sync_file(path)
    except OSError:
        path.unlink(missing_ok=True)  # a part of it would keep a full disk full
        raise
    return CodesFile.of(path, codes.rows)


def open_part(folder: Path, part: CodesFile) -> Codes:
    """The codes of a part, mapped.

    Raises:
        OSError, ValueError: It cannot be read, or is not what the header says.
    """
    path = folder / part.file
    codes = Codes.open(path)
    if (codes.rows, path.stat().st_size) != (part.rows, part.num_bytes):
        raise ValueError(f"{path.name} is not what index.json says")
    return codes


def is_as_written(folder: Path, part: CodesFile) -> bool:
    """Whether the file of a part has the bytes that it was made with, as far as that is known.

    Raises:
        OSError: It cannot be read.
    """
    return part.sha256 in ("", digest(folder / part.file))


def rows_of(folder: Path, header: Header, likeness: Likeness) -> tuple[Matrix, NDArray[np.float32]]:
    """The rows on disk, and their vectors of this likeness."""
    opened = open_index(folder, header.collection, header.dim)
    assert opened  # noqa: S101 - its header is at hand
    _, matrix, whitened = opened
    if likeness == "copy":
        assert whitened is not None  # noqa: S101 - there are rows
        return matrix, whitened.vectors
    return matrix, matrix.vectors


def blocks(vectors: NDArray[np.float32], start: int) -> Iterator[NDArray[np.float32]]:
    """The vectors from a row on, some at a time."""
    for first in range(start, len(vectors), BLOCK_ROWS):
        yield vectors[first : first + BLOCK_ROWS]


def _telling(
    parts: Iterator[NDArray[np.float32]], total: int, likeness: Likeness, progress: Progress
) -> Iterator[NDArray[np.float32]]:
    done = 0
    for part in parts:
        yield part
        done += len(part)
        progress(IndexProgress(likeness, "adding", done, total))
