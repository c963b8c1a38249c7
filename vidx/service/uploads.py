"""Uploads: files that clients sent to be searched for, in a folder that is emptied."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from starlette.concurrency import run_in_threadpool

from vidx.cache import cache_folder
from vidx.service.problems import Refused, not_found
from vidx.service.settings import Limits
from vidx.store.lock import held


@dataclass(slots=True)
class Upload:
    """One file.

    Attributes:
        upload_id: Its name, which we chose.
        path: Where it lies.
        size_bytes: How much has arrived.
        used: When it was asked for last, by the monotonic clock.
    """

    upload_id: str
    path: Path
    size_bytes: int = 0
    used: float = field(default_factory=time.monotonic)


class Uploads:
    """A folder of one server's uploads; what a server that was killed left is removed.

    Args:
        limits: How much may lie there, and how long.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._known: dict[str, Upload] = {}
        self._lock = threading.Lock()
        self._open = ExitStack()
        place = cache_folder() / "uploads"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(place)
        self._folder = place / uuid4().hex
        self._folder.mkdir(mode=0o700)
        self._open.enter_context(held(self._folder / "in-use"))
        self._is_closed = threading.Event()
        threading.Thread(target=self._tend, name="vidx uploads", daemon=True).start()

    async def store(self, parts: AsyncIterator[bytes]) -> Upload:
        """Write what comes in to a new file.

        Args:
            parts: The body.

        Raises:
            Refused: There is no room, or nothing comes in.
        """
        name = uuid4().hex
        upload = Upload(name, self._folder / name)
        with self._lock:
            self._known[name] = upload
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # a cache may be emptied
            with upload.path.open("xb") as file:
                async for part in parts:
                    upload.size_bytes += len(part)
                    self._make_room()
                    await run_in_threadpool(file.write, part)
            if not upload.size_bytes:
                raise Refused(422, "empty_upload", "the upload is empty", "Send a video's bytes.")
        except OSError as error:
            self._drop(name)
            raise Refused(503, "no_room", f"the upload cannot be kept: {error.strerror}") from None
        except BaseException:
            self._drop(name)
            raise
        return upload

    def path(self, upload_id: str) -> Path:
        """Where an upload lies; it stays a while longer.

        Raises:
            Refused: There is none, or it is gone.
        """
        self.expire()
        with self._lock:
            upload = self._known.get(upload_id)
            if upload is None:
                raise not_found("upload of this id; uploads go after a while")
            upload.used = time.monotonic()
            return upload.path

    def remove(self, upload_id: str) -> None:
        """Delete an upload.

        Raises:
            Refused: There is none.
        """
        self.path(upload_id)
        self._drop(upload_id)

    def close(self) -> None:
        """Empty the folder."""
        self._is_closed.set()
        self._open.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_room(self) -> None:
        limits = self._limits
        if self._kept_bytes() > limits.most_kept_bytes:
            self.expire()
        if self._kept_bytes() > limits.most_kept_bytes:
            raise Refused(
                503, "no_room", f"uploads of {limits.most_kept_bytes} bytes wait already",
                "Try again.", {"retry-after": "60"},
            )  # fmt: skip

    def expire(self) -> None:
        """Delete what nobody has asked for in a while."""
        oldest = time.monotonic() - self._limits.upload_kept_seconds
        with self._lock:
            late = [one.upload_id for one in self._known.values() if one.used < oldest]
        for name in late:
            self._drop(name)

    def _tend(self) -> None:
        """Expire what is late, also while nobody asks for anything."""
        while not self._is_closed.wait(self._limits.upload_kept_seconds / 10):
            self.expire()

    def _kept_bytes(self) -> int:
        with self._lock:
            return sum(one.size_bytes for one in self._known.values())

    def _drop(self, upload_id: str) -> None:
        with self._lock:
            upload = self._known.pop(upload_id, None)
        if upload:
            upload.path.unlink(missing_ok=True)


def _sweep(place: Path) -> None:
    """Remove the folders of servers that are no more."""
    for folder in place.iterdir():
        try:
            with held(folder / "in-use") as is_free:
                if is_free:
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
