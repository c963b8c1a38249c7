"""The questions that vidx asks of its SQL catalogue. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, bindparam, func, select

from vidx.errors import CollectionDamaged, CollectionTooNew
from vidx.records import Begun, Label, MetadataColumn, Origin
from vidx.store import metadata, parts
from vidx.store.database import Database, database_of
from vidx.store.layout import Layout, Manifest
from vidx.store.migrate import HEAD, READABLE, revision
from vidx.store.sql import SOME, Question, among, chunks, grouped, words
from vidx.store.tables import (
    DROPPED,
    IN_THE_MAKING,
    clip_labels,
    clips,
    collection,
    commits,
    failures,
    labels,
    locations,
    shards,
    takes,
    videos,
)
from vidx.store.tables import parts as parts_table

# What each search asks.
_STATE = Question(
    select(
        select(func.max(commits.c.number)).scalar_subquery(),
        collection.c.reshaped_commit,
        collection.c.next_clip_id,
        collection.c.numbering,
    )
)
_CLIPS = Question(
    select(
        clips.c.clip_id,
        videos.c.video_id,
        clips.c.start_seconds,
        clips.c.end_seconds,
        takes.c.video,
    )
    .join(takes, takes.c.number == clips.c.take)
    .join(videos, videos.c.number == takes.c.video)
    .where(clips.c.removed.is_(None), clips.c.clip_id.in_(SOME))
)
_SPANS = select(clips.c.clip_id, clips.c.start_seconds, clips.c.end_seconds).where(
    clips.c.clip_id.in_(SOME)
)
_PLACES = Question(
    select(locations.c.video, locations.c.path).where(
        locations.c.removed.is_(None), locations.c.video.in_(SOME)
    )
)
_LABELS = Question(
    select(clip_labels.c.clip_id, labels.c.name, clip_labels.c.score)
    .join(labels, labels.c.number == clip_labels.c.label)
    .where(clip_labels.c.clip_id.in_(SOME))
)
# And what is asked of each file that is not where it was.
_TAKE = (
    select(takes.c.plan, takes.c.problem_reason)
    .join(videos, videos.c.take == takes.c.number)
    .where(videos.c.video_id == bindparam("video_id"))
)
_PLACES_OF = (
    select(locations.c.path)
    .join(videos, videos.c.number == locations.c.video)
    .where(videos.c.video_id == bindparam("video_id"), locations.c.removed.is_(None))
)
_FAILED_AT = select(failures.c.path).where(failures.c.video_id == bindparam("video_id"))
_SCORE = attrgetter("score")
_IN_THE_MAKING = select(clips.c.take).where(clips.c.removed == IN_THE_MAKING).distinct()


@dataclass(frozen=True, slots=True)
class KnownTake:
    """How a video was embedded that is in the collection.

    Attributes:
        plan: How it was cut into clips.
        problem: The reason code when only a part of it could be embedded, else None.
    """

    plan: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the catalogue remembers of a path.

    Attributes:
        size_bytes: The file's size when it was last read.
        version: Its time of last change then, or its ETag.
        video_id: The content it held, or None when it failed and was never embedded.
        take: How that content was embedded, likewise.
        failure: The reason code when it failed, else None.
    """

    size_bytes: int | None
    version: str
    video_id: str | None
    take: KnownTake | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class KnownContent:
    """What the catalogue remembers of a content.

    Attributes:
        take: How it was embedded, or None when it is not in the collection.
        places: The paths at which it was seen, sorted.
        failed_at: The paths at which it failed, sorted.
    """

    take: KnownTake | None
    places: tuple[str, ...]
    failed_at: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShardRow:
    """One Parquet file that the catalogue knows."""

    first_clip_id: int
    end_clip_id: int
    num_clips: int
    file: str
    uuid: str


@dataclass(frozen=True, slots=True)
class ClipRow:
    """One live clip with all that a hit tells of it."""

    clip_id: int
    video_id: str
    start_seconds: float
    end_seconds: float
    locations: tuple[str, ...]
    labels: tuple[Label, ...]


