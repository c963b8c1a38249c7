"""Compacting: shards are rewritten without the clips that are gone, and small ones joined.

Each group of neighbours is one commit, so that a run that ends early loses nothing and the next one
goes on. Ids stay: a compacted shard has them as a column. Until `purge`, the catalogue remembers
which clips were dropped, for an index that still has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from vidx.durable import sync_folder
from vidx.records import Problem, Source
from vidx.store import changes, journal, metadata, registry, shards
from vidx.store.adoption import finish_compaction
from vidx.store.catalogue import Catalogue, ShardRow
from vidx.store.journal import Change, Entry, Failed
from vidx.store.metadata import files as metadata_files
from vidx.store.metadata import values as metadata_values
from vidx.store.shards import ShardInfo
from vidx.store.staging import now
from vidx.store.tables import failures, locations, snapshots, videos
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
        _checkpoint(writer)  # joined shards no longer tell what came before what
    for group in groups:
        yield _rewrite(writer, group)


def purge(writer: Writer) -> int:
    """Forget the clips that no shard has any more, once no index does; returns how many.

    Removed locations go, too: there is nothing to restore.
    """
    with writer.engine.begin() as connection:
        purged = registry.purge(connection)
        if purged:
            number = changes.last_commit(connection) + 1
            provenance = changes.own_provenance()
            changes.begin_commit(connection, number, now(), "compact", provenance)
        return purged


def _checkpoint(writer: Writer) -> None:
    """Write to the journal where all videos are, so that entries before it are not needed."""
    with writer.telling(), writer.engine.begin() as connection:
        number = changes.last_commit(connection) + 1
        places = (
            select(locations, videos.c.video_id)
            .join(videos, videos.c.number == locations.c.video)
            .where(locations.c.removed.is_(None))
            .order_by(locations.c.path)
        )
        change = Change(
            places=[(row.video_id, _source(row)) for row in connection.execute(places)],
            failed=[
                _failed(row)
                for row in connection.execute(select(failures).order_by(failures.c.path))
            ],
            metadata=writer.name_metadata(number, _living_metadata(writer, connection)),
            snapshots=[
                writer.layout.journal / file
                for file in connection.execute(select(snapshots.c.file)).scalars()
            ],
        )
        entry = Entry(
            collection=writer.manifest.uuid,
            commit=number,
            time=now(),
            verb="compact",
            provenance=changes.own_provenance(),
            next_clip_id=writer.next_clip_id(connection),
            shards=(),
            change=change,
            checkpoint=True,
        )
        changes.begin_commit(connection, entry.commit, entry.time, entry.verb, entry.provenance)
        journal.write(writer.layout.journal, entry, writer.staging.folder)


def _living_metadata(writer: Writer, connection: Connection) -> dict[str, Path]:
    """Write all values of metadata that are to be kept; also columns without any."""
    known = metadata.columns(connection)
    types = {of: {one.name: one.type for one in known if one.of == of} for of in metadata.TABLES}
    return {
        of: metadata_files.write(
            writer.staging.folder,
            writer.manifest.uuid,
            metadata_values.living(connection, of),
            of=of,
            types=types[of],
            clears=False,
        )
        for of in metadata.TABLES
        if types[of]
    }


def _failed(row: Any) -> Failed:
    problem = Problem(row.reason, row.message)
    return Failed(_source(row), row.video_id, problem, row.attempts, row.last_attempt)


def _source(row: Any) -> Source:
    return Source(row.path, row.size_bytes, row.version)


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
    _put_in_place(writer, [row.first_clip_id for row in group.shards], whole, info)
    for row in group.shards:
        with suppress(OSError):  # the next writer finds it replaced, and deletes it
            (folder / row.file).unlink()
    return dropped


def _put_in_place(writer: Writer, old: Sequence[int], table: pa.Table, info: ShardInfo) -> None:
    """Put one shard in the place of some, as a commit.

    Where nothing of them lives it has no rows, and tells of whom they are no more.
    """
    with writer.telling():
        staged = writer.staging.write_table(table, info)
        ids = table.column(shards.CLIP_ID).to_pylist()
        path = _free_name(writer.layout.shards, ids[0] if ids else old[0])
        staged.path.rename(path)
        sync_folder(writer.layout.shards)
        finish_compaction(writer.engine, old, path, table, info)


def _free_name(folder: Path, first_clip_id: int) -> Path:
    number = 1
    while (folder / shards.file_name(first_clip_id, number)).exists():
        number += 1
    return folder / shards.file_name(first_clip_id, number)


def _with_ids(table: pa.Table, ids: NDArray[np.int64]) -> pa.Table:
    """The rows of a shard with their ids as the first column."""
    if shards.CLIP_ID not in table.column_names:
        field = pa.field(shards.CLIP_ID, pa.int64(), nullable=False)
        table = table.add_column(0, field, pa.array(ids))
    return table
