"""The questions that vidx asks of its SQL catalogue. Nothing here writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Engine, func, select

from vidx.errors import CollectionDamaged, CollectionTooNew
from vidx.records import Label, Origin
from vidx.store import sqlite
from vidx.store.layout import Layout, Manifest
from vidx.store.migrate import HEAD, revision
from vidx.store.sql import chunks, grouped
from vidx.store.tables import clips, collection, failures, labels, locations, shards, videos


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the catalogue remembers of a path.

    Attributes:
        size_bytes: The file's size when it was last read.
        mtime_ns: Its time of last change then.
        video_id: The content it held, or None when it failed.
        plan: How that content was cut into clips, or None when it failed.
        failure: The reason code when it failed, else None.
    """

    size_bytes: int
    mtime_ns: int
    video_id: str | None
    plan: str | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class ShardRow:
    """One Parquet file that the catalogue knows."""

    first_clip_id: int
    num_clips: int
    file: str
    uuid: str

    @property
    def end_clip_id(self) -> int:
        """The id after the shard's last."""
        return self.first_clip_id + self.num_clips


@dataclass(frozen=True, slots=True)
class ClipRow:
    """One live clip with all that a hit tells of it."""

    clip_id: int
    video_id: str
    start_seconds: float
    end_seconds: float
    locations: tuple[str, ...]
    labels: tuple[Label, ...]


class Catalogue:
    """The SQL catalogue of one collection, opened for reading.

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
        if not layout.catalogue.is_file():
            raise CollectionDamaged(
                f"the catalogue {layout.catalogue} is missing",
                "Run `vidx rebuild`: it makes the catalogue anew from the shards.",
            )
        self.engine: Engine = sqlite.open_for_reading(layout.catalogue)
        with self.engine.connect() as connection:
            check_identity(connection, layout, manifest)

    def known(self, paths: Sequence[str]) -> dict[str, KnownFile]:
        """What is remembered of each of these paths; those never seen are left out."""
        found = {}
        with self.engine.connect() as connection:
            for some in chunks(paths):
                seen = (
                    select(locations, videos.c.plan)
                    .join(videos, videos.c.video_id == locations.c.video_id)
                    .where(locations.c.path.in_(some))
                )
                for row in connection.execute(seen):
                    found[row.path] = KnownFile(
                        row.size_bytes, row.mtime_ns, row.video_id, row.plan, None
                    )
                for row in connection.execute(select(failures).where(failures.c.path.in_(some))):
                    found[row.path] = KnownFile(
                        row.size_bytes, row.mtime_ns, None, None, row.reason
                    )
        return found

    def plan_of(self, video_id: str) -> str | None:
        """How a video was cut into clips, or None when it is not in the collection."""
        with self.engine.connect() as connection:
            query = select(videos.c.plan).where(videos.c.video_id == video_id)
            plan: str | None = connection.execute(query).scalar()
            return plan

    def locations_of(self, video_id: str) -> list[str]:
        """The paths at which a video was seen, sorted."""
        with self.engine.connect() as connection:
            query = select(locations.c.path).where(locations.c.video_id == video_id)
            return sorted(connection.execute(query).scalars())

    def shards(self) -> list[ShardRow]:
        """The Parquet files that hold the clips, by first clip_id."""
        columns = (shards.c.first_clip_id, shards.c.num_clips, shards.c.file, shards.c.uuid)
        with self.engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(shards.c.first_clip_id))
            return [ShardRow(*row) for row in rows]

    def origins(self) -> list[Origin]:
        """What made the vectors: one for each distinct provenance of shards, the oldest first."""
        end = shards.c.first_clip_id + shards.c.num_clips
        within = (clips.c.clip_id >= shards.c.first_clip_id) & (clips.c.clip_id < end)
        live = select(func.count()).select_from(clips).where(within).scalar_subquery()
        query = (
            select(shards.c.provenance, func.count(), func.sum(live))
            .group_by(shards.c.provenance)
            .order_by(func.min(shards.c.first_clip_id))
        )
        with self.engine.connect() as connection:
            rows = connection.execute(query)
            return [Origin(json.loads(text), files, int(live)) for text, files, live in rows]

    def live_clip_ids(self, *, since: int = 0) -> NDArray[np.int64]:
        """The ids of all clips from this one on, int64 (n,), ascending."""
        with self.engine.connect() as connection:
            return _ids(connection, select(clips.c.clip_id).where(clips.c.clip_id >= since))

    def clip_ids_with_labels(self, names: Sequence[str]) -> NDArray[np.int64]:
        """The clips that have at least one of these labels, int64 (n,), ascending."""
        with self.engine.connect() as connection:
            return _ids(connection, select(labels.c.clip_id).where(labels.c.label.in_(names)))

    def clip_ids_of_videos(self, video_ids: Iterable[str]) -> NDArray[np.int64]:
        """The clips of these videos, int64 (n,), ascending."""
        with self.engine.connect() as connection:
            parts = [
                _ids(connection, select(clips.c.clip_id).where(clips.c.video_id.in_(some)))
                for some in chunks(video_ids)
            ]
        return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))

    def video_ids_where(self, accepts: Callable[[str], bool]) -> list[str]:
        """The videos of which at least one path is accepted."""
        with self.engine.connect() as connection:
            rows = connection.execute(select(locations.c.path, locations.c.video_id))
            return sorted({row.video_id for row in rows if accepts(row.path)})

    def paths_at(self, path: str) -> list[str]:
        """The locations and failures that are this path, or lie in this folder, sorted."""
        with self.engine.connect() as connection:
            both = select(locations.c.path).union(select(failures.c.path))
            found = connection.execute(both).scalars().all()
        folder = path.rstrip("/") + "/"
        return sorted(one for one in found if one == path or one.startswith(folder))

    def next_clip_id(self) -> int:
        """The id after the last clip there ever was."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(collection.c.next_clip_id)).scalar_one())

    def label_names(self) -> list[str]:
        """Every label that some clip has, sorted."""
        with self.engine.connect() as connection:
            return sorted(connection.execute(select(labels.c.label).distinct()).scalars())

    def clip_rows(self, clip_ids: Sequence[int]) -> dict[int, ClipRow]:
        """All that a hit tells of these clips; ids that are not live are left out."""
        with self.engine.connect() as connection:
            rows = list(_rows(connection, clips, clips.c.clip_id, clip_ids))
            places = grouped(
                (row.video_id, row.path)
                for row in _rows(
                    connection, locations, locations.c.video_id, {row.video_id for row in rows}
                )
            )
            named = grouped(
                (row.clip_id, Label(row.label, row.score))
                for row in _rows(connection, labels, labels.c.clip_id, clip_ids)
            )
        return {
            row.clip_id: ClipRow(
                row.clip_id,
                row.video_id,
                row.start_seconds,
                row.end_seconds,
                tuple(sorted(places[row.video_id])),
                tuple(sorted(named.get(row.clip_id, ()), key=lambda item: -item.score)),
            )
            for row in rows
        }

    def counts(self) -> dict[str, int]:
        """Rows in the main tables, by table name, and the partial videos."""
        with self.engine.connect() as connection:
            found = {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (videos, locations, clips, shards, failures)
            }
            partial = select(func.count()).where(videos.c.problem_reason.is_not(None))
            return {**found, "partial": connection.execute(partial).scalar_one()}

    def count_clips(self, *, since: int = 0) -> int:
        """How many live clips have this id or a larger one."""
        with self.engine.connect() as connection:
            query = select(func.count()).where(clips.c.clip_id >= since)
            return int(connection.execute(query).scalar_one())

    def self_check(self) -> list[str]:
        """What the database finds wrong with itself."""
        with self.engine.connect() as connection:
            return sqlite.self_check(connection)


