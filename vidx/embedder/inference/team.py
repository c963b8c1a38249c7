"""Team: one process for each of several devices, behind the same calls as one engine."""

from __future__ import annotations

import logging
import queue
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vidx.embedder.devices import device_failed
from vidx.embedder.inference.engine import Output
from vidx.embedder.process import WorkerProcess
from vidx.errors import CheckpointError, VidxError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCHES_EACH = 2  # one computed, one on its way

logger = logging.getLogger("vidx")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a process loads: the first message to it.

    Attributes:
        model: As `load` takes it.
        dtype: Precision.
        num_frames: Frames of a clip.
        fps: Frames sampled a second.
        fingerprint: Of the parent's encoder, which the process's must have too.
        log_level: Of the parent's log.
    """

    model: str
    dtype: str
    num_frames: int
    fps: float
    fingerprint: str
    log_level: int = field(default_factory=logger.getEffectiveLevel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A process's first answer."""

    fingerprint: str
    batch_size: int


class Team:
    """Gives each batch to the device with the least to do. A device that fails is left out.

    Args:
        devices: Such as `cuda:0`; one may be named more than once.
        setup: What each of them loads.

    Attributes:
        ahead: Batches that may be started before the first one's result is asked for.
        batch_size: Clips in one batch that suit all of them.

    Raises:
        CheckpointError: The files of the checkpoint changed since the parent read them.
        DeviceError: A process cannot be started, or its device has no memory.
    """

    def __init__(self, devices: list[str], setup: Setup) -> None:
        self.members = [_Member(device, devices.count(device)) for device in devices]
        # A team that is forgotten leaves no process behind.
        self._end = weakref.finalize(self, _end_all, list(self.members))
        try:
            for member in self.members:
                member.channel.send(setup)
            loaded = [member.loaded(setup) for member in self.members]
        except BaseException:
            self.close()
            raise
        self.ahead = BATCHES_EACH * len(self.members) - 1
        self.batch_size = min(one.batch_size for one in loaded)
        for member in self.members:
            member.serve()

    def start(self, frames: NDArray[np.uint8]) -> _Batch:
        """Begin with a batch, as `Engine.start` does."""
        return _Batch(self, frames)

    def give(self, frames: NDArray[np.uint8]) -> tuple[_Member, Future[Output]]:
        """Hand a batch to the member with the least to do."""
        member = min(self.members, key=lambda one: len(one.asked))
        return member, member.ask(frames)

    def lose(self, member: _Member) -> None:
        """Go on without a member.

        Raises:
            DeviceError: It was the last one.
        """
        if member not in self.members:
            return
        death = member.death()
        self.members.remove(member)
        member.end()
        if not self.members:
            raise device_failed(member.device, f"its process ended by {death}")
        left = ", ".join(one.device for one in self.members)
        message = "the process of %s ended by %s: going on with %s"
        logger.warning(message, member.device, death, left)

    def close(self) -> None:
        """End all processes."""
        self._end()


class _Batch:
    """A batch that some member has; another one gets it when that member fails."""

    def __init__(self, team: Team, frames: NDArray[np.uint8]) -> None:
        self.team = team
        self.frames = frames
        self.member, self.future = team.give(frames)

    def done(self) -> bool:
        return self.future.done()

    def result(self) -> Output:
        while True:
            try:
                return self.future.result()
            except (EOFError, OSError):
                self.team.lose(self.member)
                self.member, self.future = self.team.give(self.frames)


class _Member(WorkerProcess):
    """A process with a device: one thread sends it batches, another hears what it answers."""

    def __init__(self, device: str, sharing: int) -> None:
        module = "vidx.embedder.inference.device_worker"
        super().__init__(module, device, sharing, timeout_seconds=None, stderr=None)
        self.device = device
        self.asked: deque[Future[Output]] = deque()
        self.to_send: queue.SimpleQueue[NDArray[np.uint8] | None] = queue.SimpleQueue()
        self.guard = threading.Lock()
        self.is_gone = False

    def loaded(self, setup: Setup) -> Loaded:
        """Wait until the process has loaded the same encoder."""
        try:
            answer = self.channel.receive()
        except (EOFError, OSError) as error:
            raise device_failed(self.device, f"its process ended by {self.death()}") from error
        if isinstance(answer, VidxError):
            raise answer
        if not isinstance(answer, Loaded) or answer.fingerprint != setup.fingerprint:
            raise CheckpointError(
                f"{setup.model} changed while it was being loaded", "Give the same command again."
            )
        return answer

    def serve(self) -> None:
        """Begin to send and to listen."""
        for work in (self._send, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def ask(self, frames: NDArray[np.uint8]) -> Future[Output]:
        """Have a batch computed; EOFError or OSError in the future tells that the process died."""
        future: Future[Output] = Future()
        with self.guard:
            if self.is_gone:
                future.set_exception(EOFError())
                return future
            self.asked.append(future)
        self.to_send.put(frames)
        return future

    def end(self) -> None:
        """End process and threads."""
        self.to_send.put(None)
        super().end()

    def _send(self) -> None:
        while (frames := self.to_send.get()) is not None:
            try:
                self.channel.send(frames)
            except OSError:  # the other thread notices, too
                return

    def _listen(self) -> None:
        try:
            while True:
                answer = self.channel.receive()
                future = self.asked.popleft()
                if isinstance(answer, VidxError):
                    future.set_exception(answer)
                elif isinstance(answer, Output):
                    future.set_result(answer)
        except (EOFError, OSError) as error:
            with self.guard:
                self.is_gone = True
            while self.asked:
                self.asked.popleft().set_exception(error)


def _end_all(members: list[_Member]) -> None:
    for member in members:
        member.end()
