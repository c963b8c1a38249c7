"""What a trimming worker and its parent say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidx.embedder.decoding.container import FileState
    from vidx.records import Clip


@dataclass(frozen=True, slots=True)
class TrimTask:
    """One video to cut clips out of.

    Attributes:
        path: The file.
        state: What it must be like.
        clips: The spans, by number.
        is_upright: Whether pictures are shown as they are coded: others are not copied.
    """

    path: str
    state: FileState
    clips: dict[int, Clip]
    is_upright: bool


@dataclass(frozen=True, slots=True)
class TrimmedClip:
    """One clip as a whole MP4 file.

    Attributes:
        number: Of the task.
        data: The file.
        is_copy: Whether the stream was copied, not encoded anew.
    """

    number: int
    data: bytes
    is_copy: bool


@dataclass(frozen=True, slots=True)
class TrimDone:
    """All clips that can be had have been handed over."""
