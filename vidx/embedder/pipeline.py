"""Videos to vectors: decoding workers feed batches to the model."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.pool import (
    ClipDecoded,
    ClipRepeated,
    Job,
    Limits,
    VideoDone,
    VideoFailed,
    decode,
)
from vidx.embedder.decoding.sampling import Sampling
from vidx.records import Clip, ClipFacts, EmbeddedVideo, Problem

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder
    from vidx.embedder.inference.engine import Pending


# A batch that fills slowly is computed as it is, so that a crash loses no more than this and the
# time between commits.
LONGEST_WAIT_SECONDS = 10.0


@dataclass(slots=True)
class _Attempt:
    """The clips of one video as far as they have come, and their vectors as far as computed.

    Attributes:
        clips: Their spans.
        facts: What is plain to see of each.
        encoded: Of each the number of the clip whose vector it has: its own, or that of an earlier
            one with the same pictures.
        embeddings: By number.
        logits: By number.
        done: What is known once there are no more clips.
    """

    clips: list[Clip] = field(default_factory=list)
    facts: list[ClipFacts] = field(default_factory=list)
    encoded: list[int] = field(default_factory=list)
    embeddings: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    logits: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    done: VideoDone | None = None

    def is_complete(self) -> bool:
        return self.done is not None and len(self.embeddings) == len(set(self.encoded))

    def take(self, event: ClipDecoded | ClipRepeated) -> int:
        """Note a clip; returns the number of the one whose vector it has."""
        own = isinstance(event, ClipDecoded)
        self.encoded.append(len(self.clips) if own else self.encoded[-1])
        self.clips.append(event.clip)
        self.facts.append(event.facts)
        return self.encoded[-1]


def embed_videos(
    encoder: Encoder,
    jobs: Iterable[Job],
    *,
    workers: int,
    batch_size: int | None,
    lasting: bool = False,
    watch: Callable[[ClipDecoded | ClipRepeated], None] | None = None,
) -> Generator[tuple[Job, EmbeddedVideo | Problem], None, None]:
    """Embed videos, several at a time; batches are filled across videos.

    Args:
        encoder: The model with its preprocessing.
        jobs: The videos, each with a key of its own; taken as workers become free.
        workers: Decoding processes; 0 decodes in this one, without isolation.
        batch_size: Clips in one batch; None: what suits the device.
        lasting: Whether there may be work for minutes, for which graphs pay.
        watch: Called with each clip, before it is embedded; a video that is begun anew has them
            come again.

    Yields:
        Each job once, as it is finished, with its vectors or the reason why there are none.
    """
    batcher = _Batcher(encoder, batch_size or encoder.batch_size, lasting=lasting)
    events = decode(
        jobs,
        sampling=Sampling(encoder.space.num_frames, encoder.space.fps),
        geometry=encoder.geometry,
        workers=workers,
        limits=Limits(),
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
    yield from batcher.flush()
    yield from batcher.collect()


class _Batcher:
    """Collects clips until a batch is full, and hands each vector to the video it belongs to.

    Batches are computed while further clips come in.
    """

    def __init__(self, encoder: Encoder, batch_size: int, *, lasting: bool) -> None:
        self.encoder = encoder
        self.batch_size = batch_size
        self.lasting = lasting
        self.flushed = time.monotonic()
        self.attempts: dict[tuple[int | str, int], _Attempt] = {}
        # The batch in the making: whose clips, and their frames.
        self.waiting: list[tuple[_Attempt, int]] = []
        self.frames = encoder.room(batch_size)
        self.started: deque[tuple[list[tuple[_Attempt, int]], Pending]] = deque()

    def add(
        self, event: ClipDecoded | ClipRepeated
    ) -> Iterator[tuple[Job, EmbeddedVideo | Problem]]:
        """Take a clip; yields the videos that are complete by now."""
        attempt = self.attempts.setdefault((event.job.key, event.attempt), _Attempt())
        number = attempt.take(event)
        if isinstance(event, ClipDecoded):
            self.frames[len(self.waiting)] = event.frames
            self.waiting.append((attempt, number))
        late = time.monotonic() - self.flushed >= LONGEST_WAIT_SECONDS
        if len(self.waiting) == self.batch_size or late:
            yield from self.flush()

    def finish(self, event: VideoDone) -> Iterator[tuple[Job, EmbeddedVideo | Problem]]:
        """Note that a video has no more clips; yields it when all its vectors are there."""
        attempt = self.attempts.pop((event.job.key, event.attempt), _Attempt())
        self.drop(event.job)  # clips of attempts that a worker's death cut short
        attempt.done = event
        if attempt.is_complete():
            yield event.job, _assemble(attempt)

    def drop(self, job: Job) -> None:
        """Forget the clips of a video; those that wait are computed for nobody."""
        for key in [key for key in self.attempts if key[0] == job.key]:
            del self.attempts[key]

    def flush(self) -> Iterator[tuple[Job, EmbeddedVideo | Problem]]:
        """Begin with the waiting clips; yields the videos that are complete by now."""
        batch, self.waiting, self.flushed = self.waiting, [], time.monotonic()
        if batch:
            pending = self.encoder.start(self.frames[: len(batch)], lasting=self.lasting)
            self.started.append((batch, pending))
            self.frames = self.encoder.room(self.batch_size)
        yield from self.collect(ahead=self.encoder.ahead)

    def collect(self, ahead: int = 0) -> Iterator[tuple[Job, EmbeddedVideo | Problem]]:
        """Take the results that are there, and wait for those that are one too many.

        Args:
            ahead: Batches that need not be waited for.

        Yields:
            The videos that this completes.
        """
        while self.started and (len(self.started) > ahead or self.started[0][1].done()):
            batch, pending = self.started.popleft()
            embeddings, logits = pending.result()
            for row, (attempt, number) in enumerate(batch):
                attempt.embeddings[number] = embeddings[row]
                if logits is not None:
                    attempt.logits[number] = logits[row]
            for attempt in {id(attempt): attempt for attempt, _ in batch}.values():
                if attempt.done is not None and attempt.is_complete():
                    yield attempt.done.job, _assemble(attempt)


def _assemble(attempt: _Attempt) -> EmbeddedVideo | Problem:
    """Put a video's vectors together in time order; one that is not finite is never kept."""
    assert attempt.done is not None  # noqa: S101 - only complete attempts come here
    order = sorted(
        range(len(attempt.clips)), key=lambda number: attempt.clips[number].start_seconds
    )
    sources = attempt.encoded
    good = [number for number in order if np.isfinite(attempt.embeddings[sources[number]]).all()]
    problem = attempt.done.problem
    if len(good) < len(order):
        lost = len(order) - len(good)
        message = f"the model gave vectors that are not finite for {lost} of {len(order)} clips"
        problem = Problem("non_finite", message)
    if not good:
        return problem or Problem("no_frames", "the video gave no clip")
    # float16 ends at 65504
    logits = [np.clip(attempt.logits[sources[n]], -65504, 65504) for n in good if attempt.logits]
    return EmbeddedVideo(
        info=attempt.done.info,
        clips=tuple(attempt.clips[number] for number in good),
        facts=tuple(attempt.facts[number] for number in good),
        repeats=tuple(sources[number] != number for number in good),
        embeddings=np.stack([attempt.embeddings[sources[number]] for number in good]),
        logits=np.stack(logits).astype(np.float16) if logits else None,
        problem=problem,
    )
