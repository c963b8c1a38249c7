"""The hits of many queries as one table, and as a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from vidx.durable import replacing
from vidx.errors import UsageError, VidxError
from vidx.records import Hit
from vidx.store.export import LABELS_TYPE

ENDINGS = (".parquet", ".csv", ".jsonl")
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
    fields = asdict(hit)
    problem = fields.pop("query_problem") or {}
    return {**fields, **{f"query_problem_{name}": value for name, value in problem.items()}}


def check_name(path: Path) -> None:
    """Refuse a file for hits whose name does not say how they are written.

    Raises:
        UsageError: It ends with none of `ENDINGS`.
    """
    if path.suffix not in ENDINGS:
        raise UsageError(
            f"{str(path)!r}: hits are written to a file whose name ends with "
            f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}."
        )


def write_hits(table: pa.Table, path: Path) -> None:
    """Write a table of hits, in one step; a file that is there is replaced.

    Args:
        table: As of `hits_table`.
        path: Its ending says how: Parquet, CSV (with labels as JSON), or one JSON object a line.

    Raises:
        VidxError: The file cannot be written.
    """
    try:
        with replacing(path) as file:
            if path.suffix == ".parquet":
                pq.write_table(table, file)
            elif path.suffix == ".csv":
                pyarrow.csv.write_csv(_flat(table), file)
            else:
                lines = (json.dumps(row, ensure_ascii=False) for row in table.to_pylist())
                file.writelines(f"{line}\n".encode() for line in lines)
    except OSError as error:
        raise VidxError(f"{path} cannot be written: {error}", "Choose another place.") from error


def _flat(table: pa.Table) -> pa.Table:
    """The same with labels as text: CSV has no lists."""
    place = table.schema.get_field_index("labels")
    texts = [json.dumps(labels, ensure_ascii=False) for labels in table["labels"].to_pylist()]
    return table.set_column(place, "labels", pa.array(texts, pa.string()))
