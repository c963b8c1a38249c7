"""Files that are there whole or not at all, and stay through a loss of power."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

UNFINISHED = ".tmp"  # how the names of files in the making end


@contextmanager
def replacing(path: Path, *, by_way_of: Path | None = None) -> Iterator[BinaryIO]:
    """Write a file that takes its name only when it is whole and on disk.

    Args:
        path: What it will be called; a file of that name stays until then, and where this fails.
        by_way_of: A folder of the same file system for the file in the making. None: its own.

    Yields:
        The file, to be written.

    Raises:
        OSError: It cannot be written.
    """
    temporary = (by_way_of or path.parent) / f".{path.name}.{uuid4().hex}{UNFINISHED}"
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):  # the error that ended the writing is the one to tell
            temporary.unlink()
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Make what was written to a file survive a loss of power."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make renames within a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
