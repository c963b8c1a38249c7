"""The decoding worker: `python -m vidx.embedder.decoding.worker FD MEMORY SHARED SLOTS SHAPE CARD`.

Started by the pool, it decodes one video after the other, and sends what it finds through the
socket FD; frames lie in SLOTS of the shared memory SHARED, or come along where there is none. CARD
is the number of the CUDA device that decodes where that can; empty: none. The worker never outlives
its parent: the parent holds the other end of its standard input, which the kernel closes when the
parent ends in whatever way.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.card import Card
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo, Part
from vidx.embedder.decoding.header import read_header
from vidx.embedder.decoding.messages import (
    Alive,
    ClipInSlot,
    Grant,
    Share,
    Stretch,
    StretchOver,
    Task,
)
from vidx.embedder.decoding.stretches import Divided
from vidx.embedder.decoding.video import decode_clips, decode_stretch
from vidx.embedder.workers.channel import Channel
from vidx.embedder.workers.process import end_with_parent
from vidx.embedder.workers.ring import Slots
from vidx.errors import VideoError, VidxError

TICK_SECONDS = 1.0
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
REUSED_BYTES = 4 << 20  # pieces up to this size; a clip has 2.4 MB
FREE_BYTES = 64 << 20  # that may wait to be used again


def main() -> None:
    """Serve the parent until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to act on
    end_with_parent()
    descriptor, memory_bytes, *shared, number = sys.argv[1:]
    channel = Channel(socket.socket(fileno=int(descriptor)))
    room = _Room(channel, _slots(*shared))
    card = Card(int(number), channel.send) if number else None  # of whose memory there is no cap
    cap_memory(int(memory_bytes))
    reuse_memory()
    channel.send(Alive())
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            message = channel.receive()
            if isinstance(message, Grant):
                room.grants.append(message)
            elif isinstance(message, Task | Stretch):
                _serve(message, channel, room, card)


def _slots(fd: str, slots: str, shape: str) -> Slots | None:
    if int(slots) == 0:
        return None
    return Slots(int(fd), int(slots), tuple(map(int, shape.split(","))))


def _serve(task: Task | Stretch, channel: Channel, room: _Room, card: Card | None) -> None:
    room.begin()
    pulse = Pulse(channel, lambda: room.waited_seconds)
    try:
        if isinstance(task, Task) and task.header_only:
            channel.send(read_header(task.path, pulse.beat, task.state))
        else:
            _decode(task, channel, room, pulse, card)
    except (ConnectionError, EOFError):
        raise
    except Divided as divided:
        pulse.tell()
        channel.send(divided.rest)
    except VidxError as error:
        pulse.tell()
        channel.send(error)
    except Exception as error:  # a fault of ours in one video must not stop the rest
        pulse.tell()
        channel.send(VideoError("decode_crashed", f"{type(error).__name__}: {error}"))


def _decode(
    task: Task | Stretch, channel: Channel, room: _Room, pulse: Pulse, card: Card | None
) -> None:
    for part in _parts(task, pulse, room, card):
        if isinstance(part, DecodedVideo | StretchOver):
            pulse.tell()
        channel.send(room.message(part))


def _parts(
    task: Task | Stretch, pulse: Pulse, room: _Room, card: Card | None
) -> Iterator[Part | StretchOver]:
    if isinstance(task, Stretch):
        return decode_stretch(task, pulse.beat, room, card)
    return decode_clips(
        task.path, task.sampling, task.plan, task.geometry, pulse.beat, task.state, room,
        task.begun, task.given, room.is_asked_to_share, card if task.on_card else None,
    )  # fmt: skip


class _Room:
    """Where the next clip's frames go: called as np.empty, it waits for leave to hand one over.

    Args:
        channel: From which leave comes.
        slots: The shared memory, if there is any.

    Attributes:
        waited_seconds: How long it has waited.
    """

    def __init__(self, channel: Channel, slots: Slots | None) -> None:
        self.grants: deque[Grant] = deque()
        self.waited_seconds = 0.0
        self._channel = channel
        self._slots = slots
        self._slot: int | None = None
        self._is_asked = False

    def begin(self) -> None:
        """Begin with another video, or a stretch of one."""
        self._slot, self._is_asked = None, False

    def is_asked_to_share(self) -> bool:
        """Whether the parent has workers to spare for the rest of this video."""
        while wait([self._channel.fileno()], 0):
            self._hear()
        return self._is_asked

    def _hear(self) -> None:
        message = self._channel.receive()
        if isinstance(message, Grant):
            self.grants.append(message)
        self._is_asked |= isinstance(message, Share)

    def __call__(self, shape: tuple[int, ...], dtype: type[np.uint8]) -> NDArray[np.uint8]:
        began = time.monotonic()
        while not self.grants:
            self._hear()
        self.waited_seconds += time.monotonic() - began
        self._slot = self.grants[0].slot
        if self._slots is None or self._slot is None:
            array = np.empty(shape, dtype)
        else:
            array = self._slots.array(self._slot)
        self.grants.popleft()
        return array

    def message(self, part: Part | StretchOver) -> Part | StretchOver | ClipInSlot:
        """What to send of a part of a video."""
        if isinstance(part, DecodedClip) and self._slot is not None:
            return ClipInSlot(part.clip, part.facts, part.info, self._slot)
        return part


class Pulse:
    """Lets the parent know that work goes on, and how much of the time it does.

    Args:
        channel: To the parent.
        waited_seconds: How long it has waited for the parent so far.
    """

    def __init__(self, channel: Channel, waited_seconds: Callable[[], float] = lambda: 0.0) -> None:
        self._channel = channel
        self._waited_seconds = waited_seconds
        self._last, self._waited = time.monotonic(), waited_seconds()

    def beat(self) -> None:
        """Say so, once a second."""
        if time.monotonic() - self._last >= TICK_SECONDS:
            self.tell()

    def tell(self) -> None:
        """Say so now."""
        now, waited = time.monotonic(), self._waited_seconds()
        self._channel.send(Alive(now - self._last - (waited - self._waited)))
        self._last, self._waited = now, waited


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


def reuse_memory() -> None:
    """Let what a picture took go to the next one, without the kernel; glibc alone can be told so.

    By itself glibc gives it back and asks for it again, each time filled with zeros.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, REUSED_BYTES)
        mallopt(M_TRIM_THRESHOLD, FREE_BYTES)


def _data_bytes() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    kibibytes = next((line.split()[1] for line in lines if line.startswith("VmData:")), "0")
    return int(kibibytes) * 1024


if __name__ == "__main__":
    main()
