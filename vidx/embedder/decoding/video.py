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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
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
    clip_spans,
    last_clip,
    whole_windows,
)
from vidx.embedder.decoding.survey import Survey, survey
from vidx.embedder.decoding.timetable import Surprise, Timetable
from vidx.errors import VideoError
from vidx.records import Clip, ClipFacts, Problem, VideoInfo

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
    """

    clip: Clip
    facts: ClipFacts
    frames: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RepeatedClip:
    """A clip whose pictures are those of the clip that was handed out last, each of them.

    Attributes:
        clip: Its span.
        facts: What is plain to see of it.
    """

    clip: Clip
    facts: ClipFacts


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
) -> Iterator[Part]:
    """Decode a video's clips.

    Args:
        path: The file.
        sampling: Frames of a clip and their spacing.
        plan: Stride and span.
        geometry: Resize and crop.
        tick: Called at least once a packet, as a sign of life.
        expected: What the file must be like, or None when that does not matter.
        room: Makes the array that a clip's frames are written to.

    Yields:
        Its good clips in time order, at least one, and then one `DecodedVideo`. The first clip has
        pixels.

    Raises:
        VideoError: Nothing could be had, or the file is not as expected, or changed meanwhile; the
            clips are void then.
        UsageError: The plan's span starts after the video's end.
    """
    before = expected or file_state(path)
    _check_unchanged(path, before)
    if before.size == 0:
        raise VideoError("empty_file", "0 bytes")
    try:
        yield from _decode(path, sampling, plan, geometry, tick, room)
    except MemoryError:
        raise VideoError("too_large", "out of memory when decoding") from None
    except VideoError:
        _check_unchanged(path, before)
        raise
    _check_unchanged(path, before)


def _check_unchanged(path: str, before: FileState) -> None:
    if file_state(path) != before:
        raise VideoError("changed_while_reading", "size or modification time changed")


def _decode(
    path: str, sampling: Sampling, plan: Plan, geometry: FrameGeometry, tick: Tick, room: Room
) -> Iterator[Part]:
    with opened(path, tick) as media:
        found = survey(media, tick)
    tally = _Tally(room)
    if timetable := Timetable.of(found):
        with contextlib.suppress(Surprise):
            on_time = PassByTimetable(path, timetable, geometry, tick)
            yield from _decode_on_time(on_time, sampling, plan, tally)
            return
    yield from _decode_by_clock(path, found, sampling, plan, geometry, tick, tally)


def _decode_on_time(
    decoding: PassByTimetable, sampling: Sampling, plan: Plan, tally: _Tally
) -> Iterator[Part]:
    """Decode what the clips take.

    Raises:
        Surprise: It does not go as foreseen. What was let out so far is good.
    """
    clips = clip_spans(decoding.duration_seconds, sampling, plan)
    last = None
    for cut in decoding.cuts(clips, sampling):
        if cut.clip is clips[-1]:
            last = cut
        else:
            yield from tally.let_out(cut)
    if last is None:
        raise Surprise
    info = decoding.info()
    yield from tally.let_out(last)
    yield DecodedVideo(info, tally.verdict(None, ""))


def _decode_by_clock(
    path: str,
    found: Survey,
    sampling: Sampling,
    plan: Plan,
    geometry: FrameGeometry,
    tick: Tick,
    tally: _Tally,
) -> Iterator[Part]:
    """Decode all, up to the plan's end."""
    guess = _guess_last(found.duration_seconds, sampling, plan)
    windows = whole_windows(math.inf, sampling, plan)
    wanted = heapq.merge(windows, [guess] if guess else [], key=attrgetter("start_seconds"))
    first = PassByClock(path, found, geometry, tick)
    held = latest = None
    for cut in first.cuts(wanted, sampling, plan.end(math.inf)):
        if cut.clip is guess:
            held = cut
        else:
            latest = cut.clip
            yield from tally.let_out(cut)

    last = clip_spans(first.duration_seconds, sampling, plan)[-1]
    if held and _alike(last, held.clip):
        yield from tally.let_out(held)
    elif not (latest and _alike(last, latest)):
        again = PassByClock(path, found, geometry, tick)
        for cut in again.cuts([last], sampling, last.end_seconds):
            yield from tally.let_out(cut)
    yield DecodedVideo(first.info(), tally.verdict(first.truncation(), first.first_error))


def _guess_last(duration_seconds: float, sampling: Sampling, plan: Plan) -> Clip | None:
    """The clip to hold back until the true end is known."""
    if duration_seconds <= plan.start_seconds + TOLERANCE_SECONDS:
        return None
    return last_clip(duration_seconds, sampling, plan)


def _alike(one: Clip, other: Clip) -> bool:
    return (
        abs(one.start_seconds - other.start_seconds) <= TOLERANCE_SECONDS
        and abs(one.end_seconds - other.end_seconds) <= TOLERANCE_SECONDS
    )


@dataclass(slots=True)
class _Tally:
    """The clips that were let out, each once, and those that are lost."""

    room: Room
    good: set[Clip] = field(default_factory=set)
    lost: set[Clip] = field(default_factory=set)
    # Of the clip that was let out last: whoever has its vector needs no second one like it.
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    facts: ClipFacts | None = None

    def let_out(self, cut: Cut) -> Iterator[DecodedClip | RepeatedClip]:
        if cut.clip in self.good:
            return
        pictures = cut.pictures()
        if pictures is None:
            self.lost.add(cut.clip)
            return
        self.good.add(cut.clip)
        frame_seconds = tuple(cut.frame_seconds)
        if self.facts and _are_same(pictures, self.pictures):
            facts = dataclasses.replace(self.facts, frame_seconds=frame_seconds)
            yield RepeatedClip(cut.clip, facts)
            return
        self.pictures, self.facts = pictures, clip_facts(pictures, frame_seconds)
        room = self.room((len(pictures), *pictures[0].shape), np.uint8)
        yield DecodedClip(cut.clip, self.facts, np.stack(pictures, out=room))

    def verdict(self, truncation: Problem | None, first_error: str) -> Problem | None:
        problem = truncation
        if problem is None and self.lost:
            why = first_error or "data are missing in the file"
            clips = len(self.good) + len(self.lost)
            problem = Problem("decode_error", f"{len(self.lost)} of {clips} clips damaged: {why}")
        if problem is not None and not self.good:
            raise VideoError(problem.reason, problem.message)
        return problem


def _are_same(some: list[NDArray[np.uint8]], others: list[NDArray[np.uint8]]) -> bool:
    """Whether pictures are equal, each to its like; as a rule the first ones tell."""
    pairs = zip(some, others, strict=True)
    return all(one is other or np.array_equal(one, other) for one, other in pairs)
