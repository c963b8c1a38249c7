"""The hits of many queries as one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from vidx.records import Hit
from vidx.store.export import LABELS_TYPE

SCHEMA = pa.schema(
    [
        ("query", pa.int64()),
        ("query_path", pa.string()),
        ("query_clip_id", pa.int64()),
        ("query_start_seconds", pa.float64()),
        ("query_end_seconds", pa.float64()),
        ("rank", pa.int64()),
        ("score", pa.float64()),
        ("likeness", pa.string()),
        ("background_share", pa.float64()),
        ("clip_id", pa.int64()),
        ("video_id", pa.string()),
        ("path", pa.string()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("num_clips", pa.int64()),
        ("labels", LABELS_TYPE),
        ("query_problem_reason", pa.string()),
        ("query_problem_message", pa.string()),
    ]
)


def hits_table(answers: Iterable[tuple[int, dict[str, Any], Sequence[Hit]]]) -> pa.Table:
    """One row a hit.

    Args:
        answers: Of each query its number, `query_path` or `query_clip_id` if it has one, and its
            hits.
    """
    rows = [
        {"query": number, **told, **_row(hit)} for number, told, hits in answers for hit in hits
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def _row(hit: Hit) -> dict[str, Any]:
    fields = hit.as_dict()
    problem = fields.pop("query_problem") or {}
    return {**fields, **{f"query_problem_{name}": value for name, value in problem.items()}}
