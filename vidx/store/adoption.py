"""Entering what lies on disk and the catalogue does not know.

A killed writer leaves shards and entries of the journal that were named but not committed; a
catalogue that was lost, or an older one put back, knows none of many. The same code enters both, in
the order in which they were made.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
from sqlalchemy import Connection, Engine, select

from vidx.errors import CollectionDamaged
from vidx.store import changes, journal, registry, shards
from vidx.store.journal import Entry
from vidx.store.layout import Layout, Manifest
from vidx.store.metadata import files as metadata_files
from vidx.store.metadata import values as metadata_values
from vidx.store.shards import ShardInfo
from vidx.store.sql import chunks
from vidx.store.tables import shards as shards_table


@dataclass(slots=True)
class Found:
    """What became of what was unknown.

    Attributes:
        adopted: Names of the shards that were entered.
        ignored: Files that were left alone, each with the reason.
        damage: Those of them that are broken or in the way, with the errors.
    """

    adopted: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    damage: list[tuple[Path, CollectionDamaged]] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Note what became of others."""
        self.adopted += other.adopted
        self.ignored += other.ignored
        self.damage += other.damage

    def damaged(self, path: Path, error: CollectionDamaged) -> None:
        """Note a file that is broken or in the way."""
        self.ignored.append(f"{path.name}: {error.problem}")
        self.damage.append((path, error))


@dataclass(frozen=True, slots=True)
class _Shard:
    """An unknown shard."""

    first_clip_id: int
    path: Path
    info: ShardInfo


def finish_compaction(
    engine: Engine, old: Sequence[int], path: Path, table: pa.Table, info: ShardInfo
) -> None:
    """Enter a compacted shard, which has its name already, in the place of some, as a commit.

    Args:
        engine: Of the catalogue.
        old: The first clip_ids of those that go.
        path: The new one.
        table: Its rows, with their ids.
        info: What it says of itself.
    """
    with engine.begin() as connection:
        number = changes.last_commit(connection) + 1
        provenance = changes.own_provenance()
        changes.begin_commit(connection, number, info.time, "compact", provenance)
        ids = table.column(shards.CLIP_ID).to_numpy()
        registry.replace_shards(connection, old, path, ids, info)


