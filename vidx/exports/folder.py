"""A folder that is there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from vidx.durable import sync_folder
from vidx.errors import UsageError, VidxError

PARTIAL = ".partial"


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder that takes its name only when all is in it.

    One that is there already stays, as it may be a mount point, a link's or the working folder:
    what was made is moved into it at the end.

    Args:
        path: What it will be called: not there yet, or an empty folder.

    Yields:
        Where to write meanwhile: beside it, or in it if it is there.

    Raises:
        UsageError: Something is there.
        VidxError: It cannot be written; nothing is left.
    """
    path = Path(os.path.abspath(path))
    _check_free(path)
    is_there = path.is_dir()
    partial = (path if is_there else path.parent) / f".{path.name}.{uuid4().hex}{PARTIAL}"
    try:
        partial.mkdir(parents=True)
        yield partial
        if is_there:
            _move_all(partial, path)
        else:
            partial.replace(path)
            sync_folder(path.parent)
    except OSError as error:
        raise VidxError(
            f"{path} cannot be written: {error.strerror or error}",
            "Free some space there, or choose another folder; nothing was left in this one.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _move_all(partial: Path, path: Path) -> None:
    """Move what was made into the folder around it, or nothing.

    Other tools begin with `metadata.jsonl`, `metadata.json`, `cuts.csv` or the first of the tars,
    and each comes last here: folders are moved first, then files from the last name to the first.
    """
    if _contents(path):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
    order = sorted(partial.iterdir(), key=lambda one: (one.is_dir(), one.name), reverse=True)
    try:
        for one in order:
            one.rename(path / one.name)
            sync_folder(path)
    except BaseException:
        for one in order:
            with suppress(OSError):  # it was not moved yet
                (path / one.name).rename(one)
        raise


def _contents(path: Path) -> list[Path]:
    """What is in a folder, but for what exports that were killed have left there, hidden."""
    return [one for one in path.iterdir() if not one.name.endswith(PARTIAL)]


def _check_free(path: Path) -> None:
    if path.is_dir() and not _contents(path):
        return
    if os.path.lexists(path):
        what = "is not empty" if path.is_dir() else "is there already, and no folder"
        raise UsageError(f"{path} {what}", "Name a folder that is empty or not there yet.")
