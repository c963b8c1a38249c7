"""The changes that vidx makes to its SQL catalogue, each within its caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlalchemy import Column, Connection, delete, insert, select, update

from vidx.records import Problem, Source
from vidx.store import shards as shard_files
from vidx.store.labels import top_labels
from vidx.store.shards import ShardInfo
from vidx.store.sql import chunks
from vidx.store.tables import clips, collection, failures, labels, locations, shards, videos


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that could not be embedded.

    Attributes:
        source: The file.
        video_id: SHA-256 (hex) of its bytes, or None when they could not be read.
        problem: Why.
    """

    source: Source
    video_id: str | None
    problem: Problem


def register_shard(
    connection: Connection, table: pa.Table, first_clip_id: int, info: ShardInfo
) -> int:
    """Enter a shard, its videos, locations, clips and labels, from the shard's own rows.

    The same code commits a new shard and adopts one found on disk. What the catalogue has from
    a later shard, of a video or at a path, stays as it is; what is from an earlier one is replaced.

    Returns:
        How many other videos went, having no path left.
    """
    connection.execute(
        insert(shards),
        {
            "first_clip_id": first_clip_id,
            "num_clips": table.num_rows,
            "file": shard_files.file_name(first_clip_id),
            "uuid": info.shard,
            "provenance": json.dumps(info.provenance, ensure_ascii=False),
        },
    )
    reserve(connection, first_clip_id + table.num_rows)
    rows = table.select(
        [field.name for field in (*shard_files.VIDEO_FIELDS, *shard_files.CLIP_FIELDS)]
    ).to_pylist()
    outdated = _outdated(connection, rows, first_clip_id)
    numbered = [
        {**row, "clip_id": first_clip_id + number}
        for number, row in enumerate(rows)
        if row["video_id"] not in outdated
    ]
    first_rows = {row["video_id"]: row for row in reversed(numbered)}
    _replace_videos(connection, list(first_rows.values()))
    _insert(connection, clips, numbered)
    _insert_labels(connection, table, numbered, first_clip_id, info)
    return place(
        connection,
        [
            (video_id, Source(row["path"], row["size_bytes"], row["mtime_ns"]))
            for video_id, row in first_rows.items()
        ],
    )


def reserve(connection: Connection, end_clip_id: int) -> None:
    """See to it that no clip_id below this one is ever given out again."""
    connection.execute(
        update(collection)
        .where(collection.c.next_clip_id < end_clip_id)
        .values(next_clip_id=end_clip_id)
    )


def place(connection: Connection, places: Sequence[tuple[str, Source]]) -> int:
    """Enter where videos were seen; what stood at these paths before is no longer there.

    Args:
        connection: In a transaction.
        places: Pairs of a video_id that is in the catalogue and a file that holds it.

    Returns:
        How many videos went, having no path left.
    """
    paths = [source.path for _, source in places]
    gone = forget(connection, paths, keep={video for video, _ in places})
    rows = {
        source.path: {
            "path": source.path,
            "video_id": video_id,
            "size_bytes": source.size_bytes,
            "mtime_ns": source.mtime_ns,
        }
        for video_id, source in places
    }
    _insert(connection, locations, list(rows.values()))
    return gone


def fail(connection: Connection, failed: Sequence[Failed]) -> None:
    """Enter why files could not be embedded.

    What stood at such a path before goes only when the path is known to hold something else now.
    """
    here = {item.source.path: item for item in failed}
    replaced = [
        row.path
        for some in chunks(list(here))
        for row in connection.execute(select(locations).where(locations.c.path.in_(some)))
        if here[row.path].video_id not in (None, row.video_id)
    ]
    forget(connection, replaced)
    for some in chunks(list(here)):
        connection.execute(delete(failures).where(failures.c.path.in_(some)))
    rows = [
        {
            "path": item.source.path,
            "reason": item.problem.reason,
            "message": item.problem.message,
            "size_bytes": item.source.size_bytes,
            "mtime_ns": item.source.mtime_ns,
        }
        for item in here.values()
    ]
    _insert(connection, failures, rows)


