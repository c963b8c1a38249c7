"""Manifests as tables: which videos and spans they name, and what they say of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from vidx.errors import UsageError, VidxError
from vidx.records import MetadataColumn, Span
from vidx.store.metadata import files
from vidx.store.metadata.given import Given, given
from vidx.store.metadata.reading import READERS, read

PATH, START, END = "path", "start_seconds", "end_seconds"
_OWN = (PATH, START, END)
# A predicted label is called so in `where`.
_RENAMED = {"label": "given_label"}


@dataclass(frozen=True, slots=True)
class ManifestTable:
    """A manifest as it was read.

    Attributes:
        file: Its absolute path.
        table: Its rows; what is beside the columns of `_OWN` is metadata, under its names there.
    """

    file: Path
    table: pa.Table

    def rows(self) -> Iterator[tuple[Any, Any, Any]]:
        """Path, start and end of each row, as they are written; None where there is none."""
        here = [name for name in _OWN if name in self.table.column_names]
        for batch in self.table.select(here).to_batches(files.ROWS):
            columns = dict(zip(here, (one.to_pylist() for one in batch.columns), strict=True))
            nothing = [None] * batch.num_rows
            yield from zip(*(columns.get(name, nothing) for name in _OWN), strict=True)

    def metadata_names(self) -> list[str]:
        """The columns that tell of videos and clips."""
        return [name for name in self.table.column_names if name not in _OWN]


class Row(NamedTuple):
    """A row of a manifest that counts.

    Attributes:
        number: From 0.
        place: The absolute path or URL that it names.
        span: Of it; None: the row says nothing of one.
    """

    number: int
    place: str
    span: Span | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest, and its rows that count, in their order."""

    table: ManifestTable
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What a manifest says of videos, or of clips, by the rows of it that count.

    Attributes:
        of: `video` or `clip`.
        types: Of each column.
        rows: Their values, a row of the table each; times as whole numbers.
    """

    of: str
    types: dict[str, str]
    rows: pa.Table


def is_manifest(path: Path) -> bool:
    """Whether a path has the ending of a manifest, and is no folder."""
    return path.suffix.lower() in READERS and not path.is_dir()


def read_manifest(file: Path, known: Sequence[MetadataColumn]) -> ManifestTable:
    """Read a manifest.

    Args:
        file: A .csv, .jsonl or .parquet file.
        known: The columns of metadata that there are: one of text stays text.

    Raises:
        UsageError: It is not there, malformed or empty, or has no column of paths.
        VidxError: A column may not be metadata.
    """
    text = {one.name for one in known if one.type == "text"}
    text |= {name for name, renamed in _RENAMED.items() if renamed in text}
    try:
        table = read(file, text, as_written=_OWN)
    except UsageError:
        raise
    except VidxError as error:
        line = _line_not_utf8(file)
        where = f": line {line} is not UTF-8" if line else ""
        raise UsageError(f"{error.problem}{where}", error.next_step) from error
    if PATH not in table.column_names:
        shown = ", ".join(map(repr, table.column_names[:20]))
        raise UsageError(
            f"{file} has no column {PATH!r}, which says what is to be embedded; it has {shown}",
            "Rename the one that does.",
        )
    if not table.num_rows:
        raise UsageError(f"{file} has no rows", "Give it one for each video or span.")
    names = [_RENAMED.get(name, name) for name in table.column_names]
    for name, number in Counter(names).items():
        if number > 1:
            raise UsageError(f"{file}: the column {name!r} is there twice", "Leave one out.")
    manifest = ManifestTable(file, table.rename_columns(names))
    for of in ("video", "clip"):
        _typed(manifest, manifest.metadata_names(), of, manifest.table, ())
    return manifest


def _line_not_utf8(file: Path) -> int | None:
    """The first line that is not UTF-8, of a file of text."""
    if file.suffix.lower() == ".parquet":
        return None
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return None


def said(manifest: Manifest, known: Sequence[MetadataColumn]) -> list[Said]:
    """Say what a manifest tells of videos and of clips.

    A column is of clips if a row with a span has a value in it, or if it is in the collection, and
    else of videos.

    Args:
        manifest: The manifest.
        known: The columns that there are.

    Raises:
        VidxError: A column may not be as it is.
    """
    given_names = manifest.table.metadata_names()
    table = manifest.table.table.take(pa.array([row.number for row in manifest.rows], pa.int64()))
    spanned = table.filter(pa.array([row.span is not None for row in manifest.rows], pa.bool_()))
    kinds = {column.name: column.of for column in known}
    of_clips = {
        name
        for name in given_names
        if spanned.column(name).null_count < len(spanned) or kinds.get(name) == "clip"
    }
    found = []
    for of in ("video", "clip"):
        names = [one for one in given_names if (one in of_clips) == (of == "clip")]
        if typed := _typed(manifest.table, names, of, table, known):
            found.append(Said(of, typed.types, _plain(typed.table)))
    return found


def columns_with(known: Sequence[MetadataColumn], some: Sequence[Said]) -> list[MetadataColumn]:
    """The columns that there are once something is said."""
    found = {column.name: column for column in known}
    for one in some:
        for name, kind in one.types.items():
            found.setdefault(name, MetadataColumn(name, one.of, kind, 0))
    return list(found.values())


def _typed(
    manifest: ManifestTable,
    names: Sequence[str],
    of: str,
    table: pa.Table,
    known: Sequence[MetadataColumn],
) -> Given | None:
    """Some columns as metadata is kept; None where there is no value in them."""
    full = [name for name in names if table.column(name).null_count < len(table)]
    if not full:
        return None
    try:
        return given(table.select([PATH, *full]), PATH, of, known, clears=False)
    except VidxError as error:
        raise type(error)(f"{manifest.file}: {error.problem}", error.next_step) from error


def _plain(table: pa.Table) -> pa.Table:
    """Times as whole numbers, as the catalogue has them."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, pc.cast(table.column(place), pa.int64()))
    return table
