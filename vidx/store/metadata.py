"""What users know of videos and clips: its columns in the catalogue, their names and types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Connection,
    Float,
    TableClause,
    Text,
    column,
    select,
    table,
)
from sqlalchemy.types import TypeEngine

from vidx.records import MetadataColumn
from vidx.store.tables import clip_metadata, metadata_columns, video_metadata

# A time is a whole number, microseconds since 1970 in UTC: it compares and sorts alike in every
# database, whatever that makes of time zones, and takes 8 bytes.
SQL_TYPES: dict[str, TypeEngine[Any]] = {
    "text": Text().with_variant(Text(collation="C"), "postgresql"),  # by bytes, as SQLite sorts
    "integer": BigInteger(),
    "real": Float(53),
    "boolean": Boolean(),
    "timestamp": BigInteger(),
}
TABLES = {"video": video_metadata, "clip": clip_metadata}
KEYS = {"video": "video", "clip": "clip_id"}  # their primary keys


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column of metadata, as statements name it.

    Attributes:
        column: Its values; of a timestamp microseconds since 1970 in UTC, as whole numbers.
        table: Where they are: `video_metadata` with `video`, the number of a video, or
            `clip_metadata` with `clip_id`. What has no metadata has no row, so join it from the
            outside. Columns of one kind share this object.
        of: `video` or `clip`.
        type: `text`, `integer`, `real`, `boolean` or `timestamp`.
    """

    column: ColumnElement[Any]
    table: TableClause
    of: str
    type: str


def columns(connection: Connection) -> list[MetadataColumn]:
    """All columns: those of videos and then those of clips, the oldest first."""
    order = (metadata_columns.c.of.desc(), metadata_columns.c.number)
    fields = [metadata_columns.c[name] for name in MetadataColumn.__slots__]
    return [MetadataColumn(*row) for row in connection.execute(select(*fields).order_by(*order))]


def sql_columns(connection: Connection) -> dict[str, SqlColumn]:
    """All columns as statements name them, by the names that users gave them; in that order."""
    rows = connection.execute(
        select(metadata_columns).order_by(metadata_columns.c.of.desc(), metadata_columns.c.number)
    ).all()
    tables = {
        of: table(
            TABLES[of].name,
            column(KEYS[of], BigInteger()),
            *(column(f"c{row.number}", SQL_TYPES[row.type]) for row in rows if row.of == of),
        )
        for of in TABLES
    }
    return {
        row.name: SqlColumn(tables[row.of].c[f"c{row.number}"], tables[row.of], row.of, row.type)
        for row in rows
    }
