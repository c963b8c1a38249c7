"""The shards of a working copy: fetched when they are read, and put out to make room for others.

`objects.jsonl` says which object each shard is, and only what it names is put out. Who reads a
shard has a shared lock (flock) on its file, and who puts it out needs one alone: so none goes while
it is read. A file that was fetched gets its name by a link, which takes no other's place: so what
has the name is what is locked.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from vidx.cache import most_shard_bytes
from vidx.durable import replacing, sync_folder
from vidx.errors import CollectionDamaged, VidxError
from vidx.store.layout import Layout, Manifest

if TYPE_CHECKING:
    from vidx.store.published import PublishedFile


_PLACE = re.compile(r'"place": "([^"]+)"')


@contextmanager
def at_hand(layout: Layout, manifest: Manifest, file: str) -> Iterator[Path]:
    """Have a shard here while this lasts, fetched where it was put out. It is told of as used.

    Args:
        layout: The collection's folder.
        manifest: What its `collection.json` says.
        file: The shard's name.

    Yields:
        Where it is; in a folder without a bucket, where it should be.

    Raises:
        CollectionDamaged: The bucket has another object than was committed, or no commit has it.
        VidxError: It cannot be fetched.
    """
    path = layout.shards / file
    if layout.address is None:
        yield path
        return
    pin = _pinned(path)
    if pin is not None:
        try:
            yield path
        finally:
            os.close(pin)
        return
    wanted = _object_of(layout, manifest, path)
    make_room(layout, manifest, wanted.size_bytes)
    try:
        with kept(layout, manifest, wanted):
            yield path
    finally:
        make_room(layout, manifest)


@contextmanager
def kept(layout: Layout, manifest: Manifest, wanted: PublishedFile) -> Iterator[None]:
    """As `at_hand`, for who has made room."""
    path = layout.root / wanted.place
    pin = _pinned(path)
    while pin is None:
        pin = _fetched(layout, manifest, wanted, path)
        if pin is None:  # another process was quicker
            pin = _pinned(path)
    try:
        yield
    finally:
        os.close(pin)


@contextmanager
def pinned(path: Path) -> Iterator[bool]:
    """Keep a shard from being put out while this lasts; whether it is here."""
    pin = _pinned(path)
    try:
        yield pin is not None
    finally:
        if pin is not None:
            os.close(pin)


def is_put_out(layout: Layout, file: str) -> bool:
    """Whether a shard that the catalogue knows is in the bucket alone."""
    return layout.address is not None and not (layout.shards / file).exists()


def make_room(layout: Layout, manifest: Manifest, coming_bytes: int = 0) -> None:
    """Put out the shards that were used least recently, where all take more than they may.

    Args:
        layout: The folder of a working copy.
        manifest: What its `collection.json` says.
        coming_bytes: What is about to be fetched.

    Raises:
        UsageError: `VIDX_CACHE_SIZE` is no size.
        VidxError: The bucket does not say which objects the shards are.
    """
    shards = sorted(_on_disk(layout.shards))
    excess = sum(size for _, size, _ in shards) + coming_bytes - most_shard_bytes()
    excess, unknown = _free(layout, shards, excess)
    if excess > 0 and unknown:  # an earlier vidx fetched them, or their note was lost
        _note_all(layout, manifest)
        _free(layout, unknown, excess)


def _free(
    layout: Layout, shards: Iterable[tuple[int, int, Path]], excess: int
) -> tuple[int, list[tuple[int, int, Path]]]:
    """Put out the first of some shards; the bytes still in excess, and the shards without a note.

    What the bucket has lost stays, as it is the only copy, and all where it cannot be asked.
    """
    noted = _noted(layout) if excess > 0 else {}
    unknown = []
    for used, size, path in shards:
        if excess <= 0:
            break
        file = _found(noted, path)
        if file is None:
            unknown.append((used, size, path))
            continue
        try:
            is_lost = not _is_in_bucket(layout, file)
        except VidxError:
            break
        if not is_lost and _put_out(path):
            excess -= size
    return excess, unknown


def _is_in_bucket(layout: Layout, file: PublishedFile) -> bool:
    """Whether a shard can be fetched again."""
    from vidx.remote.buckets import Bucket

    return Bucket(layout.told).listed(file.name).get(file.name) == file.size_bytes


def note(layout: Layout, files: Iterable[PublishedFile], *, anew: bool = False) -> None:
    """Remember which objects shards are.

    Args:
        layout: The folder of a working copy.
        files: What commits have; only shards are noted.
        anew: Whether what was noted before is forgotten.

    Raises:
        OSError: The file cannot be written.
    """
    lines = "".join(f"\n{json.dumps(asdict(file))}" for file in files if file.is_shard)
    if anew:
        with replacing(layout.objects) as whole:
            whole.write(lines.encode())
    elif lines:  # a line that was cut short ends where the next begins
        with layout.objects.open("ab") as behind:
            behind.write(lines.encode())
            behind.flush()
            os.fsync(behind.fileno())


def _note_all(layout: Layout, manifest: Manifest) -> None:
    """Note what all commits have, where a note was lost, or was never made."""
    from vidx.store.published import Published

    records = Published(layout.told).records(0, manifest.uuid)
    with _telling(layout.objects):
        note(layout, (file for record in records for file in record.files), anew=True)


def _noted(layout: Layout) -> dict[str, str]:
    """What is noted of each shard, by its place: a line."""
    try:
        text = layout.objects.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    named = ((_PLACE.search(line), line) for line in text.splitlines())
    return {place[1]: line for place, line in named if place}


def _object_of(layout: Layout, manifest: Manifest, path: Path) -> PublishedFile:
    """Which object a shard is."""
    found = _found(_noted(layout), path)
    if found is None:
        _note_all(layout, manifest)
        found = _found(_noted(layout), path)
    if found is None:
        raise CollectionDamaged(
            f"the shard {path} is missing, and no commit at {layout.told} has it",
            "Run `vidx rebuild`: it makes the working copy anew.",
        )
    return found


def _found(noted: Mapping[str, str], path: Path) -> PublishedFile | None:
    from vidx.store.published import PublishedFile

    with suppress(ValueError, TypeError, KeyError):
        return PublishedFile(**json.loads(noted[f"{path.parent.name}/{path.name}"]))
    return None


def _fetched(layout: Layout, manifest: Manifest, wanted: PublishedFile, path: Path) -> int | None:
    """Fetch a shard, and lock it before it gets its name; None where that is taken meanwhile."""
    from vidx.remote.buckets import Bucket
    from vidx.store.published import fetch
    from vidx.store.staging import staging

    with staging(layout, manifest) as own, _telling(path):
        copy = own.folder / f".{path.name}.tmp"
        try:
            fetch(Bucket(layout.told), [(wanted, copy)])
        except CollectionDamaged:
            raise
        except VidxError as error:
            told = f"the shard {path.name} is not in the working copy, and cannot be fetched as "
            raise VidxError(f"{told}{wanted.name}: {error.problem}", error.next_step) from error
        pin = _pinned(copy)
        assert pin is not None  # noqa: S101 - nobody else knows of it
        try:
            os.link(copy, path)
            sync_folder(path.parent)
        except BaseException as error:
            os.close(pin)
            if isinstance(error, FileExistsError):
                return None
            raise
        return pin


def _pinned(path: Path) -> int | None:
    """Lock a shard against being put out, and mark it as used; None where it is not here."""
    with _telling(path):
        try:
            pin = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(pin, fcntl.LOCK_SH)  # who puts it out has it for a moment
            if _has_name(pin, path):
                with suppress(OSError):  # not ours, or on a disk that is read alone
                    os.utime(pin)
                return pin
        except BaseException:
            os.close(pin)
            raise
        os.close(pin)
        return None


def _put_out(path: Path) -> bool:
    """Delete a shard that nobody reads; whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _has_name(descriptor, path):
            path.unlink()
        return True
    except OSError:  # somebody reads it, or it may not be deleted
        return False
    finally:
        os.close(descriptor)


def _has_name(descriptor: int, path: Path) -> bool:
    """Whether an open file is still what its name leads to."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _on_disk(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """The shards in a folder, each with when it was used last, and its size."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".parquet"):
                with suppress(FileNotFoundError):
                    status = entry.stat()
                    yield status.st_mtime_ns, status.st_size, Path(entry.path)


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Tell of a full disk and the like in our own words."""
    try:
        yield
    except OSError as error:
        raise VidxError(
            f"{path} cannot be kept here: {error.strerror or error}",
            "Free some space there, or name another folder of caches with VIDX_CACHE_DIR; then "
            "run the same command again.",
        ) from error
