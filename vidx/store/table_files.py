"""Tables as files of three kinds."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from vidx.durable import replacing
from vidx.errors import UsageError, VidxError

ENDINGS = (".parquet", ".csv", ".jsonl")


def check_name(path: Path) -> None:
    """Refuse a file for a table whose name does not say how they are written.

    Raises:
        UsageError: It ends with none of `ENDINGS`.
    """
    if path.suffix not in ENDINGS:
        raise UsageError(
            f"{str(path)!r}: a table is written to a file whose name ends with "
            f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}."
        )


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table, in one step; a file that is there is replaced.

    Args:
        table: With any columns.
        path: Its ending says how: Parquet, CSV (with lists as JSON), or one JSON object a line.

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
                lines = (
                    json.dumps(row, ensure_ascii=False, default=datetime.isoformat)
                    for row in table.to_pylist()
                )
                file.writelines(f"{line}\n".encode() for line in lines)
    except OSError as error:
        raise VidxError(f"{path} cannot be written: {error}", "Choose another place.") from error


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, default=datetime.isoformat)


def _flat(table: pa.Table) -> pa.Table:
    """The same with lists as text: CSV has none."""
    for place, field in enumerate(table.schema):
        if pa.types.is_list(field.type):
            texts = [json.dumps(one, ensure_ascii=False) for one in table[place].to_pylist()]
            table = table.set_column(place, field.name, pa.array(texts, pa.string()))
    return table
