"""The ids of a snapshot's clips, as one Parquet file in the journal that never changes.

Ids ascend, so that each is stored as its distance to the one before: a few bits each where much of
a collection is selected. What else is known of the snapshot is in the file's own metadata.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vidx.durable import sync_file
from vidx.store.journal_files import Kind, opened

SNAPSHOT_FORMAT_VERSION = 1
_KIND = Kind("snapshot", SNAPSHOT_FORMAT_VERSION, "the snapshot is lost")

SCHEMA = pa.schema([pa.field("clip_id", pa.int64(), nullable=False)])
_NAME = re.compile(r"snapshot-(\d{12,})\.parquet")
_ROWS = 1 << 20  # held at a time where ids are only checked


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot is, beside its ids.

    Attributes:
        name: The user's.
        state: The commit at which the clips were selected.
        time: When, ISO 8601, UTC.
        rule: How they were selected, for people to read.
    """

    name: str
    state: int
    time: str
    rule: str


def file_name(commit: int) -> str:
    """The name of the file of the snapshot that a commit saves."""
    return f"snapshot-{commit:012d}.parquet"


def checked_name(name: str) -> str:
    """A file's name as the journal has it.

    Raises:
        ValueError: It is no such name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no file of a snapshot")
    return name


def write(folder: Path, collection: str, snapshot: Snapshot, clip_ids: NDArray[np.int64]) -> Path:
    """Write a snapshot to a file in staging.

    Args:
        folder: A run's folder in staging.
        collection: The collection's uuid.
        snapshot: What it is.
        clip_ids: int64 (n,), ascending.

    Raises:
        OSError: The disk is full or the folder cannot be written; nothing is left there.
    """
    path = folder / f"{uuid4()}.parquet"
    about = {
        "vidx.format_version": str(SNAPSHOT_FORMAT_VERSION),
        "vidx.collection": collection,
        "vidx.name": snapshot.name,
        "vidx.state": str(snapshot.state),
        "vidx.time": snapshot.time,
        "vidx.rule": snapshot.rule,
    }
    table = pa.table([pa.array(clip_ids)], schema=SCHEMA.with_metadata(about))
    try:
        pq.write_table(
            table,
            path,
            compression="zstd",
            use_dictionary=False,
            column_encoding={"clip_id": "DELTA_BINARY_PACKED"},
            write_page_checksum=True,
        )
        sync_file(path)
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return path


def read(path: Path, collection: str) -> NDArray[np.int64]:
    """The ids of a snapshot's clips, int64 (n,), ascending.

    Args:
        path: The file.
        collection: The uuid of the collection that it must belong to.

    Raises:
        CollectionDamaged: The file is missing, broken or another collection's.
        CollectionTooNew: A later vidx wrote it.
        VidxError: It cannot be read for another reason, which may pass.
    """
    with opened(path, collection, _KIND) as file:
        ids: NDArray[np.int64] = file.read().column("clip_id").to_numpy()
        return ids


def describe(path: Path, collection: str) -> tuple[Snapshot, int]:
    """What a snapshot is, and how many clips it has.

    Raises:
        CollectionDamaged, CollectionTooNew, VidxError: As for `read`.
    """
    with opened(path, collection, _KIND) as file:
        about = file.schema_arrow.metadata
        name, state, time, rule = (
            about[f"vidx.{key}".encode()].decode() for key in ("name", "state", "time", "rule")
        )
        return Snapshot(name, int(state), time, rule), file.metadata.num_rows


def check(path: Path, collection: str) -> None:
    """Read a file to its end, to see that it is whole.

    Raises:
        CollectionDamaged, CollectionTooNew, VidxError: As for `read`.
    """
    describe(path, collection)
    with opened(path, collection, _KIND) as file:
        for _ in file.iter_batches(_ROWS):
            pass
