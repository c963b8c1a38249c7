"""One writer at a time: an OS lock on a file, so that a dead owner frees it."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, SoftFileLock, Timeout

from vidx.errors import CollectionLocked, VidxError
from vidx.store.layout import Layout, read_manifest

if TYPE_CHECKING:
    from vidx.store.postgresql import Presence

_FILTERS = threading.Lock()
_NO_LOCKS = "its file system keeps no locks (flock)"


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold the OS lock of a file, if no other process does.

    Yields:
        Whether it is held.

    Raises:
        OSError: The file cannot be written, or its file system keeps no locks.
    """
    lock = FileLock(path)
    try:
        # Some versions only warn, and take another kind. Threads would mix up each other's filters.
        with _FILTERS, warnings.catch_warnings(action="ignore"):
            lock.acquire(timeout=0)
        if isinstance(lock, SoftFileLock):  # which would outlive its owner
            raise OSError(_NO_LOCKS)
    except Timeout:
        yield False
        return
    except NotImplementedError as error:
        raise OSError(_NO_LOCKS) from error
    except BaseException:
        lock.release()
        raise
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def writing(layout: Layout) -> Iterator[None]:
    """Hold the writer's lock of a collection.

    Raises:
        CollectionLocked: Another process holds it; the message names that process.
        VidxError: The folder cannot be written, or keeps no locks.
    """
    with ExitStack() as stack:
        try:
            ours = stack.enter_context(held(layout.lock))
        except OSError as error:
            raise VidxError(
                f"{layout.root} cannot be written: {error.strerror or error}",
                "Choose a folder on a local disk that you may write to with --collection.",
            ) from error
        if not ours:
            raise CollectionLocked(
                f"{layout.root} is being written by {_owner(layout)}",
                "Wait until it has ended, or stop it; searching works meanwhile.",
            )
        stack.enter_context(_alone_in_database(layout))
        try:
            _sign(layout)
            yield
        finally:
            with suppress(OSError):
                layout.lock.with_suffix(".json").unlink()


@contextmanager
def taking_turns(layout: Layout) -> Iterator[Presence | None]:
    """Be one of several writers of a collection whose catalogue is in a database.

    Yields:
        The turns; None where the catalogue is in the folder, and this the only writer.

    Raises:
        CollectionLocked, VidxError: As for `writing`.
    """
    manifest = read_manifest(layout)
    if manifest.catalogue is None:
        with writing(layout):
            yield None
        return
    with _present(layout, manifest.catalogue, manifest.uuid, alone=False) as presence:
        if read_manifest(layout) != manifest:
            raise CollectionLocked(
                f"the catalogue of {layout.root} was just moved", "Run the same command again."
            )
        yield presence


def _alone_in_database(layout: Layout) -> AbstractContextManager[object]:
    """Keep out those who take turns, where the catalogue is in a database."""
    try:
        manifest = read_manifest(layout)
    except VidxError:  # none is there yet, or who reads it tells
        return nullcontext()
    if manifest.catalogue is None:
        return nullcontext()
    return _present(layout, manifest.catalogue, manifest.uuid, alone=True)


@contextmanager
def _present(layout: Layout, address: str, uuid: str, *, alone: bool) -> Iterator[Presence]:
    from vidx.store.postgresql import Schema

    with Schema.of(address, uuid).present(alone=alone) as presence:
        if presence is None:
            raise CollectionLocked(
                f"{layout.root} is being written by "
                f"{'others, in turns' if alone else _owner(layout)}",
                "Wait until they have ended, or stop them; searching works meanwhile.",
            )
        yield presence


def _sign(layout: Layout) -> None:
    """Leave word of who holds the lock, for the message that others get."""
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": " ".join(sys.argv)[:200],
    }
    with suppress(OSError):  # the lock holds without it, on a full disk too
        layout.lock.with_suffix(".json").write_text(json.dumps(owner), encoding="utf-8")


def _owner(layout: Layout) -> str:
    """Who holds the lock, as far as its note says."""
    try:
        owner = json.loads(layout.lock.with_suffix(".json").read_text(encoding="utf-8"))
        return (
            f"process {owner['pid']} on {owner['host']} since {owner['since']} ({owner['command']})"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
