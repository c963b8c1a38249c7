"""A folder that is there whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from vidx.durable import sync_folder
from vidx.errors import UsageError, VidxError

PARTIAL = ".partial"


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder that takes its name only when all is in it.

    Args:
        path: What it will be called: not there yet, or an empty folder.

    Yields:
        Where to write meanwhile, beside it.

    Raises:
        UsageError: Something is there.
        VidxError: It cannot be written; nothing is left.
    """
    path = Path(os.path.abspath(path))
    _check_free(path)
    partial = path.with_name(f".{path.name}.{uuid4().hex}{PARTIAL}")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise VidxError(
            f"{path} cannot be written: {error.strerror or error}",
            "Free some space there, or choose another folder; nothing was left in this one.",
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_free(path: Path) -> None:
    if path.is_dir() and not any(path.iterdir()):
        return
    if os.path.lexists(path):
        what = "is not empty" if path.is_dir() else "is there already, and no folder"
        raise UsageError(f"{path} {what}", "Name a folder that is empty or not there yet.")
