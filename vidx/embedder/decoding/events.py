"""What is asked of the pool of decoders, and what it tells of each video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vidx.embedder.decoding.sampling import Plan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vidx.embedder.decoding.container import FileState
    from vidx.embedder.decoding.header import Header
    from vidx.records import Begun, Clip, ClipFacts, Problem, VideoInfo


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


class NothingToDo:
    """All that was handed out is done, and further jobs may come."""
