"""The one writer of a collection, and the protocol by which work becomes part of it.

Shards are written to `staging/` and synced. The writer gives them the next block of ids by their
names, adds to the journal what else is to be done, and enters all in the catalogue in one SQL
transaction. That transaction is the only commit point: a crash before the names are given leaves
files in staging, which the next writer deletes; a crash after it leaves shards and entries of the
journal that the catalogue does not know, which the next writer adopts.

Of a collection in a bucket the commit point is there: last of all, within the transaction, the
commit is made in the bucket, and the next writer adopts what that lists, and nothing else.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, func, insert, select

from vidx.durable import sync_folder
from vidx.errors import CollectionDamaged, UsageError
from vidx.records import Source, Space
from vidx.store import changes, journal, migrate, registry, shards, sqlite, working_copy
from vidx.store.adoption import Adopter, Found
from vidx.store.at_hand import make_room
from vidx.store.catalogue import check_identity, missing
from vidx.store.database import Database, address_for_new, database_of
from vidx.store.journal import Change, Entry, Failed
from vidx.store.layout import (
    Layout,
    Manifest,
    read_manifest,
    refuse_in_bucket,
    write_manifest,
)
from vidx.store.lock import taking_turns, writing
from vidx.store.metadata import files as metadata_files
from vidx.store.postgresql import Presence
from vidx.store.shards import NewVideo
from vidx.store.snapshots import files as snapshot_files
from vidx.store.snapshots.files import Snapshot
from vidx.store.staging import Staged, Staging, delete_dead, now, staging, unwritable
from vidx.store.tables import collection as collection_table
from vidx.store.tables import locations, videos


def _nothing() -> None:
    """Do nothing."""


@dataclass(slots=True)
class Batch:
    """Work of an `embed` that is committed together.

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

    def change(self) -> Change:
        """What is to be done beside entering the shard, whose rows name the first places only."""
        further = [
            (video.video_id, source)
            for video in self.videos
            if video.last_part
            for source in video.sources[1:]
        ]
        return Change(gone=self.gone, places=self.places, further=further, failed=self.failed)


@dataclass(frozen=True, slots=True)
class Done:
    """What a commit did.

    Attributes:
        commit: Its number; the last one's where nothing was to be done.
        locations: How many it removed or brought back.
        videos: How many went or came with them.
    """

    commit: int
    locations: int = 0
    videos: int = 0


