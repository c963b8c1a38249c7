"""What is handed out of one video: clips, each once, and at the end what was learned of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from vidx.embedder.decoding.cutter import Cut
from vidx.embedder.decoding.facts import clip_facts
from vidx.embedder.decoding.jpeg import jpeg
from vidx.embedder.decoding.messages import Given
from vidx.errors import VideoError
from vidx.records import Clip, ClipFacts, Problem, VideoInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

# As np.empty: shape and type to an array of any contents.
Room = Callable[[tuple[int, ...], type[np.uint8]], "NDArray[np.uint8]"]


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """One clip's pixels.

    Attributes:
        clip: Its span.
        facts: What is plain to see of it.
        frames: uint8, shape (num_frames, height, width, 3), RGB.
        info: What is known of the video so far; its duration as the packets tell it.
    """

    clip: Clip
    facts: ClipFacts
    frames: NDArray[np.uint8]
    info: VideoInfo


@dataclass(frozen=True, slots=True)
class RepeatedClip:
    """A clip whose pictures are those of the clip that was handed out last, each of them.

    Attributes:
        clip: Its span.
        facts: What is plain to see of it.
        info: As of `DecodedClip`.
    """

    clip: Clip
    facts: ClipFacts
    info: VideoInfo


@dataclass(frozen=True, slots=True)
class DecodedVideo:
    """What is known when a video's last clip is out.

    Attributes:
        info: What the decoder learned.
        problem: Why some clips are missing, or None when the video is whole.
    """

    info: VideoInfo
    problem: Problem | None


Part = DecodedClip | RepeatedClip | DecodedVideo


@dataclass(slots=True)
class Handout:
    """The clips that were handed out, each once, and those that are lost.

    Attributes:
        room: Makes the array that a clip's frames are written to.
        num_good: Clips that were handed out, those of earlier runs included.
        num_lost: Clips that are lost, likewise.
        beyond: Why the plan has spans without a clip, or None.
        seen: This run's clips of both kinds.
    """

    room: Room
    num_good: int = 0
    num_lost: int = 0
    beyond: Problem | None = None
    seen: set[Clip] = field(default_factory=set)
    # Of the clip that was handed out last: whoever has its vector needs no second one like it.
    _pictures: Sequence[NDArray[np.uint8]] = ()
    _facts: ClipFacts | None = None

    def hand_out(self, cut: Cut, info: VideoInfo) -> Iterator[DecodedClip | RepeatedClip]:
        """Hand out a clip, unless it is damaged, or was handed out by a pass that was given up."""
        if cut.clip in self.seen:
            return
        self.seen.add(cut.clip)
        samples = cut.samples()
        if samples is None:
            self.num_lost += 1
            return
        self.num_good += 1
        pictures = [sample.pixels for sample in samples]
        frame_seconds = tuple(cut.frame_seconds)
        if self._facts and _are_same(pictures, self._pictures):
            facts = dataclasses.replace(self._facts, frame_seconds=frame_seconds)
            yield RepeatedClip(cut.clip, facts, info)
            return
        self._pictures, self._facts = pictures, clip_facts(samples, frame_seconds)
        if cut.preview is not None:
            self._facts = dataclasses.replace(self._facts, preview=jpeg(cut.preview))
        room = self.room((len(pictures), *pictures[0].shape), np.uint8)
        np.stack(pictures, out=room)
        yield DecodedClip(cut.clip, self._facts, room, info)

    def given(self) -> Given:
        """What somebody else needs to go on."""
        frames = np.stack(self._pictures) if self._facts else None
        return Given(frozenset(self.seen), self.num_good, self.num_lost, frames, self._facts)

    def go_on(self, given: Given) -> None:
        """Go on behind what others have handed out."""
        self.num_good, self.num_lost = given.num_good, given.num_lost
        self.seen, self._facts = set(given.clips), given.facts
        self._pictures = () if given.frames is None else list(given.frames)

    def verdict(self, truncation: Problem | None, first_error: str) -> Problem | None:
        """Say why clips are missing, if some are.

        Args:
            truncation: Why a part of the end is missing, or None.
            first_error: What the decoder complained of first; empty: of nothing.

        Raises:
            VideoError: All are missing.
        """
        return verdict(self.num_good, self.num_lost, truncation, first_error) or self.beyond


def verdict(
    num_good: int, num_lost: int, truncation: Problem | None = None, first_error: str = ""
) -> Problem | None:
    """As `Handout.verdict`."""
    problem = truncation
    if problem is None and num_lost:
        why = first_error or "data are missing in the file"
        clips = num_good + num_lost
        problem = Problem("decode_error", f"{num_lost} of {clips} clips damaged: {why}")
    if problem is not None and not num_good:
        raise VideoError(problem.reason, problem.message)
    return problem


def _are_same(some: Sequence[NDArray[np.uint8]], others: Sequence[NDArray[np.uint8]]) -> bool:
    """Whether pictures are equal, each to its like; as a rule the first ones tell."""
    pairs = zip(some, others, strict=True)
    return all(one is other or np.array_equal(one, other) for one, other in pairs)
