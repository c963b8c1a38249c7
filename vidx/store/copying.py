"""A catalogue copied to another place, from either database to either."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select, text

from vidx.store import metadata, migrate, sqlite
from vidx.store.database import Database
from vidx.store.sql import insert_rows
from vidx.store.tables import locations
from vidx.store.tables import metadata as tables

ROWS = 10_000  # that are held at a time


def copy(source: Database, target: Database) -> None:
    """Make a blank place the same as a catalogue of this version.

    Args:
        source: The one to copy.
        target: Where nothing is yet.

    Raises:
        VidxError: A database or the disk stands in the way; nothing is there then.
        CollectionDamaged: The source is broken.
    """
    if isinstance(source, sqlite.File) and isinstance(target, sqlite.File):
        sqlite.copy(source.path, target.path)
        return
    with (
        _opened(source, target) as (reader, writer),
        reader.begin() as here,
        writer.begin() as there,
    ):
        migrate.upgrade(there)
        for table in tables.sorted_tables:
            _copy_table(here, there, table)
        _go_on_counting(there)


@contextmanager
def _opened(source: Database, target: Database) -> Iterator[tuple[Engine, Engine]]:
    reader, writer = source.open_for_reading(), target.open_for_writing()
    try:
        yield reader, writer
    finally:
        reader.dispose()
        target.close(writer)


def _copy_table(here: Connection, there: Connection, table: Table) -> None:
    columns: list[Any] = list(table.columns)
    known = metadata.sql_columns(here)
    of = next((of for of, one in metadata.TABLES.items() if one is table), None)
    if of is not None:
        theirs = [one for one in known.values() if one.of == of]
        for one in theirs:
            metadata.add_sql_column(there, of, one.column.name, one.type)
        columns += [one.column for one in theirs]
        source = theirs[0].table if theirs else table
        columns[: len(table.columns)] = [source.c[column.name] for column in table.columns]
    names = [column.name for column in columns]
    found = here.execution_options(yield_per=ROWS).execute(select(*columns))
    for some in found.partitions():
        insert_rows(there, table.name, names, map(tuple, some))


def _go_on_counting(connection: Connection) -> None:
    """Let the numbers that the database gives itself follow those that were copied."""
    if connection.dialect.name != "postgresql":
        return
    last = connection.execute(select(func.max(locations.c.number))).scalar()
    if last is not None:
        sequence = "pg_get_serial_sequence('locations', 'number')"
        connection.execute(text(f"SELECT setval({sequence}, :last)"), {"last": last})
