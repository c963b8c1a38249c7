"""Parquet files that lie beside the journal's entries: opened as this collection's, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError


@dataclass(frozen=True, slots=True)
class Kind:
    """What such files hold.

    Attributes:
        name: For people.
        format_version: The latest that this vidx knows.
        lost: What is lost with one of them.
    """

    name: str
    format_version: int
    lost: str


@contextmanager
def opened(path: Path, collection: str, kind: Kind) -> Iterator[pq.ParquetFile]:
    """Open a file; what goes wrong meanwhile is told as the file's.

    Args:
        path: The file.
        collection: The uuid of the collection that it must belong to.
        kind: What it must hold.

    Raises:
        CollectionDamaged: The file is missing, broken or another collection's.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_whose(file.schema_arrow.metadata or {}, path, collection, kind)
            yield file
    except FileNotFoundError as error:
        raise _damaged(path, "it is missing", kind) from error
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise VidxError(
                f"{path} cannot be read now: {error.strerror or error}", "Run the same again."
            ) from error
        raise _damaged(path, str(error), kind) from error


def _check_whose(about: dict[bytes, bytes], path: Path, collection: str, kind: Kind) -> None:
    version = int(about[b"vidx.format_version"])
    if version > kind.format_version:
        raise CollectionTooNew(
            f"{path} has {kind.name} format {version}, this vidx knows {kind.format_version}",
            "Upgrade vidx: pip install --upgrade vidx",
        )
    if about[b"vidx.collection"].decode() != collection:
        raise ValueError("it belongs to another collection")


def _damaged(path: Path, why: str, kind: Kind) -> CollectionDamaged:
    return CollectionDamaged(
        f"the journal's {path} cannot be read: {why}",
        "Put a sound copy in its place; or move it away, and the entry beside it of the same "
        f"number: {kind.lost} then.",
    )
