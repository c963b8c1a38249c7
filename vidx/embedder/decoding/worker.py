"""The decoding worker: `python -m vidx.embedder.decoding.worker FD`, started by the pool.

It decodes one video after the other and sends what it finds through the socket FD. It never
outlives its parent: the parent holds the other end of its standard input, which the kernel closes
when the parent ends in whatever way.
"""

from __future__ import annotations

import contextlib
import resource
import signal
import socket
import sys
import time
from pathlib import Path

from vidx.embedder.decoding.video import decode_clips
from vidx.embedder.workers.channel import Alive, Channel, Task
from vidx.embedder.workers.process import end_with_parent
from vidx.errors import VideoError, VidxError

TICK_SECONDS = 1.0


def main() -> None:
    """Serve the parent until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    end_with_parent()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    cap_memory(int(sys.argv[2]))
    channel.send(Alive())
    with contextlib.suppress(EOFError, ConnectionError):
        while isinstance(task := channel.receive(), Task):
            _serve(task, channel)


def _serve(task: Task, channel: Channel) -> None:
    pulse = _Pulse(channel)
    parts = decode_clips(
        task.path, task.sampling, task.plan, task.geometry, pulse.beat, expected=task.state
    )
    try:
        for part in parts:
            channel.send(part)
    except ConnectionError:
        raise
    except VidxError as error:
        channel.send(error)
    except Exception as error:  # a fault of ours in one video must not stop the rest
        channel.send(VideoError("decode_crashed", f"{type(error).__name__}: {error}"))


class _Pulse:
    """Lets the parent know that decoding goes on."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._last = time.monotonic()

    def beat(self) -> None:
        if time.monotonic() - self._last >= TICK_SECONDS:
            self._channel.send(Alive())
            self._last = time.monotonic()


def cap_memory(more_bytes: int) -> None:
    """Let this process take so much more memory and no more; Linux alone enforces it.

    Args:
        more_bytes: Private writable memory beyond what is in use now.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = _data_bytes() + more_bytes
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    kibibytes = next((line.split()[1] for line in lines if line.startswith("VmData:")), "0")
    return int(kibibytes) * 1024


if __name__ == "__main__":
    main()
