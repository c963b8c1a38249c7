"""Tables on their way between processes: as rows of plain values, and as Arrow's own stream."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.ipc

ARROW_TYPE = "application/vnd.apache.arrow.stream"
_FIGURES = b"vidx.figures"  # in the metadata of a schema


def as_stream(table: pa.Table) -> bytes:
    """A table as bytes, with all its types."""
    sink = pa.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    whole: bytes = sink.getvalue().to_pybytes()
    return whole


def from_stream(content: bytes) -> pa.Table:
    """The table that `as_stream` made bytes of."""
    return pyarrow.ipc.open_stream(content).read_all()


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Tables of the same columns as one."""
    return pa.concat_tables(tables, promote_options="default")


def with_figures(table: pa.Table, figures: Mapping[str, Any]) -> pa.Table:
    """A table that carries what JSON can say and is told of the whole of it."""
    return table.replace_schema_metadata({_FIGURES: json.dumps(dict(figures))})


def figures_of(table: pa.Table) -> dict[str, Any]:
    """What `with_figures` gave a table, also to a part of it; none where it did not.

    >>> figures_of(with_figures(pa.table({"a": [1, 2]}), {"drift": 0.25}).slice(0, 1))
    {'drift': 0.25}
    """
    told: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_FIGURES, b"{}"))
    return told


def plain_rows(table: pa.Table) -> list[dict[str, Any]]:
    """A table's rows as JSON has them: times in the form of ISO 8601, null for what is no number.

    >>> plain_rows(pa.table({"a": [1.5, float("nan")]}))
    [{'a': 1.5}, {'a': None}]
    """
    return [{name: _plain(value) for name, value in row.items()} for row in table.to_pylist()]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
