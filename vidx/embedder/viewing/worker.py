"""The viewing worker: `python -m vidx.embedder.viewing.worker FD MEMORY`.

It makes one picture or film after the other, and ends with its parent.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys

from vidx.embedder.decoding.worker import Pulse, cap_memory
from vidx.embedder.viewing.making import Wanted, made
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
    Pulse(channel).tell()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            message = channel.receive()
            if isinstance(message, Wanted):
                channel.send(_answer(message, channel))


def _answer(wanted: Wanted, channel: Channel) -> bytes | VidxError:
    try:
        return made(wanted, Pulse(channel).beat)
    except (ConnectionError, EOFError):
        raise
    except VidxError as error:
        return error
    except Exception as error:  # a fault of ours in one video must not stop the rest
        return VideoError("decode_crashed", f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
