"""A process that does one task after the other for its parent, and may crash, hang or grow."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator, Sequence

from vidx.embedder.decoding.pool import Limits
from vidx.embedder.workers.process import WorkerProcess
from vidx.errors import VideoError, VidxError

LIMITS = Limits()


class Alone:
    """Starts the process with the first task, and anew after it has died.

    It can be pickled, and used in a process that was forked: each has a child of its own. Threads
    wait for one another.

    Args:
        module: What the process runs: `python -m MODULE FD MEMORY ARGUMENTS...`.
        arguments: What the module takes besides.
    """

    def __init__(self, module: str, *arguments: object) -> None:
        self.module = module
        self.arguments = arguments
        self._worker: WorkerProcess | None = None
        self._owner = 0
        # Of each process: what is forked meanwhile has the lock of its parent as it was, for ever.
        self._locks: dict[int, threading.Lock] = {}

    def __getstate__(self) -> tuple[object, ...]:
        return (self.module, *self.arguments)

    def __setstate__(self, state: tuple[str, object]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def ask(self, *messages: object, last: type) -> Iterator[object]:
        """Give it a task, once the answer to the one before is heard or given up.

        Args:
            messages: What to send.
            last: The type of the message that ends its answer.

        Yields:
            What it says, the last message included.

        Raises:
            VideoError: It died or fell silent.
            VidxError: What it sent as an error.
        """
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            yield from self._answer(messages, last)

    def _answer(self, messages: Sequence[object], last: type) -> Iterator[object]:
        worker, is_over = self._started(), False
        try:
            for message in messages:
                worker.channel.send(message)
            while not is_over:
                message = worker.channel.receive()
                is_over = isinstance(message, last | VidxError)
                if isinstance(message, VidxError):
                    raise message
                yield message
        except TimeoutError:
            text = f"the decoder did not get on for {LIMITS.deadline_seconds:g} s"
            raise VideoError("decode_timeout", text) from None
        except (EOFError, ConnectionError):
            text = f"the decoder ended its process by {worker.death()}"
            raise VideoError("decode_crashed", text) from None
        finally:
            if not is_over:  # what it may still say belongs to no other task
                self.close()

    def close(self) -> None:
        """End the process."""
        if self._worker:
            _end_own(self._worker, self._owner)
            self._worker = None

    def _started(self) -> WorkerProcess:
        if self._worker is None or self._owner != os.getpid():
            self._worker = WorkerProcess(
                self.module,
                LIMITS.memory_bytes,
                *self.arguments,
                timeout_seconds=LIMITS.deadline_seconds,
            )
            self._owner = os.getpid()
            weakref.finalize(self, _end_own, self._worker, self._owner)
        return self._worker


def _end_own(worker: WorkerProcess, owner: int) -> None:
    if os.getpid() == owner:
        worker.end()
