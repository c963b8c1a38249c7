"""What an expression asks, as tests that are put to the catalogue one by one, and their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, func, not_, select

from vidx.store.catalogue import Catalogue, ids_of
from vidx.store.metadata import KEYS
from vidx.store.tables import clip_labels, clips, takes, videos
from vidx.store.where.columns import Column


@dataclass(frozen=True, slots=True, eq=False)
class Test:
    """One comparison, or the like. A clip passes where it is true, not where it is null.

    Attributes:
        text: Its normal form, by which it is known.
        sql: What is to be true.
        columns: Those it has.
        labels: The numbers of the labels it has.
        without_labels: What is to be true of a clip that has none of these labels; None where
            there is more in it than labels and numbers.
    """

    text: str
    sql: ColumnElement[bool]
    columns: frozenset[Column]
    labels: frozenset[int]
    without_labels: ColumnElement[bool] | None


@dataclass(frozen=True, slots=True, eq=False)
class Every:
    """All of these."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Some:
    """At least one of these."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Saved:
    """The clips of a snapshot, or all others."""

    name: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Scored:
    """The clips whose score of a concept compares so with a number, or all others.

    Attributes:
        name: The concept's.
        sign: `=`, `<>`, `<`, `<=`, `>` or `>=`.
        number: What the score is compared with.
        negated: Whether it is the others.
    """

    name: str
    sign: str
    number: float
    negated: bool


Condition: TypeAlias = Test | Every | Some | Saved | Scored


@dataclass(frozen=True, slots=True)
class Answer:
    """What passes a test.

    Attributes:
        of: What the numbers are: of videos, or the ids of clips.
        numbers: int64 (n,), ascending.
        others: Whether all but these pass.
    """

    of: Literal["video", "clip"]
    numbers: NDArray[np.int64]
    others: bool = False


def ask(catalogue: Catalogue, test: Test) -> Answer:
    """Put a test to the catalogue; what does not live may be among the answer."""
    with catalogue.reading() as connection:
        if test.without_labels is not None:
            return _of_labels(connection, test, test.without_labels)
        if test.labels or any(column.of == "clip" for column in test.columns):
            return Answer("clip", ids_of(connection, _of_clips(test).where(test.sql)))
        query = select(videos.c.number).join(takes, takes.c.number == videos.c.take)
        return Answer("video", ids_of(connection, _joined(query, test).where(test.sql)))


def _of_labels(connection: Connection, test: Test, without: ColumnElement[bool]) -> Answer:
    """Only clips with one of the labels are looked at: the others pass or fail together."""
    others = bool(connection.execute(select(without)).scalar())
    having = select(clip_labels.c.clip_id).where(clip_labels.c.label.in_(test.labels))
    wanted = not_(func.coalesce(test.sql, False)) if others else test.sql
    query = select(clips.c.clip_id).where(clips.c.clip_id.in_(having), wanted)
    return Answer("clip", ids_of(connection, query), others)


def _of_clips(test: Test) -> Any:
    """The ids of all clips, beside what a test has columns of."""
    query: Any = select(clips.c.clip_id).where(clips.c.removed.is_(None))
    if any(column.of == "video" for column in test.columns):
        query = query.join(takes, takes.c.number == clips.c.take)
        query = query.join(videos, videos.c.number == takes.c.video)
    return _joined(query, test)


def _joined(query: Any, test: Test) -> Any:
    """A query with the metadata that a test needs; not all videos and clips have some."""
    keys = {"video": videos.c.number, "clip": clips.c.clip_id}
    tables = {column.of: column.metadata for column in test.columns if column.metadata is not None}
    for of, table in tables.items():
        query = query.join(table, table.c[KEYS[of]] == keys[of], isouter=True)
    return query
