"""The index on disk: normalised vectors in clip_id order, their ids, and the JSON that says so.

    index/
      index.json          what the others hold; replaced last, so that it never lies
      vectors-<n>.f32     float32, (rows, dim), little-endian, nothing else
      ids-<n>.i64         int64, (rows,), ascending
      videos-<n>.i32      int32, (rows,): the catalogue's numbers of their videos

A file only ever grows, and readers map as many rows as the JSON says: adding to an index does not
disturb them. `<n>` goes up when an index is made anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.durable import replacing, sync_folder
from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError
from vidx.index.exact import normalized

INDEX_FORMAT_VERSION = 1

Parts: TypeAlias = Iterable[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]]


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
        end_clip_id: Every clip with a smaller id is in the index, whether it lives or not.
        commit: The collection's commit at which that was so.
        numbering: What the numbers of videos belong to.
        generation: The `<n>` of the files' names.
    """

    format_version: int
    collection: str
    kind: str
    recall: float
    dim: int
    rows: int
    end_clip_id: int
    commit: int
    numbering: str
    generation: int


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


def empty_matrix(dim: int) -> Matrix:
    """No vectors."""
    return Matrix(np.empty(0, np.int64), np.empty((0, dim), np.float32), np.empty(0, np.int32))


def open_index(folder: Path, collection: str, dim: int) -> tuple[Header, Matrix] | None:
    """Read what the index says of itself and map its vectors into memory, read-only.

    Returns:
        None where there is no index.

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
        return header, _open_matrix(folder, header)
    except (OSError, ValueError) as error:
        if read_header(folder, collection) != header:  # a writer made the index anew meanwhile
            return open_index(folder, collection, dim)
        if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
            raise _unreadable(folder, error) from error
        raise _broken(folder, str(error)) from error


def read_header(folder: Path, collection: str) -> Header | None:
    """What the index says of itself; None where there is none.

    Raises:
        CollectionDamaged: It is broken, or another collection's.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """
    try:
        values = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        if values["format_version"] > INDEX_FORMAT_VERSION:
            raise CollectionTooNew(
                f"the index in {folder} has format version {values['format_version']}, this vidx "
                f"knows {INDEX_FORMAT_VERSION}",
                "Upgrade vidx: pip install --upgrade vidx",
            )
        header = Header(**values)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(folder, error) from error
    except (ValueError, TypeError, KeyError) as error:
        raise _broken(folder, f"index.json is not what it should be: {error}") from error
    if header.collection != collection:
        raise _broken(folder, f"it belongs to collection {header.collection}")
    return header


def _broken(folder: Path, problem: str) -> CollectionDamaged:
    return CollectionDamaged(
        f"the index in {folder} cannot be read: {problem}",
        "Run `vidx rebuild`: it makes the index anew from the shards.",
    )


def _unreadable(folder: Path, error: OSError) -> VidxError:
    return VidxError(
        f"the index in {folder} cannot be read now: {error.strerror or error}",
        "It may be sound: nothing was changed. Run the same command again.",
    )


def _open_matrix(folder: Path, header: Header) -> Matrix:
    ids, vectors, videos = _paths(folder, header.generation)
    return Matrix(
        _mapped(ids, np.dtype("<i8"), (header.rows,)),
        _mapped(vectors, np.dtype("<f4"), (header.rows, header.dim)),
        _mapped(videos, np.dtype("<i4"), (header.rows,)),
    )


def create(folder: Path, collection: str, dim: int, numbering: str) -> Header:
    """Begin an empty index; what was there stays until the first `append` has succeeded."""
    taken = [int(path.stem.rsplit("-", 1)[1]) for path in folder.glob("vectors-*.f32")]
    return Header(
        format_version=INDEX_FORMAT_VERSION,
        collection=collection,
        kind="exact",
        recall=1.0,
        dim=dim,
        rows=0,
        end_clip_id=0,
        commit=0,
        numbering=numbering,
        generation=max(taken, default=0) + 1,
    )


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
    try:
        folder.mkdir(exist_ok=True)
        rows = header.rows + _write_behind(folder, header, parts)
        grown = replace(header, rows=rows, end_clip_id=end_clip_id, commit=commit)
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
    """Write vectors, ids and numbers behind those that the header tells of; returns how many."""
    rows = 0
    sizes = (8, 4 * header.dim, 4)  # bytes a row
    with ExitStack() as stack:
        ids_file, vectors_file, videos_file = (
            stack.enter_context(_open_behind(path, header.rows * size))
            for path, size in zip(_paths(folder, header.generation), sizes, strict=True)
        )
        for ids, vectors, videos in parts:
            ids_file.write(ids.astype("<i8").tobytes())
            vectors_file.write(normalized(vectors).astype("<f4").tobytes())
            videos_file.write(videos.astype("<i4").tobytes())
            rows += len(ids)
        for file in (ids_file, vectors_file, videos_file):
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
    """Let readers know, once what they will open is on disk under its name."""
    sync_folder(folder)
    with replacing(folder / "index.json") as file:
        file.write(json.dumps(asdict(header), indent=1).encode())


def _drop_other_generations(folder: Path, generation: int) -> None:
    """Delete the files of indexes made before.

    Readers that have them mapped keep them; one that is just about to open them finds them gone,
    and looks again.
    """
    for pattern in ("vectors-*.f32", "ids-*.i64", "videos-*.i32", ".index.json.*.tmp"):
        for path in folder.glob(pattern):
            if path.stem.rsplit("-", 1)[-1] != str(generation):
                path.unlink()


def _paths(folder: Path, generation: int) -> tuple[Path, Path, Path]:
    """Of ids, vectors and numbers of videos."""
    return (
        folder / f"ids-{generation}.i64",
        folder / f"vectors-{generation}.f32",
        folder / f"videos-{generation}.i32",
    )
