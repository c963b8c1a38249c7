"""Hashes of files, a little ahead of who asks, in threads; a read that never ends costs its file.

A mount that stalls lets a read wait for as long as it likes, and nothing in the process can end it.
So the threads are daemons, which a process does not wait for when it ends, and one that is stuck is
left where it is, and replaced.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from queue import SimpleQueue

from vidx.errors import VideoError
from vidx.remote.copies import Copies, digest_of
from vidx.remote.urls import is_url

STALLED_SECONDS = 60.0  # without a byte: as long as a decoder may take for a sign of life
_THREADS = 2
_BLOCK_BYTES = 1 << 20
_LOOK_SECONDS = 0.5


class Hashes:
    """Hashes files in the order in which they are submitted.

    Args:
        copies: Where the bytes of objects go when they are read.
    """

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._queue: SimpleQueue[Hash | None] = SimpleQueue()
        self._threads = [self._start() for _ in range(_THREADS)]
        self._submitted: list[Hash] = []

    def submit(self, path: str) -> Hash:
        """Have a file or object read as soon as a thread is free."""
        one = Hash(path, self)
        self._submitted = [*(other for other in self._submitted if not other.ended), one]
        self._queue.put(one)
        return one

    def close(self) -> None:
        """End what is going on; return when it has ended, but for what is stuck."""
        for one in self._submitted:
            one.void = True
        for _ in self._threads:
            self._queue.put(None)
        for one in self._submitted:
            while one.is_going_on and not one.is_stuck:
                wait([one.future], timeout=_LOOK_SECONDS)

    def replace_thread(self) -> None:
        """Start another in place of one that is stuck."""
        self._threads.append(self._start())

    def read(self, path: str, tick: Callable[[], None]) -> str:
        """SHA-256 of the bytes of a file or object, in hex; of an object, a copy is made."""
        return self._copies.fetch(path, tick) if is_url(path) else _sha256(path, tick)

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._work, name="vidx-hash", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        while (one := self._queue.get()) is not None:
            one.run()
            if one.void:  # this thread has been replaced, or all are to end
                return


class Hash:
    """The hash of one file, that may not be there yet.

    Args:
        path: Of the file, or a URL.
        hashes: Whose threads read it.
    """

    def __init__(self, path: str, hashes: Hashes) -> None:
        self.path = path
        self.void = False
        self.future: Future[str] = Future()
        self._hashes = hashes
        self._last_sign: float | None = None  # of life, once it was begun

    @property
    def ended(self) -> bool:
        """Whether the file is read, or cannot be, or nobody waits for it any more."""
        return self.future.done()

    @property
    def is_going_on(self) -> bool:
        """Whether a thread is at it."""
        return self._last_sign is not None and not self.ended

    @property
    def is_stuck(self) -> bool:
        """Whether it was begun, and no byte has come for a long time."""
        if self._last_sign is None or self.ended:
            return False
        return time.monotonic() - self._last_sign > STALLED_SECONDS

    def result(self) -> str:
        """Wait for it.

        Returns:
            SHA-256 of the bytes, in hex.

        Raises:
            VideoError: An object cannot be read, or nothing came of the file for a long time.
            OSError: The file cannot be read.
        """
        while not wait([self.future], timeout=_LOOK_SECONDS).done:
            if self.is_stuck:
                self.void = True
                self._hashes.replace_thread()
                raise VideoError(
                    "unreadable", f"no byte came in {STALLED_SECONDS:g} s; is its disk reachable?"
                )
        return self.future.result()

    def run(self) -> None:
        """Read the file."""
        try:
            self._tick()
            self.future.set_result(self._hashes.read(self.path, self._tick))
        except BaseException as error:
            self.future.set_exception(error)

    def _tick(self) -> None:
        if self.void:
            raise CancelledError
        self._last_sign = time.monotonic()


def content_id(path: str | os.PathLike[str]) -> str:
    """The video_id of a file or object: SHA-256 (hex) of its bytes."""
    return digest_of(os.fspath(path)) if is_url(path) else _sha256(os.fspath(path), lambda: None)


def _sha256(path: str, tick: Callable[[], None]) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            tick()
            digest.update(block)
    return digest.hexdigest()
