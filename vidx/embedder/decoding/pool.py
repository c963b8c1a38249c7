"""Decoding many videos at once, each in a process that may crash, hang or outgrow its memory.

A worker writes a clip's frames into a slot of memory that it shares with this process, and sends
word of it. It may hand over as many clips as it was given slots for; when the caller holds on to
the frames of so many clips that no slot is free, further ones come through the socket.

Workers without a video of their own help with a long one that another is at (see `shared`).
"""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from multiprocessing.connection import wait

from vidx.embedder.decoding.card import FellBack
from vidx.embedder.decoding.decoder import SLOTS_EACH, WORKER_MODULE, Decoder
from vidx.embedder.decoding.events import (
    ClipDecoded,
    ClipRepeated,
    Event,
    HeaderRead,
    Job,
    NothingToDo,
    VideoDone,
    VideoFailed,
)
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo, Part, RepeatedClip
from vidx.embedder.decoding.header import Header, read_header
from vidx.embedder.decoding.messages import (
    Alive,
    ClipInSlot,
    Given,
    Rest,
    Share,
    Stretch,
    StretchOver,
    Task,
)
from vidx.embedder.decoding.sampling import Sampling
from vidx.embedder.decoding.shared import Death, End, Piece, Shared
from vidx.embedder.decoding.video import decode_clips
from vidx.embedder.work import Work
from vidx.embedder.workers.ring import Ring
from vidx.errors import UsageError, VideoError, VidxError
from vidx.records import Problem

logger = logging.getLogger("vidx")

POLL_SECONDS = 0.5
IDLE_SECONDS = 0.02  # until the jobs are asked again, where there was none
HELD_EACH = 16  # clips of a shared video that wait for earlier ones, a worker
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


def decode(
    jobs: Iterable[Job | None],
    *,
    sampling: Sampling,
    geometry: FrameGeometry,
    workers: int,
    limits: Limits = Limits(),
    cards: Sequence[int] = (),
    work: Work | None = None,
) -> Generator[Event | NothingToDo, None, None]:
    """Decode videos, several at a time.

    Closing the iterator (or an error in it) ends all workers. A worker waits when its clips are
    not taken, so whoever wants decoding to go on meanwhile iterates in a thread of its own.

    Args:
        jobs: The videos, taken one by one as workers become free. None among them: there is none at
            the moment, and they are asked again.
        sampling: Frames of a clip and their spacing.
        geometry: Resize and crop.
        workers: Processes; 0 decodes in this one, without isolation.
        limits: Deadline and memory of a worker.
        cards: CUDA devices that decode where they can, each for some of the workers; what they
            cannot is told in the log. Without workers none does.
        work: Where the workers' time is counted.

    Yields:
        For each job, in no order between jobs: its clips in time order and a `VideoDone`, or a
        `HeaderRead`, or a `VideoFailed`. And `NothingToDo` while jobs are waited for.

    Raises:
        VidxError: Workers cannot be started.
    """
    if workers < 0:
        raise UsageError(f"{workers} workers: it takes 0 or more.")
    work = work or Work()
    if workers == 0:
        work.num_workers = 1
        for job in jobs:
            yield from _timed(_decode_here(job, sampling, geometry), work) if job else _nothing()
        return
    pool = _Pool(jobs, sampling, geometry, workers, limits, cards, work)
    try:
        yield from pool.events()
    finally:
        pool.close()


def _nothing() -> Iterator[NothingToDo]:
    yield NothingToDo()
    time.sleep(IDLE_SECONDS)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Attempt:
    """A video for one worker; `given` is what several have handed out of it before."""

    job: Job
    number: int = 1
    given: Given | None = None


@dataclass(frozen=True, slots=True)
class _Help:
    """A stretch of an attempt's video for one worker."""

    attempt: _Attempt
    piece: Piece


_Errand = _Attempt | _Help


def _is_for(errand: _Errand, attempt: _Attempt) -> bool:
    return isinstance(errand, _Help) and errand.attempt is attempt


def _failed(attempt: _Attempt, error: VideoError) -> VideoFailed:
    return VideoFailed(attempt.job, Problem(error.reason, error.message))


