"""Taking a collection's catalogue to another database."""

from __future__ import annotations

from dataclasses import replace

from vidx.errors import UsageError
from vidx.store import copying
from vidx.store.database import database_of
from vidx.store.layout import Layout, read_manifest, write_manifest
from vidx.store.lock import writing
from vidx.store.postgresql import address_of
from vidx.store.writer import writer_under_lock


def move_catalogue(layout: Layout, address: str | None) -> str:
    """Copy the catalogue elsewhere, use it there, and delete it where it was.

    `collection.json`, written last, is what decides: a run that is killed before has changed
    nothing, one that is killed after it leaves a catalogue that nobody uses.

    Args:
        layout: The collection's folder.
        address: Of a PostgreSQL database. None: into the folder, as a file of SQLite.

    Returns:
        Where it is now.

    Raises:
        UsageError: The address is none, or the catalogue is there already.
        CollectionLocked: Another process writes.
        VidxError: A database or the folder is in the way; the catalogue is where it was.
    """
    kept = None if address is None else address_of(address)
    with writing(layout):
        manifest = read_manifest(layout)
        moved = replace(manifest, catalogue=kept)
        source, target = database_of(layout, manifest), database_of(layout, moved)
        if moved == manifest:
            raise UsageError(f"the catalogue is at {source} already", "Name another place.")
        with writer_under_lock(layout, manifest, source) as writer:
            writer.adopt()
            with target.beside() as draft:
                copying.copy(source, draft)
                target.set_aside()  # what an earlier move may have left
                target.become(draft)
            with writer.telling():
                write_manifest(layout, moved, by_way_of=writer.staging.folder)
        source.delete()
    return str(target)
