"""The parent's handle on a decoding worker."""

from __future__ import annotations

import contextlib
import time
from collections import deque

from vidx.embedder.decoding.messages import Grant
from vidx.embedder.workers.process import WorkerProcess
from vidx.embedder.workers.ring import Ring

WORKER_MODULE = "vidx.embedder.decoding.worker"
SLOTS_EACH = 2  # one that is read, one that is written


class Decoder(WorkerProcess):
    """A decoding worker.

    Args:
        deadline_seconds: How long to wait for the rest of a message that has begun.
        memory_bytes: Memory for decoding, beyond its own.
        ring: Memory to share with it.
        card: The CUDA device that it decodes with where that can; None: none.

    Attributes:
        ring: Memory shared with it.
        granted: The slots that its next clips may come in; None: through the socket.
        is_started: Whether it has spoken yet.
        began: When it was started, on the monotonic clock.
        is_asked: Whether it was asked to share the video that it is at.
        silent_seconds: How long it has not spoken.
    """

    def __init__(
        self, deadline_seconds: float, memory_bytes: int, ring: Ring, card: int | None
    ) -> None:
        shape = ",".join(map(str, ring.shape))
        super().__init__(
            WORKER_MODULE, memory_bytes, ring.fd, ring.slots, shape,
            "" if card is None else card,
            timeout_seconds=deadline_seconds,
            pass_fds=[ring.fd] if ring.slots else [],
        )  # fmt: skip
        self.ring = ring
        self.granted: deque[int | None] = deque()
        self.is_started = self.is_asked = False
        self.began = self._given = time.monotonic()
        self.silent_seconds = 0.0

    @property
    def taken_seconds(self) -> float:
        """How long ago it got the video that it is at."""
        return time.monotonic() - self._given

    def begin(self) -> None:
        """It is given another video now."""
        self._given = time.monotonic()
        self.silent_seconds, self.is_asked = 0.0, False

    def grant(self) -> None:
        """See to it that the next clip can be handed over, and one more if there is room."""
        while len(self.granted) < SLOTS_EACH:
            slot = self.ring.take()
            if slot is None and self.granted and self.ring.slots:
                return
            self.granted.append(slot)
            self.tell(Grant(slot))

    def tell(self, message: object) -> None:
        """Send a message, if it still lives: its death is noticed when it is listened to."""
        with contextlib.suppress(OSError):
            self.channel.send(message)

    def end(self) -> None:
        """Leave nothing of it behind, and have its slots back."""
        super().end()
        while self.granted:
            slot = self.granted.popleft()
            if slot is not None:
                self.ring.give_back(slot)
