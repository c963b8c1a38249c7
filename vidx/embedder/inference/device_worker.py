"""A process that computes: `python -m vidx.embedder.inference.device_worker FD DEVICE SHARING`.

Started by a team, for one device. It loads what its first message says, then answers batches of
frames with what they give, in order. It ends with its parent.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import signal
import socket
import sys
import threading
from collections import deque

import torch

from vidx.embedder.checkpoints.reading import read_checkpoint
from vidx.embedder.inference.devices import device_failed, first_line
from vidx.embedder.inference.engine import Engine, Pending, engine_on
from vidx.embedder.inference.team import Answer, Asked, Loaded, Setup
from vidx.embedder.workers.channel import Channel
from vidx.embedder.workers.process import end_with_parent
from vidx.errors import VidxError

POLL_SECONDS = 0.002  # how soon a result is sent once it is there


def main() -> None:
    """Serve the parent until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    end_with_parent()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    device, sharing = sys.argv[2], int(sys.argv[3])
    with contextlib.suppress(EOFError, OSError):
        try:
            _serve(channel, _load(channel, device, sharing))
        except VidxError as error:
            channel.send(error)
        except Exception as error:  # a fault of ours, too, costs this device and not the run
            channel.send(device_failed(device, f"{type(error).__name__}: {first_line(error)}"))


def _load(channel: Channel, device: str, sharing: int) -> Engine:
    setup = channel.receive()
    if not isinstance(setup, Setup):
        raise TypeError(f"{setup!r} is no setup")
    logging.getLogger("vidx").setLevel(setup.log_level)
    if device.startswith("cpu"):
        torch.set_num_threads(max(1, torch.get_num_threads() // sharing))
    read = read_checkpoint(setup.model, num_frames=setup.num_frames, fps=setup.fps)
    engine = engine_on(device, setup.dtype, read.model, read.preprocessing)
    # Those that share a device measure its memory at the same time.
    batch_size = engine.batch_size
    if device.startswith("cuda"):
        batch_size = max(1, batch_size // sharing)
    channel.send(Loaded(read.space.fingerprint, batch_size))
    return engine


def _serve(channel: Channel, engine: Engine) -> None:
    """Read ahead in a thread, so that the device has its next batch when it is done with one."""
    batches: queue.Queue[Asked | None] = queue.Queue(maxsize=1)
    threading.Thread(target=_read, args=(channel, batches), daemon=True).start()
    started: deque[Pending] = deque()
    while True:
        try:
            asked = batches.get(timeout=POLL_SECONDS if started else None)
        except queue.Empty:
            if started[0].done():
                channel.send(_answer(engine, started.popleft()))
            continue
        if asked is None:
            return
        started.append(engine.start(asked.frames, lasting=asked.lasting))
        while len(started) > engine.ahead:
            channel.send(_answer(engine, started.popleft()))


def _answer(engine: Engine, pending: Pending) -> Answer:
    output = pending.result()
    return Answer(output, engine.spent.device_seconds)


def _read(channel: Channel, batches: queue.Queue[Asked | None]) -> None:
    try:
        while isinstance(asked := channel.receive(), Asked):
            batches.put(asked)
    finally:
        batches.put(None)


if __name__ == "__main__":
    main()
