"""The collection as Arrow tables and as one Parquet file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import func, select

from vidx.errors import VidxError
from vidx.store.catalogue import Catalogue
from vidx.store.sql import grouped
from vidx.store.tables import clips, failures, labels, locations, videos
from vidx.store.vectors import live_vectors

LABELS_TYPE = pa.list_(pa.struct([("label", pa.string()), ("score", pa.float64())]))
CLIPS_SCHEMA = pa.schema(
    [
        ("clip_id", pa.int64()),
        ("video_id", pa.string()),
        ("path", pa.string()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("labels", LABELS_TYPE),
    ]
)
VIDEOS_SCHEMA = pa.schema(
    [
        ("video_id", pa.string()),
        ("path", pa.string()),
        ("locations", pa.list_(pa.string())),
        ("clips", pa.int64()),
        ("status", pa.string()),
        ("duration_seconds", pa.float64()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("frame_rate", pa.float64()),
        ("codec", pa.string()),
        ("container", pa.string()),
        ("size_bytes", pa.int64()),
        ("problem_reason", pa.string()),
        ("problem_message", pa.string()),
    ]
)
FAILURES_SCHEMA = pa.schema(
    [("path", pa.string()), ("reason", pa.string()), ("message", pa.string())]
)


def clips_table(catalogue: Catalogue) -> pa.Table:
    """All live clips by clip_id, with their video's first path and their labels, best first."""
    return _clips_between(catalogue, 0, None)


def videos_table(catalogue: Catalogue) -> pa.Table:
    """All videos by path, with their locations, number of clips and whether they are whole."""
    counted = select(clips.c.video_id, func.count().label("clips")).group_by(clips.c.video_id)
    counts = counted.subquery()
    query = select(videos, counts.c.clips).join(counts, counts.c.video_id == videos.c.video_id)
    with catalogue.engine.connect() as connection:
        places = grouped(connection.execute(select(locations.c.video_id, locations.c.path)))
        rows = [dict(row._mapping) for row in connection.execute(query)]
    for row in rows:
        row["locations"] = sorted(places.get(row["video_id"], []))
        row["path"] = next(iter(row["locations"]), None)
        row["status"] = "partial" if row["problem_reason"] else "whole"
    rows.sort(key=lambda row: row["path"] or "")
    return pa.Table.from_pylist(rows, schema=VIDEOS_SCHEMA)


def failures_table(catalogue: Catalogue) -> pa.Table:
    """All files that could not be embedded, by path."""
    columns = (failures.c.path, failures.c.reason, failures.c.message)
    with catalogue.engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(failures.c.path))
        return pa.Table.from_pylist([dict(row._mapping) for row in rows], schema=FAILURES_SCHEMA)


def export(catalogue: Catalogue, dim: int, path: Path) -> int:
    """Write all live clips with their vectors to one Parquet file, in one step.

    Args:
        catalogue: The collection's.
        dim: Length of a vector.
        path: The file to write; one that is there is replaced.

    Returns:
        Rows written.

    Raises:
        VidxError: The file cannot be written.
    """
    embedding = pa.field("embedding", pa.list_(pa.field("element", pa.float32()), dim))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    rows = 0
    try:
        with pq.ParquetWriter(temporary, CLIPS_SCHEMA.append(embedding)) as writer:
            for table in _with_vectors(catalogue, embedding):
                writer.write_table(table)
                rows += table.num_rows
        temporary.replace(path)
    except OSError as error:
        raise VidxError(f"{path} cannot be written: {error}", "Choose another place.") from error
    finally:
        with suppress(OSError):  # the error that ended the export is the one to tell
            temporary.unlink()
    return rows


def _with_vectors(catalogue: Catalogue, embedding: pa.Field) -> Iterator[pa.Table]:
    for ids, vectors in live_vectors(catalogue):
        table = _clips_between(catalogue, int(ids[0]), int(ids[-1]) + 1)
        rows = np.searchsorted(ids, table.column("clip_id").to_numpy())
        values = pa.FixedSizeListArray.from_arrays(vectors[rows].reshape(-1), type=embedding.type)
        yield table.append_column(embedding, values)


def _clips_between(catalogue: Catalogue, start: int, end: int | None) -> pa.Table:
    """The live clips with start <= clip_id < end, and all that the catalogue says of them."""
    within = [clips.c.clip_id >= start, *([clips.c.clip_id < end] if end is not None else [])]
    first_path = (
        select(func.min(locations.c.path))
        .where(locations.c.video_id == clips.c.video_id)
        .scalar_subquery()
    )
    query = select(clips, first_path.label("path")).where(*within).order_by(clips.c.clip_id)
    named = (
        select(labels.c.clip_id, labels.c.label, labels.c.score)
        .join(clips, clips.c.clip_id == labels.c.clip_id)
        .where(*within)
        .order_by(labels.c.clip_id, labels.c.score.desc())
    )
    with catalogue.engine.connect() as connection:
        of_clip = {
            clip_id: [{"label": row.label, "score": row.score} for row in rows]
            for clip_id, rows in groupby(connection.execute(named), itemgetter(0))
        }
        rows = [
            {**row._mapping, "labels": of_clip.get(row.clip_id, [])}
            for row in connection.execute(query)
        ]
    return pa.Table.from_pylist(rows, schema=CLIPS_SCHEMA)
