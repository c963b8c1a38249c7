"""The one writer of a collection, and the protocol by which its work becomes part of it.

A shard is written to `staging/` and synced, renamed to the next block of ids, and entered in the
catalogue with all its videos in one SQL transaction. That transaction is the only commit point:
a crash before the rename leaves a file in staging, which the next writer deletes; a crash after
it leaves a named shard that the catalogue does not know, which the next writer adopts.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from sqlalchemy import Connection, Engine, func, insert, select

from vidx.errors import CollectionDamaged, VidxError
from vidx.records import Source, Space
from vidx.store import changes, migrate, shards, sqlite
from vidx.store.catalogue import check_identity
from vidx.store.changes import Failed
from vidx.store.layout import (
    Layout,
    Manifest,
    read_manifest,
    sync_folder,
    write_manifest,
)
from vidx.store.lock import writing
from vidx.store.shards import NewVideo, ShardInfo
from vidx.store.tables import collection as collection_table
from vidx.store.tables import shards as shards_table

_OURS = re.compile(r"[0-9a-f-]{36}\.parquet|collection\.json")  # what is ever staged


@dataclass(slots=True)
class Batch:
    """Work that is committed together.

    Attributes:
        videos: Newly embedded videos; their clips become one shard.
        places: Further files that hold a video: pairs of video_id and file.
        failed: Files that could not be embedded.
        gone: Paths that no longer exist.
    """

    videos: list[NewVideo] = field(default_factory=list)
    places: list[tuple[str, Source]] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.videos or self.places or self.failed or self.gone)

    @property
    def num_clips(self) -> int:
        """Rows that the batch's shard would have."""
        return sum(len(video.embedded.clips) for video in self.videos)


@dataclass(frozen=True, slots=True)
class Adoption:
    """What became of a shard that the catalogue did not know.

    Attributes:
        refused: Why it was passed over; empty when it was entered.
        displaced: Videos that went for it: their path held one of its videos later.
    """

    refused: str
    displaced: int = 0


class Writer:
    """The holder of a collection's lock. Made by `open_writer`."""

    def __init__(self, layout: Layout, manifest: Manifest, engine: Engine) -> None:
        self.layout = layout
        self.manifest = manifest
        self.engine = engine

    def commit(self, batch: Batch, provenance: dict[str, str]) -> None:
        """Make a batch part of the collection, all of it or nothing.

        Args:
            batch: What to add.
            provenance: Of the batch's vectors: model, revision, device, dtype, versions.

        Raises:
            VidxError: The disk is full or the folder cannot be written. Nothing was added; a
                shard that already had its name is adopted later.
        """
        self.adopt()  # else a failed commit's shard and the next one could share ids
        try:
            staged = self._stage(batch.videos, provenance) if batch.videos else None
            with self.engine.begin() as connection:
                # Videos that gain a path come first, so that none is dropped for having lost one.
                changes.forget(connection, batch.gone, keep={video for video, _ in batch.places})
                changes.place(connection, batch.places)
                if staged:
                    table, info, path = staged
                    first_clip_id = self._next_clip_id(connection)
                    self._name(path, first_clip_id)
                    changes.register_shard(connection, table, first_clip_id, info)
                    changes.place(connection, _further_places(batch.videos))
                changes.fail(connection, batch.failed)
        except OSError as error:
            raise _unwritable(self.layout.root, error) from error

    def remove(self, paths: Sequence[str]) -> int:
        """Take paths out of the catalogue; returns how many videos went with them."""
        with self.engine.begin() as connection:
            return changes.forget(connection, paths)

    def reserve(self, end_clip_id: int) -> None:
        """See to it that no clip_id below this one is ever given out again."""
        with self.engine.begin() as connection:
            changes.reserve(connection, end_clip_id)

    def adopt(self) -> None:
        """Enter the shards on disk that the catalogue does not know, in the order of their ids.

        Raises:
            CollectionDamaged: One cannot be read, or its ids are taken.
        """
        for first_clip_id, path in self.unknown().items():
            self.adopt_one(first_clip_id, path)

    def adopt_one(self, first_clip_id: int, path: Path) -> Adoption:
        """Enter one shard from its own contents.

        Raises:
            CollectionDamaged: It cannot be read, or its ids are taken.
        """
        info = shards.read_info(path)
        if (info.uuid, info.fingerprint) != (self.manifest.uuid, self.manifest.space.fingerprint):
            return Adoption("belongs to another collection")
        table = shards.read(path)
        with self.engine.begin() as connection:
            same = select(shards_table.c.file).where(shards_table.c.uuid == info.shard)
            if original := connection.execute(same).scalar():
                return Adoption(f"is a copy of {original}")
            table_end = shards_table.c.first_clip_id + shards_table.c.num_clips
            overlapping = select(shards_table.c.file).where(
                shards_table.c.first_clip_id < first_clip_id + table.num_rows,
                table_end > first_clip_id,
            )
            if taken := connection.execute(overlapping).scalar():
                raise CollectionDamaged(
                    f"the ids of {path} are those of {taken}",
                    f"Move {path.name} out of {path.parent}.",
                )
            return Adoption("", changes.register_shard(connection, table, first_clip_id, info))

    def unknown(self) -> dict[int, Path]:
        """The shards on disk that the catalogue does not know, by first clip_id, in order."""
        with self.engine.begin() as connection:
            known = set(connection.execute(select(shards_table.c.first_clip_id)).scalars())
        files = shards.listed(self.layout.shards)
        return {first: path for first, path in files.items() if first not in known}

    def _next_clip_id(self, connection: Connection) -> int:
        """The first id of the next block; a foreign file that bears its name is stepped over."""
        first = connection.execute(select(func.max(collection_table.c.next_clip_id))).scalar_one()
        while (self.layout.shards / shards.file_name(first)).exists():
            first += 1
        return int(first)

    def _stage(
        self, videos: Sequence[NewVideo], provenance: dict[str, str]
    ) -> tuple[pa.Table, ShardInfo, Path]:
        """Write a shard where a crash leaves nothing behind but a file to delete."""
        space = self.manifest.space
        shard = str(uuid.uuid4())
        info = ShardInfo(self.manifest.uuid, shard, space.fingerprint, space.labels, provenance)
        table = shards.to_table(videos, info)
        path = self.layout.staging / f"{shard}.parquet"
        try:
            shards.write(table, path)
            with path.open("rb") as file:
                os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise
        return table, info, path

    def _name(self, staged: Path, first_clip_id: int) -> None:
        """Give a staged shard its place among the others."""
        staged.rename(self.layout.shards / shards.file_name(first_clip_id))
        sync_folder(self.layout.shards)


