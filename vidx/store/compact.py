"""Compacting: shards are rewritten without the clips that are gone, and small ones joined.

Each group of neighbours is one commit, so that a run that ends early loses nothing and the next one
goes on. Ids stay: a compacted shard has them as a column. Until `Writer.purge`, the catalogue
remembers which clips were dropped, for an index that still has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vidx.store import shards
from vidx.store.catalogue import Catalogue, ShardRow
from vidx.store.staging import now
from vidx.store.writer import Writer

TARGET_CLIPS = 4096  # rows of a joined shard, and what is held in memory at a time


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbouring shards that become one, and the ids of their clips that do not stay."""

    shards: tuple[ShardRow, ...]
    dropped: NDArray[np.int64]


def compact(writer: Writer, catalogue: Catalogue) -> Iterator[int]:
    """Rewrite what is worth it, a group of shards at a time.

    Args:
        writer: Holds the collection's lock.
        catalogue: The collection's.

    Yields:
        After each commit, how many clips it dropped.

    Raises:
        CollectionDamaged: A shard is missing or broken.
        VidxError: The disk is full or the folder cannot be written; what is done stays.
    """
    groups = list(_groups(catalogue))
    if groups:
        writer.checkpoint()  # joined shards no longer tell what came before what
    for group in groups:
        yield _rewrite(writer, group)


def _groups(catalogue: Catalogue) -> Iterator[_Group]:
    """Neighbours of one origin that have clips to drop, or are small enough to be joined."""
    with catalogue.now() as still:
        gone, rows = still.dropped_clip_ids(), still.shards()
    waiting: list[ShardRow] = []
    origin: object = None
    for row in rows:
        info = shards.read_info(catalogue.layout.shards / row.file)
        same = (info.labels, info.provenance) == origin
        clips_so_far = sum(one.num_clips for one in waiting)
        if waiting and not (same and clips_so_far + row.num_clips <= TARGET_CLIPS):
            yield from _worth_it(waiting, gone)
            waiting = []
        origin = (info.labels, info.provenance)
        waiting.append(row)
    yield from _worth_it(waiting, gone)


def _worth_it(rows: Sequence[ShardRow], gone: NDArray[np.int64]) -> Iterator[_Group]:
    if not rows:
        return
    low, high = np.searchsorted(gone, [rows[0].first_clip_id, rows[-1].end_clip_id])
    dropped = gone[low:high]
    if len(rows) > 1 or len(dropped):
        yield _Group(tuple(rows), dropped)


def _rewrite(writer: Writer, group: _Group) -> int:
    """Put one shard in the place of some; returns how many clips that dropped."""
    folder = writer.layout.shards
    tables, uuids = [], []
    for row in group.shards:
        path = folder / row.file
        info = shards.read_info(path)
        table = shards.read_own(path, writer.manifest.uuid, row.uuid, row.num_clips, None)
        ids = shards.clip_ids(path, table)
        kept = ~np.isin(ids, group.dropped)
        tables.append(_with_ids(table, ids).filter(pa.array(kept)))
        uuids += [*info.replaces, info.shard]
    whole = pa.concat_tables(tables)
    dropped = sum(row.num_clips for row in group.shards) - int(whole.num_rows)
    info = replace(info, shard=str(uuid4()), time=now(), replaces=tuple(uuids))
    writer.replace_shards(group.shards, whole, info)
    for row in group.shards:
        with suppress(OSError):  # the next writer finds it replaced, and deletes it
            (folder / row.file).unlink()
    return dropped


def _with_ids(table: pa.Table, ids: NDArray[np.int64]) -> pa.Table:
    """The rows of a shard with their ids as the first column."""
    if shards.CLIP_ID not in table.column_names:
        field = pa.field(shards.CLIP_ID, pa.int64(), nullable=False)
        table = table.add_column(0, field, pa.array(ids))
    return table
