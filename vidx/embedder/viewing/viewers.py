"""Viewers: a few processes that make pictures and films, each of which may crash or hang."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass

from vidx.embedder.decoding.messages import Alive
from vidx.embedder.viewing.making import Wanted
from vidx.embedder.workers.process import WorkerProcess
from vidx.errors import VideoError, VidxError

WORKER_MODULE = "vidx.embedder.viewing.worker"


@dataclass(frozen=True, slots=True)
class ViewingLimits:
    """What one picture or film may take.

    Attributes:
        silent_seconds: Longest silence of the process.
        seconds: Longest time.
        memory_bytes: Beyond the process's own.
    """

    silent_seconds: float = 30.0
    seconds: float = 60.0
    memory_bytes: int = 2 << 30


class Viewers:
    """Threads may share it; each waits for a process of its own.

    Args:
        processes: How many there are at most; they start when there is need.
        limits: Of each thing that is made.
    """

    def __init__(self, processes: int, limits: ViewingLimits = ViewingLimits()) -> None:
        self._limits = limits
        self._free: queue.LifoQueue[WorkerProcess | None] = queue.LifoQueue()
        for _ in range(processes):
            self._free.put(None)

    def make(self, wanted: Wanted) -> bytes:
        """A picture as WebP, or a film as MP4.

        Args:
            wanted: What.

        Raises:
            VideoError: The file cannot be read there, or not within the limits.
        """
        process = self._free.get()
        try:
            if process is None or process.process.poll() is not None:
                process = self._started(process)
            answer = self._asked(process, wanted)
        except BaseException:
            if process:
                process.end()
            self._free.put(None)
            raise
        self._free.put(process)
        if isinstance(answer, VidxError):
            raise answer
        return answer

    def close(self) -> None:
        """End the processes that nobody waits for."""
        while True:
            try:
                process = self._free.get_nowait()
            except queue.Empty:
                return
            if process:
                process.end()

    def _started(self, dead: WorkerProcess | None) -> WorkerProcess:
        if dead:
            dead.end()
        limits = self._limits
        return WorkerProcess(
            WORKER_MODULE, limits.memory_bytes, timeout_seconds=limits.silent_seconds
        )

    def _asked(self, process: WorkerProcess, wanted: Wanted) -> bytes | VidxError:
        until = time.monotonic() + self._limits.seconds
        try:
            process.channel.send(wanted)
            while isinstance(answer := process.channel.receive(), Alive):
                if time.monotonic() > until:
                    raise TimeoutError
        except TimeoutError:
            seconds = self._limits.seconds
            raise VideoError("decode_timeout", f"it took more than {seconds:g} s") from None
        except (EOFError, OSError):
            message = f"the decoder ended its process by {process.death()}"
            raise VideoError("decode_crashed", message) from None
        assert isinstance(answer, bytes | VidxError)  # noqa: S101 - the worker says nothing else
        return answer
