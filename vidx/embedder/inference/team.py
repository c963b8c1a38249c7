"""Team: one process for each of several devices, behind the same calls as one engine."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import weakref
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vidx.embedder.inference.devices import device_failed
from vidx.embedder.inference.engine import Output, Spent
from vidx.embedder.workers.process import WorkerProcess
from vidx.errors import CheckpointError, DeviceError, VidxError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCHES_EACH = 2  # one computed, one on its way
# A process that says nothing for so long has stopped.
SILENCE_SECONDS = 900.0

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


@dataclass(frozen=True, slots=True)
class Asked:
    """A batch for a process.

    Attributes:
        frames: uint8, shape (batch, frames, height, width, 3).
        lasting: As `Engine.start` takes it.
    """

    frames: NDArray[np.uint8]
    lasting: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process gives for a batch, and how long its device has worked so far."""

    output: Output
    device_seconds: float


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
        self.devices = ",".join(devices)
        self.members: list[_Member] = []
        self._lost_seconds = 0.0  # of the devices that failed
        # A team that is forgotten leaves no process behind.
        self._end = weakref.finalize(self, _end_all, self.members)
        try:
            for device in devices:
                self.members.append(_started(device, devices.count(device)))
            for member in self.members:
                with contextlib.suppress(OSError):  # a dead one is noticed when it is heard
                    member.channel.send(setup)
            loaded = [member.loaded(setup) for member in self.members]
        except BaseException:
            self.close()
            raise
        self.ahead = BATCHES_EACH * len(self.members) - 1
        self.batch_size = min(one.batch_size for one in loaded)
        for member in self.members:
            member.serve()

    def room(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Memory for a batch of that shape, as `Engine.room` gives it."""
        return np.empty(shape, np.uint8)

    def start(self, frames: NDArray[np.uint8], *, lasting: bool = False) -> _Batch:
        """Begin with a batch, as `Engine.start` does."""
        return _Batch(self, Asked(frames, lasting))

    @property
    def spent(self) -> Spent:
        """What all batches so far took of the devices; transfer is left to threads."""
        return Spent(0.0, self._lost_seconds + sum(one.device_seconds for one in self.members))

    def give(self, asked: Asked) -> tuple[_Member, Future[Output]]:
        """Hand a batch to the member with the least to do.

        Raises:
            DeviceError: There is none left.
        """
        if not self.members:
            raise device_failed(self.devices, "no process is left")
        member = min(self.members, key=lambda one: len(one.asked))
        return member, member.ask(asked)

    def lose(self, member: _Member, error: Exception) -> None:
        """Go on without a member.

        Raises:
            DeviceError: It was the last one.
        """
        if member not in self.members:
            return
        if isinstance(error, DeviceError):
            problem = error.problem
        else:
            problem = f"its process ended by {member.death()}"
        self.members.remove(member)
        self._lost_seconds += member.device_seconds
        member.end()
        if not self.members:
            raise device_failed(member.device, problem)
        left = ", ".join(one.device for one in self.members)
        logger.warning("%s failed: %s; going on with %s", member.device, problem, left)

    def close(self) -> None:
        """End all processes."""
        self._end()
        self.members.clear()


class _Batch:
    """A batch that some member has; another one gets it when that member fails."""

    def __init__(self, team: Team, asked: Asked) -> None:
        self.team = team
        self.asked = asked
        self.member, self.future = team.give(asked)

    def done(self) -> bool:
        return self.future.done()

    def result(self) -> Output:
        while True:
            try:
                return self.future.result(timeout=SILENCE_SECONDS)
            except (EOFError, OSError, DeviceError) as error:  # a timeout is an OSError
                self.team.lose(self.member, error)
                self.member, self.future = self.team.give(self.asked)


class _Member(WorkerProcess):
    """A process with a device: one thread sends it batches, another hears what it answers."""

    def __init__(self, device: str, sharing: int) -> None:
        module = "vidx.embedder.inference.device_worker"
        super().__init__(module, device, sharing, timeout_seconds=SILENCE_SECONDS, stderr=None)
        self.device = device
        self.asked: deque[Future[Output]] = deque()
        self.to_send: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self.device_seconds = 0.0
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
        self.channel.wait_for_ever()  # how long a batch may take is for `result` to say
        for work in (self._send, self._listen):
            threading.Thread(target=work, daemon=True).start()

    def ask(self, asked: Asked) -> Future[Output]:
        """Have a batch computed; EOFError in the future tells that the process is gone."""
        future: Future[Output] = Future()
        with self.guard:
            if self.is_gone:
                future.set_exception(EOFError())
                return future
            self.asked.append(future)
        self.to_send.put(asked)
        return future

    def end(self) -> None:
        """End process and threads."""
        self.to_send.put(None)
        super().end()

    def _send(self) -> None:
        try:
            while asked := self.to_send.get():
                self.channel.send(asked)
        except Exception:  # whatever it is, the listener tells: the process is gone
            self.process.kill()

    def _listen(self) -> None:
        try:
            while isinstance(answer := self.channel.receive(), Answer | VidxError):
                future = self.asked.popleft()
                if isinstance(answer, Answer):
                    self.device_seconds = answer.device_seconds
                    future.set_result(answer.output)
                else:
                    future.set_exception(answer)
        except Exception:
            logger.debug("%s is not heard any more", self.device, exc_info=True)
        finally:
            self.process.kill()
            with self.guard:
                self.is_gone = True
            while self.asked:
                self.asked.popleft().set_exception(EOFError())


def _started(device: str, sharing: int) -> _Member:
    try:
        return _Member(device, sharing)
    except OSError as error:
        problem = f"its process does not start: {error.strerror}"
        raise device_failed(device, problem) from error


def _end_all(members: list[_Member]) -> None:
    for member in members:
        member.process.kill()
    for member in members:
        member.end()