class State(NamedTuple):
    """How far the collection is.

    Attributes:
        commit: The number of the last commit.
        reshaped_commit: The last one that put in or took out clips among others.
        next_clip_id: The id after the last clip there ever was.
        numbering: What the numbers of videos are comparable with: another in a catalogue made anew.
    """

    commit: int
    reshaped_commit: int
    next_clip_id: int
    numbering: str


class Catalogue:
    """The SQL catalogue of one collection, opened for reading. Threads may share it.

    Its methods too raise CollectionDamaged, where they come upon a broken part of the file.

    Args:
        layout: The collection's folder.
        manifest: What its `collection.json` says.

    Raises:
        CollectionDamaged: The catalogue is missing, unreadable or another collection's.
        CollectionTooNew: A later vidx wrote it.
        VidxError: The file may not be read, or the disk is full.
    """

    def __init__(self, layout: Layout, manifest: Manifest) -> None:
        self.layout = layout
        self.manifest = manifest
        database = database_of(layout, manifest)
        if not database.exists():
            raise missing(database)
        self.engine: Engine = database.open_for_reading()
        self._open: Connection | None = None
        with self.engine.begin() as connection:
            check_identity(connection, database, manifest)

    @contextmanager
    def now(self) -> Iterator[Self]:
        """The catalogue as it is now, to one thread, whatever is committed while this lasts."""
        still = object.__new__(type(self))
        still.layout, still.manifest, still.engine = self.layout, self.manifest, self.engine
        with self.reading() as connection:
            still._open = connection
            yield still

    def close(self) -> None:
        """Let go of the file."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction for reading: the one that `now` keeps open, or one of its own."""
        if self._open is not None:
            yield self._open
        else:
            with self.engine.begin() as connection:
                yield connection

    def state(self) -> State:
        """How far the collection is: one cheap look that tells whether anything has changed."""
        with self.reading() as connection:
            commit, *others = _STATE.ask_once(connection)
            return State(commit or 0, *others)

    def known(self, paths: Sequence[str]) -> dict[str, KnownFile]:
        """What is remembered of each of these paths; those never seen are left out."""
        found = {}
        with self.reading() as connection:
            for some in chunks(paths):
                seen = (
                    select(locations, videos.c.video_id, takes.c.plan, takes.c.problem_reason)
                    .join(videos, videos.c.number == locations.c.video)
                    .join(takes, takes.c.number == videos.c.take, isouter=True)
                    .where(locations.c.path.in_(some), locations.c.removed.is_(None))
                )
                for row in connection.execute(seen):
                    take = KnownTake(row.plan, row.problem_reason) if row.plan else None
                    found[row.path] = KnownFile(
                        row.size_bytes, row.version, row.video_id, take, None
                    )
                for row in connection.execute(select(failures).where(failures.c.path.in_(some))):
                    # What failed under one plan may be there as another one asks.
                    there = found.get(row.path)
                    seen_as = row.size_bytes, row.version
                    if there and (there.size_bytes, there.version) == seen_as:
                        found[row.path] = replace(there, failure=row.reason)
                    else:
                        found[row.path] = KnownFile(*seen_as, None, None, row.reason)
        return found

    def content(self, video_id: str) -> KnownContent:
        """What is known of a content, whatever its paths."""
        this = {"video_id": video_id}
        with self.reading() as connection:
            take = connection.execute(_TAKE, this).first()
            return KnownContent(
                KnownTake(*take) if take else None,
                tuple(sorted(connection.execute(_PLACES_OF, this).scalars())),
                tuple(sorted(connection.execute(_FAILED_AT, this).scalars())),
            )

    def begun(self, video_id: str, plan: str) -> Begun | None:
        """What is stored of a video whose last part, under this plan, is not there yet."""
        with self.reading() as connection:
            return parts.begun(connection, video_id, plan)

    def shards(self) -> list[ShardRow]:
        """The Parquet files that hold the clips, by first clip_id."""
        columns = [getattr(shards.c, name) for name in ShardRow.__slots__]
        with self.reading() as connection:
            rows = connection.execute(select(*columns).order_by(shards.c.first_clip_id))
            return [ShardRow(*row) for row in rows]

    def origins(self) -> list[Origin]:
        """What made the vectors: one for each distinct provenance of shards, the oldest first."""
        columns = (shards.c.provenance, shards.c.first_clip_id, shards.c.end_clip_id)
        query = select(*columns, shards.c.num_clips).order_by(shards.c.first_clip_id)
        with self.reading() as connection:
            rows = connection.execute(query).all()
            gone = ids_of(connection, select(clips.c.clip_id).where(clips.c.removed > DROPPED))
        found: dict[str, list[int]] = {}
        for provenance, first, end, num_clips in rows:
            low, high = np.searchsorted(gone, [first, end])
            found.setdefault(provenance, []).append(num_clips - int(high - low))
        return [Origin(json.loads(text), len(live), sum(live)) for text, live in found.items()]

    def live_clip_ids(self, *, since: int = 0) -> NDArray[np.int64]:
        """The ids of all clips that live from this one on, int64 (n,), ascending."""
        query = select(clips.c.clip_id).where(clips.c.clip_id >= since, clips.c.removed.is_(None))
        with self.reading() as connection:
            return ids_of(connection, query)

    def removed_clip_ids(self) -> NDArray[np.int64]:
        """The ids of all clips that do not live, int64 (n,), ascending."""
        with self.reading() as connection:
            return ids_of(connection, select(clips.c.clip_id).where(clips.c.removed.is_not(None)))

    def dropped_clip_ids(self) -> NDArray[np.int64]:
        """The ids of all clips that shards need not keep, int64 (n,), ascending."""
        with self.reading() as connection:
            return ids_of(
                connection, select(clips.c.clip_id).where(clips.c.removed > IN_THE_MAKING)
            )

    def has_dropped(self) -> bool:
        """Whether there are clips that no shard has any more, but an index may."""
        with self.reading() as connection:
            query = select(clips.c.clip_id).where(clips.c.removed == DROPPED).limit(1)
            return connection.execute(query).first() is not None

    def video_numbers(self, first_clip_id: int, end_clip_id: int) -> NDArray[np.int64]:
        """The clips with first <= clip_id < end, living or not, and the number of their video.

        Returns:
            int64, shape (n, 2): clip_id, ascending, and number.
        """
        query = (
            select(clips.c.clip_id, takes.c.video)
            .join(takes, takes.c.number == clips.c.take)
            .where(clips.c.clip_id >= first_clip_id, clips.c.clip_id < end_clip_id)
            .order_by(clips.c.clip_id)
        )
        with self.reading() as connection:
            rows = [tuple(row) for row in connection.execute(query)]
        return np.array(rows, np.int64).reshape(-1, 2)

    def number_of(self, video_id: str) -> int | None:
        """The number of a video; None when it was never in the collection."""
        query = select(videos.c.number).where(videos.c.video_id == video_id)
        with self.reading() as connection:
            found: int | None = connection.execute(query).scalar()
            return found

    def paths_at(self, path: str) -> list[str]:
        """The locations and failures that are this path, or lie in this folder, sorted.

        And so are files of which the first parts are stored.
        """
        folder = path.rstrip("/")
        found: set[str] = set()
        with self.reading() as connection:
            for table in (locations, failures, parts_table):
                # All that begins with the folder's name and a slash comes before its name and "0".
                inside = (table.c.path > f"{folder}/") & (table.c.path < f"{folder}0")
                query = select(table.c.path).where((table.c.path == path) | inside)
                if table is locations:
                    query = query.where(locations.c.removed.is_(None))
                elif table is parts_table:
                    query = query.where(parts_table.c.take.in_(_IN_THE_MAKING))
                found.update(connection.execute(query).scalars())
        return sorted(found)

    def labels(self) -> dict[str, list[int]]:
        """Every label that a clip may have, with the numbers under which sources know it."""
        known: dict[str, list[int]] = {name: [] for name in self.manifest.space.labels}
        with self.reading() as connection:
            for number, name in connection.execute(select(labels.c.number, labels.c.name)):
                known.setdefault(name, []).append(number)
        return known

    def metadata_columns(self) -> list[MetadataColumn]:
        """What users know of videos, and then of clips."""
        with self.reading() as connection:
            return metadata.columns(connection)

    def clip_rows(self, clip_ids: Sequence[int]) -> dict[int, ClipRow]:
        """All that a hit tells of these clips; ids that are not live are left out."""
        with self.reading() as connection:
            rows = list(_CLIPS.ask(connection, clip_ids))
            places: dict[int, list[str]] = grouped(
                _PLACES.ask(connection, {row[-1] for row in rows})
            )
            of_clip = grouped(
                (clip_id, Label(name, score))
                for clip_id, name, score in _LABELS.ask(connection, clip_ids)
            )
        return {
            clip_id: ClipRow(
                clip_id,
                video_id,
                start_seconds,
                end_seconds,
                tuple(sorted(places.get(video, ()))),
                tuple(sorted(of_clip.get(clip_id, ()), key=_SCORE, reverse=True)),
            )
            for clip_id, video_id, start_seconds, end_seconds, video in rows
        }

    def clip_spans(self, clip_ids: Sequence[int]) -> dict[int, tuple[float, float]]:
        """When these clips start and end, in seconds."""
        with self.reading() as connection:
            rows = among(connection, _SPANS, clip_ids)
            found = {clip_id: (start, end) for clip_id, start, end in rows}
        return {clip_id: found[clip_id] for clip_id in clip_ids}

    def counts(self) -> dict[str, int]:
        """What there is: videos, partial and unfinished ones, locations, clips, repeats ..."""
        living = videos.c.take == takes.c.number
        queries = {
            "videos": select(func.count()).where(videos.c.take.is_not(None)),
            "partial": select(func.count()).where(takes.c.problem_reason.is_not(None), living),
            "locations": select(func.count()).where(locations.c.removed.is_(None)),
            "failures": select(func.count()).select_from(failures),
            "shards": select(func.count()).select_from(shards),
            # Counting those that are gone is quick: an index holds them alone.
            "clips": select(func.coalesce(func.sum(shards.c.num_clips), 0)),
            "removed": select(func.count()).where(clips.c.removed > DROPPED),
            "unfinished": select(func.count()).select_from(_IN_THE_MAKING.subquery()),
            "repeats": select(func.count()).where(clips.c.repeats, clips.c.removed.is_(None)),
        }
        with self.reading() as connection:
            found = {name: int(connection.execute(q).scalar_one()) for name, q in queries.items()}
        return found | {"clips": found["clips"] - found["removed"]}

    def count_clips(self, *, since: int = 0) -> int:
        """How many live clips have this id or a larger one."""
        query = select(func.count()).where(clips.c.clip_id >= since, clips.c.removed.is_(None))
        with self.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def self_check(self) -> list[str]:
        """What the database finds wrong with itself."""
        with self.reading() as connection:
            return words(connection).self_check(connection)


