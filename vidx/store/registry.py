"""Entering a shard into the SQL catalogue from its own rows: videos, takes, clips and labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, func, insert, select, update

from vidx.records import FACTS, Source
from vidx.store import changes, parts
from vidx.store import shards as shard_files
from vidx.store.labels import top_labels
from vidx.store.metadata import recount
from vidx.store.shards import ShardInfo
from vidx.store.sql import chunks, insert_rows
from vidx.store.tables import (
    DROPPED,
    IN_THE_MAKING,
    clip_labels,
    clip_metadata,
    clips,
    collection,
    labels,
    locations,
    shards,
    takes,
    videos,
)
from vidx.store.tables import parts as parts_table

_INFO = ("duration_seconds", "width", "height", "frame_rate", "codec", "container",
         "first_timestamp_seconds", "rotation_degrees", "is_mirrored", "notes")  # fmt: skip

_TAKE = ("number", "uuid", "video", "plan", "complete", "problem_reason", "problem_message")

_CLIP = ("start_seconds", "end_seconds", *FACTS, "repeats")


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one take in a shard.

    Attributes:
        row: What they all say.
        video: The video's number.
        take: The take's number.
        outdated: Whether the catalogue has something later, which stays.
        settled: Whether it is the living take of its video already.
    """

    row: dict[str, Any]
    video: int
    take: int
    outdated: bool
    settled: bool


def enter_shard(
    connection: Connection,
    number: int,
    table: pa.Table,
    path: Path,
    info: ShardInfo,
    *,
    placing: bool = True,
) -> None:
    """Enter a shard.

    What the catalogue has from a later shard, of a video or at a path, stays as it is; what is
    from an earlier one is replaced.

    Args:
        connection: In a transaction.
        number: The commit's.
        table: The shard's rows.
        path: The shard, under its final name.
        info: What it says of itself.
        placing: Whether its videos are where its rows say; else something later tells.
    """
    clip_ids = shard_files.clip_ids(path, table)
    first, end = shard_files.span(path, clip_ids)
    among = _next_clip_id(connection) > first
    list_shard(connection, path, clip_ids, info)
    changes.reserve(connection, end)
    if among:
        changes.reshape(connection, number)
    names = table.column("take").combine_chunks().dictionary_encode()
    rows = _rows_of_takes(table, names)
    outdated = _outdated(connection, rows, first) if among else set()
    found = _enter_takes(connection, rows, outdated)
    owners = names.indices.to_numpy()
    _enter_clips(connection, number, table, clip_ids, [found[n] for n in owners.tolist()])
    _enter_labels(connection, table, clip_ids, info)
    of_rows = np.array([one.take for one in found], np.int64)[owners]
    whole = parts.enter(connection, table, of_rows, clip_ids)
    complete = []
    for one in found:
        if one.outdated:
            continue
        if _is_whole(one.row) or one.take in whole:
            complete.append(one)
            if not one.settled:
                _switch(connection, number, one)
        else:
            _note(connection, one)
            if not among:
                parts.void_others(connection, number, one.take, one.video, one.row["path"])
    if placing:
        changes.place(connection, number, [_place_of(one.row) for one in complete])


def list_shard(
    connection: Connection, path: Path, clip_ids: NDArray[np.int64], info: ShardInfo
) -> None:
    """Enter the file alone."""
    first, end = shard_files.span(path, clip_ids)
    connection.execute(
        insert(shards),
        {
            "first_clip_id": first,
            "end_clip_id": end,
            "num_clips": len(clip_ids),
            "file": path.name,
            "uuid": info.shard,
            "provenance": json.dumps(info.provenance, ensure_ascii=False),
        },
    )


def drop_shard(connection: Connection, number: int, first_clip_id: int, end_clip_id: int) -> None:
    """Take out a shard whose file is lost, its clips, and all of the takes they belong to."""
    inside = clips.c.clip_id.between(first_clip_id, end_clip_id - 1)
    hit = list(connection.execute(select(clips.c.take).where(inside).distinct()).scalars())
    drop_clips(connection, first_clip_id, end_clip_id)
    connection.execute(delete(shards).where(shards.c.first_clip_id == first_clip_id))
    changes.reshape(connection, number)
    lost = parts_table.c.first_clip_id.between(first_clip_id, end_clip_id - 1)
    connection.execute(delete(parts_table).where(lost))
    for some in chunks(hit):
        connection.execute(update(takes).where(takes.c.number.in_(some)).values(complete=False))
        # Other parts of them wait for the one that is lost: it may be put back.
        alive = (clips.c.take.in_(some), clips.c.removed.is_(None))
        connection.execute(update(clips).where(*alive).values(removed=IN_THE_MAKING))
        broken = select(takes.c.video).where(takes.c.number.in_(some))
        whose = (videos.c.take.in_(some), videos.c.number.in_(broken))
        connection.execute(update(videos).where(*whose).values(take=None))
    drop_empty(connection)


