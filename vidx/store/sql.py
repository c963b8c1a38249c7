"""Small helps for asking a database of many things at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import BindParameter, Connection, bindparam

Key = TypeVar("Key")
Value = TypeVar("Value")

SOME: BindParameter[Any] = bindparam("some", expanding=True)  # what `among` fills in
MANY = 500  # values in one IN (...): below every database's limit on parameters


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
    for some in chunks(values):
        yield from connection.execute(query, {"some": some})


def grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    """Collect the values of each key, in their order.

    >>> grouped([("a", 1), ("b", 2), ("a", 3)])
    {'a': [1, 3], 'b': [2]}
    """
    groups: dict[Key, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups
