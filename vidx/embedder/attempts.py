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

from vidx.embedder.decoding.pool import Job, VideoDone
from vidx.embedder.decoding.sampling import Sampling, num_windows_until
from vidx.records import Clip, EmbeddedVideo, Problem, VideoInfo

Result = tuple[Job, EmbeddedVideo | Problem]


@dataclass(frozen=True, slots=True)
class Before:
    """What was handed over of a video, by this run or an earlier one.

    Attributes:
        num_clips: Clips that were.
        num_lost: Clips among them that were not, as their vectors are not finite.
        last_start_seconds: Start of the last clip.
    """

    num_clips: int = 0
    num_lost: int = 0
    last_start_seconds: float = -1.0

    @classmethod
    def of(cls, job: Job, sampling: Sampling) -> Before:
        """What is stored of a video. Damaged clips count as lost, too, if vectors were."""
        begun = job.begun
        if begun is None:
            return cls()
        windows = num_windows_until(begun.last_start_seconds, sampling, job.plan)
        lost = windows - begun.num_clips if begun.has_non_finite else 0
        return cls(begun.num_clips, lost, begun.last_start_seconds)


@dataclass(slots=True)
class _Vector:
    """One clip with its vector; num_lost are the clips before it whose vectors are not finite."""

    clip: Clip
    embedding: NDArray[np.float32]
    logits: NDArray[np.float32] | None
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
        self._coming: deque[Clip] = deque()  # whose vectors are still computed
        self._ready: list[_Vector] = []
        self._num_lost = before.num_lost

    def is_wanted(self, clip: Clip) -> bool:
        """Whether a clip was not handed over yet."""
        return clip.start_seconds > self.before.last_start_seconds

    def expect(self, clip: Clip, info: VideoInfo) -> None:
        """Note a clip whose vector is to come."""
        self._coming.append(clip)
        self.info = info

    def take(self, embedding: NDArray[np.float32], logits: NDArray[np.float32] | None) -> None:
        """Take the vector of the next clip; one that is not finite is never kept."""
        clip = self._coming.popleft()
        if np.isfinite(embedding).all():
            self._ready.append(_Vector(clip, embedding, logits, self._num_lost))
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
        self.before = Before(num_clips, last.num_lost, last.clip.start_seconds)
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
    # float16 ends at 65504
    logits = [np.clip(one.logits, -65504, 65504) for one in vectors if one.logits is not None]
    return EmbeddedVideo(
        info=info,
        clips=tuple(one.clip for one in vectors),
        embeddings=np.stack([one.embedding for one in vectors]),
        logits=np.stack(logits).astype(np.float16) if logits else None,
        problem=problem,
        is_last=is_last,
    )
