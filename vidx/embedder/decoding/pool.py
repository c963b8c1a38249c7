"""Decoding many videos at once, each in a process that may crash, hang or outgrow its memory.

A worker writes a clip's frames into a slot of memory that it shares with this process, and sends
word of it. It may hand over as many clips as it was given slots for; when the caller holds on to
the frames of so many clips that no slot is free, further ones come through the socket.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from multiprocessing.connection import wait

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.header import Header, read_header
from vidx.embedder.decoding.messages import Alive, ClipInSlot, Grant, Task
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import (
    DecodedClip,
    DecodedVideo,
    Part,
    RepeatedClip,
    decode_clips,
)
from vidx.embedder.work import Work
from vidx.embedder.workers.process import WorkerProcess
from vidx.embedder.workers.ring import Ring
from vidx.errors import UsageError, VideoError, VidxError
from vidx.records import Begun, Clip, ClipFacts, Problem, VideoInfo

WORKER_MODULE = "vidx.embedder.decoding.worker"
POLL_SECONDS = 0.5
SLOTS_EACH = 2  # one that is read, one that is written
ATTEMPTS = 2
FAILED_STARTS = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What one video may take of a worker.

    Attributes:
        deadline_seconds: Longest silence. A worker that gets on speaks at least every second, so
            this bounds one step of a decoder, not a video.
        memory_bytes: Memory for decoding, beyond the worker's own.
        video_seconds: Longest time for one video, however well it gets on; waiting for whoever
            takes its clips counts. None: any.
    """

    deadline_seconds: float = 60.0
    memory_bytes: int = 4 << 30
    video_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One video to decode.

    Attributes:
        key: The caller's name for it, unlike that of any other job.
        path: The file.
        plan: How it is cut into clips.
        state: What the file was like when the caller learned what it holds; a file that is not
            like that any more fails. None: as it is found.
        begun: What of it is stored: only clips behind that are handed over. None: nothing.
        header_only: Whether it is only opened, which gives one `HeaderRead`.
    """

    key: int | str
    path: str
    plan: Plan = field(default_factory=Plan)
    state: FileState | None = None
    begun: Begun | None = None
    header_only: bool = False


@dataclass(frozen=True, slots=True)
class ClipDecoded:
    """A clip is there; it counts once the `VideoDone` of the same job and attempt comes.

    Attributes:
        job: The video.
        attempt: 1, or 2 after a worker died: the clips of attempt 1 are void then.
        clip: The clip's span.
        facts: What is plain to see of it.
        frames: uint8, shape (num_frames, height, width, 3), RGB. Whoever holds it keeps a slot of
            the shared memory; workers go on without.
        info: What is known of the video so far.
    """

    job: Job
    attempt: int
    clip: Clip
    facts: ClipFacts
    frames: NDArray[np.uint8]
    info: VideoInfo


@dataclass(frozen=True, slots=True)
class ClipRepeated:
    """A clip is there whose pictures are those of the one before, of the same job and attempt.

    Attributes:
        job: The video.
        attempt: As of `ClipDecoded`.
        clip: The clip's span.
        facts: What is plain to see of it.
        info: As of `ClipDecoded`.
    """

    job: Job
    attempt: int
    clip: Clip
    facts: ClipFacts
    info: VideoInfo


@dataclass(frozen=True, slots=True)
class VideoDone:
    """All clips of a video have been handed over.

    Attributes:
        job: The video.
        attempt: The attempt whose clips count.
        info: What the decoder learned.
        problem: Why some clips are missing, or None when the video is whole.
    """

    job: Job
    attempt: int
    info: VideoInfo
    problem: Problem | None


@dataclass(frozen=True, slots=True)
class VideoFailed:
    """A video gives nothing; clips of it that were handed over are void."""

    job: Job
    problem: Problem


@dataclass(frozen=True, slots=True)
class HeaderRead:
    """What was asked for with `header_only`."""

    job: Job
    header: Header


Event = ClipDecoded | ClipRepeated | VideoDone | HeaderRead | VideoFailed


def decode(
    jobs: Iterable[Job],
    *,
    sampling: Sampling,
    geometry: FrameGeometry,
    workers: int,
    limits: Limits = Limits(),
    work: Work | None = None,
) -> Generator[Event, None, None]:
    """Decode videos, several at a time.

    Closing the iterator (or an error in it) ends all workers. A worker waits when its clips are
    not taken, so whoever wants decoding to go on meanwhile iterates in a thread of its own.

    Args:
        jobs: The videos, taken one by one as workers become free.
        sampling: Frames of a clip and their spacing.
        geometry: Resize and crop.
        workers: Processes; 0 decodes in this one, without isolation.
        limits: Deadline and memory of a worker.
        work: Where the workers' time is counted.

    Yields:
        For each job, in no order between jobs: its clips in time order and a `VideoDone`, or a
        `HeaderRead`, or a `VideoFailed`.

    Raises:
        VidxError: Workers cannot be started.
    """
    if workers < 0:
        raise UsageError(f"{workers} workers: it takes 0 or more.")
    work = work or Work()
    if workers == 0:
        work.num_workers = 1
        for job in jobs:
            yield from _timed(_decode_here(job, sampling, geometry), work)
        return
    pool = _Pool(jobs, sampling, geometry, workers, limits, work)
    try:
        yield from pool.events()
    finally:
        pool.close()


def _decode_here(job: Job, sampling: Sampling, geometry: FrameGeometry) -> Iterator[Event]:
    try:
        if job.header_only:
            yield HeaderRead(job, read_header(job.path, lambda: None, job.state))
            return
        parts = decode_clips(
            job.path, sampling, job.plan, geometry, expected=job.state, begun=job.begun
        )
        for part in parts:
            yield _event(job, 1, part)
    except VideoError as error:
        yield VideoFailed(job, Problem(error.reason, error.message))


def _timed(events: Iterator[Event], work: Work) -> Iterator[Event]:
    """The same, with the time until each counted."""
    while True:
        began = time.perf_counter()
        event = next(events, None)
        work.decoding_seconds += time.perf_counter() - began
        if event is None:
            return
        yield event


def _event(job: Job, attempt: int, part: Part) -> Event:
    match part:
        case DecodedClip():
            return ClipDecoded(job, attempt, part.clip, part.facts, part.frames, part.info)
        case RepeatedClip():
            return ClipRepeated(job, attempt, part.clip, part.facts, part.info)
        case DecodedVideo():
            return VideoDone(job, attempt, part.info, part.problem)


@dataclass(frozen=True, slots=True)
class _Attempt:
    job: Job
    number: int = 1


class _Decoder(WorkerProcess):
    """A decoding worker.

    Attributes:
        ring: Memory shared with it.
        granted: The slots that its next clips may come in; None: through the socket.
        is_started: Whether it has spoken yet.
        began: When it was started, on the monotonic clock.
        silent_seconds: How long it has not spoken.
        given: When it got the video that it is at.
    """

    def __init__(self, limits: Limits, ring: Ring) -> None:
        shape = ",".join(map(str, ring.shape))
        super().__init__(
            WORKER_MODULE, limits.memory_bytes, ring.fd, ring.slots, shape,
            timeout_seconds=limits.deadline_seconds,
            pass_fds=[ring.fd] if ring.slots else [],
        )  # fmt: skip
        self.ring = ring
        self.granted: deque[int | None] = deque()
        self.is_started = False
        self.began = time.monotonic()
        self.silent_seconds = 0.0
        self.given = time.monotonic()

    def grant(self) -> None:
        """See to it that the next clip can be handed over, and one more if there is room."""
        while len(self.granted) < SLOTS_EACH:
            slot = self.ring.take()
            if slot is None and self.granted and self.ring.slots:
                return
            self.granted.append(slot)
            with contextlib.suppress(OSError):  # its death is noticed when it is listened to
                self.channel.send(Grant(slot))

    def end(self) -> None:
        """Leave nothing of it behind, and have its slots back."""
        super().end()
        while self.granted:
            slot = self.granted.popleft()
            if slot is not None:
                self.ring.give_back(slot)


class _Pool:
    """Gives attempts to workers and turns what they say, or their silence, into events."""

    def __init__(
        self,
        jobs: Iterable[Job],
        sampling: Sampling,
        geometry: FrameGeometry,
        size: int,
        limits: Limits,
        work: Work,
    ) -> None:
        self.work = work
        self.jobs = iter(jobs)
        self.sampling = sampling
        self.geometry = geometry
        self.size = size
        self.limits = limits
        self.again: deque[_Attempt] = deque()
        self.idle: list[_Decoder] = []
        self.busy: dict[_Decoder, _Attempt] = {}
        self.failed_starts = 0

    @cached_property
    def ring(self) -> Ring:
        """As many slots as the workers can fill, and two that the caller can hold."""
        made = self.geometry.made
        shape = (self.sampling.num_frames, *(made or (0, 0)), 3)
        return Ring(SLOTS_EACH * (self.size + 1) if made else 0, shape)

    def events(self) -> Iterator[Event]:
        while self._give_out():
            for worker in self.busy:
                worker.grant()
            for worker in self._listen():
                yield from self._hear(worker)
            for worker in list(self.busy):
                if worker.silent_seconds >= self.limits.deadline_seconds:
                    seconds = self.limits.deadline_seconds
                    yield from self._time_out(
                        worker, f"the decoder did not get on for {seconds:g} s"
                    )
                elif self._took_too_long(worker):
                    yield from self._time_out(
                        worker, f"decoding took more than {self.limits.video_seconds:g} s"
                    )

    def close(self) -> None:
        workers = [*self.idle, *self.busy]
        for worker in workers:
            worker.process.kill()
        for worker in workers:
            worker.end()
        if workers:
            self.ring.close()

    def _give_out(self) -> bool:
        """Give every free worker an attempt, while there are any; whether any is at work."""
        while len(self.busy) < self.size:
            attempt = self._next_attempt()
            if attempt is None:
                break
            worker = self._free_worker()
            worker.silent_seconds, worker.given = 0.0, time.monotonic()
            self.busy[worker] = attempt
            job = attempt.job
            task = Task(
                job.path,
                job.state,
                job.plan,
                self.sampling,
                self.geometry,
                job.begun,
                job.header_only,
            )
            # One that died just now is noticed when it is listened to.
            with contextlib.suppress(OSError):
                worker.channel.send(task)
        self.work.num_workers = max(self.work.num_workers, len(self.busy))
        return bool(self.busy)

    def _next_attempt(self) -> _Attempt | None:
        if self.again:
            return self.again.popleft()
        job = next(self.jobs, None)
        return None if job is None else _Attempt(job)

    def _free_worker(self) -> _Decoder:
        while self.idle:
            worker = self.idle.pop()
            if worker.process.poll() is None:
                return worker
            worker.end()
        return _Decoder(self.limits, self.ring)

    def _listen(self) -> list[_Decoder]:
        """Wait until some workers can be heard; the others' silence is counted.

        Only time that was spent waiting here counts: not that of a long forward pass meanwhile,
        nor of a suspended terminal.
        """
        began = time.monotonic()
        ready = wait([worker.channel.fileno() for worker in self.busy], POLL_SECONDS)
        waited = min(time.monotonic() - began, POLL_SECONDS)
        for worker in self.busy:
            worker.silent_seconds += waited
        heard = [worker for worker in self.busy if worker.channel.fileno() in ready]
        for worker in heard:
            worker.silent_seconds = 0.0
        return heard

    def _hear(self, worker: _Decoder) -> Iterator[Event]:
        try:
            message = worker.channel.receive()
        except TimeoutError:
            yield from self._time_out(worker, "the decoder stopped in the middle of a message")
        except (EOFError, OSError):
            yield from self._bury(worker)
        else:
            if not worker.is_started:
                self.work.decoding_seconds += time.monotonic() - worker.began
            worker.is_started = True
            self.failed_starts = 0
            yield from self._understand(worker, message)

    def _understand(self, worker: _Decoder, message: object) -> Iterator[Event]:
        attempt = self.busy[worker]
        if isinstance(message, Alive):
            self.work.decoding_seconds += message.busy_seconds
        if isinstance(message, DecodedVideo | Header | VidxError):
            del self.busy[worker]
            self.idle.append(worker)
        if isinstance(message, VideoError):
            yield VideoFailed(attempt.job, Problem(message.reason, message.message))
        elif isinstance(message, VidxError):
            raise message
        elif isinstance(message, Header):
            yield HeaderRead(attempt.job, message)
        elif isinstance(message, ClipInSlot):
            worker.granted.popleft()
            frames = self.ring.array(message.slot)
            part = DecodedClip(message.clip, message.facts, frames, message.info)
            yield _event(attempt.job, attempt.number, part)
        elif isinstance(message, Part):
            if isinstance(message, DecodedClip):
                worker.granted.popleft()
            yield _event(attempt.job, attempt.number, message)

    def _took_too_long(self, worker: _Decoder) -> bool:
        most = self.limits.video_seconds
        late = most is not None and time.monotonic() - worker.given >= most
        return late and worker.is_started

    def _time_out(self, worker: _Decoder, message: str) -> Iterator[Event]:
        if not worker.is_started:
            yield from self._bury(worker)
            return
        attempt = self.busy.pop(worker)
        worker.end()
        yield VideoFailed(attempt.job, Problem("decode_timeout", message))

    def _bury(self, worker: _Decoder) -> Iterator[Event]:
        """Try a dead worker's video once more, unless that was the second time."""
        attempt = self.busy.pop(worker)
        death = worker.death()
        worker.end()
        if not worker.is_started:
            self._count_failed_start(death)
            self.again.append(attempt)
        elif attempt.number < ATTEMPTS:
            self.again.append(_Attempt(attempt.job, attempt.number + 1))
        else:
            message = f"the decoder ended its process twice, the second time by {death}"
            yield VideoFailed(attempt.job, Problem("decode_crashed", message))

    def _count_failed_start(self, death: str) -> None:
        self.failed_starts += 1
        if self.failed_starts == FAILED_STARTS:
            raise VidxError(
                f"Decoding workers do not start ({death}).",
                f"See why with: {sys.executable} -c 'import {WORKER_MODULE}', "
                "or decode in this process with 0 workers.",
            )
