"""The index on disk: vectors in clip_id order, their ids, and the JSON that says so.

    index/
      index.json          what the others hold; replaced last, so that it never lies
      vectors-<n>.f32     float32, (rows, dim), of length 1, little-endian, nothing else
      ids-<n>.i64         int64, (rows,), ascending
      videos-<n>.i32      int32, (rows,): the catalogue's numbers of their videos
      copy-<n>.f32        float32, (rows, d): the vectors whitened, of length 1
      whitening-<n>.npy   float32, (1 + d, dim): the mean, and the axes divided by their deviations
      similar-<n>.faiss   codes of the vectors; copy-<n>.faiss of the whitened ones
      graph-*.npy         each row's closest others (vidx/index/graphs.py); made when asked for
      shared-<n>.json     in a working copy of a bucket: which index there was last looked at

Files of vectors only ever grow, and readers map as many rows as the JSON says: adding to an index
does not disturb them. The others are never changed: a new one has another `<n>`. What the JSON no
longer names is deleted; who has it open keeps it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.durable import replacing
from vidx.errors import CollectionDamaged, VidxError
from vidx.index.exact import normalized
from vidx.index.header import (
    INDEX_FORMAT_VERSION,
    CopySpace,
    Header,
    broken,
    matrix_names,
    read_header,
    unreadable,
    write_header,
)
from vidx.index.whitening import Whitening
from vidx.options import IndexOptions

BLOCK_ROWS = 65_536  # what is whitened at a time
FITTED_ROWS = 65_536  # that the whitening is learned from
FIT_AGAIN = 2  # when there are so many times as many rows
_PATTERNS = (
    "vectors-*",
    "ids-*",
    "videos-*",
    "copy-*",
    "whitening-*",
    "similar-*",
    "graph-*",
    "shared-*",
    ".*.tmp",
)

Parts: TypeAlias = Iterable[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]]


class Matrix(NamedTuple):
    """Vectors with their ids, in memory or mapped from disk.

    Attributes:
        ids: int64, shape (n,), ascending.
        vectors: float32, shape (n, dim), of length 1.
        videos: int32, shape (n,).
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    videos: NDArray[np.int32]


class Whitened(NamedTuple):
    """The vectors whitened, mapped from disk.

    Attributes:
        whitening: The map to them.
        vectors: float32, shape (n, d), of length 1.
    """

    whitening: Whitening
    vectors: NDArray[np.float32]


def empty_matrix(dim: int) -> Matrix:
    """No vectors."""
    return Matrix(np.empty(0, np.int64), np.empty((0, dim), np.float32), np.empty(0, np.int32))


def open_index(
    folder: Path, collection: str, dim: int
) -> tuple[Header, Matrix, Whitened | None] | None:
    """Read what the index says of itself and map its vectors into memory, read-only.

    Returns:
        The header, the rows, and the whitened vectors, None before the first row. None where
        there is no index.

    Raises:
        CollectionDamaged: A file is missing, broken or shorter than the JSON says.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """
    header = read_header(folder, collection)
    if header is None:
        return None
    try:
        if header.dim != dim:
            raise ValueError(f"it has {header.dim} dimensions, not {dim}")
        return header, _open_matrix(folder, header), _open_whitened(folder, header)
    except (OSError, ValueError) as error:
        if read_header(folder, collection) != header:  # a writer made the index anew meanwhile
            return open_index(folder, collection, dim)
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise unreadable(folder, error) from error
        raise broken(folder, str(error)) from error


def _open_matrix(folder: Path, header: Header) -> Matrix:
    ids, vectors, videos = (folder / name for name in matrix_names(header.generation))
    return Matrix(
        _mapped(ids, np.dtype("<i8"), (header.rows,)),
        _mapped(vectors, np.dtype("<f4"), (header.rows, header.dim)),
        _mapped(videos, np.dtype("<i4"), (header.rows,)),
    )


def _open_whitened(folder: Path, header: Header) -> Whitened | None:
    copy = header.copy
    if copy is None:
        return None
    vectors = _mapped(folder / copy.file, np.dtype("<f4"), (header.rows, copy.dim))
    return Whitened(_open_whitening(folder, header.dim, copy), vectors)


def _open_whitening(folder: Path, dim: int, copy: CopySpace) -> Whitening:
    """The map; OSError or ValueError where the file is not there or is broken."""
    try:
        stored = np.load(folder / copy.transform)
    except EOFError as error:  # of an empty file
        raise ValueError(f"{copy.transform} is empty") from error
    if stored.shape != (1 + copy.dim, dim) or stored.dtype != np.float32:
        raise ValueError(f"{copy.transform} is not what index.json says")
    return Whitening.from_array(stored)


def create(folder: Path, collection: str, dim: int, numbering: str) -> Header:
    """Begin an empty index; what was there stays until the first `append` has succeeded."""
    return Header(
        format_version=INDEX_FORMAT_VERSION,
        collection=collection,
        dim=dim,
        rows=0,
        end_clip_id=0,
        commit=0,
        numbering=numbering,
        generation=next_number(folder, "vectors"),
    )


def asked_before(folder: Path, collection: str) -> IndexOptions:
    """What was wanted of the index that is there, readable or not."""
    try:
        found = read_header(folder, collection)
    except CollectionDamaged:
        return IndexOptions()
    return found.asked if found else IndexOptions()