def drop_clips(connection: Connection, first_clip_id: int, end_clip_id: int) -> None:
    """Delete the rows of the clips with these ids."""
    inside = clips.c.clip_id.between(first_clip_id, end_clip_id - 1)
    connection.execute(delete(clips).where(inside))
    theirs = clip_labels.c.clip_id.between(first_clip_id, end_clip_id - 1)
    connection.execute(delete(clip_labels).where(theirs))
    known = clip_metadata.c.clip_id.between(first_clip_id, end_clip_id - 1)
    connection.execute(delete(clip_metadata).where(known))


def replace_shards(
    connection: Connection,
    old: Sequence[int],
    path: Path,
    clip_ids: NDArray[np.int64],
    info: ShardInfo,
) -> None:
    """Put a compacted shard in the place of those it was made of.

    Args:
        connection: In a transaction.
        old: The first clip_id of each.
        path: The compacted shard, under its final name.
        clip_ids: Those it has.
        info: What it says of itself.
    """
    for some in chunks(old):
        ends = select(shards.c.first_clip_id, shards.c.end_clip_id)
        inside = ends.where(shards.c.first_clip_id.in_(some))
        for first, end in connection.execute(inside).all():
            gone = (clips.c.clip_id >= first, clips.c.clip_id < end, clips.c.removed > 0)
            connection.execute(update(clips).where(*gone).values(removed=DROPPED))
        connection.execute(delete(shards).where(shards.c.first_clip_id.in_(some)))
    list_shard(connection, path, clip_ids, info)


def purge(connection: Connection) -> int:
    """Delete what only a restore could ask for; returns how many clips that were."""
    gone = select(clips.c.clip_id).where(clips.c.removed == DROPPED)
    connection.execute(delete(clip_labels).where(clip_labels.c.clip_id.in_(gone)))
    connection.execute(delete(clip_metadata).where(clip_metadata.c.clip_id.in_(gone)))
    deleted = connection.execute(delete(clips).where(clips.c.removed == DROPPED)).rowcount
    connection.execute(delete(locations).where(locations.c.removed.is_not(None)))
    drop_empty(connection)
    return int(deleted)


def drop_empty(connection: Connection) -> None:
    """Delete takes without clips, and videos without takes, with locations and metadata."""
    filled = select(clips.c.clip_id).where(clips.c.take == takes.c.number)
    connection.execute(delete(takes).where(~filled.exists()))
    taken = select(takes.c.number).where(takes.c.video == videos.c.number)
    connection.execute(delete(videos).where(~taken.exists()))
    recount(connection)


def _next_clip_id(connection: Connection) -> int:
    return int(connection.execute(select(collection.c.next_clip_id)).scalar_one())


def _rows_of_takes(table: pa.Table, names: pa.DictionaryArray) -> list[dict[str, Any]]:
    """For each take of a shard, in order of appearance, what its rows say of the video.

    Parts of one take that were joined are one, with the number of the first; the last one knows
    most of the video.
    """
    numbers, parts = names.indices.to_numpy(), table.column("part").to_numpy()
    order = np.lexsort((parts, numbers))
    counts = np.bincount(numbers)
    ends = np.cumsum(counts)
    last, first = order[ends - 1], order[ends - counts]
    columns = [field.name for field in shard_files.VIDEO_FIELDS]
    rows: list[dict[str, Any]] = table.select(columns).take(pa.array(last)).to_pylist()
    return [{**row, "part": part} for row, part in zip(rows, parts[first].tolist(), strict=True)]


def _outdated(
    connection: Connection, rows: Sequence[dict[str, Any]], first_clip_id: int
) -> set[str]:
    """The takes whose video has later clips, or whose path holds a video that has."""
    later = clips.c.clip_id > first_clip_id
    lives = select(takes.c.number).join(clips, clips.c.take == takes.c.number).where(later)
    lives = lives.where(takes.c.number == videos.c.take)
    found: set[str] = set()
    for some in chunks(sorted({row["video_id"] for row in rows})):
        query = select(videos.c.video_id).where(videos.c.video_id.in_(some), lives.exists())
        known = set(connection.execute(query).scalars())
        found.update(row["take"] for row in rows if row["video_id"] in known)
    for some in chunks(sorted({row["path"] for row in rows})):
        query = (
            select(locations.c.path)
            .join(videos, videos.c.number == locations.c.video)
            .where(locations.c.path.in_(some), locations.c.removed.is_(None), lives.exists())
        )
        held = set(connection.execute(query).scalars())
        found.update(row["take"] for row in rows if row["path"] in held)
    return found


