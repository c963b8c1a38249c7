"""Making the catalogue agree with the shards on disk again."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from vidx.errors import CollectionDamaged, CollectionTooNew
from vidx.records import RebuildReport
from vidx.store import changes, shards
from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout, Manifest
from vidx.store.tables import shards as shards_table
from vidx.store.writer import Writer, writer_under_lock

LIVED_IN_SQL_ALONE = (
    "removals (removed clips are back)",
    "second and further locations of equal files, and paths of files moved since",
    "failures",
)


def rebuild(layout: Layout, manifest: Manifest, end_clip_id: int) -> RebuildReport:
    """Mend the catalogue from the shards: enter unknown ones, drop the clips of lost ones.

    A catalogue that is missing or unusable is made anew; an unusable one is set aside, not
    deleted. Neither is any shard, and ids stay. The caller holds the writer's lock.

    Args:
        layout: The collection's folder.
        manifest: What its `collection.json` says.
        end_clip_id: No id below this one is given out again, even if the last shards are lost.

    Raises:
        CollectionTooNew: A later vidx wrote the catalogue.
    """
    had_catalogue = layout.catalogue.exists()
    set_aside = _set_aside_if_unusable(layout, manifest) if had_catalogue else None
    made_anew = not had_catalogue or set_aside is not None
    if made_anew:
        _move_aside(layout.catalogue)  # a write-ahead log alone would be replayed
    with writer_under_lock(layout, manifest) as writer:
        writer.reserve(end_clip_id)
        dropped = _drop_lost(writer)
        adopted, ignored, displaced = _adopt_each(writer)
    counts = Catalogue(layout, manifest).counts()
    return RebuildReport(
        adopted=tuple(adopted),
        dropped=tuple(dropped),
        ignored=tuple(ignored),
        set_aside=str(set_aside) if set_aside else None,
        lost=(LIVED_IN_SQL_ALONE if made_anew and counts["shards"] else ()) + displaced,
        clips=counts["clips"],
    )


def _set_aside_if_unusable(layout: Layout, manifest: Manifest) -> Path | None:
    """Move a catalogue away that is broken or another collection's."""
    try:
        with writer_under_lock(layout, manifest):
            pass
        if not Catalogue(layout, manifest).self_check():
            return None
    except CollectionTooNew:
        raise
    except CollectionDamaged:
        pass
    return _move_aside(layout.catalogue)


def _move_aside(catalogue: Path) -> Path | None:
    """Rename a catalogue and its write-ahead log to a name that is free."""
    number = 1
    while (target := catalogue.with_name(f"{catalogue.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("", "-wal", "-shm"):
        part = catalogue.with_name(catalogue.name + suffix)
        if part.exists():
            part.rename(target.with_name(target.name + suffix))
    return target if target.exists() else None


def _drop_lost(writer: Writer) -> list[str]:
    """Take out the shards whose file is lost, or cannot be read whole."""
    dropped = []
    columns = (shards_table.c.first_clip_id, shards_table.c.num_clips, shards_table.c.file)
    with writer.engine.begin() as connection:
        for first_clip_id, num_clips, file in connection.execute(select(*columns)).all():
            if not _is_ours(writer, writer.layout.shards / file, num_clips):
                changes.drop_shard(connection, first_clip_id, num_clips)
                dropped.append(file)
    return dropped


def _is_ours(writer: Writer, path: Path, num_clips: int) -> bool:
    try:
        info = shards.read_info(path)
        return info.uuid == writer.manifest.uuid and shards.read(path).num_rows == num_clips
    except CollectionDamaged:
        return False


def _adopt_each(writer: Writer) -> tuple[list[str], list[str], tuple[str, ...]]:
    """Enter the unknown shards one by one; one that cannot be entered does not stop the rest."""
    adopted, ignored, displaced = [], [], 0
    for first_clip_id, path in writer.unknown().items():
        try:
            adoption = writer.adopt_one(first_clip_id, path)
        except CollectionDamaged as error:
            ignored.append(f"{path.name}: {error.problem}")
            continue
        displaced += adoption.displaced
        if adoption.refused:
            ignored.append(f"{path.name}: {adoption.refused}")
        else:
            adopted.append(path.name)
    lost = (f"{displaced} videos whose first path held another video later",) if displaced else ()
    return adopted, ignored, lost
