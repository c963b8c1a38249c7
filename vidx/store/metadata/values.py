"""Values of metadata, into the catalogue and out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from vidx.store.metadata import (
    KEYS,
    TABLES,
    SqlColumn,
    add_columns,
    files,
    recount,
    sql_columns,
)
from vidx.store.sql import SOME, Wanted, among, upsert_rows
from vidx.store.tables import clips, videos

# Of what lives; and of all that the catalogue knows, which a restore may bring back.
_VIDEOS = select(videos.c.video_id, videos.c.number).where(videos.c.video_id.in_(SOME))
_CLIPS = select(clips.c.clip_id).where(clips.c.clip_id.in_(SOME))


def enter(
    connection: Connection, path: Path, collection: str, only: Set[object] | None = None
) -> None:
    """Set the values of a file; those of videos and clips that are not known are passed over.

    Args:
        connection: In a transaction.
        path: The file.
        collection: The collection's uuid.
        only: The video_ids and clip_ids of interest. None: all.

    Raises:
        CollectionDamaged, CollectionTooNew, VidxError: As `files.reading` does.
    """
    with files.reading(path, collection) as stored:
        add_columns(connection, stored.of, stored.types)
        known = sql_columns(connection)
        names = [known[name].column.name for name in stored.types]
        for batch in stored.batches:
            upsert_rows(
                connection,
                TABLES[stored.of].name,
                (KEYS[stored.of], *names),
                _rows(connection, stored.of, batch, only),
                keeping=not stored.clears,
            )
        recount(connection, stored.types)


def _rows(
    connection: Connection, of: str, batch: pa.RecordBatch, only: Set[object] | None
) -> Iterator[tuple[Any, ...]]:
    """Rows as the catalogue has them: with a video's number, and times as whole numbers."""
    given = batch.column(0).to_pylist()
    if only is not None and only.isdisjoint(given):
        return
    if of == "video":
        numbers = {row.video_id: row.number for row in among(connection, _VIDEOS, given)}
    else:
        numbers = {number: number for (number,) in among(connection, _CLIPS, given)}
    columns = [_as_sql(column).to_pylist() for column in batch.columns[1:]]
    for key, *values in zip(given, *columns, strict=True):
        if key in numbers and (only is None or key in only):
            yield numbers[key], *values


def _as_sql(column: pa.Array) -> pa.Array:
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def living(connection: Connection, of: str) -> Iterator[pa.RecordBatch]:
    """All values of living videos or clips, as a file has them: what a checkpoint keeps."""
    known, table = _columns_of(connection, of)
    if of == "video":
        key, owners = videos.c.video_id, videos
        lives = (videos.c.number == table.c.video, videos.c.take.is_not(None))
    else:
        key, owners = clips.c.clip_id, clips
        lives = (clips.c.clip_id == table.c.clip_id, clips.c.removed.is_(None))
    query = select(key, *(one.column for one in known.values())).join_from(table, owners, lives[0])
    return _batches(connection, query.where(lives[1]).order_by(key), _schema(of, known))


def fields(connection: Connection) -> list[pa.Field]:
    """The columns of metadata as tables show them, those of videos first."""
    known = sql_columns(connection)
    return [pa.field(name, files.ARROW_TYPES[one.type]) for name, one in known.items()]


def of_videos(connection: Connection, numbers: NDArray[np.int64]) -> list[pa.ChunkedArray]:
    """The columns of videos, with a value for each of some numbers of videos."""
    known, table = _columns_of(connection, "video")
    query = select(table.c.video, *(one.column for one in known.values()))
    return _aligned(connection, [query], known, numbers)


def of_clips(
    connection: Connection, ids: NDArray[np.int64], wanted: Wanted
) -> list[pa.ChunkedArray]:
    """The columns of clips, with a value for each of some ids, all of them among the wanted."""
    known, table = _columns_of(connection, "clip")
    query = select(table.c.clip_id, *(one.column for one in known.values()))
    parts = (query.where(condition) for condition in wanted.conditions(table.c.clip_id))
    return _aligned(connection, parts, known, ids)


def _columns_of(connection: Connection, of: str) -> tuple[dict[str, SqlColumn], Any]:
    known = {name: one for name, one in sql_columns(connection).items() if one.of == of}
    return known, next((one.table for one in known.values()), TABLES[of])


def _schema(of: str, known: dict[str, SqlColumn]) -> pa.Schema:
    return files.schema(of, {name: one.type for name, one in known.items()})


def _aligned(
    connection: Connection,
    queries: Iterable[Any],
    known: dict[str, SqlColumn],
    keys: NDArray[np.int64],
) -> list[pa.ChunkedArray]:
    """Columns in the order of some keys, empty where there is nothing of one."""
    if not known:
        return []
    schema = _schema("clip", known)  # inside, the key of a video is a number, too
    batches = (batch for query in queries for batch in _batches(connection, query, schema))
    table = pa.Table.from_batches(batches, schema)
    places = pc.index_in(pa.array(keys, pa.int64()), value_set=table.column(0))
    return list(table.take(places).columns[1:])


def _batches(connection: Connection, query: Any, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    cursor: Any = connection.execute(query).cursor  # the driver's own: there may be millions
    while some := cursor.fetchmany(files.ROWS):
        columns = zip(*some, strict=True)
        arrays = [_as_arrow(one, field.type) for one, field in zip(columns, schema, strict=True)]
        yield pa.record_batch(arrays, schema=schema)


def _as_arrow(values: tuple[Any, ...], kind: pa.DataType) -> pa.Array:
    """A column as the driver gives it: SQLite knows neither times nor truth."""
    if pa.types.is_boolean(kind) or pa.types.is_timestamp(kind):
        return pa.array(values).cast(kind)
    return pa.array(values, kind)
