"""A long video in the hands of several workers, handed out as if one had decoded it.

Its stretches are given out in the order of their times, and what comes of them is handed out in
that order. The first one that is not over is the head: its clips are handed out as they come.
Those of later ones are held, up to a limit; at the limit their workers wait for leave to go on.
The head's worker never waits for another: it is always given leave, and held clips take no slot.
So the head ends, the next one becomes the head, and nobody waits for ever.

How a stretch ended counts when it is the head: what an earlier one has to say comes first.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from vidx.embedder.decoding.handout import (
    DecodedClip,
    DecodedVideo,
    RepeatedClip,
    verdict,
)
from vidx.embedder.decoding.messages import Given, Rest, StretchOver
from vidx.errors import VideoError
from vidx.records import Clip, VideoInfo


@dataclass(frozen=True, slots=True)
class Death:
    """A worker died, and how."""

    cause: str


Sent = DecodedClip | RepeatedClip
End = StretchOver | VideoError | Death
# Of the whole video; what was given is for one worker to go on with, by the clock.
Outcome = DecodedVideo | VideoError | Death | Given


@dataclass(eq=False, slots=True)
class Piece:
    """One stretch.

    Attributes:
        shared: The video.
        clips: What is to be decoded.
        held: What has come of it and is not handed out.
        end: How it ended; None: it has not, or was not begun.
    """

    shared: Shared
    clips: tuple[Clip, ...]
    held: deque[Sent] = field(default_factory=deque)
    end: End | None = None


class Shared:
    """What is left of a video.

    Args:
        rest: As its worker left it.

    Attributes:
        rest: As above.
        waiting: The stretches that nobody has begun.
        outcome: What came of the video; None: there is more to come.
    """

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.waiting = deque(Piece(self, clips) for clips in rest.stretches)
        self.outcome: Outcome | None = None
        self._pieces = deque(self.waiting)  # the head, and those behind it
        self._seen = set(rest.given.clips)
        self._num_good, self._num_lost = rest.given.num_good, rest.given.num_lost
        self._frames, self._facts = rest.given.frames, rest.given.facts  # what was handed out last
        self._num_handed = 0  # of the head

    def is_head(self, piece: Piece) -> bool:
        """Whether a stretch's clips are handed out as they come."""
        return bool(self._pieces) and piece is self._pieces[0]

    def num_held(self) -> int:
        """How many clips' frames are held."""
        return sum(isinstance(one, DecodedClip) for piece in self._pieces for one in piece.held)

    def take(self, piece: Piece, sent: Sent | End) -> Iterator[Sent]:
        """Take what came of a stretch; yields what is to be handed out now."""
        if isinstance(sent, DecodedClip) and not self.is_head(piece):
            sent = dataclasses.replace(sent, frames=sent.frames.copy())  # which frees the slot
        if isinstance(sent, Sent):
            piece.held.append(sent)
        else:
            piece.end = sent
            if not isinstance(sent, StretchOver) or sent.info is None:
                self.waiting.clear()
        while self._pieces:
            head = self._pieces[0]
            while head.held:
                yield self._handed(head.held.popleft())
            if head.end is None:
                return
            self._close(head.end)

    def _handed(self, sent: Sent) -> Sent:
        """A clip as one worker would have sent it: it may repeat the last of another stretch."""
        self._num_handed += 1
        if isinstance(sent, RepeatedClip):
            return sent
        facts, frames = self._facts, self._frames
        is_first = self._num_handed == 1
        if is_first and facts and frames is not None and np.array_equal(sent.frames, frames):
            facts = dataclasses.replace(facts, frame_seconds=sent.facts.frame_seconds)
            return RepeatedClip(sent.clip, facts, sent.info)
        self._frames, self._facts = sent.frames, sent.facts
        return sent

    def _close(self, end: End) -> None:
        """Leave the head for the next stretch, or for the outcome."""
        self._pieces.popleft()
        if isinstance(end, StretchOver):
            self._num_good += self._num_handed
            self._num_lost += len(end.clips) - self._num_handed
            self._seen |= end.clips
            self._num_handed = 0
            if end.info is None:
                self.outcome = self._given()
            elif not self._pieces:
                self.outcome = self._whole(end.info)
        else:
            self.outcome = end
        if self.outcome is not None:
            self._pieces.clear()

    def _given(self) -> Given:
        frames = None if self._frames is None else self._frames.copy()
        return Given(frozenset(self._seen), self._num_good, self._num_lost, frames, self._facts)

    def _whole(self, info: VideoInfo) -> DecodedVideo | VideoError:
        try:
            problem = verdict(self._num_good, self._num_lost)
            return DecodedVideo(info, problem or self.rest.beyond)
        except VideoError as error:
            return error
