"""What the pool and its decoding workers say to each other, besides the parts of a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vidx.embedder.decoding.container import FileState
    from vidx.embedder.decoding.geometry import FrameGeometry
    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.embedder.decoding.survey import Survey
    from vidx.records import Begun, Clip, ClipFacts, Problem, VideoInfo


@dataclass(frozen=True, slots=True)
class Task:
    """One video to decode, or to look at its header alone: what the parent sends.

    `given` is what several workers have handed over until decoding went otherwise than foreseen;
    None: the video is begun. `on_card` is whether the worker's card may decode it, if it has one.
    """

    path: str
    state: FileState | None
    plan: Plan
    sampling: Sampling
    geometry: FrameGeometry
    begun: Begun | None
    header_only: bool = False
    given: Given | None = None
    on_card: bool = True


@dataclass(frozen=True, slots=True)
class Given:
    """What was handed out of a video, so that somebody else can go on.

    Attributes:
        clips: The clips, those that are lost to damage included.
        num_good: Those that are not lost, and those of earlier runs.
        num_lost: Those that are, likewise.
        frames: Of the clip that was handed out last, uint8, shape (num_frames, height, width, 3),
            RGB; None: of none.
        facts: What is plain to see of that clip.
    """

    clips: frozenset[Clip]
    num_good: int
    num_lost: int
    frames: NDArray[np.uint8] | None
    facts: ClipFacts | None


@dataclass(frozen=True, slots=True)
class Share:
    """The parent has workers to spare: the rest of the video may be cut into stretches."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What a worker leaves to several when it was asked to share; it is free then.

    Attributes:
        state: What the file was like when it was begun.
        found: The packets.
        stretches: Consecutive clips, each with its own first key frame.
        given: What was handed out before.
        beyond: Why the plan has spans without a clip, or None.
    """

    state: FileState
    found: Survey
    stretches: tuple[tuple[Clip, ...], ...]
    given: Given
    beyond: Problem | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive clips of one video to decode: what the parent sends."""

    path: str
    state: FileState
    found: Survey
    clips: tuple[Clip, ...]
    sampling: Sampling
    geometry: FrameGeometry


@dataclass(frozen=True, slots=True)
class StretchOver:
    """A stretch has no more clips.

    Attributes:
        clips: Those that were decoded; the lost ones were not handed over.
        info: What was learned of the video; None: it did not go as foreseen.
    """

    clips: frozenset[Clip]
    info: VideoInfo | None


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to hand over one clip: in a slot of the shared memory, or by the socket (None)."""

    slot: int | None


@dataclass(frozen=True, slots=True)
class ClipInSlot:
    """A clip is there, its frames in a slot."""

    clip: Clip
    facts: ClipFacts
    info: VideoInfo
    slot: int


@dataclass(frozen=True, slots=True)
class Alive:
    """What a worker sends when it has started, then once a second while it makes headway.

    And once more at the end of a video.

    Attributes:
        busy_seconds: What it worked since it sent this last; not while it waited.
    """

    busy_seconds: float = 0.0
