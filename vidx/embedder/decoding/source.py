"""A file as FFmpeg reads it, which remembers what demuxers keep to themselves."""

from __future__ import annotations

import os
from collections.abc import Callable

from vidx.errors import VideoError
from vidx.remote.holes import NO_HOLES


class Source:
    """A file to hand to FFmpeg in place of its name.

    To most demuxers a read that fails is the end of the file: what was read until then would pass
    for the whole video. So whoever reads packets asks here, after each, whether reading failed.

    Args:
        path: Absolute path of a regular file.

    Raises:
        VideoError: It cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.name = path  # FFmpeg looks at the extension where the content leaves it in doubt
        self._failure: str | None = None
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise VideoError("unreadable", error.strerror or str(error)) from None
        self.size = os.fstat(self._descriptor).st_size

    def read(self, size: int) -> bytes:
        """Read on, at most so many bytes; none at the end of the file."""
        try:
            content = os.read(self._descriptor, size)
            if not content and self.tell() < self.size:
                raise OSError(f"reading ended at byte {self.tell()} of {self.size}")
        except OSError as error:
            self._failure = error.strerror or str(error)
            raise
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere, and say where that is."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """Where reading goes on, in bytes."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def read_at(self, position: int, size: int) -> bytes:
        """Read from a place, and leave reading where it is."""
        try:
            return os.pread(self._descriptor, size, position)
        except OSError as error:
            self._failure = error.strerror or str(error)
            raise VideoError("unreadable", self._failure) from None

    def check(self) -> None:
        """See to it that nothing was taken for the end of the file that is not.

        Raises:
            VideoError: A read failed, now or before.
        """
        if self._failure is not None:
            raise VideoError("unreadable", self._failure)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


class RemoteSource(Source):
    """An object at a URL, read by ranges: FFmpeg itself opens no connection.

    Args:
        url: Where.
        tick: Called while the server is waited for.

    Attributes:
        holes: What is read as zeros, unless it is at hand.

    Raises:
        VideoError: The server does not tell of it, or gives it neither in parts nor as a whole.
    """

    def __init__(self, url: str, tick: Callable[[], None]) -> None:
        from vidx.remote.copies import partial_copy

        self.name = url
        self._failure: str | None = None
        self._tick = tick
        self._position = 0
        self.holes = NO_HOLES
        self._copy = partial_copy(url, tick)
        self.size = self._copy.full_size(tick)

    def read(self, size: int) -> bytes:
        """Read on, at most so many bytes; none at the end of the object."""
        content = self.read_at(self._position, size)
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go elsewhere, and say where that is."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(f"byte {base + offset}")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Where reading goes on, in bytes."""
        return self._position

    def read_at(self, position: int, size: int) -> bytes:
        """Read from a place, and leave reading where it is."""
        try:
            return self._copy.read_at(position, size, self._tick, self.holes)
        except VideoError as error:
            self._failure = error.message
            raise
        except OSError as error:  # of the disk that the copy lies on
            self._failure = error.strerror or str(error)
            raise VideoError("unreadable", self._failure) from None

    @property
    def has_ranges(self) -> bool:
        """Whether the server gives parts of the object."""
        return self._copy.has_ranges

    def close(self) -> None:
        """Let go of the object; what was read stays at hand for the next pass."""
