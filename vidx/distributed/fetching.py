"""Videos at URLs, copied to a node before they are decoded there."""

from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from filelock import FileLock, Timeout

from vidx.embedder.decoding.events import Job
from vidx.errors import VideoError
from vidx.remote.copies import Copies
from vidx.remote.objects import look
from vidx.remote.troubles import no_tick

_PREFIX = "vidx-copies-"


class Fetched:
    """Copies of objects in a folder of this machine's; those of workers that were killed go."""

    def __init__(self) -> None:
        self._guard = threading.Lock()

    @cached_property
    def _folder(self) -> Path:
        for lock in Path(gettempdir()).glob(f"{_PREFIX}*.lock"):
            with suppress(Timeout, OSError), FileLock(lock, timeout=0):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink()
        folder = Path(mkdtemp(prefix=_PREFIX))
        self._lock = FileLock(f"{folder}.lock", timeout=0)  # until this process ends
        self._lock.acquire()
        return folder

    def fetch(self, job: Job) -> Job:
        """The same job, of a copy.

        Args:
            job: Its path is a URL, its key the SHA-256 of the object's bytes.

        Raises:
            VideoError: The object cannot be read, or is another one by now.
            UsageError: The libraries that it takes are not installed.
            OSError: The copy cannot be written.
        """
        with self._guard:  # several threads fetch
            folder = self._folder / str(job.key)
        folder.mkdir()
        copies = Copies({job.path: look(job.path)}, folder)
        if copies.fetch(job.path, no_tick) != job.key:
            raise VideoError("changed_while_reading", "the object changed after it was hashed")
        return replace(job, path=copies.place(job.path))

    def drop(self, job: Job) -> None:
        """Delete the copy of a job, if there is one."""
        if "_folder" in self.__dict__:
            shutil.rmtree(self._folder / str(job.key), ignore_errors=True)
