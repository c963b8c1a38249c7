"""This machine's copy of a collection in a bucket, and how it follows what is there.

It is a folder like any collection's. What the bucket's commits do not list is no part of it: a file
that the catalogue does not know, and no commit lists, was left by a commit that was not made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Engine, select

from vidx.cache import most_shard_bytes
from vidx.durable import UNFINISHED, replacing
from vidx.errors import CollectionDamaged, VidxError
from vidx.store import changes, migrate
from vidx.store.adoption import Adopter, Found
from vidx.store.at_hand import kept, make_room, note, pinned
from vidx.store.catalogue import Catalogue
from vidx.store.database import database_of
from vidx.store.layout import Layout, Manifest, manifest_bytes, read_manifest
from vidx.store.lock import writing
from vidx.store.published import (
    Published,
    PublishedFile,
    Record,
    at_once,
    fetch,
    is_here,
)
from vidx.store.shared_indexes import SharedIndexes, is_of_indexes
from vidx.store.staging import unwritable
from vidx.store.tables import shards as shards_table

MOST_KEPT = 100  # shards that are entered at a time: each is an open file
_NUMBER = re.compile(r"[a-z]+-(\d{12,})")


def make(layout: Layout, manifest: Manifest) -> None:
    """Make a collection in the bucket, with a working copy that has no `collection.json` yet.

    Raises:
        CollectionLocked: Another process made one meanwhile.
        VidxError: The bucket takes none.
    """
    _sign(layout)
    Published(layout.told).make(manifest_bytes(manifest))


def has_news(layout: Layout) -> bool:
    """Whether the bucket holds what the working copy does not; one is made if it has a collection.

    Raises:
        CollectionDamaged: The working copy is of another collection, or of a later state.
        CollectionLocked: Another process is making it.
        UsageError: `VIDX_CACHE_SIZE` is no size.
        VidxError: The bucket cannot be read, or the folder not be written.
    """
    most_shard_bytes()
    published = Published(layout.told)
    content = published.manifest()
    if content is None and not layout.exists():
        return False
    if not layout.exists():
        assert content is not None  # noqa: S101 - as was just seen
        _begin(layout, content)
    elif content != layout.manifest.read_bytes():
        there = "another collection" if content else "no collection any more"
        raise CollectionDamaged(
            f"{layout.told} holds {there}: it is not that of its working copy in {layout.root}",
            "See that the address is right. If it is, delete that folder.",
        )
    manifest = read_manifest(layout)
    make_room(layout, manifest)  # there may be less now
    if not database_of(layout, manifest).exists():
        return not _has_files(layout)  # else it was lost, which whoever opens it tells
    try:
        catalogue = Catalogue(layout, manifest)
        last = catalogue.state().commit
        catalogue.close()
    except CollectionDamaged:  # likewise, unless who was to make it was killed, or found no room
        return not _has_files(layout) and _is_blank(layout, manifest)
    return bool(published.numbers(last))


def has_commits(layout: Layout) -> bool:
    """Whether the working copy has come to any commit yet."""
    try:
        catalogue = Catalogue(layout, read_manifest(layout))
        commit = catalogue.state().commit
        catalogue.close()
    except VidxError:
        return False
    return commit > 0


def pull(layout: Layout, manifest: Manifest, engine: Engine, entered: Callable[[], None]) -> Found:
    """Enter the bucket's commits that the catalogue does not know, for the holder of the lock.

    Args:
        layout: The working copy.
        manifest: What its `collection.json` says.
        engine: Of the catalogue, for writing.
        entered: Called where there are more shards than may be here at once, each time that some
            of them were entered, and are here.

    Raises:
        CollectionDamaged: What was fetched does not lead to the bucket's state.
        VidxError: The bucket cannot be read, or the folder not be written; the same again goes on.
    """
    published = Published(layout.told)
    with engine.begin() as connection:
        last = changes.last_commit(connection)
        known = set(connection.execute(select(shards_table.c.file)).scalars())
    records = published.records(last, manifest.uuid)
    files = [file for record in records for file in record.files]
    try:
        _drop(_unknown(layout, known, last), {file.place for file in files})
        note(layout, files, anew=last == 0)
    except OSError as error:
        raise unwritable(layout.root, error) from error
    found, fits = Found(), _shard_bytes(files) <= most_shard_bytes()
    for piece in _pieces(records):
        own = [file for record in piece for file in record.files]
        names = {Path(file.place).name for file in own}
        with _here(layout, manifest, published, own):
            found.add(Adopter(layout, manifest, engine, names).adopt())
            if found.damage:
                return found
            _check_reached(layout, engine, piece[-1])
            if not fits:
                entered()
        make_room(layout, manifest)
    return found


def _pieces(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Records in their order, parted so that the shards of each part may be here at once.

    A record that has more of them is a part of its own.
    """
    part: list[Record] = []
    count = taken = 0
    for record in records:
        size = _shard_bytes(record.files)
        count, taken = count + sum(file.is_shard for file in record.files), taken + size
        if part and (count > MOST_KEPT or taken > most_shard_bytes()):
            yield part
            part, count, taken = [], sum(file.is_shard for file in record.files), size
        part.append(record)
    if part:
        yield part


def _shard_bytes(files: Iterable[PublishedFile]) -> int:
    return sum(file.size_bytes for file in files if file.is_shard)


