"""Snapshots: selections that were saved by name, with the ids of their clips.

`files.py` keeps the ids in the journal; the catalogue has one row a snapshot, which names its file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, delete, insert, select

from vidx.errors import UsageError
from vidx.store.migrate import has_snapshots
from vidx.store.snapshots import files
from vidx.store.tables import snapshots

if TYPE_CHECKING:
    from vidx.store.catalogue import Catalogue

SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("num_clips", pa.int64()),
        ("num_missing", pa.int64()),
        ("state", pa.int64()),
        ("time", pa.string()),
        ("rule", pa.string()),
    ]
)
DIFF_SCHEMA = pa.schema(
    [("clip_id", pa.int64()), ("change", pa.string()), ("is_missing", pa.bool_())]
)


def enter(connection: Connection, path: Path, collection: str) -> None:
    """Enter a snapshot; one of the same name is forgotten.

    Args:
        connection: In a transaction.
        path: Its file in the journal.
        collection: The collection's uuid.

    Raises:
        CollectionDamaged, CollectionTooNew, VidxError: As `files.read` does.
    """
    snapshot, num_clips = files.describe(path, collection)
    connection.execute(delete(snapshots).where(snapshots.c.name == snapshot.name))
    row = {name: getattr(snapshot, name) for name in ("name", "state", "time", "rule")}
    connection.execute(insert(snapshots), row | {"num_clips": num_clips, "file": path.name})


def forget(connection: Connection, file: str) -> None:
    """Take out the snapshot that has this file."""
    connection.execute(delete(snapshots).where(snapshots.c.file == file))


def listed(catalogue: Catalogue) -> Sequence[Row[tuple[object, ...]]]:
    """The rows of all snapshots, the oldest first."""
    with catalogue.reading() as connection:
        if not has_snapshots(connection):
            return []
        return connection.execute(select(snapshots).order_by(snapshots.c.file)).all()


def file_of(catalogue: Catalogue, name: str) -> str:
    """The name of a snapshot's file.

    Raises:
        UsageError: There is no such snapshot.
    """
    known = {str(row.name): str(row.file) for row in listed(catalogue)}
    if name not in known:
        there = ", ".join(map(repr, known)) or "none"
        raise UsageError(f"there is no snapshot {name!r}", f"There are: {there}.")
    return known[name]


def clip_ids(catalogue: Catalogue, name: str) -> NDArray[np.int64]:
    """The ids of a snapshot's clips, int64 (n,), ascending; clips that are gone included.

    Raises:
        UsageError: There is no such snapshot.
        CollectionDamaged, CollectionTooNew, VidxError: As `files.read` does.
    """
    path = catalogue.layout.journal / file_of(catalogue, name)
    return files.read(path, catalogue.manifest.uuid)


def table(catalogue: Catalogue, num_missing: Sequence[int]) -> pa.Table:
    """All snapshots, the oldest first.

    Args:
        catalogue: The collection's.
        num_missing: Of each, how many of its clips do not live.
    """
    rows = [dict(row._mapping) for row in listed(catalogue)]
    told = [{**row, "num_missing": missing} for row, missing in zip(rows, num_missing, strict=True)]
    return pa.Table.from_pylist(told, schema=SCHEMA)


def difference(
    before: NDArray[np.int64], after: NDArray[np.int64], living: NDArray[np.int64]
) -> pa.Table:
    """What is in one of two snapshots alone, by clip_id.

    Args:
        before: The ids of the one, int64 (n,), ascending.
        after: The ids of the other.
        living: The ids among them whose clips live, ascending.
    """
    ids = np.setxor1d(before, after, assume_unique=True)
    change = np.where(np.isin(ids, after, assume_unique=True), "added", "removed")
    missing = ~np.isin(ids, living, assume_unique=True)
    columns = [pa.array(ids), pa.array(change, pa.string()), pa.array(missing)]
    return pa.table(columns, schema=DIFF_SCHEMA)