class Writer:
    """The holder of a collection's lock. Made by `open_writer`."""

    def __init__(
        self,
        layout: Layout,
        manifest: Manifest,
        engine: Engine,
        own_staging: Staging,
        presence: Presence | None,
    ) -> None:
        self.layout = layout
        self.manifest = manifest
        self.engine = engine
        self.staging = own_staging
        self._presence = presence

    def turn(self) -> AbstractContextManager[None]:
        """Commit while no other writer does; in a turn, another may be taken."""
        return _turn(self._presence, self.engine)

    def indexing(self) -> AbstractContextManager[bool]:
        """Gives whether this writer may write the index now: a search does without."""
        return self._presence.indexing() if self._presence else nullcontext(True)

    def commit(self, batch: Batch, provenance: dict[str, str]) -> Done:
        """Make a batch part of the collection, all of it or nothing.

        Args:
            batch: What to add.
            provenance: Of the batch's vectors: model, revision, device, dtype, versions.

        Raises:
            VidxError: The disk is full or the folder cannot be written. Nothing was added; a
                shard that already had its name is adopted later.
        """
        with self.telling():
            staged = [self.staging.write(batch.videos, provenance)] if batch.videos else []
        return self.enter(staged, batch.change(), provenance)

    def enter(self, staged: Sequence[Staged], change: Change, provenance: dict[str, str]) -> Done:
        """Make shards that lie in staging, and what else is to be done, part of the collection.

        Args:
            staged: The shards, in the order in which they get their ids.
            change: What else.
            provenance: Of the commit.

        Raises:
            VidxError: As for `commit`.
        """
        return self._commit("embed", provenance, staged, change)

    def remove(self, paths: Sequence[str], proposal: str | None = None) -> Done:
        """Take paths out of the collection; a video goes with the last of them.

        Args:
            paths: Locations and failures.
            proposal: The id of the proposal that is applied by this.
        """
        by = {} if proposal is None else {"proposal": proposal}
        return self._counted("remove", Change(removed=list(paths)), by)

    def restore(self, commit: int) -> Done:
        """Take a removal back, but for paths that hold something else since.

        Raises:
            UsageError: The commit removed nothing that can be brought back.
        """
        with self.engine.begin() as connection:
            asked = commit if 0 < commit <= changes.last_commit(connection) else 0
            theirs = select(locations.c.path).where(locations.c.removed == asked).limit(1)
            if not asked or connection.execute(theirs).first() is None:
                raise UsageError(
                    f"commit {commit} removed nothing that can be brought back",
                    "`vidx commits` lists what each one did. What was restored already, or "
                    "compacted since, is not there to be restored.",
                )
        return self._counted("restore", Change(restored=[commit]))

    def set_metadata(
        self, rows: Iterable[pa.RecordBatch], *, of: str, types: dict[str, str], clears: bool
    ) -> Done:
        """Set values of metadata; columns that are not there yet are added.

        Args:
            rows: As `metadata.files.schema` says, each video or clip once.
            of: `video` or `clip`.
            types: Of each column beside the key.
            clears: Whether empty values take out what is there.

        Raises:
            VidxError: As for `commit`.
        """
        with self.telling():
            file = metadata_files.write(
                self.staging.folder, self.manifest.uuid, rows, of=of, types=types, clears=clears
            )
        change = Change(metadata={of: file})
        return self._commit("metadata", changes.own_provenance(), (), change)

    def name_metadata(self, number: int, staged: dict[str, Path]) -> dict[str, Path]:
        """Give files with values of metadata their places in the journal."""
        named = {}
        for of, file in staged.items():
            named[of] = self.layout.journal / metadata_files.file_name(number, of)
            file.rename(named[of])
        return named

    def save_snapshot(self, snapshot: Snapshot, clip_ids: NDArray[np.int64]) -> Done:
        """Keep the ids of some clips by a name.

        Args:
            snapshot: What it is.
            clip_ids: int64 (n,), ascending.

        Raises:
            VidxError: As for `commit`.
        """
        with self.telling():
            folder, uuid = self.staging.folder, self.manifest.uuid
            file = snapshot_files.write(folder, uuid, snapshot, clip_ids)
        return self._commit("snapshot", changes.own_provenance(), (), Change(snapshots=[file]))

    def delete_snapshot(self, file: str) -> Done:
        """Forget the snapshot that has this file."""
        return self._commit("forget", changes.own_provenance(), (), Change(forgotten=[file]))

    def _name_snapshots(self, number: int, staged: Sequence[Path]) -> list[Path]:
        """Give the file of a snapshot its place in the journal; a commit saves one at most."""
        named = [self.layout.journal / snapshot_files.file_name(number) for _ in staged]
        for file, path in zip(staged, named, strict=True):
            file.rename(path)
        return named

    def _counted(self, verb: str, change: Change, by: dict[str, str] | None = None) -> Done:
        """Make a change, and count what it took out or brought back."""
        before = self._living()
        done = self._commit(verb, {**changes.own_provenance(), **(by or {})}, (), change)
        after = self._living()
        places, whole = (abs(one - other) for one, other in zip(before, after, strict=True))
        return Done(done.commit, places, whole)

    def _living(self) -> tuple[int, int]:
        """How many locations and videos there are."""
        queries = (
            select(func.count()).where(locations.c.removed.is_(None)),
            select(func.count()).where(videos.c.take.is_not(None)),
        )
        with self.engine.begin() as connection:
            places, whole = (int(connection.execute(one).scalar_one()) for one in queries)
            return places, whole

    def reserve(self, end_clip_id: int) -> None:
        """See to it that no clip_id below this one is ever given out again."""
        with self.turn(), self.engine.begin() as connection:
            changes.reserve(connection, end_clip_id)

    def _commit(
        self, verb: str, provenance: dict[str, str], staged: Sequence[Staged], change: Change
    ) -> Done:
        with self.turn():
            self.adopt()  # else a failed commit's shard and the next one could share ids
            done = self._commit_now(verb, provenance, staged, change)
        if staged and self.layout.address is not None:
            make_room(self.layout, self.manifest)
        return done

    def _commit_now(
        self, verb: str, provenance: dict[str, str], staged: Sequence[Staged], change: Change
    ) -> Done:
        with self.telling(), self.engine.begin() as connection:
            last = changes.last_commit(connection)
            if not staged and change.is_empty():
                return Done(last)
            number, time = last + 1, now()
            changes.begin_commit(connection, number, time, verb, provenance)
            next_clip_id = self.next_clip_id(connection)
            named = []
            for one in staged:
                named.append(self._name(one.path, next_clip_id))
                next_clip_id += one.table.num_rows
            uuids = tuple(one.info.shard for one in staged)
            change = replace(
                change,
                metadata=self.name_metadata(number, change.metadata),
                snapshots=self._name_snapshots(number, change.snapshots),
            )
            files = [*named, *change.metadata.values(), *change.snapshots]
            if len(staged) > 1 or not change.is_empty():  # else the shard tells all
                entry = Entry(
                    self.manifest.uuid, number, time, verb, provenance, next_clip_id, uuids, change
                )
                files.append(journal.write(self.layout.journal, entry, self.staging.folder))
            changes.apply_before(connection, number, change)
            for one, path in zip(staged, named, strict=True):
                registry.enter_shard(connection, number, one.table, path, one.info)
            changes.apply_after(connection, number, change, self.manifest.uuid)
            if self.layout.address is not None:
                working_copy.publish(self.layout, self.manifest, number, files)
            return Done(number)

    def adopt(self, entered: Callable[[], None] = _nothing) -> None:
        """Enter what the catalogue does not know, on disk or in the bucket, as it was made.

        Args:
            entered: As for `open_writer`.

        Raises:
            CollectionDamaged: A file cannot be read, or a shard's ids are taken.
            VidxError: The bucket cannot be read.
        """
        with self.turn():
            found = self.adopt_all(entered)
        if found.damage:
            raise found.damage[0][1]

    def adopt_all(self, entered: Callable[[], None] = _nothing) -> Found:
        """As `adopt`, for who deals with damage."""
        if self.layout.address is not None:
            return working_copy.pull(self.layout, self.manifest, self.engine, entered)
        return Adopter(self.layout, self.manifest, self.engine).adopt()

    def next_clip_id(self, connection: Connection) -> int:
        """The first id of the next block; a foreign file that bears its name is stepped over."""
        first = connection.execute(select(func.max(collection_table.c.next_clip_id))).scalar_one()
        while (self.layout.shards / shards.file_name(first)).exists():
            first += 1
        return int(first)

    def _name(self, staged: Path, first_clip_id: int) -> Path:
        """Give a staged shard its place among the others."""
        path = self.layout.shards / shards.file_name(first_clip_id)
        staged.rename(path)
        sync_folder(self.layout.shards)
        return path

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell of a full disk and the like in our own words."""
        try:
            yield
        except OSError as error:
            raise unwritable(self.layout.root, error) from error


@contextmanager
def open_writer(
    layout: Layout,
    space: Space | None = None,
    *,
    alone: bool = True,
    entered: Callable[[], None] = _nothing,
) -> Iterator[Writer]:
    """Become the collection's writer, and put right what a killed one left.

    Args:
        layout: The collection's folder.
        space: Given, a collection is made there if none is.
        alone: Whether no other writer may be there. Else, with a catalogue in a database, those
            who are not alone take turns.
        entered: Called where a bucket has more new shards than may be here at once, each time that
            some of them were entered in the catalogue, and are here.

    Raises:
        CollectionNotFound: None is there, and no space was given.
        CollectionLocked: Another process writes.
        CollectionDamaged: A part of the collection is missing or another collection's.
    """
    if space is not None:
        _make_folders(layout)
    if space is not None and not layout.exists():
        with writing(layout):
            if not layout.exists():
                _create(layout, space)
    read_manifest(layout)  # where there is none, no lock is left either
    with _locked(layout, alone=alone) as presence:
        manifest = read_manifest(layout)
        database = database_of(layout, manifest)
        if shards.listed(layout.shards) and not database.exists():
            raise missing(database)
        with writer_under_lock(layout, manifest, database, presence) as writer:
            writer.adopt(entered)
            yield writer


@contextmanager
def _locked(layout: Layout, *, alone: bool) -> Iterator[Presence | None]:
    if alone:
        with writing(layout):
            yield None
    else:
        with taking_turns(layout) as presence:
            yield presence


def _turn(presence: Presence | None, engine: Engine) -> AbstractContextManager[None]:
    return presence.turn(engine) if presence else nullcontext()


@contextmanager
def writer_under_lock(
    layout: Layout, manifest: Manifest, database: Database, presence: Presence | None = None
) -> Iterator[Writer]:
    """A writer for a caller that holds the lock.

    Args:
        layout: The collection's folder.
        manifest: What its `collection.json` says.
        database: Where the catalogue is, made if there is none; another place than the
            collection's where one is built beside it.
        presence: The turns of one who is not alone.
    """
    _make_folders(layout)
    # A file without tables is what a crash left of a new collection, or it has lost them.
    may_be_blank = not shards.listed(layout.shards) or not database.exists()
    engine = database.open_for_writing()
    try:
        with ExitStack() as stack:
            with _turn(presence, engine):  # no folder in the making is taken for a dead one
                delete_dead(layout)
                with engine.begin() as connection:
                    _prepare(connection, manifest, may_be_blank=may_be_blank)
                    check_identity(connection, database, manifest)
                own_staging = stack.enter_context(staging(layout, manifest))
            yield Writer(layout, manifest, engine, own_staging, presence)
    finally:
        database.close(engine)


def _prepare(connection: Connection, manifest: Manifest, *, may_be_blank: bool) -> None:
    """Make the tables, or bring them up to date."""
    found = migrate.revision(connection)
    if found is None and may_be_blank:
        migrate.upgrade(connection)
        row: dict[str, Any] = {"uuid": manifest.uuid, "numbering": str(uuid.uuid4())}
        row |= {"next_clip_id": 0, "reshaped_commit": 0}
        connection.execute(insert(collection_table), row)
    elif found is not None and found < migrate.HEAD:
        migrate.upgrade(connection)


def _make_folders(layout: Layout) -> None:
    try:
        for folder in (layout.root, layout.shards, layout.journal, layout.staging):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(layout.root, error) from error


def _create(layout: Layout, space: Space | None) -> Manifest:
    """Make an empty collection; the manifest comes last, so that it is there whole or not."""
    assert space is not None  # noqa: S101 - open_writer reads the manifest where none is given
    if shards.listed(layout.shards):
        raise CollectionDamaged(
            f"{layout.manifest} is missing, though there are clips",
            "Put back a copy of it; without it the vectors cannot be told apart from others.",
        )
    address = address_for_new()
    if address is not None:
        refuse_in_bucket(layout, "VIDX_CATALOGUE")
    unfinished = None if address else _uuid_of_unfinished(layout)
    manifest = Manifest(unfinished or str(uuid.uuid4()), space, address)
    database = database_of(layout, manifest)
    with writer_under_lock(layout, manifest, database) as writer, writer.telling():
        if layout.address is not None:
            working_copy.make(layout, manifest)
        write_manifest(layout, manifest, by_way_of=writer.staging.folder)
    return manifest


def _uuid_of_unfinished(layout: Layout) -> str | None:
    """What a creation that was cut short has called the collection."""
    if not layout.catalogue.exists():
        return None
    engine = sqlite.open_for_writing(layout.catalogue)
    try:
        with engine.begin() as connection:
            if migrate.revision(connection) is None:
                return None
            found: str | None = connection.execute(select(collection_table.c.uuid)).scalar()
            return found
    finally:
        sqlite.close(engine, layout.catalogue)