@contextmanager
def _here(
    layout: Layout, manifest: Manifest, published: Published, files: Sequence[PublishedFile]
) -> Iterator[None]:
    """Have files here as they were committed; while this lasts none of the shards is put out."""
    shards = [file for file in files if file.is_shard]
    others = [(file, layout.root / file.place) for file in files if not file.is_shard]
    lacking: list[PublishedFile] = []
    with ExitStack() as stack:

        def keep(file: PublishedFile) -> None:
            stack.enter_context(kept(layout, manifest, file))

        def keep_sound(file: PublishedFile) -> None:
            path = layout.root / file.place
            with pinned(path) as is_there:  # so that what is not sound is what is deleted
                if is_there and is_here(file, path):
                    keep(file)
                    return
                if is_there:
                    path.unlink()
            lacking.append(file)

        try:
            fetch(published.bucket, others)
            at_once(partial(keep_sound, file) for file in shards)
            make_room(layout, manifest, _shard_bytes(lacking))
            at_once(partial(keep, file) for file in lacking)
        except OSError as error:
            raise unwritable(layout.root, error) from error
        yield


def publish(layout: Layout, manifest: Manifest, number: int, files: Iterable[Path]) -> None:
    """Make a commit in the bucket, whose files have their names in the working copy.

    Raises:
        CollectionLocked: Another writer has made the commit of this number.
        VidxError: The bucket does not take it.
    """
    placed = [(file.relative_to(layout.root).as_posix(), file) for file in files]
    note(layout, Published(layout.told).publish(manifest.uuid, number, placed))


def disagreements(catalogue: Catalogue) -> list[str]:
    """Compare the working copy with the bucket, whose objects are listed and not read.

    Shards that were put out are no finding: of these the bucket's object is looked for.

    Returns:
        One sentence for each thing that is wrong.
    """
    layout, uuid = catalogue.layout, catalogue.manifest.uuid
    published = Published(layout.told)
    records = published.records(0, uuid)
    objects = published.bucket.listed("")
    listed = {Path(file.place).name for record in records for file in record.files}
    findings = [
        f"shard {shard.file}: no commit in the bucket has it"
        for shard in catalogue.shards()
        if shard.file not in listed
    ]
    for file in (file for record in records for file in record.files):
        if file.name not in objects:
            findings.append(f"bucket: {file.name} is missing")
        elif objects[file.name] != file.size_bytes:
            size = objects[file.name]
            findings.append(f"bucket: {file.name} has {size} bytes, not {file.size_bytes}")
        if not _is_as_committed(file, layout.root / file.place):
            findings.append(f"working copy: {file.place} is not as it was committed")
    findings += SharedIndexes(published.address).disagreements(uuid, objects)
    return findings + [
        f"bucket: {name} belongs to no commit: a run that ended left it, or one is about to commit"
        for name in published.orphans(records, objects)
        if not is_of_indexes(name)
    ]


def _is_as_committed(file: PublishedFile, path: Path) -> bool:
    if not file.is_shard:
        return is_here(file, path)
    with pinned(path) as is_there:  # else it was put out
        return not is_there or is_here(file, path)


def _begin(layout: Layout, content: bytes) -> None:
    """Make a working copy of a collection that is there."""
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
        with writing(layout):
            if layout.exists():
                return
            # A catalogue without it is of a collection that was to be made, and never was.
            for leftover in layout.root.glob(f"{layout.catalogue.name}*"):
                leftover.unlink()
            _sign(layout)
            with replacing(layout.manifest) as file:
                file.write(content)
    except OSError as error:
        raise unwritable(layout.root, error) from error
    try:
        read_manifest(layout)
    except VidxError:
        layout.manifest.unlink()
        raise


def _sign(layout: Layout) -> None:
    """Let the folder say of which bucket it is a working copy."""
    with replacing(layout.bucket) as file:
        values = {"format": "vidx working copy", "address": layout.address}
        file.write(json.dumps(values, indent=1).encode())


def _has_files(layout: Layout) -> bool:
    return next(layout.shards.glob("*.parquet"), None) is not None


def _is_blank(layout: Layout, manifest: Manifest) -> bool:
    """Whether the catalogue has no tables yet."""
    engine = database_of(layout, manifest).open_for_reading()
    try:
        with engine.begin() as connection:
            return migrate.revision(connection) is None
    except VidxError:  # it is no catalogue at all
        return False
    finally:
        engine.dispose()


def _unknown(layout: Layout, known: set[str], last: int) -> list[Path]:
    """Files that the catalogue does not know, and what a fetch that was killed left."""
    unknown = [path for path in layout.shards.iterdir() if path.name not in known]
    for path in layout.journal.iterdir():
        number = _NUMBER.match(path.name)
        if path.name.endswith(UNFINISHED) or (number and int(number[1]) > last):
            unknown.append(path)
    return unknown


def _drop(unknown: Sequence[Path], listed: set[str]) -> None:
    for path in unknown:
        if f"{path.parent.name}/{path.name}" not in listed and path.is_file():
            path.unlink()


def _check_reached(layout: Layout, engine: Engine, record: Record) -> None:
    """See to it that the catalogue counts commits as the bucket does: removals go by these."""
    with engine.begin() as connection:
        last = changes.last_commit(connection)
    if last != record.commit:
        raise CollectionDamaged(
            f"the working copy in {layout.root} is at commit {last}, and {layout.told} at "
            f"{record.commit}",
            "Delete that folder: it is fetched anew.",
        )
