"""Small helps for asking a database of many things at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BindParameter, ColumnElement, Connection, Engine, Select, bindparam

from vidx.store import postgresql, sqlite

Key = TypeVar("Key")
Value = TypeVar("Value")
Ids: TypeAlias = NDArray[np.int64]

SOME: BindParameter[Any] = bindparam("some", expanding=True)  # what `among` fills in
MANY = 500  # values in one IN (...): below every database's limit on parameters
WORTH_A_SCAN = 20  # rows that are read in order while one is found by its id


class Words(Protocol):
    """What is said to each database in its own words: its module."""

    def insert_rows(
        self,
        connection: Connection,
        table: str,
        columns: Sequence[str],
        rows: Iterable[tuple[Any, ...]],
        /,
    ) -> None:
        """Insert many rows without looking at each."""

    def upsert_rows(
        self,
        connection: Connection,
        statement: Callable[[str], str],
        rows: Sequence[tuple[Any, ...]],
        /,
    ) -> None:
        """Run a statement, made for the mark of a value, for many rows."""

    def self_check(self, connection: Connection, /) -> list[str]:
        """What the database finds wrong with itself."""

    def like(self, value: ColumnElement[Any], pattern: str, /) -> ColumnElement[bool]:
        """SQL's LIKE, which tells upper from lower case."""

    def ilike(self, value: ColumnElement[Any], pattern: str, /) -> ColumnElement[bool]:
        """The like, which does not tell them apart in ASCII."""

    def glob(self, value: ColumnElement[Any], pattern: str, /) -> ColumnElement[bool]:
        """Whether text matches a glob."""

    def lower(self, value: ColumnElement[Any], /) -> ColumnElement[Any]:
        """Text with the letters of ASCII in lower case."""


def words(database: Connection | Engine) -> Words:
    """The words of the database that one is connected to."""
    return postgresql if database.dialect.name == "postgresql" else sqlite


def insert_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Insert many rows without looking at each: a shard has tens of thousands.

    Args:
        connection: In a transaction.
        table: Its name.
        columns: Names of those that are given.
        rows: Their values, in that order.
    """
    words(connection).insert_rows(connection, table, columns, rows)


def upsert_rows(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
    *,
    keeping: bool,
) -> None:
    """Insert many rows, or change those that are there with the same key.

    Args:
        connection: In a transaction.
        table: Its name.
        columns: Names of those that are given, the key first.
        rows: Their values, in that order.
        keeping: Whether a null leaves what is there; else it takes its place.
    """
    key, *others = columns
    value = "coalesce(excluded.{0}, {1}.{0})" if keeping else "excluded.{0}"
    changes = ", ".join(f"{one} = {value.format(one, table)}" for one in others)

    def statement(mark: str) -> str:
        marks = ", ".join([mark] * len(columns))
        # Names of our own tables and columns alone come here.
        return (
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) "  # noqa: S608
            f"ON CONFLICT ({key}) DO UPDATE SET {changes}"
        )

    many = list(rows)
    if many:
        words(connection).upsert_rows(connection, statement, many)


def chunks(values: Iterable[Value]) -> Iterator[list[Value]]:
    """Part values into lists that fit into one IN (...).

    >>> [len(some) for some in chunks(range(1100))]
    [500, 500, 100]
    """
    remaining = iter(values)
    while some := list(islice(remaining, MANY)):
        yield some


def among(connection: Connection, query: Any, values: Iterable[Any]) -> Iterator[Any]:
    """The rows of a query that asks `column.in_(SOME)`, for however many values."""
    for some in chunks(_held(connection, values)):
        yield from connection.execute(query, {"some": some}).all()


def _held(connection: Connection, values: Iterable[Any]) -> Iterable[Any]:
    """Those that the database can hold; it cannot be asked for others, and has none of them."""
    if connection.dialect.name == "sqlite":
        return values
    return (one for one in values if not (isinstance(one, str) and "\0" in one))


def grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """Collect the values of each key, in their order.

    >>> grouped([("a", 1), ("b", 2), ("a", 3)])
    {'a': [1, 3], 'b': [2]}
    """
    groups: dict[Key, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


class Question:
    """What is asked again and again: its words are put together once.

    SQLAlchemy takes longer for that, and for its rows, than SQLite for a short answer.

    Args:
        query: Has `column.in_(SOME)`, or takes no values.
    """

    def __init__(self, query: Select[Any]) -> None:
        self._query = query
        self._words: dict[int, str] = {}  # by how many values

    def ask(self, connection: Connection, values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        """The rows, as the driver gives them, for however many values."""
        for some in chunks(_held(connection, values)):
            yield from self._rows(connection, some)

    def ask_once(self, connection: Connection) -> tuple[Any, ...]:
        """The only row of a query that takes no values."""
        [row] = self._rows(connection, [])
        return row

    def _rows(self, connection: Connection, some: list[Any]) -> Iterable[tuple[Any, ...]]:
        if connection.dialect.name == "sqlite":
            return sqlite.read_rows(connection, self._worded(connection, len(some)), some)
        return connection.execute(self._query, {SOME.key: some} if some else {}).all()

    def _worded(self, connection: Connection, count: int) -> str:
        if count not in self._words:
            query = self._query.params({SOME.key: [None] * count}) if count else self._query
            written = {"render_postcompile": True}  # a mark for each value
            self._words[count] = str(query.compile(connection, compile_kwargs=written))
        return self._words[count]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The clips with start <= clip_id < end, or some of them.

    Attributes:
        start: The first id.
        end: The id after the last one.
        ids: Those that are wanted, ascending. None: all between.
    """

    start: int
    end: int
    ids: Ids | None = None

    @classmethod
    def among(cls, ids: Ids) -> Self:
        """The clips with these ids, at least one, ascending."""
        return cls(int(ids[0]), int(ids[-1]) + 1, ids)

    def conditions(self, clip_id: ColumnElement[int]) -> Iterator[ColumnElement[bool]]:
        """What to ask for, one after the other: the whole stretch where much of it is wanted."""
        if self.ids is None or len(self.ids) * WORTH_A_SCAN > self.end - self.start:
            yield clip_id.between(self.start, self.end - 1)
        else:
            yield from (clip_id.in_(some) for some in chunks(self.ids.tolist()))
