"""One video file to clips of frames: uint8, resized and cropped, as the model takes them.

The packets are counted first, which nearly always tells the duration; then one pass of decoding
hands out each clip as soon as it is sure to be wholly there. Where the count was wrong, the clip
that ends with the video is had by a second pass.

What damage costs: a clip is kept when each of its sampled frames can be trusted (see `trust`), and
when no sample stands on a frame whose time is over where the next one was lost. Without word of a
loss, a long time is what a variable frame rate looks like. FFmpeg decodes in one thread, as with
several it reports errors, and marks frames as corrupt, at other places from run to run; workers
give the parallelism.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import dropwhile
from operator import attrgetter
from typing import TYPE_CHECKING, cast

import av.error
import av.logging
import numpy as np

from vidx.embedder.decoding.clock import LONGEST_SECONDS, SEAM_SECONDS, Clock
from vidx.embedder.decoding.container import (
    FileState,
    Media,
    check_size,
    describe,
    file_state,
    opened,
)
from vidx.embedder.decoding.cutter import Cut, Cutter, Shown
from vidx.embedder.decoding.facts import clip_facts
from vidx.embedder.decoding.ffmpeg_log import Listening
from vidx.embedder.decoding.orientation import orientation_of
from vidx.embedder.decoding.packets import Tick, packets
from vidx.embedder.decoding.sampling import (
    TOLERANCE_SECONDS,
    Plan,
    Sampling,
    clip_spans,
    last_clip,
    num_windows_until,
    whole_windows,
)
from vidx.embedder.decoding.scaler import Scaler
from vidx.embedder.decoding.survey import Survey, survey
from vidx.embedder.decoding.trust import Fed, Trust
from vidx.errors import VideoError
from vidx.records import Begun, Clip, ClipFacts, Problem, VideoInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
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
        plan: Stride and span.
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
            clips are void then.
        UsageError: The plan's span starts after the video's end.
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
    with opened(path) as media:
        found = survey(media, tick)
    guess = _guess_last(found.duration_seconds, sampling, plan)
    windows = _behind(begun, whole_windows(math.inf, sampling, plan))
    wanted = heapq.merge(windows, [guess] if guess else [], key=attrgetter("start_seconds"))
    first = _Pass(path, found, geometry, tick)
    tally = _Tally(first, room)
    if begun:
        tally.good = begun.num_clips
        known = num_windows_until(begun.last_start_seconds, sampling, plan)
        tally.lost = known - begun.num_clips
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
        again = _Pass(path, found, geometry, tick)
        for cut in again.cuts([last], sampling, last.end_seconds):
            yield from tally.let_out(cut)
    yield DecodedVideo(first.info(), tally.verdict())


def _behind(begun: Begun | None, clips: Iterator[Clip]) -> Iterator[Clip]:
    """Those of some clips that are not stored."""
    if begun is None:
        return clips
    last = begun.last_start_seconds
    return dropwhile(lambda clip: clip.start_seconds <= last, clips)


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
    """Counts the clips that are let out and those that are lost."""

    decoding: _Pass
    room: Room
    good: int = 0
    lost: int = 0
    # Of the clip that was let out last: whoever has its vector needs no second one like it.
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    facts: ClipFacts | None = None

    def let_out(self, cut: Cut) -> Iterator[DecodedClip | RepeatedClip]:
        pictures = cut.pictures()
        if pictures is None:
            self.lost += 1
            return
        self.good += 1
        info, frame_seconds = self.decoding.info(), tuple(cut.frame_seconds)
        if self.facts and _are_same(pictures, self.pictures):
            facts = dataclasses.replace(self.facts, frame_seconds=frame_seconds)
            yield RepeatedClip(cut.clip, facts, info)
            return
        self.pictures, self.facts = pictures, clip_facts(pictures, frame_seconds)
        room = self.room((len(pictures), *pictures[0].shape), np.uint8)
        yield DecodedClip(cut.clip, self.facts, np.stack(pictures, out=room), info)

    def verdict(self) -> Problem | None:
        problem = self.decoding.truncation()
        if problem is None and self.lost:
            why = self.decoding.first_error or "data are missing in the file"
            clips = self.good + self.lost
            problem = Problem("decode_error", f"{self.lost} of {clips} clips damaged: {why}")
        if problem is not None and not self.good:
            raise VideoError(problem.reason, problem.message)
        return problem


def _are_same(some: list[NDArray[np.uint8]], others: list[NDArray[np.uint8]]) -> bool:
    """Whether pictures are equal, each to its like; as a rule the first ones tell."""
    pairs = zip(some, others, strict=True)
    return all(one is other or np.array_equal(one, other) for one, other in pairs)


class _Pass:
    """One pass of decoding, from the first frame on.

    Args:
        path: The file.
        found: The stream to decode, as its packets tell it.
        geometry: Resize and crop.
        tick: Called at least once a packet.
    """

    def __init__(self, path: str, found: Survey, geometry: FrameGeometry, tick: Tick) -> None:
        self.path = path
        self.found = found
        self.geometry = geometry
        self.tick = tick
        self.trust = Trust(found)
        self.first_error = ""
        self.duration_seconds = found.duration_seconds
        self._is_complete = False
        self._info: VideoInfo | None = None
        self._clock: Clock | None = None

    def cuts(self, clips: Iterable[Clip], sampling: Sampling, end: float) -> Iterator[Cut]:
        """Yield each clip that is wholly within the video, as soon as it has been passed.

        Args:
            clips: In the order of their starts; may be endless.
            sampling: Frames of a clip and their spacing.
            end: Decoding may stop at this time.

        Raises:
            VideoError: The stream gives no frame, or the file cannot be read.
        """
        cutter = Cutter(clips, sampling)
        shown: Shown | None = None
        with opened(self.path) as media:
            for frame in self._frames(media):
                if shown:
                    is_gap = self.trust.is_lost_between(shown.fed, frame.fed)
                    yield from cutter.show(shown, frame.time, is_gap=is_gap)
                shown = frame
                if shown.time >= end - TOLERANCE_SECONDS:
                    break
            else:
                self._is_complete = True
        if shown is None:
            raise self._nothing_shown()
        is_gap = self._is_complete and self.trust.is_lost_between(shown.fed, None)
        until = self._end(shown, is_gap=is_gap)
        # Cut short by `end`, the counted duration is the best that is known.
        self.duration_seconds = (
            until if self._is_complete else max(until, self.found.duration_seconds)
        )
        yield from cutter.show(shown, until, is_gap=is_gap)

    def _end(self, shown: Shown, *, is_gap: bool) -> float:
        """When the last frame's time is over: with the last packet's, even if its frame is lost."""
        found = self.found
        if shown.fed.number == found.last:
            return shown.time + found.last_seconds
        if is_gap and self._clock:
            between = found.seconds_between(shown.fed.number, found.last, self._clock.time_base)
            if 0 < between <= self._clock.longest_step:
                return shown.time + between + found.last_seconds
        return shown.time + shown.duration

    def _frames(self, media: Media) -> Iterator[Shown]:
        stream = next(s for s in media.container.streams.video if s.index == self.found.index)
        stream.codec_context.thread_count = 1
        stream.codec_context.copy_opaque = True
        clock = self._clock = clock_for(media, stream, self.found)
        scaler = Scaler(self.geometry)
        for packet, _ in packets(media, [stream], self.tick, self._note, is_heard=False):
            for frame in self._decoded(stream, packet):
                self.tick()
                check_size(frame.width, frame.height)
                fed = cast(Fed, frame.opaque)
                fed.has_picture = True
                time = clock.time(frame.pts, frame.dts, fed.number, follows_loss=fed.follows_loss)
                if time is None:
                    continue
                if self._info is None:
                    self._info = _describe(media.container, stream, frame, clock)
                yield Shown(frame, time, clock.duration(frame.pts, frame.duration), fed, scaler)

    def _decoded(self, stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        fed = None
        if packet is not None:
            fed = packet.opaque = self.trust.feed(packet)
        listening = Listening(av.logging.INFO)
        frames: list[VideoFrame] = []
        troubles: list[str] = []
        try:
            with listening:
                frames = stream.codec_context.decode(packet)
        except MemoryError:
            raise
        except av.error.FFmpegError as error:
            # Some decoders report a lack of memory as invalid data: is there room for a picture?
            bytearray(4 * stream.codec_context.width * stream.codec_context.height)
            troubles.append(describe(error))
        troubles += [line.text for line in listening.lines if line.tells_of_bad_picture]
        if packet is not None and fed is not None and troubles:
            self.first_error = self.first_error or troubles[0]
            self.trust.fail(fed, packet)
        return frames

    def _note(self, error: Exception) -> None:
        self.first_error = self.first_error or describe(error)

    def info(self) -> VideoInfo:
        """What was learned of the video; its duration is that of this pass."""
        if self._info is None:
            raise self._nothing_shown()
        notes = self.found.notes + (self._clock.notes() if self._clock else ())
        return dataclasses.replace(self._info, duration_seconds=self.duration_seconds, notes=notes)

    def truncation(self) -> Problem | None:
        """Whether the file lacks a part of its end."""
        return self.found.missing if self._is_complete else None

    def _nothing_shown(self) -> VideoError:
        if not self.first_error:
            return VideoError("no_frames", "no picture, and no error either")
        problem = self.found.missing or Problem("decode_error", self.first_error)
        return VideoError(problem.reason, problem.message)


def clock_for(media: Media, stream: VideoStream, found: Survey) -> Clock:
    """Make the clock that fits a stream."""
    return Clock(
        float(stream.time_base or 0),
        found.frame_seconds,
        SEAM_SECONDS if media.is_joinable else LONGEST_SECONDS,
        has_pts=media.format != "avi",
        goes_on=found.goes_on,
    )


def _describe(
    container: InputContainer, stream: VideoStream, frame: VideoFrame, clock: Clock
) -> VideoInfo:
    orientation = orientation_of(frame)
    height, width = orientation.turned(frame.height, frame.width)
    return VideoInfo(
        duration_seconds=0.0,
        width=width,
        height=height,
        frame_rate=float(stream.average_rate or 0),
        codec=stream.codec_context.name,
        container=container.format.name,
        first_timestamp_seconds=clock.first_timestamp_seconds,
        rotation_degrees=orientation.turns * 90,
        is_mirrored=orientation.is_mirrored,
        notes=(),
    )
