"""The collection as Arrow tables and as one Parquet file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Connection, Select, func, select

from vidx.durable import replacing
from vidx.errors import UsageError, VidxError
from vidx.options import check_limit
from vidx.records import FACTS
from vidx.store.catalogue import Catalogue, ids_of
from vidx.store.metadata.values import fields, of_clips, of_videos
from vidx.store.sql import MANY, SOME, Ids, Wanted, among, grouped
from vidx.store.tables import (
    clip_labels,
    clips,
    commits,
    failures,
    labels,
    locations,
    takes,
    videos,
)
from vidx.store.vectors import Vectors, in_one, live_vectors, read_ahead

ROWS = 65_536  # ids looked at in one go: what is held at a time
GROUP_ROWS = 4096  # clips that are written in one go, at least

LABELS_TYPE = pa.list_(pa.struct([("name", pa.string()), ("score", pa.float64())]))
CLIPS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.int64()),
        ("video_id", pa.string()),
        ("path", pa.string()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        *((name, pa.float32()) for name in FACTS),
        ("repeats", pa.bool_()),
        ("labels", LABELS_TYPE),
    ]
)
# The leaves of an export, as Parquet names them; those of text, and those beside the vectors.
_TEXTS = ["video_id", "path", "labels.list.element.label"]
_OWN = ("start_seconds", "end_seconds", *FACTS, "repeats")
_LEAVES = [*_TEXTS, "clip_id", *_OWN, "labels.list.element.score"]
_CLIP_KINDS = ", ".join(["i8", "i8", "f8", "f8", *("f4" for _ in FACTS), "?"])
VIDEOS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("path", pa.string()),
        ("locations", pa.list_(pa.string())),
        ("num_clips", pa.int64()),
        ("status", pa.string()),
        ("duration_seconds", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("frame_rate", pa.float64()),
        ("codec", pa.string()),
        ("container", pa.string()),
        ("first_timestamp_seconds", pa.float64()),
        ("rotation_degrees", pa.int32()),
        ("is_mirrored", pa.bool_()),
        ("size_bytes", pa.int64()),
        ("problem_reason", pa.string()),
        ("problem_message", pa.string()),
        ("notes", pa.list_(pa.string())),
    ]
)
FAILURES_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("reason", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int64()),
        ("last_attempt", pa.string()),
    ]
)
COMMITS_SCHEMA = pa.schema(
    [
        ("number", pa.int64()),
        ("time", pa.string()),
        ("verb", pa.string()),
        ("provenance", pa.string()),
    ]
)


def clips_table(
    catalogue: Catalogue,
    limit: int | None = None,
    *,
    after: int | None = None,
    ids: Ids | None = None,
) -> pa.Table:
    """The live clips by clip_id, with their video's first path, labels and metadata.

    Args:
        catalogue: The collection's.
        limit: Only the first so many. None: all.
        after: Only those behind the clip of this id. None: from the first one on.
        ids: As for `clip_tables`.

    Raises:
        UsageError: The limit is below 1.
    """
    check_limit(limit)
    with catalogue.now() as still:
        found = [_clips_schema(still).empty_table()]
        if limit is not None or after is not None:
            ids = _page(still, limit, -1 if after is None else after, ids)
        if ids is None or len(ids):
            found += clip_tables(still, ids)
    return pa.concat_tables(found)


def _page(catalogue: Catalogue, limit: int | None, after: int, ids: Ids | None) -> Ids:
    """The first so many ids behind one, of some clips or of all that live."""
    if ids is not None:
        return ids[np.searchsorted(ids, after, side="right") :][:limit]
    condition = clips.c.removed.is_(None) & (clips.c.clip_id > after)
    query = select(clips.c.clip_id).where(condition).order_by(clips.c.clip_id).limit(limit)
    with catalogue.reading() as connection:
        return ids_of(connection, query)


def clip_tables(catalogue: Catalogue, ids: Ids | None = None) -> Iterator[pa.Table]:
    """The live clips by clip_id, some ten thousands at a time, of one state.

    Args:
        catalogue: The collection's.
        ids: Of the clips that are wanted, all of them alive, ascending. None: all that live.
    """
    with catalogue.now() as still:
        names = _names(still, ids)
        for part in _parts(still, ids):
            table = _clips_of(still, names, part)
            if table.num_rows:
                yield table


def _parts(catalogue: Catalogue, ids: Ids | None) -> Iterator[Wanted]:
    """All ids, or those that are wanted, some ten thousands at a time."""
    if ids is None:
        starts = range(0, catalogue.state().next_clip_id, ROWS)
        return (Wanted(start, start + ROWS) for start in starts)
    return (Wanted.among(ids[start : start + ROWS]) for start in range(0, len(ids), ROWS))


def videos_table(
    catalogue: Catalogue,
    limit: int | None = None,
    *,
    after: str | None = None,
    remarked: bool = False,
    numbers: NDArray[np.int32] | None = None,
) -> pa.Table:
    """The videos by path, with all their paths, their number of clips and their metadata.

    Args:
        catalogue: The collection's.
        limit: Only the first so many. None: all.
        after: Only those behind this path. None: from the first one on.
        remarked: Only those of which a part is missing, or that have notes.
        numbers: Of the videos that are wanted, in any order. None: all.

    Raises:
        UsageError: The limit is below 1.
    """
    check_limit(limit)
    query = _videos(after, remarked=remarked)
    with catalogue.now() as still, still.reading() as connection:
        wanted = None if numbers is None else set(np.unique(numbers).tolist())
        rows = iter(connection.execute(query))
        found = list(islice((r for r in rows if wanted is None or r.number in wanted), limit))
        metadata = of_videos(connection, np.array([row.number for row in found], np.int64))
        shown = fields(connection)[: len(metadata)]  # those of videos come first
        taken, owners = [row.take for row in found], [row.number for row in found]
        lengths = dict(map(tuple, among(connection, _COUNTED, taken)))
        places = grouped((row.video, row.path) for row in among(connection, _PLACED, owners))
    told = [
        {
            **row._mapping,
            "locations": places.get(row.number, []),
            "num_clips": lengths.get(row.take, 0),
            "status": "partial" if row.problem_reason else "whole",
            "notes": json.loads(row.notes),
        }
        for row in found
    ]
    table = pa.Table.from_pylist(told, schema=VIDEOS_SCHEMA)
    for field, column in zip(shown, metadata, strict=True):
        table = table.append_column(field, column)
    return table


def _videos(after: str | None, *, remarked: bool) -> Select[Any]:
    """What the catalogue itself knows of each video, by its first path."""
    first = (
        select(locations.c.video, func.min(locations.c.path).label("path"))
        .where(locations.c.removed.is_(None))
        .group_by(locations.c.video)
        .subquery()
    )
    query = (
        select(videos, takes.c.problem_reason, takes.c.problem_message, first.c.path)
        .join(takes, takes.c.number == videos.c.take)
        .join(first, first.c.video == videos.c.number, isouter=True)
        .order_by(first.c.path)
    )
    if after is not None:
        query = query.where(first.c.path > after)
    if remarked:
        query = query.where(takes.c.problem_reason.is_not(None) | (videos.c.notes != "[]"))
    return query


_COUNTED = (
    select(clips.c.take, func.count())
    .where(clips.c.removed.is_(None), clips.c.take.in_(SOME))
    .group_by(clips.c.take)
)
_PLACED = (
    select(locations.c.video, locations.c.path)
    .where(locations.c.removed.is_(None), locations.c.video.in_(SOME))
    .order_by(locations.c.path)
)


def failures_table(
    catalogue: Catalogue, limit: int | None = None, *, after: str | None = None
) -> pa.Table:
    """The files that could not be embedded, by path; at most `limit`, behind a path."""
    check_limit(limit)
    query = select(failures).order_by(failures.c.path).limit(limit)
    if after is not None:
        query = query.where(failures.c.path > after)
    return _table(catalogue, query, FAILURES_SCHEMA)


def commits_table(catalogue: Catalogue, limit: int | None = None) -> pa.Table:
    """What was done to the collection, the latest first; at most `limit`."""
    check_limit(limit)
    query = select(commits).order_by(commits.c.number.desc()).limit(limit)
    return _table(catalogue, query, COMMITS_SCHEMA)


def _table(catalogue: Catalogue, query: Any, schema: pa.Schema) -> pa.Table:
    with catalogue.reading() as connection:
        rows = [dict(row._mapping) for row in connection.execute(query)]
    return pa.Table.from_pylist(rows, schema=schema)


def export(catalogue: Catalogue, dim: int, path: Path, ids: Ids | None = None) -> int:
    """Write live clips of one state with their vectors to one Parquet file, in one step.

    Args:
        catalogue: The collection's.
        dim: Length of a vector.
        path: The file to write; one that is there is replaced, if its name ends in `.parquet`. A
            link stays, and what it points to is written.
        ids: As for `clip_tables`.

    Returns:
        Rows written.

    Raises:
        UsageError: A file of another kind is there.
        VidxError: The file cannot be written.
    """
    path = _checked(path)
    embedding = pa.field("embedding", pa.list_(pa.field("element", pa.float32()), dim))
    rows = 0
    try:
        with (
            replacing(path) as file,
            catalogue.now() as still,
            _export_writer(file, _clips_schema(still), embedding) as writer,
        ):
            for table in read_ahead(_with_vectors(still, embedding, ids)):
                writer.write_table(table)
                rows += table.num_rows
    except OSError as error:
        raise VidxError(f"{path} cannot be written: {error}", "Choose another place.") from error
    return rows


def _checked(path: Path) -> Path:
    """The file that is to be written or replaced: not a link, but what it points to."""
    target = Path(os.path.realpath(path)) if os.path.islink(path) else path
    is_file = os.path.isfile(path)
    if os.path.exists(path) and not (is_file and target.suffix == ".parquet"):
        what = "by its name no Parquet file" if is_file else "no regular file"
        raise UsageError(
            f"{str(target)!r} is there, and {what}",
            "Choose another name, such as one that ends in .parquet.",
        )
    return target


def _export_writer(file: BinaryIO, clips: pa.Schema, embedding: pa.Field) -> pq.ParquetWriter:
    """Vectors neither repeat nor compress, and trying takes half of the time."""
    metadata = list(clips)[len(CLIPS_SCHEMA) :]
    texts = [*_TEXTS, *(field.name for field in metadata if field.type == pa.string())]
    leaves = [*_LEAVES, *(field.name for field in metadata)]
    return pq.ParquetWriter(
        file,
        clips.append(embedding),
        compression={**dict.fromkeys(leaves, "snappy"), "embedding.list.element": "none"},
        use_dictionary=texts,
        write_statistics=leaves,
    )


def _with_vectors(
    catalogue: Catalogue, embedding: pa.Field, wanted: Ids | None
) -> Iterator[pa.Table]:
    """The live clips with their vectors, a shard at a time; the next one is read meanwhile."""
    names, dim = _names(catalogue), embedding.type.list_size
    for ids, vectors in _grouped(read_ahead(live_vectors(catalogue, wanted)), dim):
        table = _clips_of(catalogue, names, Wanted.among(ids))
        flat = pa.array(vectors.reshape(-1))
        column = pa.FixedSizeListArray.from_arrays(flat, type=embedding.type)
        yield table.append_column(embedding, column)


def _grouped(parts: Iterator[Vectors], dim: int) -> Iterator[Vectors]:
    """The same vectors, small parts joined: some shards give but a few clips."""
    kept: list[Vectors] = []
    for part in parts:
        kept.append(part)
        if sum(len(ids) for ids, _ in kept) >= GROUP_ROWS:
            yield in_one(kept, dim)
            kept = []
    if kept:
        yield in_one(kept, dim)


@dataclass(frozen=True, slots=True)
class _Names:
    """What stands for numbers: per video and per label, with the place of each number.

    Of a video it is its video_id, first path and metadata.
    """

    videos: tuple[pa.Array, ...]
    video_places: NDArray[np.int64]
    labels: pa.Array
    label_places: NDArray[np.int64]


def _names(catalogue: Catalogue, ids: Ids | None = None) -> _Names:
    """Of all videos; or of those that some clips are of, where these are few."""
    first = (
        select(func.min(locations.c.path))
        .where(locations.c.video == videos.c.number, locations.c.removed.is_(None))
        .scalar_subquery()
    )
    query = select(videos.c.number, videos.c.video_id, first)
    with catalogue.reading() as connection:
        if ids is not None and len(ids) <= MANY:
            of_clips = select(takes.c.video).join(clips, clips.c.take == takes.c.number)
            some = of_clips.where(clips.c.clip_id.in_(ids.tolist()))
            query = query.where(videos.c.number.in_(some))
        owners = connection.execute(query).all()
        numbers = [row[0] for row in owners]
        metadata = of_videos(connection, np.array(numbers, np.int64))
        named = connection.execute(select(labels.c.number, labels.c.name)).all()
    return _Names(
        (
            pa.array([row[1] for row in owners], pa.string()),
            pa.array([row[2] for row in owners], pa.string()),
            *metadata,
        ),
        _places(numbers),
        pa.array([row[1] for row in named], pa.string()),
        _places([row[0] for row in named]),
    )


def _places(numbers: list[int]) -> NDArray[np.int64]:
    """Where in a list each number stands, by number."""
    places = np.zeros(max(numbers, default=0) + 1, np.int64)
    places[numbers] = np.arange(len(numbers))
    return places


def _clips_of(catalogue: Catalogue, names: _Names, wanted: Wanted) -> pa.Table:
    """The live clips among those that are wanted, and all that the catalogue says of them."""
    query = (
        select(clips.c.clip_id, takes.c.video, *(clips.c[name] for name in _OWN))
        .join(takes, takes.c.number == clips.c.take)
        .where(clips.c.removed.is_(None))
        .order_by(clips.c.clip_id)
    )
    with catalogue.reading() as connection:
        found = _columns(connection, query, wanted, clips.c.clip_id, _CLIP_KINDS)
        best = _labels_of(connection, names, found["f0"], wanted)
        metadata = of_clips(connection, found["f0"], wanted)
        schema = _clips_schema(catalogue)
    owners = pa.array(names.video_places[found["f1"]])
    video_ids, paths, *of_owners = (column.take(owners) for column in names.videos)
    told = (pa.array(found[f"f{number}"]) for number in range(2, 2 + len(_OWN)))
    columns = [pa.array(found["f0"]), video_ids, paths, *told, best, *of_owners, *metadata]
    return pa.table(columns, schema=schema)


def _clips_schema(catalogue: Catalogue) -> pa.Schema:
    """The columns of clips, then metadata: their video's, then their own."""
    with catalogue.reading() as connection:
        return pa.schema([*CLIPS_SCHEMA, *fields(connection)])