def forget(connection: Connection, paths: Sequence[str], keep: Collection[str] = ()) -> int:
    """Take paths out of the catalogue, and with them the videos that have no other path.

    Args:
        connection: In a transaction.
        paths: Locations or failures; unknown ones are passed over.
        keep: Videos that stay even without a path.

    Returns:
        How many videos went.
    """
    bereft: set[str] = set()
    for some in chunks(paths):
        here = select(locations.c.video_id).where(locations.c.path.in_(some))
        bereft.update(connection.execute(here).scalars())
        connection.execute(delete(locations).where(locations.c.path.in_(some)))
        connection.execute(delete(failures).where(failures.c.path.in_(some)))
    gone = 0
    for some in chunks(sorted(bereft.difference(keep))):
        placed = select(locations.c.video_id).where(locations.c.video_id == videos.c.video_id)
        orphans = delete(videos).where(videos.c.video_id.in_(some), ~placed.exists())
        gone += connection.execute(orphans).rowcount
    return gone


def drop_shard(connection: Connection, first_clip_id: int, num_clips: int) -> None:
    """Take out a shard whose file is lost, its clips, and the videos that have no others."""
    inside = clips.c.clip_id.between(first_clip_id, first_clip_id + num_clips - 1)
    hit = set(connection.execute(select(clips.c.video_id).where(inside)).scalars())
    connection.execute(delete(clips).where(inside))
    for some in chunks(sorted(hit)):
        left = select(clips.c.clip_id).where(clips.c.video_id == videos.c.video_id)
        connection.execute(delete(videos).where(videos.c.video_id.in_(some), ~left.exists()))
    connection.execute(delete(shards).where(shards.c.first_clip_id == first_clip_id))


def _outdated(
    connection: Connection, rows: Sequence[dict[str, Any]], first_clip_id: int
) -> set[str]:
    """The videos of a shard that have later clips, or whose path holds a video that has."""
    later = clips.c.clip_id > first_clip_id
    if connection.execute(select(clips.c.clip_id).where(later).limit(1)).first() is None:
        return set()
    of_path = {row["path"]: row["video_id"] for row in rows}
    found: set[str] = set()
    for some in chunks(sorted(set(of_path.values()))):
        query = select(clips.c.video_id).where(clips.c.video_id.in_(some), later)
        found.update(connection.execute(query).scalars())
    for some in chunks(sorted(of_path)):
        newer = select(locations.c.path).where(locations.c.path.in_(some), later)
        newer = newer.join(clips, clips.c.video_id == locations.c.video_id)
        found.update(of_path[path] for path in connection.execute(newer).scalars())
    return found


def _replace_videos(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Enter videos; of one that is there already, keep the locations and drop the clips."""
    known: set[str] = set()
    for some in chunks([row["video_id"] for row in rows]):
        here = select(videos.c.video_id).where(videos.c.video_id.in_(some))
        known.update(connection.execute(here).scalars())
        connection.execute(delete(clips).where(clips.c.video_id.in_(some)))
    for row in rows:
        if row["video_id"] in known:
            same = videos.c.video_id == row["video_id"]
            connection.execute(update(videos).where(same), _only(videos.columns, row))
    _insert(connection, videos, [row for row in rows if row["video_id"] not in known])


def _insert_labels(
    connection: Connection,
    table: pa.Table,
    rows: Sequence[dict[str, Any]],
    first_clip_id: int,
    info: ShardInfo,
) -> None:
    """Enter the top labels of the given clips, where the model has a head."""
    if "logits" not in table.column_names or not rows:
        return
    named = top_labels(shard_files.matrix(table, "logits"), info.labels)
    _insert(
        connection,
        labels,
        [
            {"clip_id": row["clip_id"], "source": "model", "label": label, "score": score}
            for row in rows
            for label, score in named[row["clip_id"] - first_clip_id]
        ],
    )


def _insert(connection: Connection, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), [_only(table.columns, row) for row in rows])


def _only(columns: Iterable[Column[Any]], row: dict[str, Any]) -> dict[str, Any]:
    return {column.name: row[column.name] for column in columns}
