"""The vectors of one video on their way together, and from there to the caller.

Vectors come in the order of their clips. So a long video can be handed over in parts while it goes
on, and memory holds no more of it than one part. A clip is held back until a later one is there:
no part is empty, the last one neither.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.events import ClipDecoded, ClipRepeated, Job, VideoDone
from vidx.embedder.decoding.sampling import Sampling, num_clips_until
from vidx.records import Clip, ClipFacts, EmbeddedVideo, Problem, VideoInfo

Result = tuple[Job, EmbeddedVideo | Problem]
# An embedding, and the logits if the model has a head.
Output = tuple[NDArray[np.float32], NDArray[np.float32] | None]


@dataclass(frozen=True, slots=True)
class Before:
    """What was handed over of a video, by this run or an earlier one.

    Attributes:
        num_clips: Clips that were.
        num_lost: Clips among them that were not, as their vectors are not finite.
        last_start_seconds: Start of the last clip.
        last_output: What this run computed of it, as the next clip may repeat it. None: nothing,
            and then the next clip has pixels.
    """

    num_clips: int = 0
    num_lost: int = 0
    last_start_seconds: float = -1.0
    last_output: Output | None = None

    @classmethod
    def of(cls, job: Job, sampling: Sampling) -> Before:
        """What is stored of a video. Damaged clips count as lost, too, if vectors were."""
        begun = job.begun
        if begun is None:
            return cls()
        known = num_clips_until(begun.last_start_seconds, sampling, job.plan)
        lost = known - begun.num_clips if begun.has_non_finite else 0
        return cls(begun.num_clips, lost, begun.last_start_seconds)


@dataclass(frozen=True, slots=True)
class _Coming:
    """One clip whose vector is to come; that of one that repeats comes with the one before."""

    clip: Clip
    facts: ClipFacts
    repeats: bool


@dataclass(frozen=True, slots=True)
class _Vector:
    """One clip with its vector; num_lost are the clips before it whose vectors are not finite."""

    of: _Coming
    output: Output
    num_lost: int


class Attempt:
    """The clips of one video that are still to be handed over.

    Args:
        job: The video.
        number: The attempt; one that ends early is void, but for the parts that it gave.
        before: What need not come again.
    """

    def __init__(self, job: Job, number: int, before: Before) -> None:
        self.job = job
        self.number = number
        self.before = before
        self.is_void = False
        self.info: VideoInfo | None = None
        self.done: VideoDone | None = None
        self._coming: deque[_Coming] = deque()  # the first of them never repeats
        self._last = before.last_output
        self._ready: list[_Vector] = []
        self._num_lost = before.num_lost

    def is_wanted(self, clip: Clip) -> bool:
        """Whether a clip was not handed over yet."""
        return clip.start_seconds > self.before.last_start_seconds

    def expect(self, event: ClipDecoded | ClipRepeated) -> None:
        """Note a clip: its vector is to come, or is that of the clip before."""
        self.info = event.info
        self._coming.append(_Coming(event.clip, event.facts, isinstance(event, ClipRepeated)))
        self._settle_repeats()

    def take(self, embedding: NDArray[np.float32], logits: NDArray[np.float32] | None) -> None:
        """Take the vector of the next clip, and of those that repeat it."""
        self._last = embedding, logits
        self._settle(self._coming.popleft(), self._last)
        self._settle_repeats()

    def _settle_repeats(self) -> None:
        while self._coming and self._coming[0].repeats:
            assert self._last is not None  # noqa: S101 - the first clip that comes has pixels
            self._settle(self._coming.popleft(), self._last)

    def _settle(self, clip: _Coming, output: Output) -> None:
        """Give a clip its vector; one that is not finite is never kept."""
        if np.isfinite(output[0]).all():
            self._ready.append(_Vector(clip, output, self._num_lost))
        else:
            self._num_lost += 1

    def results(self, part_clips: int | None) -> Iterator[Result]:
        """The parts that are ready, and the rest once all its vectors are there."""
        if self.is_void:
            return
        while part_clips is not None and len(self._ready) > part_clips:
            yield self.job, self._part(part_clips)
        if self.done is not None and not self._coming:
            yield self.job, self._rest(self.done)

    def _part(self, part_clips: int) -> EmbeddedVideo:
        part, self._ready = self._ready[:part_clips], self._ready[part_clips:]
        num_clips, last = self.before.num_clips + len(part), part[-1]
        self.before = Before(num_clips, last.num_lost, last.of.clip.start_seconds, last.output)
        assert self.info is not None  # noqa: S101 - it came with each clip
        problem = _not_finite(last.num_lost, num_clips)
        return _assemble(part, self.info, problem, is_last=False)

    def _rest(self, done: VideoDone) -> EmbeddedVideo | Problem:
        num_clips = self.before.num_clips + len(self._ready)
        lost = _not_finite(self._num_lost, num_clips)
        if self._ready:
            return _assemble(self._ready, done.info, lost or done.problem, is_last=True)
        if self.before.num_clips and not lost:  # so it is of another decoder than the parts
            message = "nothing comes behind the stored parts of it: remove it, and embed it anew"
            return Problem("no_frames", message)
        return lost or done.problem or Problem("no_frames", "the video gave no clip")


def _not_finite(num_lost: int, num_clips: int) -> Problem | None:
    """Why clips are missing to which the model gave no finite vector, if there are any."""
    if not num_lost:
        return None
    total = num_clips + num_lost
    message = f"the model gave vectors that are not finite for {num_lost} of {total} clips"
    return Problem("non_finite", message)


def _assemble(
    vectors: Sequence[_Vector], info: VideoInfo, problem: Problem | None, *, is_last: bool
) -> EmbeddedVideo:
    """Put the vectors of a video, or of a part of it, together."""
    outputs = [one.output for one in vectors]
    # float16 ends at 65504
    logits = [np.clip(logits, -65504, 65504) for _, logits in outputs if logits is not None]
    return EmbeddedVideo(
        info=info,
        clips=tuple(one.of.clip for one in vectors),
        facts=tuple(one.of.facts for one in vectors),
        repeats=tuple(one.of.repeats for one in vectors),
        embeddings=np.stack([embedding for embedding, _ in outputs]),
        logits=np.stack(logits).astype(np.float16) if logits else None,
        problem=problem,
        is_last=is_last,
    )
