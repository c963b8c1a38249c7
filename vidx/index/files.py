"""The index on disk: normalised vectors in clip_id order, their ids, and the JSON that says so.

    index/
      index.json          what the other two hold; replaced last, so that it never lies
      vectors-<n>.f32     float32, (rows, dim), little-endian, nothing else
      ids-<n>.i64         int64, (rows,), ascending

A file only ever grows, and readers map as many rows as the JSON says: adding to an index does not
disturb them. `<n>` goes up when an index is made anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.errors import CollectionDamaged, VidxError
from vidx.index.exact import normalized

INDEX_FORMAT_VERSION = 1

Parts: TypeAlias = Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class Header:
    """What `index.json` says.

    Attributes:
        format_version: Of these files.
        collection: The collection's uuid.
        kind: How neighbours are found; `exact` compares with every vector.
        recall: Share of the true neighbours that a search finds; 1.0 for `exact`.
        dim: Length of a vector.
        rows: Vectors in the files.
        end_clip_id: Every live clip with a smaller id is in the index.
        generation: The `<n>` of the files' names.
    """

    format_version: int
    collection: str
    kind: str
    recall: float
    dim: int
    rows: int
    end_clip_id: int
    generation: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Vectors with their ids, in memory or mapped from disk.

    Attributes:
        ids: int64, shape (n,), ascending.
        vectors: float32, shape (n, dim), of length 1.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]


def open_index(folder: Path, collection: str, dim: int) -> tuple[Header, Matrix] | None:
    """Read what the index says of itself and map its vectors into memory, read-only.

    Returns:
        None where there is no index of this collection that this vidx can read.

    Raises:
        CollectionDamaged: A file is missing or shorter than the JSON says.
    """
    header = read_header(folder, collection)
    if header is None or header.dim != dim:
        return None
    try:
        return header, _open_matrix(folder, header)
    except (OSError, ValueError) as error:
        if read_header(folder, collection) != header:  # a writer made the index anew meanwhile
            return open_index(folder, collection, dim)
        raise CollectionDamaged(
            f"the index in {folder} cannot be read: {error}",
            "Run `vidx rebuild`: it makes the index anew from the shards.",
        ) from error


def read_header(folder: Path, collection: str) -> Header | None:
    """What the index says of itself; None where there is none of this collection."""
    try:
        header = Header(**json.loads((folder / "index.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    ours = (INDEX_FORMAT_VERSION, collection)
    return header if (header.format_version, header.collection) == ours else None


def _open_matrix(folder: Path, header: Header) -> Matrix:
    ids_path, vectors_path = _paths(folder, header.generation)
    return Matrix(
        _mapped(ids_path, np.dtype("<i8"), (header.rows,)),
        _mapped(vectors_path, np.dtype("<f4"), (header.rows, header.dim)),
    )


def create(folder: Path, collection: str, dim: int) -> Header:
    """Begin an empty index; what was there stays until the first `append` has succeeded."""
    taken = [int(path.stem.rsplit("-", 1)[1]) for path in folder.glob("vectors-*.f32")]
    return Header(
        INDEX_FORMAT_VERSION, collection, "exact", 1.0, dim, 0, 0, max(taken, default=0) + 1
    )


def append(
    folder: Path,
    header: Header,
    parts: Parts,
    end_clip_id: int,
) -> Header:
    """Add vectors to an index.

    Args:
        folder: The index's folder.
        header: What it holds so far.
        parts: Ids (n,) above all that are there, and raw vectors (n, dim), in ascending order.
        end_clip_id: Every live clip with a smaller id is in the index after this.

    Returns:
        The new header, already on disk.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    try:
        folder.mkdir(exist_ok=True)
        rows = header.rows + _write_behind(folder, header, parts)
        grown = replace(header, rows=rows, end_clip_id=end_clip_id)
        _replace_header(folder, grown)
        _drop_other_generations(folder, grown.generation)
    except OSError as error:
        raise VidxError(
            f"the index in {folder} cannot be written: {error.strerror or error}",
            "Free some space there, then run the same command again. Searches miss nothing "
            "meanwhile: what the index lacks they read from the shards.",
        ) from error
    return grown


def _write_behind(folder: Path, header: Header, parts: Parts) -> int:
    """Write vectors and ids behind those that the header tells of; returns how many."""
    rows = 0
    ids_path, vectors_path = _paths(folder, header.generation)
    with (
        _open_behind(ids_path, header.rows * 8) as ids_file,
        _open_behind(vectors_path, header.rows * 4 * header.dim) as vectors_file,
    ):
        for ids, vectors in parts:
            ids_file.write(ids.astype("<i8").tobytes())
            vectors_file.write(normalized(vectors).astype("<f4").tobytes())
            rows += len(ids)
        for file in (ids_file, vectors_file):
            file.flush()
            os.fsync(file.fileno())
    return rows


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    # An empty file cannot be mapped.
    return np.memmap(path, dtype, "r", shape=shape) if shape[0] else np.empty(shape, dtype)


def _open_behind(path: Path, size: int) -> BinaryIO:
    """Open a file to write behind its first `size` bytes; what a crash left there goes."""
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file


def _replace_header(folder: Path, header: Header) -> None:
    temporary = folder / f"index.json.{os.getpid()}.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(header), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / "index.json")


def _drop_other_generations(folder: Path, generation: int) -> None:
    """Delete the files of indexes made before; readers that have them mapped keep them."""
    for path in (
        *folder.glob("vectors-*.f32"),
        *folder.glob("ids-*.i64"),
        *folder.glob("index.json.*.tmp"),
    ):
        if path.stem.rsplit("-", 1)[-1] != str(generation):
            path.unlink()


def _paths(folder: Path, generation: int) -> tuple[Path, Path]:
    return folder / f"ids-{generation}.i64", folder / f"vectors-{generation}.f32"
