"""One video file to clips of frames: uint8, resized and cropped, as the model takes them.

The packets are counted first. Where they leave no doubt about when each picture is shown, a pass
by this timetable decodes what the clips take and no more. Where they do, or a frame is not the one
that was foreseen, a pass by the clock decodes all, and hands out each clip as soon as it is sure to
be wholly there; where its end was not where the packets said, the clip that ends with the video is
had by a further pass.

What damage costs: a clip is kept when each of its sampled frames can be trusted (see `trust`), and
when no sample stands on a frame whose time is over where the next one was lost. Without word of a
loss, a long time is what a variable frame rate looks like. FFmpeg decodes in one thread, as with
several it reports errors, and marks frames as corrupt, at other places from run to run; workers
give the parallelism.
"""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from vidx.embedder.decoding.container import FileState, file_state, opened
from vidx.embedder.decoding.cutter import Cut
from vidx.embedder.decoding.facts import clip_facts
from vidx.embedder.decoding.packets import Tick
from vidx.embedder.decoding.pass_by_clock import PassByClock
from vidx.embedder.decoding.pass_by_timetable import PassByTimetable
from vidx.embedder.decoding.sampling import (
    TOLERANCE_SECONDS,
    Plan,
    Sampling,
    clip_at_end,
    clip_spans,
    clips_within,
    num_clips_until,
)
from vidx.embedder.decoding.survey import survey
from vidx.embedder.decoding.timetable import Surprise, Timetable
from vidx.errors import VideoError
from vidx.records import Begun, Clip, ClipFacts, Problem, VideoInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidx.embedder.decoding.geometry import FrameGeometry

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


def decode_clips(
    path: str,
    sampling: Sampling,
    plan: Plan,
    geometry: FrameGeometry,
    tick: Tick = lambda: None,
    expected: FileState | None = None,
    room: Room = np.empty,
    begun: Begun | None = None,
) -> Iterator[Part]:
    """Decode a video's clips.

    Args:
        path: The file.
        sampling: Frames of a clip and their spacing.
        plan: Stride and spans.
        geometry: Resize and crop.
        tick: Called at least once a packet, as a sign of life.
        expected: What the file must be like, or None when that does not matter.
        room: Makes the array that a clip's frames are written to.
        begun: What of the video is stored: only clips behind that are handed out. None: nothing.

    Yields:
        Its good clips in time order, at least one if nothing is stored, and then one
        `DecodedVideo`. The first clip has pixels.

    Raises:
        VideoError: Nothing could be had, or the file is not as expected, or changed meanwhile; the
            clips are void then. Or all of the plan's spans start after the video's end.
    """
    before = expected or file_state(path)
    _check_unchanged(path, before)
    if before.size == 0:
        raise VideoError("empty_file", "0 bytes")
    try:
        for part in _decode(path, sampling, plan, geometry, tick, room, begun):
            if isinstance(part, DecodedVideo):  # nothing comes after this
                _check_unchanged(path, before)
            yield part
    except MemoryError:
        raise VideoError("too_large", "out of memory when decoding") from None
    except VideoError:
        _check_unchanged(path, before)
        raise


def _check_unchanged(path: str, before: FileState) -> None:
    if file_state(path) != before:
        raise VideoError("changed_while_reading", "size or modification time changed")


def _decode(
    path: str,
    sampling: Sampling,
    plan: Plan,
    geometry: FrameGeometry,
    tick: Tick,
    room: Room,
    begun: Begun | None,
) -> Iterator[Part]:
    with opened(path, tick) as media:
        found = survey(media, tick)
    tally = _Tally(room)
    if begun:
        tally.num_good = begun.num_clips
        known = num_clips_until(begun.last_start_seconds, sampling, plan)
        tally.num_lost = known - begun.num_clips
    if timetable := Timetable.of(found):
        with contextlib.suppress(Surprise):
            on_time = PassByTimetable(path, timetable, geometry, tick)
            clips = _behind(begun, clip_spans(on_time.duration_seconds, sampling, plan))
            tally.beyond = plan.beyond(on_time.duration_seconds)
            yield from _decode_on_time(on_time, list(clips), sampling, tally)
            return
    first = PassByClock(path, found, geometry, tick)
    yield from _decode_by_clock(first, sampling, plan, tally, begun)


def _behind(begun: Begun | None, clips: Iterable[Clip]) -> Iterator[Clip]:
    """Those of some clips that are not stored."""
    last = begun.last_start_seconds if begun else -math.inf
    return dropwhile(lambda clip: clip.start_seconds <= last, clips)


