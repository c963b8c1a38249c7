"""What manifests name: files and objects, with the spans of them that are meant.

A row that cannot be what is meant is refused with a reason, and costs itself alone.
"""

from __future__ import annotations

import bisect
import math
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vidx.embedder.decoding.globs import is_glob
from vidx.embedder.decoding.sampling import Plan, check_span, overlap
from vidx.errors import UsageError, VideoError
from vidx.records import MetadataColumn, Problem, RefusedRow, Segmentation, Span
from vidx.remote.objects import RemoteFile, look
from vidx.remote.troubles import Absent
from vidx.remote.urls import checked, is_url
from vidx.store.metadata.manifest import Manifest, ManifestTable, Row, is_manifest, read_manifest

_REQUESTS = 8  # at a time, of servers


@dataclass(frozen=True, slots=True)
class Manifests:
    """What all manifests of a run say.

    Attributes:
        each: The manifests.
        refused: The rows that do not count.
        objects: For each URL that is named, what its server tells, or why it tells nothing.
    """

    each: tuple[Manifest, ...] = ()
    refused: tuple[RefusedRow, ...] = ()
    objects: dict[str, RemoteFile | Problem] = field(default_factory=dict)

    def places(self) -> set[str]:
        """The paths and URLs that are named."""
        return {row.place for manifest in self.each for row in manifest.rows}

    def _spans(self) -> dict[str, list[Span]]:
        """The spans of those places that have some, in time order."""
        found: defaultdict[str, list[Span]] = defaultdict(list)
        for manifest in self.each:
            for row in manifest.rows:
                if row.span is not None:
                    found[row.place].append(row.span)
        for spans in found.values():
            spans.sort(key=lambda span: span.start_seconds)
        return found

    def plans(self, stride_seconds: float | None, segment: Segmentation) -> dict[str, Plan]:
        """How those places are cut that have spans, with some seconds from clip to clip."""
        return {
            place: Plan.of_spans(stride_seconds, spans, segment)
            for place, spans in self._spans().items()
        }


def parted(
    paths: Iterable[str | os.PathLike[str]],
) -> tuple[list[Path], list[str | os.PathLike[str]]]:
    """Tell manifests from what else is named.

    Raises:
        UsageError: A manifest is at a URL.
    """
    manifests, others = [], []
    for path in paths:
        if not is_manifest(Path(path)) or is_glob(Path(path)):
            others.append(path)
        elif is_url(path):
            raise UsageError(f"{path}: a manifest is read from disk", "Fetch it first.")
        else:
            manifests.append(Path(os.path.abspath(path)))
    return list(dict.fromkeys(manifests)), others


def read_manifests(files: Sequence[Path], known: Sequence[MetadataColumn]) -> Manifests:
    """Read manifests, and look at what they name.

    Args:
        files: .csv, .jsonl or .parquet files.
        known: The columns of metadata that there are.

    Raises:
        UsageError: One is not there, malformed or empty, or has no column of paths.
        VidxError: A column of one may not be metadata.
    """
    tables = [read_manifest(file, known) for file in files]
    reader = _Reader()
    rows = [reader.read(table) for table in tables]
    objects = reader.look_at_objects(row.place for some in rows for row in some)
    each = [
        Manifest(table, tuple(row for row in some if not reader.is_refused(table, row)))
        for table, some in zip(tables, rows, strict=True)
    ]
    return Manifests(tuple(each), tuple(sorted(reader.refused)), objects)


class _Refused(Exception):
    """A row cannot be what is meant."""


@dataclass(slots=True)
class _Spans:
    """What was asked of one place so far, and by which rows, in time order."""

    spans: list[Span] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    whole: str | None = None  # the row that names all of it

    def add(self, span: Span | None, row: str) -> None:
        """Add what a row asks for.

        Raises:
            _Refused: It overlaps with something else.
        """
        if span is None:
            if self.rows:
                raise _Refused(f"no span, where {self.rows[0]} has one of the same file")
            self.whole = self.whole or row
            return
        if self.whole:
            raise _Refused(f"a span, where {self.whole} names all of the same file")
        at = bisect.bisect(self.spans, span.start_seconds, key=lambda one: one.start_seconds)
        before, after = self.spans[max(at - 1, 0) : at], self.spans[at : at + 1]
        if before and overlap(before[0], span):
            raise _Refused(f"its span overlaps with that of {self.rows[at - 1]}")
        if after and overlap(span, after[0]):
            raise _Refused(f"its span overlaps with that of {self.rows[at]}")
        self.spans.insert(at, span)
        self.rows.insert(at, row)


