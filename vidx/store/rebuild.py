"""Making the catalogue agree with the shards and the journal on disk again."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from vidx.errors import CollectionDamaged, CollectionTooNew
from vidx.records import RebuildReport
from vidx.store import changes, copying, journal, registry, shards
from vidx.store.catalogue import Catalogue
from vidx.store.database import Database, database_of
from vidx.store.layout import Layout, Manifest
from vidx.store.staging import now
from vidx.store.tables import shards as shards_table
from vidx.store.writer import Writer, writer_under_lock

FORGOTTEN = (
    "the journal is empty: if files were moved, removed or failed, or were copies of others, that "
    "is not known any more"
)


def rebuild(layout: Layout, manifest: Manifest, end_clip_id: int) -> RebuildReport:
    """Mend the catalogue from the shards and the journal: enter unknown ones, drop lost ones.

    It is built beside and takes the old one's place at one stroke: readers see what was or what
    is. A catalogue that is missing or unusable is made anew; an unusable one is set aside, not
    deleted. Neither is any shard, and ids stay. The caller holds the writer's lock. A working copy
    of a bucket is made anew: what is not there as it was committed is fetched.

    Args:
        layout: The collection's folder.
        manifest: What its `collection.json` says.
        end_clip_id: No id below this one is given out again, even if the last shards are lost.

    Raises:
        CollectionTooNew: A later vidx wrote the catalogue, or a part.
        VidxError: A file cannot be read for a reason that may pass; nothing was changed.
    """
    database = database_of(layout, manifest)
    usable = database.exists() and _is_usable(layout, manifest, database)
    with database.beside() as draft:
        if usable and layout.address is None:  # of a bucket's, all is made anew
            copying.copy(database, draft)
        with writer_under_lock(layout, manifest, draft) as writer:
            writer.reserve(end_clip_id)
            dropped = _drop_lost(writer)
            found = writer.adopt_all()
        set_aside = None if usable else database.set_aside()
        database.become(draft)
    catalogue = Catalogue(layout, manifest)
    clips, commit = catalogue.counts()["clips"], catalogue.state().commit
    catalogue.close()
    forgotten = not usable and found.adopted and not journal.listed(layout.journal)
    return RebuildReport(
        adopted=tuple(found.adopted),
        dropped=tuple(dropped),
        ignored=tuple(found.ignored),
        set_aside=set_aside,
        lost=(FORGOTTEN,) if forgotten else (),
        num_clips=clips,
        commit=commit,
    )


def _is_usable(layout: Layout, manifest: Manifest, database: Database) -> bool:
    """Whether a catalogue is whole and this collection's."""
    try:
        with writer_under_lock(layout, manifest, database):
            pass
        catalogue = Catalogue(layout, manifest)
        try:
            return not catalogue.self_check()
        finally:
            catalogue.close()
    except CollectionTooNew:
        raise
    except CollectionDamaged:
        return False


def _drop_lost(writer: Writer) -> list[str]:
    """Take out the shards whose file is lost or broken; returns their names."""
    dropped = []
    columns = (
        shards_table.c.first_clip_id, shards_table.c.end_clip_id, shards_table.c.num_clips,
        shards_table.c.file, shards_table.c.uuid,
    )  # fmt: skip
    with writer.engine.begin() as connection:
        number = changes.last_commit(connection) + 1
        for first, end, num_clips, file, uuid in connection.execute(select(*columns)).all():
            if not _is_ours(writer, writer.layout.shards / file, uuid, num_clips):
                registry.drop_shard(connection, number, first, end)
                dropped.append(file)
        if dropped:
            changes.begin_commit(connection, number, now(), "rebuild", changes.own_provenance())
    return dropped


def _is_ours(writer: Writer, path: Path, uuid: str, num_clips: int) -> bool:
    """Whether a shard is there, whole; what cannot be read just now ends the rebuild."""
    try:
        shards.read_own(path, writer.manifest.uuid, uuid, num_clips, None)
    except CollectionDamaged:
        return False
    return True
