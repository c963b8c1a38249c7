"""The parts of takes that come in several, each in a commit of its own, so that a kill costs one.

The clips of such a take are IN_THE_MAKING until all its parts are there. A video has at most one
take in the making, and so has a path: a later one, under another plan or of other content, makes
void what was there. The clips of a void take are marked as those of any that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, case, func, select, update

from vidx.records import Begun
from vidx.store import changes
from vidx.store.sql import chunks, insert_rows
from vidx.store.tables import IN_THE_MAKING, clips, parts, takes, videos

_LAST = func.max(case((parts.c.is_last, parts.c.part)))  # null before the last one is there


def enter(
    connection: Connection,
    table: pa.Table,
    owners: NDArray[np.int64],
    clip_ids: NDArray[np.int64],
) -> set[int]:
    """Enter the parts that lie in a shard.

    Args:
        connection: In a transaction.
        table: The shard's rows.
        owners: The number of each row's take, shape (rows,).
        clip_ids: Of the rows, shape (rows,).

    Returns:
        The takes among them, by number, of which all parts are there now, and none is gone.
    """
    numbers = table.column("part").to_numpy()
    is_last = table.column("last_part").to_numpy()
    parted = np.flatnonzero((numbers > 0) | ~is_last)
    if not len(parted):
        return set()
    pairs = np.stack([owners[parted], numbers[parted]])
    _, firsts = np.unique(pairs, axis=1, return_index=True)
    rows = parted[firsts]
    insert_rows(
        connection,
        "parts",
        ("take", "part", "is_last", "first_clip_id", "path"),
        zip(
            owners[rows].tolist(),
            numbers[rows].tolist(),
            is_last[rows].tolist(),
            clip_ids[rows].tolist(),
            table.column("path").take(pa.array(rows)).to_pylist(),
            strict=True,
        ),
    )
    return _whole(connection, np.unique(owners[rows]).tolist())


def _whole(connection: Connection, some_takes: Iterable[int]) -> set[int]:
    """Those takes of which all parts are there, and none is gone."""
    found: set[int] = set()
    for some in chunks(some_takes):
        there = select(parts.c.take).where(parts.c.take.in_(some), ~_has_gone(parts.c.take))
        query = there.group_by(parts.c.take).having(func.count() == _LAST + 1)
        found.update(connection.execute(query).scalars())
    return found


def _has_gone(take: ColumnElement[int]) -> ColumnElement[bool]:
    gone = select(clips.c.clip_id).where(clips.c.take == take, clips.c.removed != IN_THE_MAKING)
    return gone.exists()


def begun(connection: Connection, video_id: str, plan: str) -> Begun | None:
    """The take of a video in the making under a plan, if what there is of it has no hole.

    Args:
        connection: To read with.
        video_id: The video.
        plan: The digest of the plan.
    """
    query = (
        select(takes.c.number, takes.c.uuid, takes.c.problem_reason)
        .join(videos, videos.c.number == takes.c.video)
        .where(videos.c.video_id == video_id, takes.c.plan == plan, ~takes.c.complete)
        .where(~_has_gone(takes.c.number))
    )
    for take, name, reason in connection.execute(query).all():
        told = func.count(), func.max(parts.c.part), _LAST, func.max(parts.c.path)  # of one path
        there = select(*told).where(parts.c.take == take)
        num_parts, highest, last, path = connection.execute(there).one()
        if num_parts and highest + 1 == num_parts and last is None:
            stored = select(func.count(), func.max(clips.c.start_seconds))
            num_clips, start = connection.execute(stored.where(clips.c.take == take)).one()
            return Begun(name, num_parts, num_clips, start, reason is not None, path)
    return None


def void_others(connection: Connection, number: int, take: int, video: int, path: str) -> None:
    """Let a take be the only one in the making of its video and at its path.

    Args:
        connection: In a transaction.
        number: The commit's.
        take: The take's number.
        video: The video's.
        path: Where it was seen last.
    """
    connection.execute(update(parts).where(parts.c.take == take).values(path=path))
    there = select(parts.c.take).where(parts.c.path == path)
    rivals = select(takes.c.number).where(
        ~takes.c.complete,
        takes.c.number != take,
        (takes.c.video == video) | takes.c.number.in_(there),
    )
    changes.bury(connection, number, list(connection.execute(rivals).scalars()))
