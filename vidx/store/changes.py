"""The changes that vidx makes to its SQL catalogue, each within its caller's transaction.

The same code makes a commit, adopts what a killed one left on disk, and replays all for a catalogue
that was lost.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from importlib.metadata import version
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from vidx.records import Source
from vidx.store import snapshots
from vidx.store.journal import Change, Failed
from vidx.store.metadata import values as metadata_values
from vidx.store.sql import chunks, insert_rows
from vidx.store.tables import (
    DROPPED,
    IN_THE_MAKING,
    clip_metadata,
    clips,
    collection,
    commits,
    failures,
    locations,
    parts,
    takes,
    video_metadata,
    videos,
)
from vidx.store.tables import snapshots as snapshots_table


def begin_commit(
    connection: Connection, number: int, time: str, verb: str, provenance: dict[str, str]
) -> None:
    """Enter a commit, to which the transaction's other changes belong."""
    connection.execute(select(collection.c.uuid).with_for_update())  # whoever else would, waits
    row = {"number": number, "time": time, "verb": verb, "provenance": json.dumps(provenance)}
    connection.execute(insert(commits), row)


def own_provenance() -> dict[str, str]:
    """Of a commit that computes no vectors."""
    return {"vidx": version("vidx")}


def last_commit(connection: Connection) -> int:
    """The number of the last commit, 0 before the first."""
    found = connection.execute(select(func.max(commits.c.number))).scalar()
    return int(found or 0)


def reserve(connection: Connection, end_clip_id: int) -> None:
    """See to it that no clip_id below this one is ever given out again."""
    connection.execute(
        update(collection)
        .where(collection.c.next_clip_id < end_clip_id)
        .values(next_clip_id=end_clip_id)
    )


def reshape(connection: Connection, number: int) -> None:
    """Note that this commit put in or took out clips among others: an index of before is no use."""
    connection.execute(update(collection).values(reshaped_commit=number))


def apply_before(connection: Connection, number: int, change: Change) -> None:
    """What a commit does before its shards are entered.

    Videos that gain a path come first, so that none goes for having lost one.
    """
    forget(connection, number, change.gone, keep={video for video, _ in change.places})
    place(connection, number, change.places)


def apply_after(connection: Connection, number: int, change: Change, uuid: str) -> None:
    """What a commit of the collection with this uuid does after its shards are entered."""
    place(connection, number, change.further)
    _fail(connection, number, change.failed)
    for commit in change.restored:
        _restore(connection, commit)
    _remove(connection, number, change.removed)
    for file in change.metadata.values():
        metadata_values.enter(connection, file, uuid)
    for name in change.forgotten:
        snapshots.forget(connection, name)
    for file in change.snapshots:
        snapshots.enter(connection, file, uuid)


def place(connection: Connection, number: int, places: Sequence[tuple[str, Source]]) -> None:
    """Enter where videos were seen; what stood at these paths before is no longer there.

    Args:
        connection: In a transaction.
        number: The commit's.
        places: Pairs of a video_id and a file that holds it; videos that are not there are passed
            over.
    """
    numbers = video_numbers(connection, {video_id for video_id, _ in places})
    rows = {
        source.path: (source.path, numbers[video_id], source.size_bytes, source.version)
        for video_id, source in places
        if video_id in numbers
    }
    forget(connection, number, list(rows), keep={video_id for video_id, _ in places})
    insert_rows(connection, "locations", ("path", "video", "size_bytes", "version"), rows.values())


def forget(
    connection: Connection, number: int, paths: Sequence[str], keep: Collection[str] = ()
) -> None:
    """Take paths out for good, and with them the videos that have no other path.

    Args:
        connection: In a transaction.
        number: The commit's.
        paths: Locations or failures; unknown ones are passed over.
        keep: Videos, by video_id, that stay even without a path.
    """
    bereft: set[int] = set()
    for some in chunks(paths):
        here = (locations.c.path.in_(some), locations.c.removed.is_(None))
        bereft.update(connection.execute(select(locations.c.video).where(*here)).scalars())
        connection.execute(delete(locations).where(*here))
        connection.execute(delete(failures).where(failures.c.path.in_(some)))
    kept = set(video_numbers(connection, keep).values())
    let_go(connection, number, bereft - kept)
    _void_at(connection, number, paths, kept)


def clear(connection: Connection) -> None:
    """Forget what a checkpoint tells of anew: places, failures, metadata and snapshots."""
    for table in (locations, failures, video_metadata, clip_metadata, snapshots_table):
        connection.execute(delete(table))


def let_go_of_placeless(connection: Connection, number: int) -> None:
    """Take out all videos that have no path."""
    placed = select(locations.c.video).where(locations.c.removed.is_(None))
    lonely = select(videos.c.number).where(videos.c.number.not_in(placed))
    let_go(connection, number, list(connection.execute(lonely).scalars()))


def let_go(connection: Connection, number: int, bereft: Iterable[int]) -> None:
    """Take out those of some videos that have no path left."""
    gone: list[int] = []
    for some in chunks(sorted(bereft)):
        placed = select(locations.c.video).where(
            locations.c.video == videos.c.number, locations.c.removed.is_(None)
        )
        lonely = select(videos.c.number).where(
            videos.c.number.in_(some), videos.c.take.is_not(None), ~placed.exists()
        )
        gone += connection.execute(lonely).scalars()
    for some in chunks(gone):
        # What is in the making at another path goes on: `_void_at` takes out what does not.
        of_videos = select(takes.c.number).where(takes.c.video.in_(some), takes.c.complete)
        bury(connection, number, list(connection.execute(of_videos).scalars()))
        connection.execute(update(videos).where(videos.c.number.in_(some)).values(take=None))


