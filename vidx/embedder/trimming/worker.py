"""The trimming worker: `python -m vidx.embedder.trimming.worker FD MEMORY`.

It cuts one video after the other, and sends each clip as a whole file through the socket FD. It
never outlives its parent.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys

from vidx.embedder.decoding.worker import Pulse, cap_memory
from vidx.embedder.trimming.messages import TrimDone, TrimTask
from vidx.embedder.trimming.trim import trim
from vidx.embedder.workers.channel import Channel
from vidx.embedder.workers.process import end_with_parent
from vidx.errors import VideoError, VidxError


def main() -> None:
    """Serve the parent until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    end_with_parent()
    descriptor, memory_bytes = sys.argv[1:]
    channel = Channel(socket.socket(fileno=int(descriptor)))
    cap_memory(int(memory_bytes))
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            task = channel.receive()
            if isinstance(task, TrimTask):
                _serve(task, channel)


def _serve(task: TrimTask, channel: Channel) -> None:
    try:
        for clip in trim(task, Pulse(channel).beat):
            channel.send(clip)
        channel.send(TrimDone())
    except (ConnectionError, EOFError):
        raise
    except VidxError as error:
        channel.send(error)
    except MemoryError:
        channel.send(VideoError("too_large", "out of memory when cutting"))
    except Exception as error:  # a fault of ours in one video must not stop the rest
        channel.send(VideoError("decode_crashed", f"{type(error).__name__}: {error}"))


if __name__ == "__main__":
    main()