def append(
    folder: Path,
    header: Header,
    parts: Parts,
    end_clip_id: int,
    commit: int,
) -> Header:
    """Add vectors to an index.

    Args:
        folder: The index's folder.
        header: What it holds so far.
        parts: Ids (n,) above all that are there, raw vectors (n, dim), and numbers of their videos
            (n,), in ascending order.
        end_clip_id: Every clip with a smaller id is in the index after this.
        commit: The collection's commit of which that is so.

    Returns:
        The new header, already on disk.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    with writing(folder):
        rows = header.rows + _write_behind(folder, header, parts)
        grown = replace(header, rows=rows, end_clip_id=end_clip_id, commit=commit)
        if rows > header.rows:
            grown = _with_copy(folder, grown, header.rows)
        switch(folder, grown)
    return grown


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make the folder, and say what to do where it cannot be written.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    try:
        folder.mkdir(exist_ok=True)
        yield
    except OSError as error:
        raise VidxError(
            f"the index in {folder} cannot be written: {error.strerror or error}",
            "Free some space there, then run the same command again. Searches miss nothing "
            "meanwhile: what the index lacks they read from the shards.",
        ) from error


def switch(folder: Path, header: Header) -> None:
    """Let the index be what a header says, whose files are all there."""
    write_header(folder, header)
    _drop_others(folder, header)


def next_number(folder: Path, name: str) -> int:
    """The number for another file of this name."""
    numbers = (path.stem.rsplit("-", 1)[1] for path in folder.glob(f"{name}-*"))
    return max((int(one) for one in numbers if one.isdecimal()), default=0) + 1


def _write_behind(folder: Path, header: Header, parts: Parts) -> int:
    """Write vectors, ids and numbers behind those that the header tells of; returns how many."""
    rows = 0
    sizes = (8, 4 * header.dim, 4)  # bytes a row
    with ExitStack() as stack:
        ids_file, vectors_file, videos_file = (
            stack.enter_context(_open_behind(folder / name, header.rows * size))
            for name, size in zip(matrix_names(header.generation), sizes, strict=True)
        )
        for ids, vectors, videos in parts:
            ids_file.write(ids.astype("<i8").tobytes())
            vectors_file.write(normalized(vectors).astype("<f4").tobytes())
            videos_file.write(videos.astype("<i4").tobytes())
            rows += len(ids)
        for file in (ids_file, vectors_file, videos_file):
            _to_disk(file)
    return rows


def _with_copy(folder: Path, header: Header, old_rows: int) -> Header:
    """Whiten the rows from `old_rows` on; all of them, by a new map, once there are many more."""
    copy = header.copy
    if copy and header.rows < FIT_AGAIN * copy.fitted_rows:
        whiten(folder, header, copy, old_rows)
        return header
    copy = _new_copy(folder, fit(_open_matrix(folder, header).vectors), header.rows)
    whiten(folder, header, copy, 0)
    return replace(header, copy=copy).without_codes("copy")


def fit_anew(folder: Path, header: Header) -> Header:
    """Whiten all rows by a map that is learned from those there are now; it has no codes yet.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    with writing(folder):
        copy = _new_copy(folder, fit(_open_matrix(folder, header).vectors), header.rows)
        whiten(folder, header, copy, 0)
        header = replace(header, copy=copy).without_codes("copy")
        switch(folder, header)
    return header


def whiten(folder: Path, header: Header, copy: CopySpace, old_rows: int) -> None:
    """Write the whitened vectors of the rows from `old_rows` on, by a map that is on disk.

    Raises:
        OSError: The file cannot be written.
        ValueError: The map is broken.
    """
    vectors = _open_matrix(folder, header).vectors
    whitening = _open_whitening(folder, header.dim, copy)
    with _open_behind(folder / copy.file, old_rows * 4 * copy.dim) as file:
        for start in range(old_rows, header.rows, BLOCK_ROWS):
            block = vectors[start : min(start + BLOCK_ROWS, header.rows)]
            file.write(whitening.apply(block).astype("<f4").tobytes())
        _to_disk(file)


def fit(vectors: NDArray[np.float32]) -> Whitening:
    """Learn the whitening from rows all over."""
    some = np.unique(np.linspace(0, len(vectors) - 1, FITTED_ROWS).astype(np.int64))
    return Whitening.fit(vectors[some])


def _new_copy(folder: Path, whitening: Whitening, rows: int) -> CopySpace:
    """Write the map; the vectors are to follow."""
    number, stored = next_number(folder, "whitening"), whitening.to_array()
    transform = f"whitening-{number}.npy"
    with replacing(folder / transform) as file:
        np.save(file, stored)
    return CopySpace(f"copy-{number}.f32", transform, len(stored) - 1, rows)


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    # An empty file cannot be mapped.
    return np.memmap(path, dtype, "r", shape=shape) if shape[0] else np.empty(shape, dtype)


def _open_behind(path: Path, size: int) -> BinaryIO:
    """Open a file to write behind its first `size` bytes; what a crash left there goes."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _drop_others(folder: Path, header: Header) -> None:
    """Delete the files that the header does not name.

    Readers that have them mapped keep them; one that is just about to open them finds them gone,
    and looks again.
    """
    named = header.names() | header.graph_names() | {header.note_name()}
    for pattern in _PATTERNS:
        for path in folder.glob(pattern):
            if path.name not in named:
                path.unlink()
