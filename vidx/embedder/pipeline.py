"""Videos to vectors: decoding workers feed batches to the model."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from vidx.embedder.attempts import Attempt, Before, Result
from vidx.embedder.decoding.events import (
    ClipDecoded,
    ClipRepeated,
    Job,
    NothingToDo,
    VideoDone,
    VideoFailed,
)
from vidx.embedder.decoding.geometry import WithPreviews
from vidx.embedder.decoding.pool import Limits, decode
from vidx.embedder.decoding.sampling import Sampling
from vidx.embedder.work import Work

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vidx.embedder.encoder import Encoder
    from vidx.embedder.inference.engine import Pending


# A batch that fills slowly is computed as it is, so that a crash loses no more than this and the
# time between commits.
LONGEST_WAIT_SECONDS = 10.0


def embed_videos(
    encoder: Encoder,
    jobs: Iterable[Job | None],
    *,
    workers: int,
    batch_size: int | None,
    part_clips: int | None = None,
    lasting: bool = False,
    previews: bool = False,
    watch: Callable[[ClipDecoded | ClipRepeated], None] | None = None,
    work: Work | None = None,
    limits: Limits | None = None,
    cards: Sequence[int] = (),
) -> Generator[Result, None, None]:
    """Embed videos, several at a time; batches are filled across videos.

    Args:
        encoder: The model with its preprocessing.
        jobs: The videos, each with a key of its own; taken as workers become free. None among them:
            there is none at the moment; what was taken is finished meanwhile, and they are asked
            again.
        workers: Decoding processes; 0 decodes in this one, without isolation.
        batch_size: Clips in one batch; None: what suits the device.
        part_clips: A video of more clips comes in parts of so many, in time order, as they are
            finished. None: each video comes whole.
        lasting: Whether there may be work for minutes, for which graphs pay.
        previews: Whether the facts of each clip come with a small picture of it.
        watch: Called with each clip, before it is embedded; a video that is begun anew has them
            come again.
        work: Where the time of decoding, transfer and the device is counted.
        limits: What one video may take of a decoding process; None: the usual.
        cards: CUDA devices that decode where they can; none: the processor does.

    Yields:
        Each job once, as it is finished, with its vectors or the reason why there are none; before
        that its parts, if there are any, whose `is_last` is False.
    """
    work = work or Work()
    batcher = _Batcher(
        encoder, batch_size or encoder.batch_size, work, part_clips=part_clips, lasting=lasting
    )
    events = decode(
        jobs,
        sampling=batcher.sampling,
        geometry=WithPreviews.of(encoder.geometry) if previews else encoder.geometry,
        workers=workers,
        limits=limits or Limits(),
        cards=cards,
        work=work,
    )
    for event in events:
        match event:
            case ClipDecoded() | ClipRepeated():
                if watch:
                    watch(event)
                yield from batcher.add(event)
                yield from batcher.collect(ahead=encoder.ahead)
            case VideoDone():
                yield from batcher.finish(event)
            case VideoFailed():
                batcher.drop(event.job)
                yield event.job, event.problem
            case NothingToDo():
                yield from batcher.drain()
    yield from batcher.drain()


class _Batcher:
    """Collects clips until a batch is full, and hands each vector to the video it belongs to.

    Batches are computed while further clips come in, and their results are taken in order.
    """

    def __init__(
        self,
        encoder: Encoder,
        batch_size: int,
        work: Work,
        *,
        part_clips: int | None,
        lasting: bool,
    ) -> None:
        self.encoder = encoder
        self.work = work
        self.counted = encoder.spent  # by batches of others, before
        self.sampling = Sampling(encoder.space.num_frames, encoder.space.fps)
        self.batch_size = batch_size
        self.part_clips = part_clips
        self.lasting = lasting
        self.flushed = time.monotonic()
        self.attempts: dict[int | str, Attempt] = {}
        # The batch in the making: whose clips, and their frames.
        self.waiting: list[Attempt] = []
        self.frames = encoder.room(batch_size)
        self.started: deque[tuple[list[Attempt], NDArray[np.uint8], Pending]] = deque()
        # Used again: were there a new one for each batch, the vectors that are kept would lie
        # between them, so that none fits where another was, and memory would grow by all frames.
        self.rooms: list[NDArray[np.uint8]] = []

    def add(self, event: ClipDecoded | ClipRepeated) -> Iterator[Result]:
        """Take a clip; yields what is complete by now."""
        attempt = self._attempt(event.job, event.attempt)
        if attempt.is_wanted(event.clip):
            attempt.expect(event)
            if isinstance(event, ClipDecoded):
                began = time.perf_counter()
                self.frames[len(self.waiting)] = event.frames
                self.work.transfer_seconds += time.perf_counter() - began
                self.waiting.append(attempt)
            else:
                yield from attempt.results(self.part_clips)
        late = time.monotonic() - self.flushed >= LONGEST_WAIT_SECONDS
        if len(self.waiting) == self.batch_size or late:
            yield from self.flush()

    def finish(self, event: VideoDone) -> Iterator[Result]:
        """Note that a video has no more clips; yields it when all its vectors are there."""
        attempt = self._attempt(event.job, event.attempt)
        del self.attempts[event.job.key]
        attempt.done = event
        yield from attempt.results(self.part_clips)

    def drop(self, job: Job) -> None:
        """Forget the clips of a video; those that wait are computed for nobody."""
        if attempt := self.attempts.pop(job.key, None):
            attempt.is_void = True

    def _attempt(self, job: Job, number: int) -> Attempt:
        """This attempt, which makes those before void; it goes on behind the parts they gave."""
        attempt = self.attempts.get(job.key)
        if attempt is None or attempt.number != number:
            before = attempt.before if attempt else Before.of(job, self.sampling)
            self.drop(job)
            attempt = self.attempts[job.key] = Attempt(job, number, before)
        return attempt

    def flush(self) -> Iterator[Result]:
        """Begin with the waiting clips; yields what is complete by now."""
        batch, self.waiting, self.flushed = self.waiting, [], time.monotonic()
        if batch:
            pending = self.encoder.start(self.frames[: len(batch)], lasting=self.lasting)
            self.started.append((batch, self.frames, pending))
            self.frames = self.rooms.pop() if self.rooms else self.encoder.room(self.batch_size)
            self._count()
        yield from self.collect(ahead=self.encoder.ahead)

    def drain(self) -> Iterator[Result]:
        """Compute all that waits; yields what is complete by then."""
        yield from self.flush()
        yield from self.collect()

    def collect(self, ahead: int = 0) -> Iterator[Result]:
        """Take the results that are there, and wait for those that are one too many.

        Args:
            ahead: Batches that need not be waited for.

        Yields:
            The videos, and parts of them, that this completes.
        """
        while self.started and (len(self.started) > ahead or self.started[0][-1].done()):
            batch, room, pending = self.started.popleft()
            embeddings, logits = pending.result()
            self.rooms.append(room)
            self._count()
            for row, attempt in enumerate(batch):
                attempt.take(embeddings[row], None if logits is None else logits[row])
            for attempt in dict.fromkeys(batch):
                yield from attempt.results(self.part_clips)

    def _count(self) -> None:
        """Count what transfer and the device took since the last time."""
        now, before = self.encoder.spent, self.counted
        self.work.transfer_seconds += now.transfer_seconds - before.transfer_seconds
        self.work.device_seconds += now.device_seconds - before.device_seconds
        self.counted = now
