"""What tables tell of clips beside the answer: whose they are, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import select

from vidx.store.catalogue import Catalogue
from vidx.store.export import LABELS_TYPE
from vidx.store.sql import SOME, Ids, Wanted, among, grouped
from vidx.store.tables import clip_labels, clips, labels, locations, takes, videos

MANY_CLIPS = 65_536  # looked up at a time

_SPANS = select(clips.c.clip_id, takes.c.video, clips.c.start_seconds, clips.c.end_seconds).join(
    takes, takes.c.number == clips.c.take
)
_VIDEOS = select(videos.c.number, videos.c.video_id).where(videos.c.number.in_(SOME))
_PLACES = (
    select(locations.c.video, locations.c.path)
    .where(locations.c.removed.is_(None), locations.c.video.in_(SOME))
    .order_by(locations.c.path)
)
SPANS_SCHEMA = pa.schema(
    [
        ("group", pa.int64()),
        ("rank", pa.int64()),
        ("clip_id", pa.int64()),
        ("video_id", pa.string()),
        ("path", pa.string()),
        ("start_seconds", pa.float64()),
        ("end_seconds", pa.float64()),
        ("score", pa.float64()),
        ("match", pa.string()),
        ("share", pa.float64()),
        ("compared_seconds", pa.float64()),
        ("offset_seconds", pa.float64()),
    ]
)
_KIND = np.dtype([("clip_id", "i8"), ("video", "i8"), ("start", "f8"), ("end", "f8")])


def spans(catalogue: Catalogue, clip_ids: Ids) -> NDArray[Any]:
    """Whose clips are and when.

    Args:
        catalogue: The collection's.
        clip_ids: Of clips that there are, in any order, shape (n,).

    Returns:
        Shape (n,), with the fields clip_id, video (its number), start and end (seconds).
    """
    unique, back = np.unique(clip_ids, return_inverse=True)
    found = [np.empty(0, _KIND)]
    with catalogue.reading() as connection:
        for start in range(0, len(unique), MANY_CLIPS):
            some = unique[start : start + MANY_CLIPS]
            for condition in Wanted.among(some).conditions(clips.c.clip_id):
                cursor: Any = connection.execute(_SPANS.where(condition)).cursor
                rows = np.array(cursor.fetchall(), _KIND)
                found.append(rows[np.isin(rows["clip_id"], some)])
    whole = np.concatenate(found)
    return whole[np.argsort(whole["clip_id"], kind="stable")][back]


def paths_of(catalogue: Catalogue, numbers: NDArray[Any]) -> dict[int, list[str]]:
    """The paths of some videos, sorted, by their numbers."""
    with catalogue.reading() as connection:
        rows = among(connection, _PLACES, np.unique(numbers).tolist())
        return grouped((row.video, row.path) for row in rows)


def video_ids_of(catalogue: Catalogue, numbers: NDArray[Any]) -> dict[int, str]:
    """The content hashes of some videos, by their numbers."""
    with catalogue.reading() as connection:
        rows = among(connection, _VIDEOS, np.unique(numbers).tolist())
        return {row.number: row.video_id for row in rows}


def clips_told(
    catalogue: Catalogue,
    clip_ids: Ids,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> pa.Table:
    """A table with a row a clip: clip_id, video_id, path, start_seconds, end_seconds.

    Args:
        catalogue: The collection's.
        clip_ids: Of living clips, in the order of the rows, shape (n,).
        before: Columns that come first, of length n.
        after: Columns that come last. One called `path` takes the place of the video's first.
    """
    found = spans(catalogue, clip_ids)
    names, paths = video_ids_of(catalogue, found["video"]), paths_of(catalogue, found["video"])
    owners = found["video"].tolist()
    told = {
        "clip_id": pa.array(found["clip_id"]),
        "video_id": pa.array([names[owner] for owner in owners], pa.string()),
        "path": pa.array([paths[owner][0] for owner in owners], pa.string()),
        "start_seconds": pa.array(found["start"]),
        "end_seconds": pa.array(found["end"]),
    }
    return pa.table({**before, **told, **after})


def videos_told(
    catalogue: Catalogue,
    numbers: NDArray[Any],
    num_clips: NDArray[np.int64],
    after: Mapping[str, Any],
) -> pa.Table:
    """A table with a row a video, by path: video_id, path, further columns, num_clips.

    Args:
        catalogue: The collection's.
        numbers: Of living videos, ascending, shape (n,).
        num_clips: How many of their clips are meant, shape (n,).
        after: Columns in that order.
    """
    names, paths = video_ids_of(catalogue, numbers), paths_of(catalogue, numbers)
    known = numbers.tolist()
    table = pa.table(
        {
            "video_id": [names[number] for number in known],
            "path": [paths[number][0] for number in known],
            **after,
            "num_clips": num_clips,
        }
    )
    return table.sort_by("path")


def rows_told(rows: list[dict[str, Any]], types: Mapping[str, str]) -> pa.Table:
    """A table of rows, with Arrow's names of the types of its columns."""
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in types.items()])
    return pa.Table.from_pylist(rows, schema=schema)


