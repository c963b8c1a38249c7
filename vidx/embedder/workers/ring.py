"""Ring: slots of equal size in memory that a process and its children share.

The memory has no name: it is a file that exists as open descriptors alone, which children inherit.
So whatever is killed, nothing is left behind.
"""

from __future__ import annotations

import logging
import math
import mmap
import os
import tempfile
import weakref
from collections import deque
from typing import IO

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger("vidx")

Shape = tuple[int, ...]


class Ring:
    """The parent's side: gives slots out, and has them back once nobody holds their arrays.

    Where there is too little memory, there are fewer slots, maybe none; it is told.

    Args:
        slots: How many are wanted.
        shape: Of a slot's array of bytes.

    Attributes:
        slots: How many there are.
        shape: Of a slot's array.
    """

    def __init__(self, slots: int, shape: Shape) -> None:
        self.shape = shape
        self.slots = slots
        self._file: IO[bytes] | None = None
        while self.slots and not self._reserve():
            self.slots //= 2
        if self.slots < slots:
            message = "shared memory for %d of %d clips only: decoding may be slower"
            logger.warning(message, self.slots, slots)
        self._memory = _mapped(self.fd, self.slots, shape) if self.slots else None
        self._free = deque(range(self.slots))

    @property
    def fd(self) -> int:
        """The descriptor that a child inherits; -1 when there are no slots."""
        return self._file.fileno() if self._file else -1

    def take(self) -> int | None:
        """A free slot, or None."""
        try:
            return self._free.popleft()
        except IndexError:
            return None

    def give_back(self, slot: int) -> None:
        """Have a slot back that was taken and came to nothing."""
        self._free.append(slot)

    def array(self, slot: int) -> NDArray[np.uint8]:
        """What was written to a taken slot: uint8, of `shape`.

        The slot is free again when nobody holds the array, or any view of it, any more.
        """
        assert self._memory is not None  # noqa: S101 - without memory no slot was taken
        array = _slot(self._memory, slot, self.shape)
        # Views keep this array alive, as it is the one that holds the memory.
        weakref.finalize(array, self.give_back, slot).atexit = False
        return array.reshape(self.shape)

    def close(self) -> None:
        """Let go of the memory; arrays that are still held stay as they are."""
        if self._file:
            self._file.close()

    def _reserve(self) -> bool:
        """Have the memory now, not when a slot is written to: that would be a deadly signal."""
        size = self.slots * math.prod(self.shape)
        file = _nameless()
        try:
            os.ftruncate(file.fileno(), size)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            file.close()
            return False
        self._file = file
        return True


class Slots:
    """A child's side.

    Args:
        fd: As inherited.
        slots: How many there are.
        shape: Of a slot's array.
    """

    def __init__(self, fd: int, slots: int, shape: Shape) -> None:
        self.shape = shape
        self._memory = _mapped(fd, slots, shape)

    def array(self, slot: int) -> NDArray[np.uint8]:
        """The slot's memory, to write to: uint8, of `shape`."""
        return _slot(self._memory, slot, self.shape).reshape(self.shape)


def _nameless() -> IO[bytes]:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("vidx"), "r+b")
    return tempfile.TemporaryFile()


def _mapped(fd: int, slots: int, shape: Shape) -> mmap.mmap:
    return mmap.mmap(fd, slots * math.prod(shape))


def _slot(memory: mmap.mmap, slot: int, shape: Shape) -> NDArray[np.uint8]:
    size = math.prod(shape)
    return np.frombuffer(memory, np.uint8, size, slot * size)
