"""A vector database put in step with a collection, a block of clips at a time."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidx.databases.address import Address, parse
from vidx.databases.milvus import Milvus, connected
from vidx.databases.record import BLOCK, Record, digest_of, record_path
from vidx.errors import VidxError
from vidx.records import PushProgress, PushReport
from vidx.store.catalogue import Catalogue
from vidx.store.export import clips_table
from vidx.store.lock import held
from vidx.views import Look, View

# Where Milvus keeps what it has no field for; it takes none of that name.
_OWN_FIELD = "$meta"
logger = logging.getLogger("vidx")


@dataclass(frozen=True, slots=True)
class _Block:
    """The living clips of a range of clip_ids, at one commit.

    Attributes:
        number: Which block.
        rows: What a database is told of each, without its vector.
        vectors: Of length 1, float32 (n, dim).
        digest: Of the rows.
    """

    number: int
    rows: list[dict[str, Any]]
    vectors: NDArray[np.float32]
    digest: bytes

    def live(self) -> NDArray[np.bool_]:
        """Which clips of the range live."""
        mask = np.zeros(BLOCK, np.bool_)
        mask[[row["clip_id"] - self.number * BLOCK for row in self.rows]] = True
        return mask


def push(look: Look, text: str, progress: Callable[[PushProgress], None]) -> PushReport:
    """Put in what a database lacks, and take out what has gone.

    Each block is that of the commit at which it is looked at, so that a collection that is written
    to meanwhile does not wait.

    Args:
        look: Gives the collection as it is now.
        text: The database's address.
        progress: Called after each block.

    Raises:
        UsageError: The address is wrong, or a library is missing.
        VidxError: The database cannot be reached, holds other vectors or fails; or another process
            pushes. What was pushed stays, and the next push goes on from there.
    """
    address = parse(text)
    with connected(address) as database:
        with look() as (catalogue, _):
            layout, manifest = catalogue.layout, catalogue.manifest
            if any(column.name == _OWN_FIELD for column in catalogue.metadata_columns()):
                logger.warning("Milvus takes no column named %s: it is left out", _OWN_FIELD)
        copy = database.copy(manifest.uuid, manifest.space.dim)
        copy = copy or database.create(manifest.uuid, manifest.space.dim)
        database.make_ready()
        path = record_path(layout.root, copy.token)
        try:
            path.parent.mkdir(exist_ok=True)
            with held(path.with_suffix(".lock")) as ours:
                if not ours:
                    raise VidxError(f"another process pushes to {text}", "Wait until it has ended.")
                return _push_blocks(look, database, Record(path), address, progress)
        except OSError as error:
            raise VidxError(
                f"{path.parent} cannot be written: {error.strerror or error}",
                "It notes what the database has: make room there, then run the same again.",
            ) from error


def _push_blocks(
    look: Look,
    database: Milvus,
    record: Record,
    address: Address,
    progress: Callable[[PushProgress], None],
) -> PushReport:
    number = num_clips = num_put = num_removed = 0
    while True:
        with look() as (catalogue, view):
            end = max(-(-view.state.next_clip_id // BLOCK), len(record))
            if number >= end:
                return PushReport(address.text, num_clips, num_put, num_removed)
            block = _block(catalogue, view, number)
        num_clips += len(block.rows)
        known = record.read(number)
        if known is None or known[0] != block.digest:
            num_removed += int((known[1] & ~block.live()).sum()) if known else 0
            num_put += len(block.rows)
            record.clear(number)
            _put(database, block, known[1] if known else None)
            record.note(number, block.digest, block.live())
        number += 1
        progress(PushProgress(number, end))


def _put(database: Milvus, block: _Block, known: NDArray[np.bool_] | None) -> None:
    """Put the rows of a block in, and take the others out."""
    if known is None or (known & ~block.live()).any():
        first = block.number * BLOCK
        database.keep_only([row["clip_id"] for row in block.rows], first, first + BLOCK)
    if block.rows:
        pairs = zip(block.rows, block.vectors, strict=True)
        database.put([{**row, "embedding": vector} for row, vector in pairs])


def _block(catalogue: Catalogue, view: View, number: int) -> _Block:
    first = number * BLOCK
    told = clips_table(catalogue, BLOCK, after=first - 1).to_pylist()
    rows = [_told(row) for row in told if row["clip_id"] < first + BLOCK]
    ids = np.array([row["clip_id"] for row in rows], np.int64)
    vectors = view.index.vectors_of(view.index.rows_of(ids))
    return _Block(number, rows, vectors, digest_of(json.dumps(rows, sort_keys=True).encode()))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """A clip as a database takes it: no empty values, labels by name, times as text."""
    names = [label["name"] for label in row["labels"]]
    values = {name: _plain(value) for name, value in row.items()} | {"labels": names}
    values.pop(_OWN_FIELD, None)
    return {name: value for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
