"""The bytes of one object, from whatever part of it, or all of them in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vidx.errors import VideoError
from vidx.remote.file_systems import file_system
from vidx.remote.objects import RemoteFile, look
from vidx.remote.troubles import NoRanges, Tick, retried
from vidx.remote.urls import is_web

PIECE_BYTES = 4 << 20  # of one request, where all are wanted


class Reading:
    """Reads an object by ranges, where the server gives any.

    Args:
        file: The object, as it was seen.
        tick: Called before each request, as a sign of life; what it raises ends the reading.
    """

    def __init__(self, file: RemoteFile, tick: Tick) -> None:
        self.file = file
        self.tick = tick
        self._handle: Any = None

    def range(self, start: int, size: int) -> bytes:
        """Exactly these bytes.

        Args:
            start: The first one's place.
            size: How many; there are as many.

        Raises:
            VideoError: They cannot be had, however often they are asked for.
            NoRanges: The server gives the whole object alone.
        """
        return retried(lambda: self._range(start, size), self.tick)

    def whole(self) -> Iterator[bytes]:
        """All bytes, in order and each once.

        Raises:
            VideoError: They cannot be had, or the object has changed meanwhile.
        """
        position = 0
        try:
            while position < (self.file.size_bytes or 0):
                piece = self.range(position, min(PIECE_BYTES, self._left(position)))
                yield piece
                position += len(piece)
        except NoRanges:
            yield from self._stream(position)
        if self.file.size_bytes is None:
            yield from self._stream(position)

    def check_unchanged(self) -> None:
        """See to it that the bytes are those of the object as it was seen.

        Raises:
            VideoError: It has changed meanwhile, or nobody tells.
        """
        if look(self.file.url, self.tick) != self.file:
            raise VideoError("changed_while_reading", "the object's size or version changed")

    def _left(self, position: int) -> int:
        return (self.file.size_bytes or 0) - position

    def _range(self, start: int, size: int) -> bytes:
        if self._handle is None:
            self._handle = file_system(self.file.url).open(
                self.file.url,
                block_size=PIECE_BYTES,
                cache_type="none",
                size=self.file.size_bytes,
            )
        self._handle.seek(start)
        try:
            content = bytes(self._handle.read(size))
        except ValueError as error:
            raise NoRanges from error
        if len(content) != size:
            raise ConnectionError(None, f"{len(content)} of {size} bytes came")
        return content

    def _stream(self, position: int) -> Iterator[bytes]:
        """The bytes from a place on, of a server that always begins at the first.

        After a break all is fetched anew, and what is already known passed over.
        """
        stream = _Stream(self.file)
        while content := retried(stream.read, self.tick):
            new = content[max(position - (stream.passed - len(content)), 0) :]
            position = max(position, stream.passed)
            if new:
                yield new


class _Stream:
    """An object from its first byte on; after an error it begins anew.

    Attributes:
        passed: How many bytes were read since it began.
    """

    def __init__(self, file: RemoteFile) -> None:
        self.file = file
        self.passed = 0
        self._open: Any = None

    def read(self) -> bytes:
        """The next bytes; none at the end."""
        url, size = self.file.url, self.file.size_bytes
        try:
            if self._open is None:
                options = {"block_size": 0} if is_web(url) else {}
                self._open, self.passed = file_system(url, is_stream=True).open(url, **options), 0
            content = bytes(self._open.read(PIECE_BYTES))
            if not content and size is not None and self.passed < size:
                raise ConnectionError(None, f"{self.passed} of {size} bytes came")
        except Exception:
            self._open = None
            raise
        self.passed += len(content)
        return content
