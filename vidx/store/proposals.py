"""Proposals as Parquet files, and which commits have applied them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import select

from vidx.durable import replacing
from vidx.errors import UsageError, VidxError
from vidx.store.catalogue import Catalogue
from vidx.store.export import videos_table
from vidx.store.sql import SOME, among
from vidx.store.tables import commits, locations, videos

KEY = b"vidx.proposal"
SCHEMA = pa.schema(
    [
        ("group", pa.int64()),
        ("action", pa.string()),
        ("path", pa.string()),
        ("beside", pa.string()),
        ("why", pa.string()),
        ("score", pa.float64()),
        ("share", pa.float64()),
        ("video_id", pa.string()),
        ("duration_seconds", pa.float64()),
        ("width", pa.int64()),
        ("height", pa.int64()),
        ("size_bytes", pa.int64()),
        ("version", pa.string()),
    ]
)
OPERATIONS = pa.schema(
    [
        *(SCHEMA.field(name) for name in ("path", "beside", "size_bytes", "version")),
        ("target", pa.string()),
        ("beside_size_bytes", pa.int64()),
        ("beside_version", pa.string()),
    ]
)

_NUMBERS = select(videos.c.number).where(videos.c.video_id.in_(SOME))
_STANDING = select(locations.c.path).where(locations.c.removed == commits.c.number).exists()


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    """A proposal's table."""
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write(path: Path, table: pa.Table, told: dict[str, Any]) -> None:
    """Write a table and what is told of it, in one step; a file that is there is replaced.

    Raises:
        VidxError: The file cannot be written.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as file:
            pq.write_table(table.replace_schema_metadata({KEY: json.dumps(told)}), file)
    except OSError as error:
        raise VidxError(f"{path} cannot be written: {error}", "Choose another place.") from error


def write_operations(path: Path, rows: list[dict[str, Any]], told: dict[str, Any]) -> None:
    """Write what is about to be done to files; as `write`."""
    write(path, pa.Table.from_pylist(rows, schema=OPERATIONS), told)


def read(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """What `write` has written.

    Raises:
        UsageError: There is no such file, or it is no proposal.
    """
    try:
        table = pq.read_table(path, partitioning=None)
        return table.replace_schema_metadata(), json.loads(table.schema.metadata[KEY])
    except FileNotFoundError as error:
        raise UsageError(f"{str(path)!r} is no file", "Name one that is there.") from error
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{str(path)!r} is no proposal that can be read: {str(error)[:200]}",
            "`vidx propose` makes one.",
        ) from error


def applied_by(catalogue: Catalogue, proposal: str) -> int | None:
    """The commit that applied a proposal, unless that was taken back."""
    found = None
    with catalogue.reading() as connection:
        query = select(commits.c.number, commits.c.provenance).where(_STANDING)
        for number, provenance in connection.execute(query.order_by(commits.c.number)):
            if json.loads(provenance).get("proposal") == proposal:
                found = number
    return found


def proposal_of(catalogue: Catalogue, commit: int) -> str | None:
    """Which proposal a commit has applied."""
    with catalogue.reading() as connection:
        query = select(commits.c.provenance).where(commits.c.number == commit)
        provenance = connection.execute(query).scalar()
    found: str | None = json.loads(provenance or "{}").get("proposal")
    return found


def still_removed(catalogue: Catalogue, commit: int) -> bool:
    """Whether anything that a commit removed is still out."""
    with catalogue.reading() as connection:
        theirs = select(locations.c.path).where(locations.c.removed == commit).limit(1)
        return connection.execute(theirs).first() is not None


def facts_of(catalogue: Catalogue, video_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Rows of `videos()` by video_id, of those of some videos that live."""
    with catalogue.now() as still, still.reading() as connection:
        numbers = [number for (number,) in among(connection, _NUMBERS, sorted(set(video_ids)))]
        table = videos_table(still, numbers=np.array(numbers, np.int32))
    return {row["video_id"]: row for row in table.to_pylist()}
