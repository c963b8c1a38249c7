"""The entries of folders on disk."""

from __future__ import annotations

import os
from pathlib import Path


def entries(folder: Path, visited: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """List a folder in the order of names; nothing when it has been listed before.

    Args:
        folder: The folder.
        visited: Those that were listed before, whatever their paths; this one is added.

    Raises:
        OSError: It cannot be listed, or what it holds not be reached.
    """
    # With the dot (which a Path drops) it takes the right to enter the folder, not just to list it.
    status = os.stat(f"{folder}/.")
    identity = (status.st_dev, status.st_ino)
    if identity in visited:
        return []
    with os.scandir(folder) as listing:
        found = sorted(listing, key=lambda entry: entry.name)
    visited.add(identity)
    return found


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or leads to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that cannot be followed
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a regular file or leads to one."""
    try:
        return entry.is_file()
    except OSError:
        return False
