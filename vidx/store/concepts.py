"""Concepts that users teach: their examples are a column of metadata of clips each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import select

from vidx.errors import UsageError
from vidx.records import MetadataColumn
from vidx.store.metadata import columns, sql_columns
from vidx.store.tables import clips

if TYPE_CHECKING:
    from vidx.store.catalogue import Catalogue

PREFIX = "concept "  # of the column's name
SCHEMA = pa.schema(
    [("name", pa.string()), ("num_positives", pa.int64()), ("num_negatives", pa.int64())]
)

Ids = NDArray[np.int64]


def concept_names(known: Iterable[MetadataColumn]) -> list[str]:
    """The concepts among columns of metadata, by their names; not those that were deleted."""
    taught = [one.name for one in known if one.name.startswith(PREFIX) and one.num_values]
    return [name.removeprefix(PREFIX) for name in taught]


def concept_examples(catalogue: Catalogue, name: str) -> tuple[Ids, NDArray[np.bool_]]:
    """The living clips that are examples of a concept, and whether each is like it.

    Returns:
        Ids int64 (m,), ascending, and bool (m,); none where nobody has taught it.

    Raises:
        UsageError: The column of its name has something else.
    """
    with catalogue.reading() as connection:
        column = sql_columns(connection).get(PREFIX + name)
        if column is None:
            return np.empty(0, np.int64), np.empty(0, np.bool_)
        if (column.of, column.type) != ("clip", "boolean"):
            raise UsageError(
                f"the column {PREFIX + name!r} is {column.type}, of {column.of}s: examples of a "
                "concept are true or false, of clips",
                "Give the concept another name.",
            )
        query = select(column.table.c.clip_id, column.column).join(
            clips, clips.c.clip_id == column.table.c.clip_id
        )
        lives = (clips.c.removed.is_(None), column.column.is_not(None))
        rows = connection.execute(query.where(*lives).order_by(column.table.c.clip_id)).all()
    ids = np.array([row[0] for row in rows], np.int64)
    return ids, np.array([row[1] for row in rows], np.bool_)


def told_of_none(name: str, clip_ids: Ids) -> pa.Table:
    """Metadata by which clips are examples of a concept no longer."""
    return pa.table({"clip_id": clip_ids, PREFIX + name: pa.nulls(len(clip_ids), pa.bool_())})


def concepts_table(catalogue: Catalogue) -> pa.Table:
    """The concepts that have living examples, with the numbers of these, the oldest first."""
    with catalogue.reading() as connection:
        names = concept_names(columns(connection))
    told = []
    for name in names:
        _, is_like = concept_examples(catalogue, name)
        if not len(is_like):
            continue  # all its clips are gone
        likes = int(is_like.sum())
        told.append({"name": name, "num_positives": likes, "num_negatives": len(is_like) - likes})
    return pa.Table.from_pylist(told, schema=SCHEMA)
