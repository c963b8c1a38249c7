"""Entering what lies on disk and the catalogue does not know.

A killed writer leaves shards and entries of the journal that were named but not committed; a
catalogue that was lost, or an older one put back, knows none of many. The same code enters both, in
the order in which they were made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from vidx.errors import CollectionDamaged
from vidx.store import changes, journal, registry, shards
from vidx.store.journal import Entry
from vidx.store.shards import ShardInfo
from vidx.store.sql import chunks
from vidx.store.tables import shards as shards_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vidx.store.writer import Writer


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


def adopt(writer: Writer) -> Found:
    """Enter all that can be; what cannot stops nothing else.

    Args:
        writer: Holds the collection's lock.

    Raises:
        CollectionTooNew: A later vidx wrote a part.
        VidxError: A file cannot be read for a reason that may pass.
    """
    found = Found()
    _finish_compaction(writer)
    unknown = _not_replaced(writer, _unknown_shards(writer, found))
    entries = _unknown_entries(writer, found)
    for entry in entries:
        before = [
            one
            for one in unknown
            if one.first_clip_id < entry.next_clip_id and one.info.shard not in entry.shards
        ]
        for one in before:
            _adopt_shard(writer, one, found, placing=not entry.checkpoint)
        own = [one for one in unknown if one.info.shard in entry.shards]
        _replay(writer, entry, own, found)
        unknown = [one for one in unknown if one not in before and one not in own]
    for one in unknown:
        _adopt_shard(writer, one, found, placing=True)
    return found


def _unknown_shards(writer: Writer, found: Found) -> list[_Shard]:
    """The shards on disk that the catalogue does not know, by first clip_id."""
    with writer.engine.begin() as connection:
        known = set(connection.execute(select(shards_table.c.file)).scalars())
    unknown = []
    for first, path in shards.listed(writer.layout.shards):
        if path.name in known:
            continue
        try:
            info = shards.read_info(path)
        except CollectionDamaged as error:
            found.damaged(path, error)
            continue
        ours = (writer.manifest.uuid, writer.manifest.space.fingerprint)
        if (info.uuid, info.fingerprint) == ours:
            unknown.append(_Shard(first, path, info))
        else:
            found.ignored.append(f"{path.name}: belongs to another collection")
    return unknown


def _finish_compaction(writer: Writer) -> None:
    """Enter the last shard of a `compact` that was killed before it was."""
    for one in _unknown_shards(writer, Found()):
        if old := _known_among(writer, one.info.replaces):
            writer.finish_replacing(old, one.path, shards.read(one.path), one.info)


def _not_replaced(writer: Writer, unknown: list[_Shard]) -> list[_Shard]:
    """Those shards that do not live on in a compacted one, known or unknown.

    Where it is known, the file of the old one is of no more use, and deleted.
    """
    with writer.engine.begin() as connection:
        known = connection.execute(select(shards_table.c.file)).scalars().all()
    made = [writer.layout.shards / file for file in known if shards.is_compacted(file)]
    replaced = {uuid for path in made for uuid in shards.read_info(path).replaces}
    for one in unknown:
        if one.info.shard in replaced:
            one.path.unlink()
    replaced.update(uuid for one in unknown for uuid in one.info.replaces)
    return [one for one in unknown if one.info.shard not in replaced]


def _known_among(writer: Writer, uuids: Sequence[str]) -> list[int]:
    """The first clip_ids of those of some shards that the catalogue knows."""
    found: list[int] = []
    with writer.engine.begin() as connection:
        for some in chunks(uuids):
            here = select(shards_table.c.first_clip_id).where(shards_table.c.uuid.in_(some))
            found += connection.execute(here).scalars()
    return found


def _unknown_entries(writer: Writer, found: Found) -> list[Entry]:
    """The journal's entries that the catalogue does not know, from the last checkpoint on."""
    with writer.engine.begin() as connection:
        last = changes.last_commit(connection)
    entries: list[Entry] = []
    for number, path in journal.listed(writer.layout.journal):
        if number <= last:
            continue
        try:
            entry = journal.read(path)
        except CollectionDamaged as error:
            found.damaged(path, error)
            continue
        if entry.collection != writer.manifest.uuid:
            found.ignored.append(f"{path.name}: belongs to another collection")
            continue
        entries = [entry] if entry.checkpoint else [*entries, entry]
    return entries


def _replay(writer: Writer, entry: Entry, own: Sequence[_Shard], found: Found) -> None:
    """Do what an entry of the journal tells of, with its commit's shards."""
    with writer.engine.begin() as connection:
        number = max(entry.commit, changes.last_commit(connection) + 1)
        changes.begin_commit(connection, number, entry.time, entry.verb, entry.provenance)
        if entry.checkpoint:
            changes.clear_places(connection)
        changes.apply_before(connection, number, entry.change)
        for one in own:
            table = shards.read(one.path)
            registry.enter_shard(connection, number, table, one.path, one.info)
            found.adopted.append(one.path.name)
        changes.reserve(connection, entry.next_clip_id)
        changes.apply_after(connection, number, entry.change)
        if entry.checkpoint:
            changes.let_go_of_placeless(connection, number)


def _adopt_shard(writer: Writer, one: _Shard, found: Found, *, placing: bool) -> None:
    """Enter one shard from its own contents, as a commit of its own."""
    try:
        table = shards.read(one.path)
        end_clip_id = int(shards.clip_ids(one.path, table)[-1]) + 1
        if refused := _refused(writer, one, end_clip_id):
            found.ignored.append(f"{one.path.name}: {refused}")
            return
    except CollectionDamaged as error:
        found.damaged(one.path, error)
        return
    with writer.engine.begin() as connection:
        number = changes.last_commit(connection) + 1
        changes.begin_commit(connection, number, one.info.time, "embed", one.info.provenance)
        registry.enter_shard(connection, number, table, one.path, one.info, placing=placing)
    found.adopted.append(one.path.name)


def _refused(writer: Writer, one: _Shard, end_clip_id: int) -> str:
    """Why a shard is passed over; empty when it is not.

    Raises:
        CollectionDamaged: Its ids are taken.
    """
    with writer.engine.begin() as connection:
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
