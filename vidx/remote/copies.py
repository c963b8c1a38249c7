"""Copies of objects on the local disk: whole ones that are hashed as they come, and parts."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

from vidx.records import Problem
from vidx.remote.holes import NO_HOLES, Holes
from vidx.remote.objects import RemoteFile, look
from vidx.remote.reading import Reading
from vidx.remote.troubles import NoRanges, Tick, no_tick

BLOCK_BYTES = 256 << 10
MOST_BLOCKS = 16  # of one request, where reading goes on in order


class Copies:
    """Whole objects on the local disk, each fetched once, from which all else is read.

    Args:
        found: What was found at each URL, or why nothing was.
        folder: Where the copies lie; None: nothing is kept, the bytes are hashed alone.
    """

    def __init__(
        self, found: Mapping[str, RemoteFile | Problem] | None = None, folder: Path | None = None
    ) -> None:
        self.found = dict(found or {})
        self.folder = folder
        self._numbers = {url: number for number, url in enumerate(self.found)}

    def fetch(self, url: str, tick: Tick) -> str:
        """Fetch an object.

        Args:
            url: One of those that were found.
            tick: Called meanwhile; what it raises ends it.

        Returns:
            SHA-256 of its bytes, in hex.

        Raises:
            VideoError: It cannot be read, or has changed meanwhile.
            OSError: The copy cannot be written.
        """
        file = self.found[url]
        assert isinstance(file, RemoteFile)  # noqa: S101 - only those are fetched
        reading, digest = Reading(file, tick), hashlib.sha256()
        path = os.devnull if self.folder is None else self._copy(url)
        try:
            with open(path, "wb") as copy:
                for piece in reading.whole():
                    digest.update(piece)
                    copy.write(piece)
            reading.check_unchanged()
        except BaseException:
            self.drop(url)
            raise
        return digest.hexdigest()

    def place(self, path: str) -> str:
        """Where the bytes of a file are to be read: of an object that was fetched, its copy."""
        return str(self._copy(path)) if path in self.found and self.folder else path

    def drop(self, path: str) -> None:
        """Delete the copy of an object, if there is one."""
        if path in self.found and self.folder:
            with suppress(OSError):  # the run's folder goes with all that is in it
                self._copy(path).unlink()

    def _copy(self, url: str) -> Path:
        assert self.folder is not None  # noqa: S101 - asked by those who have one
        # FFmpeg looks at the ending where the content leaves it in doubt.
        ending = PurePosixPath(url).suffix
        return self.folder / f"copy-{self._numbers[url]}{ending if len(ending) < 16 else ''}"


class PartialCopy:
    """What was read of one object so far; only what is asked for is fetched, and once.

    Args:
        file: The object.

    Attributes:
        fetched_bytes: What has travelled.
        has_ranges: Whether the server gives parts, as far as that was asked.
    """

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self.fetched_bytes = 0
        self.has_ranges = True
        self._disk = tempfile.TemporaryFile()  # noqa: SIM115 - it goes with this object
        self._there = bytearray(-(-(file.size_bytes or 0) // BLOCK_BYTES))
        self._reading = Reading(file, no_tick)
        self._run = (-1, 1)  # the block that reading in order would ask for next, and how many
        self._size = file.size_bytes

    def full_size(self, tick: Tick) -> int:
        """How many bytes the object has; where the server does not say, all are fetched.

        Raises:
            VideoError: They cannot be had.
        """
        self._reading.tick = tick
        if self._size is None:
            self._size = self._fetch_all()
        return self._size

    def read_at(self, position: int, size: int, tick: Tick, holes: Holes = NO_HOLES) -> bytes:
        """Bytes from a place on: as many as are asked for, or as there are.

        Args:
            position: The first one's place.
            size: How many.
            tick: Called before each request.
            holes: What is not fetched; of that, what is not there is zeros.

        Raises:
            VideoError: They cannot be had.
        """
        whole = self.full_size(tick)
        end = min(position + size, whole)
        block = position // BLOCK_BYTES
        while block * BLOCK_BYTES < end:
            if not (self._there[block] or holes.cover(*self._bounds(block, block + 1, whole))):
                self._fetch(block, whole, holes)
            block += 1
        content = os.pread(self._disk.fileno(), max(end - position, 0), position)
        return content.ljust(end - position, b"\0")  # the copy may end with a hole

    def _bounds(self, block: int, stop: int, size: int) -> tuple[int, int]:
        return block * BLOCK_BYTES, min(stop * BLOCK_BYTES, size)

    def _fetch(self, block: int, size: int, holes: Holes) -> None:
        """Fetch a block, and after it more, the longer reading goes on in order."""
        expected, length = self._run
        length = min(2 * length, MOST_BLOCKS) if block == expected else 1
        last = self._there.find(1, block, block + length)
        most = last if last >= 0 else min(block + length, len(self._there))
        stop = block + 1
        while stop < most and not holes.cover(*self._bounds(stop, stop + 1, size)):
            stop += 1
        start, end = self._bounds(block, stop, size)
        try:
            content = self._reading.range(start, end - start)
        except NoRanges:
            self._fetch_all()
            return
        self._keep(start, content)
        self._there[block:stop] = b"\1" * (stop - block)
        self._run = (stop, length)

    def _fetch_all(self) -> int:
        self.has_ranges = False
        position = 0
        for piece in self._reading.whole():
            self._keep(position, piece)
            position += len(piece)
        self._there = bytearray(b"\1" * -(-position // BLOCK_BYTES))
        return position

    def _keep(self, position: int, content: bytes) -> None:
        os.pwrite(self._disk.fileno(), content, position)
        self.fetched_bytes += len(content)


def partial_copy(url: str, tick: Tick) -> PartialCopy:
    """The copy of an object as it is now: the one that was read last, if it is of the same.

    Raises:
        VideoError: The server does not tell of it.
    """
    file = look(url, tick)
    return _last_copy(file) if file.version else PartialCopy(file)


@lru_cache(maxsize=1)
def _last_copy(file: RemoteFile) -> PartialCopy:
    return PartialCopy(file)


def digest_of(url: str) -> str:
    """SHA-256 of an object's bytes, in hex; all are read, and none kept.

    Raises:
        VideoError: It cannot be read.
    """
    return Copies({url: look(url)}).fetch(url, no_tick)
