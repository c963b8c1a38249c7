"""What the pool and its decoding workers say to each other, besides the parts of a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidx.embedder.decoding.container import FileState
    from vidx.embedder.decoding.geometry import FrameGeometry
    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.records import Begun, Clip, ClipFacts, VideoInfo


@dataclass(frozen=True, slots=True)
class Task:
    """One video to decode, or to look at its header alone: what the parent sends."""

    path: str
    state: FileState | None
    plan: Plan
    sampling: Sampling
    geometry: FrameGeometry
    begun: Begun | None
    header_only: bool = False


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