def missing(database: Database) -> CollectionDamaged:
    """The error of a catalogue that is not where it should be."""
    return CollectionDamaged(
        f"the catalogue {database} is missing",
        "Run `vidx rebuild`: it makes the catalogue anew from the shards.",
    )


def check_identity(connection: Connection, database: Database, manifest: Manifest) -> None:
    """Refuse a catalogue of another version of vidx, or of another collection."""
    found = revision(connection)
    if found not in READABLE:
        known = found is not None and found < HEAD
        raise (CollectionDamaged if known or found is None else CollectionTooNew)(
            f"the catalogue {database} has schema {found}, this vidx reads {HEAD}",
            "Run any command that writes, such as `vidx rebuild`: it brings the schema up to date."
            if known
            else "Upgrade vidx: pip install --upgrade vidx"
            if found
            else "Run `vidx rebuild`: it makes the catalogue anew from the shards.",
        )
    uuid = connection.execute(select(collection.c.uuid)).scalar()
    if uuid != manifest.uuid:
        raise CollectionDamaged(
            f"the catalogue {database} belongs to collection {uuid}, not {manifest.uuid}",
            "Put back this collection's own catalogue, or run `vidx rebuild` to make one anew.",
        )


def ids_of(connection: Connection, query: Any) -> NDArray[np.int64]:
    """The numbers that a query gives, int64 (n,), ascending, each once."""
    rows: Any = connection.execute(query).cursor  # the driver's own: there may be millions
    return np.unique(np.fromiter(chain.from_iterable(rows), np.int64))