def _further_places(videos: Sequence[NewVideo]) -> list[tuple[str, Source]]:
    """Where else the videos were seen: the shard's own rows name the first place only."""
    return [(video.video_id, source) for video in videos for source in video.sources[1:]]


@contextmanager
def open_writer(layout: Layout, space: Space | None = None) -> Iterator[Writer]:
    """Become the collection's writer, and put right what a killed one left.

    Args:
        layout: The collection's folder.
        space: Given, a collection is made there if none is.

    Raises:
        CollectionNotFound: None is there, and no space was given.
        CollectionLocked: Another process writes.
        CollectionDamaged: A part of the collection is missing or another collection's.
    """
    if space is not None:
        _make_folders(layout)
    manifest = None if space is not None and not layout.exists() else read_manifest(layout)
    with writing(layout):
        if manifest is None:
            manifest = read_manifest(layout) if layout.exists() else _create(layout, space)
        if not layout.catalogue.exists() and shards.listed(layout.shards):
            raise CollectionDamaged(
                f"the catalogue {layout.catalogue} is missing",
                "Run `vidx rebuild`: it makes the catalogue anew from the shards.",
            )
        with writer_under_lock(layout, manifest) as writer:
            writer.adopt()
            yield writer


@contextmanager
def writer_under_lock(layout: Layout, manifest: Manifest) -> Iterator[Writer]:
    """A writer for a caller that holds the lock; makes the catalogue if there is none."""
    _make_folders(layout)
    _empty(layout.staging)
    # A file without tables is what a crash left of a new collection, or it has lost them.
    may_be_blank = not layout.catalogue.exists() or not shards.listed(layout.shards)
    engine = sqlite.open_for_writing(layout.catalogue)
    with engine.begin() as connection:
        found = migrate.revision(connection)
        if found is None and may_be_blank:
            migrate.upgrade(connection)
            connection.execute(insert(collection_table), {"uuid": manifest.uuid, "next_clip_id": 0})
        elif found is not None and found < migrate.HEAD:
            migrate.upgrade(connection)
        check_identity(connection, layout, manifest)
    try:
        yield Writer(layout, manifest, engine)
    finally:
        sqlite.close(engine, layout.catalogue)


def _empty(staging: Path) -> None:
    """Delete what a killed writer left unfinished."""
    try:
        for leftover in staging.iterdir():
            if _OURS.fullmatch(leftover.name):
                leftover.unlink()
    except OSError as error:
        raise _unwritable(staging, error) from error


def _make_folders(layout: Layout) -> None:
    try:
        for folder in (layout.root, layout.shards, layout.staging):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(layout.root, error) from error


def _unwritable(folder: Path, error: OSError) -> VidxError:
    return VidxError(
        f"{folder} cannot be written: {error.strerror or error}",
        "Free some space there, or choose a folder you may write to with --collection; then run "
        "the same command again: it goes on where it was.",
    )


def _create(layout: Layout, space: Space | None) -> Manifest:
    """Make an empty collection; the manifest comes last, so that it is there whole or not."""
    assert space is not None  # noqa: S101 - open_writer reads the manifest where none is given
    if shards.listed(layout.shards):
        raise CollectionDamaged(
            f"{layout.manifest} is missing, though there are clips",
            "Put back a copy of it; without it the vectors cannot be told apart from others.",
        )
    manifest = Manifest(_uuid_of_unfinished(layout) or str(uuid.uuid4()), space)
    with writer_under_lock(layout, manifest):
        pass
    try:
        write_manifest(layout, manifest)
    except OSError as error:
        raise _unwritable(layout.root, error) from error
    return manifest


def _uuid_of_unfinished(layout: Layout) -> str | None:
    """What a creation that was cut short has called the collection."""
    if not layout.catalogue.exists():
        return None
    with sqlite.open_for_writing(layout.catalogue).begin() as connection:
        if migrate.revision(connection) is None:
            return None
        found: str | None = connection.execute(select(collection_table.c.uuid)).scalar()
        return found
