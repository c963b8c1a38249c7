"""What manifests say of videos and clips, set where the catalogue does not say it yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa
from sqlalchemy import Connection, select

from vidx.records import MetadataColumn, RefusedRow, Span
from vidx.store.catalogue import Catalogue
from vidx.store.metadata import files, sql_columns
from vidx.store.metadata.manifest import Manifest, Row, Said, columns_with, said
from vidx.store.sql import SOME, among
from vidx.store.survey import escaped
from vidx.store.tables import clips, locations, takes, videos
from vidx.store.writer import Writer

_TOLERANCE_SECONDS = 0.001  # by which a clip may end after its span
_EPSILON_SECONDS = 1e-6

_TAKES = (
    select(locations.c.path, videos.c.video_id, videos.c.take, takes.c.plan)
    .join(videos, videos.c.number == locations.c.video)
    .join(takes, takes.c.number == videos.c.take)
    .where(locations.c.removed.is_(None), locations.c.path.in_(SOME))
)
_CLIPS = select(clips.c.take, clips.c.clip_id, clips.c.start_seconds, clips.c.end_seconds).where(
    clips.c.removed.is_(None), clips.c.take.in_(SOME)
)
Values = dict[str, Any]  # by column, without those that are empty


class _Owner(NamedTuple):
    """Whose values a row has: a video's, or those of the clips of a span of a take."""

    video_id: str
    take: int
    span: Span | None


@dataclass(slots=True)
class Done:
    """What was set.

    Attributes:
        num_values: How many values were not there yet.
        commit: The last one that set some.
        refused: Rows that contradict earlier ones.
    """

    num_values: int = 0
    commit: int | None = None
    refused: list[RefusedRow] = field(default_factory=list)


def each_said(
    manifests: Sequence[Manifest], known: Sequence[MetadataColumn]
) -> list[tuple[Manifest, Said]]:
    """What each of some manifests says, in their order.

    Args:
        manifests: The manifests.
        known: The columns that the collection has.

    Raises:
        VidxError: A column does not go with those, or with that of a manifest before.
    """
    found: list[tuple[Manifest, Said]] = []
    for manifest in manifests:
        some = said(manifest, known)
        known = columns_with(known, some)
        found += ((manifest, one) for one in some)
    return found


def torn_rows(each: Iterable[tuple[Manifest, Said]]) -> list[RefusedRow]:
    """Rows that contradict earlier ones of the same place, and span if they tell of clips.

    Where files at two places are the same, only who has read them knows.
    """
    found: defaultdict[tuple[str, str, Span | None], Values] = defaultdict(dict)
    refused = []
    for manifest, one in each:
        for row, values in zip(manifest.rows, _rows(one.rows), strict=True):
            before = found[one.of, row.place, row.span if one.of == "clip" else None]
            if torn := _torn(before, values):
                refused.append(RefusedRow(str(manifest.table.file), row.number + 1, torn))
            else:
                before.update(values)
    return refused