class _Reader:
    """Reads rows, and remembers what it saw at each place, and which rows it refused."""

    def __init__(self) -> None:
        self.refused: list[RefusedRow] = []
        self._asked: defaultdict[str, _Spans] = defaultdict(_Spans)
        self._unfit: dict[str, str | None] = {}  # why a place cannot be a video

    def read(self, table: ManifestTable) -> list[Row]:
        """The rows of a manifest that are sound in themselves."""
        rows = []
        for number, (path, start, end) in enumerate(table.rows()):
            try:
                place, span = self._place(path, table.file.parent), _span(start, end)
                self._asked[place].add(span, f"row {number + 1} of {table.file.name}")
            except (_Refused, UsageError) as error:
                self._refuse(table, number, str(error).partition("\n")[0])
            else:
                rows.append(Row(number, place, span))
        return rows

    def _refuse(self, table: ManifestTable, number: int, reason: str) -> None:
        self.refused.append(RefusedRow(str(table.file), number + 1, reason))

    def _place(self, path: Any, folder: Path) -> str:
        """The place that a row names."""
        if not isinstance(path, str) or not path.strip():
            raise _Refused("no path" if not path or isinstance(path, str) else f"{path!r}: no path")
        place = checked(path) if is_url(path) else os.path.abspath(folder / path)
        if place not in self._unfit:
            self._unfit[place] = _unfit(place)
        if reason := self._unfit[place]:
            raise _Refused(f"{path!r} {reason}")
        return place

    def look_at_objects(self, places: Iterable[str]) -> dict[str, RemoteFile | Problem]:
        """Ask servers about the URLs among some places."""
        urls = list(dict.fromkeys(place for place in places if is_url(place)))
        with ThreadPoolExecutor(_REQUESTS, thread_name_prefix="vidx-look") as pool:
            looks = dict(zip(urls, pool.map(_look, urls), strict=True))
        self._unfit |= {url: seen for url, seen in looks.items() if isinstance(seen, str)}
        return {url: seen for url, seen in looks.items() if not isinstance(seen, str)}

    def is_refused(self, table: ManifestTable, row: Row) -> bool:
        """Refuse a row where a server says that there is no such object."""
        if reason := self._unfit[row.place]:
            self._refuse(table, row.number, f"{row.place!r} {reason}")
        return bool(reason)


def _unfit(place: str) -> str | None:
    """Why no video can be at a place, so far as this costs no request."""
    if is_manifest(Path(place)):
        return "is a manifest itself"
    if is_url(place):
        return None
    try:
        mode = os.stat(place).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except ValueError as error:
        return f"is no path ({error})"
    except OSError:
        return None  # which the run tells, as of every file
    return "is a folder; a row names one file" if stat.S_ISDIR(mode) else None


def _look(url: str) -> RemoteFile | Problem | str:
    """What a server tells of an object; a text where there is none."""
    try:
        return look(url)
    except Absent:
        return "does not exist"
    except VideoError as error:
        if error.reason == "not_a_video":
            return "is a folder; a row names one object"
        return Problem(error.reason, error.message)


def _span(start: Any, end: Any) -> Span | None:
    """The span that a row says, if it says one."""
    begins, ends = _seconds("start_seconds", start), _seconds("end_seconds", end)
    if begins is None and ends is None:
        return None
    span = Span(begins or 0.0, ends)
    check_span(span)
    return span


def _seconds(name: str, value: Any) -> float | None:
    """A time; None where there is none, as NaN says in tables of numbers."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise _Refused(f"{name} {str(value)[:50]!r} is no number of seconds")
    return seconds