def _enter_takes(
    connection: Connection, rows: Sequence[dict[str, Any]], outdated: set[str]
) -> list[_Part]:
    """Enter the videos and takes that are not there yet."""
    known = changes.video_numbers(connection, {row["video_id"] for row in rows})
    begun = _begun(connection, [row["take"] for row in rows])
    next_video, next_take = (
        int(connection.execute(select(func.max(table.c.number))).scalar() or 0) + 1
        for table in (videos, takes)
    )
    found, new_videos, new_takes = [], [], []
    for row in rows:
        late = row["take"] in outdated
        take = begun.get(row["take"])
        if take is None:
            take, next_take = next_take, next_take + 1
        video = known.get(row["video_id"])
        settled = video is None and _is_whole(row) and not late
        if video is None:
            video = known[row["video_id"]] = next_video
            next_video += 1
            about = (row["video_id"], row["size_bytes"], *_info(row).values())
            new_videos.append((video, take if settled else None, *about))
        if row["take"] not in begun:
            problem = (row["problem_reason"], row["problem_message"])
            new_takes.append((take, row["take"], video, row["plan"], _is_whole(row), *problem))
        found.append(_Part(row, video, take, late, settled))
    columns = ("number", "take", "video_id", "size_bytes", *_INFO)
    insert_rows(connection, "videos", columns, new_videos)
    insert_rows(connection, "takes", _TAKE, new_takes)
    return found


def _begun(connection: Connection, uuids: Sequence[str]) -> dict[str, int]:
    """Those of some takes that have a part in the catalogue, with their numbers."""
    found: dict[str, int] = {}
    for some in chunks(uuids):
        here = select(takes.c.uuid, takes.c.number).where(takes.c.uuid.in_(some))
        found.update((row.uuid, row.number) for row in connection.execute(here))
    return found


def _enter_clips(
    connection: Connection,
    number: int,
    table: pa.Table,
    clip_ids: NDArray[np.int64],
    owners: Sequence[_Part],
) -> None:
    """Enter clips, which live once their take is switched to."""
    insert_rows(
        connection,
        "clips",
        ("clip_id", "take", *_CLIP, "removed"),
        zip(
            clip_ids.tolist(),
            [part.take for part in owners],
            *(table.column(name).to_pylist() for name in _CLIP),
            [_mark(part, number) for part in owners],
            strict=True,
        ),
    )


def _mark(part: _Part, number: int) -> int | None:
    """What `removed` says of a part's clips at first."""
    if part.outdated:
        return number
    return None if _is_whole(part.row) else IN_THE_MAKING


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether a take lies in this shard alone."""
    return bool(row["last_part"]) and not row["part"]


def _enter_labels(
    connection: Connection, table: pa.Table, clip_ids: NDArray[np.int64], info: ShardInfo
) -> None:
    """Enter the top labels of the given clips, where the model has a head."""
    if "logits" not in table.column_names:
        return
    best = top_labels(shard_files.matrix(table, "logits"), info.labels)
    numbers = np.array(_label_numbers(connection, best.names))
    insert_rows(
        connection,
        "clip_labels",
        ("clip_id", "label", "score"),
        zip(
            np.repeat(clip_ids, best.columns.shape[1]).tolist(),
            numbers[best.columns].ravel().tolist(),
            best.scores.ravel().tolist(),
            strict=True,
        ),
    )


def _label_numbers(connection: Connection, names: Sequence[str]) -> list[int]:
    """The numbers of the model's labels; new ones are entered."""
    ours = select(labels.c.name, labels.c.number).where(labels.c.source == "model")
    known = {row.name: row.number for row in connection.execute(ours)}
    new = [name for name in names if name not in known]
    following = int(connection.execute(select(func.max(labels.c.number))).scalar() or 0) + 1
    known.update(zip(new, range(following, following + len(new)), strict=True))
    rows = [(known[name], "model", name) for name in new]
    insert_rows(connection, "labels", ("number", "source", "name"), rows)
    return [known[name] for name in names]


def _switch(connection: Connection, number: int, part: _Part) -> None:
    """Let a take that is complete be the living one of its video."""
    others = select(takes.c.number).where(takes.c.video == part.video, takes.c.number != part.take)
    changes.bury(connection, number, list(connection.execute(others).scalars()))
    connection.execute(update(takes).where(takes.c.number == part.take).values(complete=True))
    if part.row["last_part"]:  # else that came before this one, and knows more
        _tell(connection, part)
    changes.revive(connection, part.video, part.take, IN_THE_MAKING)


def _note(connection: Connection, part: _Part) -> None:
    """Keep what a part tells whose take is not complete with it."""
    lives = select(videos.c.take).where(videos.c.number == part.video)
    if connection.execute(lives).scalar() is None:
        _tell(connection, part)


def _tell(connection: Connection, part: _Part) -> None:
    """Enter what a part says of its video: a later one may know more, and so may another look."""
    problem = {name: part.row[name] for name in ("problem_reason", "problem_message")}
    connection.execute(update(takes).where(takes.c.number == part.take).values(**problem))
    whose = update(videos).where(videos.c.number == part.video)
    connection.execute(whose.values(**_info(part.row)))


def _info(row: dict[str, Any]) -> dict[str, Any]:
    """What a shard's row says of its video, as the catalogue keeps it."""
    return {
        **{name: row[name] for name in _INFO},
        "notes": json.dumps(row["notes"], ensure_ascii=False),
    }


def _place_of(row: dict[str, Any]) -> tuple[str, Source]:
    return row["video_id"], Source(row["path"], row["size_bytes"], row["version"])