class ManifestMetadata:
    """What some manifests say beside what is to be embedded.

    Args:
        manifests: The manifests.
        catalogue: The collection's.

    Raises:
        VidxError: A column does not go with what the collection has.
    """

    def __init__(self, manifests: Sequence[Manifest], catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.said = each_said(manifests, catalogue.metadata_columns())

    def set(self, writer: Writer, places: Collection[str], digest_of: Callable[[str], str]) -> Done:
        """Set what is not there yet; rows about nothing in the collection are passed over.

        Args:
            writer: Holds the collection's lock.
            places: The files of the run.
            digest_of: The plan by which a file is cut: clips of another one have none of its spans.

        Raises:
            VidxError: As for `Writer.commit`.
        """
        done = Done()
        for of in ("video", "clip"):
            types = {name: kind for _, one in self._of(of) for name, kind in one.types.items()}
            with self.catalogue.reading() as connection:
                found = self._by_owner(connection, of, places, digest_of, done)
                wanted = _of_clips(connection, found) if of == "clip" else _of_videos(found)
                news = _news(connection, of, types, wanted)
            if news:
                rows = _batches(of, types, news)
                commit = writer.set_metadata(rows, of=of, types=types, clears=False)
                done.commit = commit.commit
                done.num_values += sum(map(len, news.values()))
        return done

    def _of(self, of: str) -> Iterator[tuple[Manifest, Said]]:
        return ((manifest, one) for manifest, one in self.said if one.of == of)

    def _by_owner(
        self,
        connection: Connection,
        of: str,
        places: Collection[str],
        digest_of: Callable[[str], str],
        done: Done,
    ) -> dict[_Owner, Values]:
        """Join what is said of the same; the first row counts, and one that differs is refused."""
        found: dict[_Owner, Values] = {}
        for manifest, one in self._of(of):
            here = _takes_at(connection, manifest.rows)
            for row, values in zip(manifest.rows, _rows(one.rows), strict=True):
                at = here.get(escaped(row.place))
                if not values or at is None or row.place not in places:
                    continue
                if of == "clip" and at.plan != digest_of(row.place):
                    continue  # the file failed, and has its clips of before
                span = row.span if of == "clip" else None
                before = found.setdefault(_Owner(at.video_id, at.take, span), {})
                if torn := _torn(before, values):
                    done.refused.append(RefusedRow(str(manifest.table.file), row.number + 1, torn))
                else:
                    before.update(values)
        return found


def _takes_at(connection: Connection, rows: Iterable[Row]) -> dict[str, Any]:
    """What lives at the places of rows."""
    places = {escaped(row.place) for row in rows}
    return {take.path: take for take in among(connection, _TAKES, sorted(places))}


def _rows(table: pa.Table) -> Iterator[Values]:
    """The values of each row."""
    for batch in table.to_batches(files.ROWS):
        for row in batch.to_pylist():
            yield {name: value for name, value in row.items() if value is not None}


def _torn(before: Values, values: Values) -> str:
    """How a row contradicts an earlier one; empty where it does not."""
    for name, value in values.items():
        if before.get(name, value) != value:
            shown, other = (repr(one)[:100] for one in (value, before[name]))
            return f"{name} is {shown}, and {other} in an earlier row of the same video or span"
    return ""


def _of_videos(found: dict[_Owner, Values]) -> dict[Any, Values]:
    return {owner.video_id: values for owner, values in found.items()}


def _of_clips(connection: Connection, found: dict[_Owner, Values]) -> dict[Any, Values]:
    """The values of each clip in the spans of owners."""
    some = sorted({owner.take for owner in found})
    of_take = defaultdict(list)
    for clip in among(connection, _CLIPS, some):
        of_take[clip.take].append(clip)
    return {
        clip.clip_id: values
        for owner, values in found.items()
        for clip in of_take[owner.take]
        if owner.span is None or _is_within(clip, owner.span)
    }


def _is_within(clip: Any, span: Span) -> bool:
    """Whether a clip was cut out of a span."""
    if clip.start_seconds < span.start_seconds - _EPSILON_SECONDS:
        return False
    return span.end_seconds is None or clip.end_seconds <= span.end_seconds + _TOLERANCE_SECONDS


def _news(
    connection: Connection, of: str, types: dict[str, str], wanted: dict[Any, Values]
) -> dict[Any, Values]:
    """Those values that the catalogue does not have."""
    there = _there(connection, of, types, wanted)
    news = {}
    for key, values in wanted.items():
        now = there.get(key, {})
        if new := {name: value for name, value in values.items() if now.get(name) != value}:
            news[key] = new
    return news


def _there(
    connection: Connection, of: str, types: Collection[str], keys: Iterable[Any]
) -> dict[Any, Values]:
    """The values that the catalogue has of some columns, by video_id or clip_id."""
    known = {name: one for name, one in sql_columns(connection).items() if name in types}
    if not known:
        return {}
    table = next(iter(known.values())).table
    key = videos.c.video_id if of == "video" else table.c.clip_id
    query = select(key, *(one.column for one in known.values())).where(key.in_(SOME))
    if of == "video":
        query = query.join_from(table, videos, videos.c.number == table.c.video)
    rows = among(connection, query, keys)
    return {row[0]: dict(zip(known, row[1:], strict=True)) for row in rows}


def _batches(of: str, types: dict[str, str], news: dict[Any, Values]) -> Iterator[pa.RecordBatch]:
    """Values as a file of metadata has them."""
    schema = files.schema(of, types)
    remaining = iter(news.items())
    while some := list(islice(remaining, files.ROWS)):
        arrays = [pa.array([key for key, _ in some], schema.field(0).type)]
        for name, field_ in zip(types, list(schema)[1:], strict=True):
            plain = pa.int64() if pa.types.is_timestamp(field_.type) else field_.type
            arrays.append(pa.array([row.get(name) for _, row in some], plain).cast(field_.type))
        yield pa.record_batch(arrays, schema=schema)