def _labels_of(connection: Connection, names: _Names, ids: Ids, wanted: Wanted) -> pa.Array:
    """For each clip its labels, best first."""
    clip_id = clip_labels.c.clip_id
    query = select(clip_id, clip_labels.c.label, clip_labels.c.score).order_by(clip_id)
    found = _columns(connection, query, wanted, clip_id, "i8, i8, f8")
    found = found[np.isin(found["f0"], ids)]
    found = found[np.lexsort((-found["f2"], found["f0"]))]
    offsets = np.searchsorted(found["f0"], np.append(ids, wanted.end))
    label = names.labels.take(pa.array(names.label_places[found["f1"]]))
    pairs = pa.StructArray.from_arrays([label, pa.array(found["f2"])], names=["name", "score"])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pairs).cast(LABELS_TYPE)


def _columns(
    connection: Connection, query: Any, wanted: Wanted, clip_id: Any, kinds: str
) -> NDArray[Any]:
    """The rows of a query that are of wanted clips, as a structured array with fields f0, f1 ..."""
    parts = [np.empty(0, np.dtype(kinds))]
    for condition in wanted.conditions(clip_id):
        # The driver's own cursor: there may be millions.
        cursor: Any = connection.execute(query.where(condition)).cursor
        while some := cursor.fetchmany(ROWS):
            parts.append(np.array(some, dtype=np.dtype(kinds)))
    found = np.concatenate(parts)
    return found if wanted.ids is None else found[np.isin(found["f0"], wanted.ids)]
