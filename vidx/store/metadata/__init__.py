"""What users know of videos and clips: its columns in the catalogue, their names and types.

`reading.py` makes a table of a user's file, `given.py` values of a table, `files.py` keeps these in
the journal, and `values.py` takes them into the catalogue and out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    bindparam,
    column,
    func,
    insert,
    select,
    table,
    text,
    update,
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


def add_columns(connection: Connection, of: str, types: Mapping[str, str]) -> None:
    """Make those columns that are not there yet.

    Args:
        connection: In a transaction.
        of: `video` or `clip`.
        types: Of each name.
    """
    known = {row.name for row in columns(connection)}
    last = connection.execute(select(func.max(metadata_columns.c.number))).scalar() or 0
    new = [name for name in types if name not in known]
    for number, name in enumerate(new, start=last + 1):
        row = {"number": number, "name": name, "of": of, "type": types[name], "num_values": 0}
        connection.execute(insert(metadata_columns), row)
        add_sql_column(connection, of, f"c{number}", types[name])


def add_sql_column(connection: Connection, of: str, name: str, type_: str) -> None:
    """Add a column to the table that has the values."""
    kind = SQL_TYPES[type_].compile(connection.dialect)
    # Nothing of this comes from outside.
    connection.execute(text(f"ALTER TABLE {TABLES[of].name} ADD COLUMN {name} {kind}"))


def recount(connection: Connection, names: Iterable[str] | None = None) -> None:
    """Count the values of some columns anew; None: of all."""
    known = sql_columns(connection)
    wanted = known.keys() if names is None else set(names)
    for of in TABLES:
        ours = {name: one for name, one in known.items() if one.of == of and name in wanted}
        if not ours:
            continue
        counted = connection.execute(select(*(func.count(one.column) for one in ours.values())))
        rows = [
            {"whose": name, "many": number}
            for name, number in zip(ours, counted.one(), strict=True)
        ]
        whose = update(metadata_columns).where(metadata_columns.c.name == bindparam("whose"))
        connection.execute(whose.values(num_values=bindparam("many")), rows)