def check_identity(connection: Connection, layout: Layout, manifest: Manifest) -> None:
    """Refuse a catalogue of another version of vidx, or of another collection."""
    found = revision(connection)
    if found != HEAD:
        known = found is not None and found < HEAD
        raise (CollectionDamaged if known or found is None else CollectionTooNew)(
            f"the catalogue {layout.catalogue} has schema {found}, this vidx reads {HEAD}",
            "Run any command that writes, such as `vidx rebuild`: it brings the schema up to date."
            if known
            else "Upgrade vidx: pip install --upgrade vidx"
            if found
            else "Run `vidx rebuild`: it makes the catalogue anew from the shards.",
        )
    uuid = connection.execute(select(collection.c.uuid)).scalar()
    if uuid != manifest.uuid:
        raise CollectionDamaged(
            f"the catalogue {layout.catalogue} belongs to collection {uuid}, not {manifest.uuid}",
            "Put back this collection's own catalogue, or run `vidx rebuild` to make one anew.",
        )


def _ids(connection: Connection, query: Any) -> NDArray[np.int64]:
    return np.unique(np.fromiter(connection.execute(query).scalars(), np.int64))


def _rows(
    connection: Connection, table: Any, column: ColumnElement[Any], values: Iterable[Any]
) -> Iterator[Any]:
    for some in chunks(values):
        yield from connection.execute(select(table).where(column.in_(some)))