def _decode_on_time(
    decoding: PassByTimetable, clips: Sequence[Clip], sampling: Sampling, tally: _Tally
) -> Iterator[Part]:
    """Decode what the clips take.

    Raises:
        Surprise: It does not go as foreseen. What was let out so far is good.
    """
    last = None
    for cut in decoding.cuts(clips, sampling):
        if cut.clip is clips[-1]:
            last = cut
        else:
            yield from tally.let_out(cut, decoding.info())
    if last is None:
        raise Surprise
    yield from tally.let_out(last, decoding.info())
    yield DecodedVideo(decoding.info(), tally.verdict(None, ""))


def _decode_by_clock(
    first: PassByClock, sampling: Sampling, plan: Plan, tally: _Tally, begun: Begun | None
) -> Iterator[Part]:
    """Decode all, up to the plan's end."""
    guess = clip_at_end(first.duration_seconds, sampling, plan)  # held until the end is known
    sure = _behind(begun, clips_within(math.inf, sampling, plan))
    wanted = heapq.merge(sure, [guess] if guess else [], key=attrgetter("start_seconds"))
    held = latest = None
    for cut in first.cuts(wanted, sampling, plan.end()):
        if cut.clip is guess:
            held = cut
        else:
            latest = cut.clip
            yield from tally.let_out(cut, first.info())

    truncation, tally.beyond = first.truncation(), plan.beyond(first.duration_seconds)
    if truncation and not plan.spans_within(first.duration_seconds):
        raise VideoError(truncation.reason, truncation.message)
    last = clip_spans(first.duration_seconds, sampling, plan)[-1]
    if held and _alike(last, held.clip):
        yield from tally.let_out(held, first.info())
    elif not (latest and _alike(last, latest)):
        again = PassByClock(first.path, first.found, first.geometry, first.tick)
        for cut in again.cuts([last], sampling, last.end_seconds):
            yield from tally.let_out(cut, first.info())
    yield DecodedVideo(first.info(), tally.verdict(truncation, first.first_error))


def _alike(one: Clip, other: Clip) -> bool:
    return (
        abs(one.start_seconds - other.start_seconds) <= TOLERANCE_SECONDS
        and abs(one.end_seconds - other.end_seconds) <= TOLERANCE_SECONDS
    )


@dataclass(slots=True)
class _Tally:
    """The clips that were let out, each once, and those that are lost."""

    room: Room
    num_good: int = 0  # those of earlier runs included
    num_lost: int = 0
    beyond: Problem | None = None  # spans that have no clip
    _seen: set[Clip] = field(default_factory=set)
    # Of the clip that was let out last: whoever has its vector needs no second one like it.
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    facts: ClipFacts | None = None

    def let_out(self, cut: Cut, info: VideoInfo) -> Iterator[DecodedClip | RepeatedClip]:
        if cut.clip in self._seen:  # by a pass that was given up
            return
        self._seen.add(cut.clip)
        pictures = cut.pictures()
        if pictures is None:
            self.num_lost += 1
            return
        self.num_good += 1
        frame_seconds = tuple(cut.frame_seconds)
        if self.facts and _are_same(pictures, self.pictures):
            facts = dataclasses.replace(self.facts, frame_seconds=frame_seconds)
            yield RepeatedClip(cut.clip, facts, info)
            return
        self.pictures, self.facts = pictures, clip_facts(pictures, frame_seconds)
        room = self.room((len(pictures), *pictures[0].shape), np.uint8)
        yield DecodedClip(cut.clip, self.facts, np.stack(pictures, out=room), info)

    def verdict(self, truncation: Problem | None, first_error: str) -> Problem | None:
        problem = truncation
        if problem is None and self.num_lost:
            why = first_error or "data are missing in the file"
            clips = self.num_good + self.num_lost
            problem = Problem("decode_error", f"{self.num_lost} of {clips} clips damaged: {why}")
        if problem is not None and not self.num_good:
            raise VideoError(problem.reason, problem.message)
        return problem or self.beyond


def _are_same(some: list[NDArray[np.uint8]], others: list[NDArray[np.uint8]]) -> bool:
    """Whether pictures are equal, each to its like; as a rule the first ones tell."""
    pairs = zip(some, others, strict=True)
    return all(one is other or np.array_equal(one, other) for one, other in pairs)
