"""Tables of metadata from files: CSV, lines of JSON and Parquet."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from vidx.errors import UsageError, VidxError

_PLACES = re.compile(r"__index_level_\d+__")
_BLOCK_BYTES = 1 << 26  # the longest row of a CSV file, and how much is parsed at once
_EXACT = 2**53  # below it each whole number is a real number of its own
_WHOLE = r"^\s*[+-]?[0-9]+\s*$"
# Few functions of pyarrow take views, which polars gives.
_PLAIN = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}


def read(path: Path, text: Collection[str], as_written: Collection[str] = ()) -> pa.Table:
    """Read a table.

    Types are those of the file. CSV says none: there whole numbers, other numbers, `true` and
    `false`, dates and times are told by how all values of a column look, and the rest is text. JSON
    has no times: text that is a date or time in every row of a column is taken for one.

    Args:
        path: The file; the end of its name says what it is.
        text: Columns that are text, whatever their values look like.
        as_written: Columns whose values may be of several types: text, but as it is in Parquet.

    Raises:
        UsageError: It is not there, or another kind of file.
        VidxError: It cannot be read.
    """
    ending = path.suffix.lower()
    if not path.is_file():
        raise UsageError(f"{os.fspath(path)!r} is no file", "Name one that is there.")
    if ending not in READERS:
        raise UsageError(f"{os.fspath(path)!r} is no .csv, .jsonl or .parquet file", "Convert it.")
    try:
        return READERS[ending](path, text, as_written)
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise VidxError(f"{path} cannot be read as {ending}: {why[:300]}", "Mend it.") from error


def _csv(path: Path, text: Collection[str], as_written: Collection[str]) -> pa.Table:
    _check_quotes(path)
    text = {*text, *as_written}
    table = _parse_csv(path, text)
    _check_whole(path, table)
    types = {field.name: field.type for field in table.schema}
    if broken := [name for name, kind in types.items() if pa.types.is_binary(kind)]:
        raise ValueError(f"the column {broken[0]!r} is not UTF-8")
    # Times of day are none of the types of metadata: they are kept as they are written.
    times = [name for name, kind in types.items() if pa.types.is_time(kind)]
    return _parse_csv(path, {*text, *times}) if times else table


def _check_whole(path: Path, table: pa.Table) -> None:
    """Refuse whole numbers that became others as reals, as those of JSON are refused."""
    large = {
        place: pc.greater_equal(pc.abs(column), _EXACT)
        for place, column in enumerate(table.columns)
        if pa.types.is_floating(column.type)
    }
    large = {place: where for place, where in large.items() if pc.any(where).as_py()}
    if not large:
        return
    written = _parse_csv(path, [table.column_names[place] for place in large])
    for place, where in large.items():
        column = written.column(place)
        row = pc.index(pc.and_(where, pc.match_substring_regex(column, _WHOLE)), True).as_py()
        if row >= 0:
            raise VidxError(
                f"{path}: the column {table.column_names[place]!r} is real, and its whole number "
                f"{column[row].as_py().strip()[:50]} in row {row + 1} would be rounded",
                "Write ids with a letter before them, so that they are text, and real numbers "
                "with a decimal point.",
            )


def _parse_csv(path: Path, text: Collection[str]) -> pa.Table:
    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(text, pa.string()),
            null_values=[""],  # such as "NA" is a word, and a country
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    # So pandas writes the numbers of rows, unless it is told not to.
    is_numbered = table.column_names[0] == "" and pa.types.is_integer(table.schema.types[0])
    return table.remove_column(0) if is_numbered else table


def _check_quotes(path: Path) -> None:
    """Refuse a file that ends within quotes: pyarrow takes all rows from there for one value."""
    with path.open("rb") as content:
        blocks = iter(partial(content.read, _BLOCK_BYTES), b"")
        if sum(block.count(b'"') for block in blocks) % 2 == 0:
            return
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        rows, line = csv.reader(lines, strict=True), 1
        try:
            for _ in rows:
                line = rows.line_num + 1
        except csv.Error as error:
            raise ValueError(f"the quotes of line {line} are not closed ({error})") from error


def _parquet(path: Path, _text: Collection[str], _as_written: Collection[str]) -> pa.Table:
    return plain(pq.read_table(path, partitioning=None))


def plain(table: pa.Table) -> pa.Table:
    """A table without views, and the numbers of rows that pandas keeps of a part of another one."""
    kept = [place for place, name in enumerate(table.column_names) if not _PLACES.fullmatch(name)]
    names = [table.column_names[place] for place in kept]
    return pa.table([_without_views(table.column(place)) for place in kept], names=names)


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same text or bytes in a type that all of pyarrow takes."""
    if not pa.types.is_dictionary(column.type):
        return column.cast(_PLAIN[column.type]) if column.type in _PLAIN else column
    kind = _PLAIN.get(column.type.value_type)
    if kind is None:
        return column
    chunks = [one.dictionary.cast(kind).take(one.indices) for one in column.chunks]
    return pa.chunked_array(chunks, kind)


def _json_lines(path: Path, text: Collection[str], as_written: Collection[str]) -> pa.Table:
    """Python's parser: that of pyarrow ends the process where a line is nested too deeply."""
    columns: dict[str, list[Any]] = {}
    rows = 0
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = _object(line, number)
            for name in row:
                columns.setdefault(name, [None] * rows)
            for name, values in columns.items():
                values.append(row.get(name))
            rows += 1
    if not rows:
        raise ValueError("it has no rows")
    for name in columns.keys() & set(as_written):
        columns[name] = [_written(value) for value in columns[name]]
    is_text = {*text, *as_written}
    arrays = [_column(name, values, name in is_text) for name, values in columns.items()]
    return pa.table(arrays, names=list(columns))


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} is no JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is no JSON object: {line[:50]!r}")
    if nested := [name for name, value in row.items() if isinstance(value, dict | list)]:
        raise ValueError(f"line {number} has a list or object in {nested[0]!r}")
    return row


def _written(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _column(name: str, values: list[Any], is_text: bool) -> pa.Array:
    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
        raise ValueError(f"the values of {name!r} are of different types: {error}") from error
    if is_text or not pa.types.is_string(column.type):
        return column
    for zone in (None, "UTC"):
        with suppress(pa.ArrowInvalid):
            return column.cast(pa.timestamp("us", zone))
    return column


READERS: dict[str, Callable[[Path, Collection[str], Collection[str]], pa.Table]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