class Adopter:
    """Enters what is unknown, for the holder of the collection's lock.

    Args:
        layout: The collection's folder.
        manifest: What its `collection.json` says.
        engine: Of the catalogue, for writing.
        among: Names of the files that may be entered; None: all there are.
    """

    def __init__(
        self,
        layout: Layout,
        manifest: Manifest,
        engine: Engine,
        among: Collection[str] | None = None,
    ) -> None:
        self.layout = layout
        self.manifest = manifest
        self.engine = engine
        self._among = among
        self._set_before: list[Entry] = []

    def adopt(self) -> Found:
        """Enter all that can be; what cannot stops nothing else.

        Raises:
            CollectionTooNew: A later vidx wrote a part.
            VidxError: A file cannot be read for a reason that may pass.
        """
        found = Found()
        self._finish_compaction()
        unknown = self._not_replaced(self._unknown_shards(found))
        entries = self._unknown_entries(found)
        self._set_before = self._known_metadata() if unknown else []
        for entry in entries:
            before = [
                one
                for one in unknown
                if one.first_clip_id < entry.next_clip_id and one.info.shard not in entry.shards
            ]
            for one in before:
                self._adopt_shard(one, found, placing=not entry.checkpoint)
            own = [one for one in unknown if one.info.shard in entry.shards]
            self._replay(entry, own, found)
            unknown = [one for one in unknown if one not in before and one not in own]
        for one in unknown:
            self._adopt_shard(one, found, placing=True)
        return found

    def _is_asked(self, path: Path) -> bool:
        return self._among is None or path.name in self._among

    def _unknown_shards(self, found: Found) -> list[_Shard]:
        """The shards on disk that the catalogue does not know, by first clip_id."""
        with self.engine.begin() as connection:
            known = set(connection.execute(select(shards_table.c.file)).scalars())
        unknown = []
        for first, path in shards.listed(self.layout.shards):
            if path.name in known or not self._is_asked(path):
                continue
            try:
                info = shards.read_info(path)
            except CollectionDamaged as error:
                found.damaged(path, error)
                continue
            ours = (self.manifest.uuid, self.manifest.space.fingerprint)
            if (info.uuid, info.fingerprint) == ours:
                unknown.append(_Shard(first, path, info))
            else:
                found.ignored.append(f"{path.name}: belongs to another collection")
        return unknown

    def _finish_compaction(self) -> None:
        """Enter the last shard of a `compact` that was killed before it was."""
        for one in self._unknown_shards(Found()):
            if old := self._known_among(one.info.replaces):
                finish_compaction(self.engine, old, one.path, shards.read(one.path), one.info)

    def _not_replaced(self, unknown: list[_Shard]) -> list[_Shard]:
        """Those shards that do not live on in a compacted one, known or unknown.

        Where it is known, the file of the old one is of no more use, and deleted.
        """
        if not unknown:
            return []
        with self.engine.begin() as connection:
            known = connection.execute(select(shards_table.c.file)).scalars().all()
        made = [self.layout.shards / file for file in known if shards.is_compacted(file)]
        replaced = {uuid for path in made for uuid in shards.read_info(path).replaces}
        for one in unknown:
            if one.info.shard in replaced:
                one.path.unlink()
        replaced.update(uuid for one in unknown for uuid in one.info.replaces)
        return [one for one in unknown if one.info.shard not in replaced]

    def _known_among(self, uuids: Sequence[str]) -> list[int]:
        """The first clip_ids of those of some shards that the catalogue knows."""
        found: list[int] = []
        with self.engine.begin() as connection:
            for some in chunks(uuids):
                here = select(shards_table.c.first_clip_id).where(shards_table.c.uuid.in_(some))
                found += connection.execute(here).scalars()
        return found

    def _unknown_entries(self, found: Found) -> list[Entry]:
        """The journal's entries that the catalogue does not know, from the last checkpoint on."""
        with self.engine.begin() as connection:
            last = changes.last_commit(connection)
        entries: list[Entry] = []
        for number, path in journal.listed(self.layout.journal):
            if number <= last or not self._is_asked(path):
                continue
            try:
                entry = journal.read(path)
            except CollectionDamaged as error:
                found.damaged(path, error)
                continue
            if entry.collection != self.manifest.uuid:
                found.ignored.append(f"{path.name}: belongs to another collection")
                continue
            entries = [entry] if entry.checkpoint else [*entries, entry]
        return entries

    def _replay(self, entry: Entry, own: Sequence[_Shard], found: Found) -> None:
        """Do what an entry of the journal tells of, with its commit's shards."""
        with self.engine.begin() as connection:
            number = max(entry.commit, changes.last_commit(connection) + 1)
            changes.begin_commit(connection, number, entry.time, entry.verb, entry.provenance)
            if entry.checkpoint:
                changes.clear(connection)
            changes.apply_before(connection, number, entry.change)
            for one in own:
                table = shards.read(one.path)
                registry.enter_shard(connection, number, table, one.path, one.info)
                found.adopted.append(one.path.name)
            changes.reserve(connection, entry.next_clip_id)
            changes.apply_after(connection, number, entry.change, self.manifest.uuid)
            if entry.checkpoint:
                changes.let_go_of_placeless(connection, number)

    def _adopt_shard(self, one: _Shard, found: Found, *, placing: bool) -> None:
        """Enter one shard from its own contents, as a commit of its own."""
        try:
            table = shards.read(one.path)
            _, end_clip_id = shards.span(one.path, shards.clip_ids(one.path, table))
            if refused := self._refused(one, end_clip_id):
                found.ignored.append(f"{one.path.name}: {refused}")
                return
        except CollectionDamaged as error:
            found.damaged(one.path, error)
            return
        with self.engine.begin() as connection:
            number = changes.last_commit(connection) + 1
            changes.begin_commit(connection, number, one.info.time, "embed", one.info.provenance)
            registry.enter_shard(connection, number, table, one.path, one.info, placing=placing)
            self._recall(connection, one, table)
        found.adopted.append(one.path.name)

    def _known_metadata(self) -> list[Entry]:
        """The entries that the catalogue knows and that set values of metadata."""
        with self.engine.begin() as connection:
            last = changes.last_commit(connection)
        entries = []
        for number in metadata_files.commits(self.layout.journal):
            path = self.layout.journal / journal.file_name(number)
            if number <= last and path.exists():
                with suppress(CollectionDamaged):  # verify tells of it
                    entries.append(journal.read(path))
        return entries

    def _recall(self, connection: Connection, one: _Shard, table: pa.Table) -> None:
        """Set what was known of the clips of a shard before it was lost."""
        ids = shards.clip_ids(one.path, table).tolist()
        theirs = {*ids, *table.column("video_id").unique().to_pylist()}
        for entry in self._set_before:
            if one.first_clip_id < entry.next_clip_id:
                for file in entry.change.metadata.values():
                    metadata_values.enter(connection, file, self.manifest.uuid, only=theirs)

    def _refused(self, one: _Shard, end_clip_id: int) -> str:
        """Why a shard is passed over; empty when it is not.

        Raises:
            CollectionDamaged: Its ids are taken.
        """
        with self.engine.begin() as connection:
            same = select(shards_table.c.file).where(shards_table.c.uuid == one.info.shard)
            if original := connection.execute(same).scalar():
                return f"is a copy of {original}"
            overlapping = select(shards_table.c.file).where(
                shards_table.c.first_clip_id < end_clip_id,
                shards_table.c.end_clip_id > one.first_clip_id,
            )
            if taken := connection.execute(overlapping).scalar():
                raise CollectionDamaged(
                    f"the ids of {one.path} are those of {taken}",
                    f"Move {one.path.name} out of {one.path.parent}.",
                )
        return ""
