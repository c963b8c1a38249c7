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

import numpy as np
import torch

from vidx.embedder.channel import Channel
from vidx.embedder.encoder import Encoder, load
from vidx.embedder.inference.engine import Pending
from vidx.embedder.inference.team import Loaded, Setup
from vidx.embedder.process import end_with_parent
from vidx.errors import VidxError

Frames = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def main() -> None:
    """Serve the parent until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    end_with_parent()
    channel = Channel(socket.socket(fileno=int(sys.argv[1])))
    device, sharing = sys.argv[2], int(sys.argv[3])
    if device == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // sharing))
    with contextlib.suppress(EOFError, ConnectionError):
        try:
            encoder = _load(channel, device)
            _serve(channel, encoder)
        except VidxError as error:
            channel.send(error)


def _load(channel: Channel, device: str) -> Encoder:
    setup = channel.receive()
    if not isinstance(setup, Setup):
        raise TypeError(f"{setup!r} is no setup")
    logging.getLogger("vidx").setLevel(setup.log_level)
    encoder = load(
        setup.model,
        device=device,
        dtype=setup.dtype,
        num_frames=setup.num_frames,
        fps=setup.fps,
    )
    channel.send(Loaded(encoder.space.fingerprint, encoder.batch_size))
    return encoder


def _serve(channel: Channel, encoder: Encoder) -> None:
    """Read ahead in a thread, so that the device has its next batch when it is done with one."""
    batches: queue.Queue[Frames | None] = queue.Queue(maxsize=1)
    threading.Thread(target=_read, args=(channel, batches), daemon=True).start()
    started: deque[Pending] = deque()
    while True:
        idle = not started
        try:
            frames = batches.get(block=idle)
        except queue.Empty:
            channel.send(started.popleft().result())
            continue
        if frames is None:
            return
        started.append(encoder.start(frames))
        if len(started) > encoder.ahead:
            channel.send(started.popleft().result())


def _read(channel: Channel, batches: queue.Queue[Frames | None]) -> None:
    with contextlib.suppress(EOFError, OSError):
        while isinstance(frames := channel.receive(), np.ndarray):
            batches.put(frames)
    batches.put(None)


if __name__ == "__main__":
    main()