def _void_at(
    connection: Connection, number: int, paths: Sequence[str], kept: Collection[int]
) -> None:
    """Take out what is in the making of the files at some paths, where no other path holds them."""
    placed = select(locations.c.video).where(
        locations.c.video == takes.c.video, locations.c.removed.is_(None)
    )
    for some in chunks(paths):
        here = select(parts.c.take).where(parts.c.path.in_(some))
        begun = select(takes.c.number, takes.c.video).where(
            takes.c.number.in_(here), ~takes.c.complete, ~placed.exists()
        )
        void = [row.number for row in connection.execute(begun) if row.video not in kept]
        bury(connection, number, void)


def bury(connection: Connection, number: int, some_takes: Sequence[int]) -> None:
    """Take out the living clips of takes, and those in the making."""
    for some in chunks(some_takes):
        alive = clips.c.removed.is_(None) | (clips.c.removed == IN_THE_MAKING)
        connection.execute(
            update(clips).where(clips.c.take.in_(some), alive).values(removed=number)
        )


def video_numbers(connection: Connection, video_ids: Iterable[str]) -> dict[str, int]:
    """The numbers of those of some videos that the catalogue knows."""
    found: dict[str, int] = {}
    for some in chunks(sorted(video_ids)):
        here = select(videos.c.video_id, videos.c.number).where(videos.c.video_id.in_(some))
        found.update((row.video_id, row.number) for row in connection.execute(here))
    return found


def _fail(connection: Connection, number: int, failed: Sequence[Failed]) -> None:
    """Enter why files could not be embedded.

    What stood at such a path before goes only when the path is known to hold something else now.
    """
    here = {item.source.path: item for item in failed}
    rows, replaced = [], []
    for some in chunks(list(here)):
        known = (
            select(locations.c.path, videos.c.video_id)
            .join(videos, videos.c.number == locations.c.video)
            .where(locations.c.path.in_(some), locations.c.removed.is_(None))
        )
        replaced += [
            row.path
            for row in connection.execute(known)
            if here[row.path].video_id not in (None, row.video_id)
        ]
        before = select(failures).where(failures.c.path.in_(some))
        tried = {row.path: _attempts(here[row.path], row) for row in connection.execute(before)}
        rows += [(here[path], tried.get(path, 0) + 1) for path in some]
        connection.execute(delete(failures).where(failures.c.path.in_(some)))
    forget(connection, number, replaced)
    read = {item.video_id for item in failed if item.video_id is not None}
    paths = [path for path, item in here.items() if item.video_id is not None]
    _void_at(connection, number, paths, set(video_numbers(connection, read).values()))
    _enter_failures(connection, number, rows)


def _attempts(failed: Failed, before: Any) -> int:
    """How many times a file was tried before; 0 when the path held something else then."""
    if None in (failed.video_id, before.video_id):
        same = (failed.source.size_bytes, failed.source.version) == (
            before.size_bytes,
            before.version,
        )
    else:
        same = failed.video_id == before.video_id
    return before.attempts if same else 0


def _enter_failures(
    connection: Connection, number: int, rows: Sequence[tuple[Failed, int]]
) -> None:
    """Enter failures, each with the number of attempts that it has where it does not say."""
    time = connection.execute(select(commits.c.time).where(commits.c.number == number)).scalar()
    insert_rows(
        connection,
        "failures",
        ("path", "reason", "message", "video_id", "size_bytes", "version",
         "attempts", "last_attempt"),
        (
            (
                one.source.path,
                one.problem.reason,
                one.problem.message,
                one.video_id,
                one.source.size_bytes,
                one.source.version,
                attempts if one.attempts is None else one.attempts,
                one.last_attempt or time,
            )
            for one, attempts in rows
        ),
    )  # fmt: skip


def _remove(connection: Connection, number: int, paths: Sequence[str]) -> None:
    """Take paths out in a way that can be taken back."""
    bereft: set[int] = set()
    for some in chunks(paths):
        here = (locations.c.path.in_(some), locations.c.removed.is_(None))
        bereft.update(connection.execute(select(locations.c.video).where(*here)).scalars())
        connection.execute(update(locations).where(*here).values(removed=number))
        connection.execute(delete(failures).where(failures.c.path.in_(some)))
    let_go(connection, number, bereft)
    _void_at(connection, number, paths, set())


def _restore(connection: Connection, commit: int) -> None:
    """Take a removal back, but for paths that hold something else since."""
    taken = select(locations.c.path).where(locations.c.removed.is_(None)).scalar_subquery()
    theirs = (locations.c.removed == commit, locations.c.path.not_in(taken))
    back = set(connection.execute(select(locations.c.video).where(*theirs)).scalars())
    connection.execute(update(locations).where(*theirs).values(removed=None))
    for some in chunks(sorted(back)):
        # A video goes with its last path, which a later commit may have taken out.
        gone = (
            select(takes.c.video, takes.c.number, func.max(clips.c.removed))
            .join(clips, clips.c.take == takes.c.number)
            .join(videos, videos.c.number == takes.c.video)
            .where(clips.c.removed > DROPPED, takes.c.complete, videos.c.take.is_(None))
            .where(takes.c.video.in_(some))
            .group_by(takes.c.video, takes.c.number)
            .order_by(takes.c.number)
        )
        last = {video: (take, mark) for video, take, mark in connection.execute(gone).all()}
        for video, (take, mark) in last.items():
            revive(connection, video, take, mark)


def revive(connection: Connection, video: int, take: int, removed: int) -> None:
    """Let a take be the living one of its video: those of its clips with this mark live."""
    connection.execute(update(videos).where(videos.c.number == video).values(take=take))
    theirs = (clips.c.take == take, clips.c.removed == removed)
    connection.execute(update(clips).where(*theirs).values(removed=None))