class _Pool:
    """Gives attempts to workers and turns what they say, or their silence, into events."""

    def __init__(
        self,
        jobs: Iterable[Job | None],
        sampling: Sampling,
        geometry: FrameGeometry,
        size: int,
        limits: Limits,
        cards: Sequence[int],
        work: Work,
    ) -> None:
        self.work = work
        self.jobs = iter(jobs)
        self.are_all_taken = False
        self.sampling = sampling
        self.geometry = geometry
        self.size = size
        self.limits = limits
        self.cards = cycle(cards or (None,))
        self.fell_back: set[FellBack] = set()
        self.again: deque[_Errand] = deque()
        self.shared: dict[_Attempt, Shared] = {}
        self.idle: list[Decoder] = []
        self.busy: dict[Decoder, _Errand] = {}
        self.failed_starts = 0

    @cached_property
    def ring(self) -> Ring:
        """As many slots as the workers can fill, and two that the caller can hold."""
        made = self.geometry.made
        shape = (self.sampling.num_frames, *(made or (0, 0)), 3)
        return Ring(SLOTS_EACH * (self.size + 1) if made else 0, shape)

    def events(self) -> Iterator[Event | NothingToDo]:
        while self._give_out() or not self.are_all_taken:
            if not self.busy:
                yield from _nothing()
                continue
            for worker, errand in self.busy.items():
                if self._has_leave(errand):
                    worker.grant()
            for worker in self._listen():
                if worker in self.busy:  # not ended with the video that it helped with
                    yield from self._hear(worker)
            while late := next((one for one in self.busy if self._lateness(one)), None):
                yield from self._time_out(late, self._lateness(late))

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
            errand = self._next_work()
            if errand is None:
                self._ask_to_share()
                break
            worker = self._free_worker()
            worker.begin()
            self.busy[worker] = errand
            if worker.is_started or isinstance(errand, _Attempt):
                worker.tell(self._task(errand))
        self.work.num_workers = max(self.work.num_workers, len(self.busy))
        return bool(self.busy)

    def _next_work(self) -> _Errand | None:
        if self.again:
            return self.again.popleft()
        job = self._next_job()
        return self._next_help() if job is None else _Attempt(job)

    def _next_job(self) -> Job | None:
        try:
            return next(self.jobs)
        except StopIteration:
            self.are_all_taken = True
            return None

    def _next_help(self) -> _Help | None:
        """A stretch of the shared video that has the fewest workers."""
        open_ones = [attempt for attempt, shared in self.shared.items() if shared.waiting]
        if not open_ones:
            return None
        at_work = [errand.attempt for errand in self.busy.values() if isinstance(errand, _Help)]
        attempt = min(open_ones, key=at_work.count)
        return _Help(attempt, self.shared[attempt].waiting.popleft())

    def _task(self, errand: _Errand) -> Task | Stretch:
        if isinstance(errand, _Attempt):
            job = errand.job
            return Task(
                job.path, job.state, job.plan, self.sampling, self.geometry, job.begun,
                job.header_only, errand.given, on_card=errand.number == 1,
            )  # fmt: skip
        rest, clips = errand.piece.shared.rest, errand.piece.clips
        path = errand.attempt.job.path
        return Stretch(path, rest.state, rest.found, clips, self.sampling, self.geometry)

    def _ask_to_share(self) -> None:
        """Ask those who are at a whole video to leave the rest of it to several."""
        for worker, errand in self.busy.items():
            if isinstance(errand, _Attempt) and not worker.is_asked:
                worker.is_asked = True
                worker.tell(Share())

    def _has_leave(self, errand: _Errand) -> bool:
        """Whether a worker may hand over clips: what comes early must not fill the memory."""
        if isinstance(errand, _Attempt):
            return True
        shared = errand.piece.shared
        return shared.is_head(errand.piece) or shared.num_held() < HELD_EACH * self.size

    def _free_worker(self) -> Decoder:
        while self.idle:
            worker = self.idle.pop()
            if worker.process.poll() is None:
                return worker
            worker.end()
        limits = self.limits
        return Decoder(limits.deadline_seconds, limits.memory_bytes, self.ring, next(self.cards))

    def _listen(self) -> list[Decoder]:
        """Wait until some workers can be heard; the others' silence is counted.

        Only time that was spent waiting here counts: not that of a long forward pass meanwhile,
        nor of a suspended terminal.
        """
        began = time.monotonic()
        ready = wait([worker.channel.fileno() for worker in self.busy], POLL_SECONDS)
        waited = min(time.monotonic() - began, POLL_SECONDS)
        for worker in self.busy:
            if worker.granted or not worker.is_started:  # else it may wait for leave
                worker.silent_seconds += waited
        heard = [worker for worker in self.busy if worker.channel.fileno() in ready]
        for worker in heard:
            worker.silent_seconds = 0.0
        return heard

    def _hear(self, worker: Decoder) -> Iterator[Event]:
        try:
            message = worker.channel.receive()
        except TimeoutError:
            yield from self._time_out(worker, "the decoder stopped in the middle of a message")
        except (EOFError, OSError):
            yield from self._bury(worker)
        else:
            # With a stretch come the video's packets: more than a socket holds while nobody reads.
            if not worker.is_started and isinstance(self.busy[worker], _Help):
                worker.tell(self._task(self.busy[worker]))
            if not worker.is_started:
                self.work.decoding_seconds += time.monotonic() - worker.began
            worker.is_started = True
            self.failed_starts = 0
            if isinstance(message, Alive):
                self.work.decoding_seconds += message.busy_seconds
            yield from self._understand(worker, message)

    def _understand(self, worker: Decoder, message: object) -> Iterator[Event]:
        errand = self.busy[worker]
        if isinstance(message, FellBack):
            self._tell(message)
        if isinstance(message, DecodedVideo | Header | StretchOver | Rest | VidxError):
            del self.busy[worker]
            self.idle.append(worker)
        if isinstance(message, VidxError) and not isinstance(message, VideoError):
            raise message
        message = self._with_frames(worker, message)
        if isinstance(errand, _Help):
            if isinstance(message, DecodedClip | RepeatedClip | StretchOver | VideoError):
                yield from self._take(errand, message)
        elif isinstance(message, Rest):
            self.shared[errand] = Shared(message)
        elif isinstance(message, Header):
            yield HeaderRead(errand.job, message)
        elif isinstance(message, VideoError):
            yield _failed(errand, message)
        elif isinstance(message, Part):
            yield _event(errand.job, errand.number, message)

    def _tell(self, fell_back: FellBack) -> None:
        """Tell once, whichever worker it is."""
        if fell_back not in self.fell_back:
            self.fell_back.add(fell_back)
            told = "the card does not decode some %s, and the processor does: %s"
            logger.warning(told, fell_back.codec, fell_back.why)

    def _lateness(self, worker: Decoder) -> str:
        """What was waited for too long, if anything was."""
        silent, most = self.limits.deadline_seconds, self.limits.video_seconds
        if worker.silent_seconds >= silent:
            return f"the decoder did not get on for {silent:g} s"
        if most is not None and worker.is_started and worker.taken_seconds >= most:
            return f"decoding took more than {most:g} s"
        return ""

    def _with_frames(self, worker: Decoder, message: object) -> object:
        """The message, a clip with its frames; the leave that it took is spent."""
        if isinstance(message, ClipInSlot | DecodedClip):
            worker.granted.popleft()
        if not isinstance(message, ClipInSlot):
            return message
        frames = self.ring.array(message.slot)
        return DecodedClip(message.clip, message.facts, frames, message.info)

    def _take(self, help_: _Help, sent: DecodedClip | RepeatedClip | End) -> Iterator[Event]:
        """Take what came of a stretch, and hand out what can be."""
        attempt, shared = help_.attempt, help_.piece.shared
        for part in shared.take(help_.piece, sent):
            yield _event(attempt.job, attempt.number, part)
        if shared.outcome is None:
            return
        del self.shared[attempt]
        self.again = deque(errand for errand in self.again if not _is_for(errand, attempt))
        for worker in [one for one, errand in self.busy.items() if _is_for(errand, attempt)]:
            del self.busy[worker]
            worker.end()
        match shared.outcome:
            case DecodedVideo():
                yield _event(attempt.job, attempt.number, shared.outcome)
            case VideoError():
                yield _failed(attempt, shared.outcome)
            case Death(cause):
                yield from self._try_again(attempt, cause)
            case Given():
                self.again.append(_Attempt(attempt.job, attempt.number, shared.outcome))

    def _time_out(self, worker: Decoder, message: str) -> Iterator[Event]:
        if not worker.is_started:
            yield from self._bury(worker)
            return
        errand = self.busy.pop(worker)
        worker.end()
        error = VideoError("decode_timeout", message)
        if isinstance(errand, _Help):
            yield from self._take(errand, error)
        else:
            yield _failed(errand, error)

    def _bury(self, worker: Decoder) -> Iterator[Event]:
        """See what becomes of a dead worker's video."""
        errand = self.busy.pop(worker)
        death = worker.death()
        worker.end()
        if not worker.is_started:
            self._count_failed_start(death)
            self.again.append(errand)
        elif isinstance(errand, _Help):
            yield from self._take(errand, Death(death))
        else:
            yield from self._try_again(errand, death)

    def _try_again(self, attempt: _Attempt, death: str) -> Iterator[Event]:
        """Try a video once more, unless that was the second time."""
        if attempt.number < ATTEMPTS:
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