def spans_told(catalogue: Catalogue, rows: list[dict[str, Any]]) -> pa.Table:
    """A table with a row a span of a video, with `SPANS_SCHEMA`; no span is a clip.

    Args:
        catalogue: The collection's.
        rows: Values of its columns, and as `video` the video's number; `path` is its first one
            where none is given.
    """
    owners = np.array([row["video"] for row in rows], np.int64)
    names, paths = video_ids_of(catalogue, owners), paths_of(catalogue, owners)
    told = [
        {"path": paths[row["video"]][0], **row, "video_id": names[row["video"]]} for row in rows
    ]
    return pa.Table.from_pylist(told, schema=SPANS_SCHEMA)


def best_labels(catalogue: Catalogue, clip_ids: Ids) -> tuple[NDArray[np.int64], list[str]]:
    """The most probable label of each clip.

    Args:
        catalogue: The collection's.
        clip_ids: Ascending, shape (n,).

    Returns:
        For each clip a place among the names, -1 where it has no label; and the names.
    """
    clip_id = clip_labels.c.clip_id
    query = select(clip_id, clip_labels.c.label, clip_labels.c.score)
    best = np.full(len(clip_ids), -1, np.int64)
    with catalogue.reading() as connection:
        known = connection.execute(select(labels.c.number, labels.c.name)).all()
        for start in range(0, len(clip_ids), MANY_CLIPS):
            some = clip_ids[start : start + MANY_CLIPS]
            for condition in Wanted.among(some).conditions(clip_id):
                cursor: Any = connection.execute(query.where(condition)).cursor
                rows = np.array(cursor.fetchall(), "i8, i8, f8")
                rows = rows[np.isin(rows["f0"], some)]
                rows = rows[np.lexsort((rows["f1"], -rows["f2"], rows["f0"]))]
                owners, first = np.unique(rows["f0"], return_index=True)
                best[np.searchsorted(clip_ids, owners)] = rows["f1"][first]
    # Several numbers, of one source each, may have one name.
    names = list(dict.fromkeys(name for _, name in known))
    places = np.full(max((number for number, _ in known), default=0) + 2, -1, np.int64)
    for number, name in known:
        places[number] = names.index(name)
    return np.where(best < 0, -1, places[best]), names


def dominant_labels(
    groups: Sequence[Sequence[tuple[str, float]]], which: NDArray[np.int64]
) -> pa.Array:
    """A column of labels with their shares, of the type of `labels` in `clips()`.

    Args:
        groups: The labels of each group.
        which: The group of each row.
    """
    each = [[{"name": name, "score": share} for name, share in one] for one in groups]
    return pa.array(each, LABELS_TYPE).take(pa.array(which))


def joined_tables(some: Sequence[pa.Table], by: str) -> pa.Table:
    """Tables of one kind as one, sorted by a column."""
    return pa.concat_tables(some).sort_by(by).combine_chunks()


def table_of_columns(columns: Mapping[str, Any]) -> pa.Table:
    """Columns of one length, by their names, as a table."""
    return pa.table(dict(columns))
