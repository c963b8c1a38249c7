"""One writer at a time: an OS lock on a file, so that a dead owner frees it."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from vidx.errors import CollectionLocked, VidxError
from vidx.store.layout import Layout


@contextmanager
def writing(layout: Layout) -> Iterator[None]:
    """Hold the writer's lock of a collection.

    Raises:
        CollectionLocked: Another process holds it; the message names that process.
        VidxError: The folder cannot be written.
    """
    lock = FileLock(layout.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise CollectionLocked(
            f"{layout.root} is being written by {_owner(layout)}",
            "Wait until it has ended, or stop it; searching works meanwhile.",
        ) from None
    except OSError as error:
        raise VidxError(
            f"{layout.root} cannot be written: {error.strerror}",
            "Choose a folder you may write to with --collection.",
        ) from error
    try:
        _sign(layout)
        yield
    finally:
        with suppress(OSError):
            layout.lock.with_suffix(".json").unlink()
        lock.release()


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
