"""DiskCache: files that were made once and are kept, up to so many bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vidx.durable import replacing
from vidx.service.problems import Refused


class DiskCache:
    """A folder of files by key; those that nobody asked for in the longest time go first.

    Args:
        folder: Where they lie; also what other servers put there.
        most_bytes: Of all of them.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._bytes = sum(size for _, size, _ in self._files())

    def get(self, key: str, make: Callable[[], bytes]) -> Path:
        """A file, made by one thread where there is none.

        Args:
            key: Its name; it is ours, not a client's.
            make: Gives its bytes.

        Raises:
            Refused: There is no room for it.
        """
        path = self._folder / key
        with self._lock_of(key):
            if not path.is_file():
                content = make()
                try:
                    self._folder.mkdir(parents=True, exist_ok=True)  # a cache may be emptied
                    with replacing(path) as file:
                        file.write(content)
                except OSError as error:
                    raise Refused(
                        503, "no_room", f"what was made cannot be kept: {error.strerror}",
                        "Free some space in the server's cache folder.",
                    ) from None  # fmt: skip
                self._add(len(content), path)
            with suppress(OSError):
                os.utime(path)
        return path

    def _lock_of(self, key: str) -> threading.Lock:
        with self._lock:
            if len(self._making) > 10_000:
                self._making = {k: one for k, one in self._making.items() if one.locked()}
            return self._making.setdefault(key, threading.Lock())

    def _add(self, size_bytes: int, newest: Path) -> None:
        """Count a file, and make room where it is needed."""
        with self._lock:
            self._bytes += size_bytes
            if self._bytes <= self._most_bytes:
                return
            files = self._files()
            self._bytes = sum(size for _, size, _ in files)
            for _, size, path in files:
                if self._bytes <= self._most_bytes * 0.9:
                    break
                if path != newest:
                    path.unlink(missing_ok=True)
                    self._bytes -= size

    def _files(self) -> list[tuple[float, int, Path]]:
        """Time of last use, size and path of each, the oldest first."""
        found = []
        for path in self._folder.iterdir():
            if path.name.startswith("."):  # another thread writes it
                continue
            with suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        return sorted(found)
