"""A pass over a video that decodes every frame and tells its time by a clock, whatever it meets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

from vidx.embedder.decoding.clock import Clock
from vidx.embedder.decoding.container import Media, check_size, describe, opened
from vidx.embedder.decoding.cutter import Cut, Cutter, Shown
from vidx.embedder.decoding.feeder import Feeder
from vidx.embedder.decoding.packets import Tick, packets
from vidx.embedder.decoding.sampling import TOLERANCE_SECONDS, Sampling, exact
from vidx.embedder.decoding.scaler import Scaler
from vidx.embedder.decoding.trust import Fed, Trust
from vidx.errors import VideoError
from vidx.records import Clip, Problem, VideoInfo

if TYPE_CHECKING:
    from vidx.embedder.decoding.geometry import FrameGeometry
    from vidx.embedder.decoding.survey import Survey


class PassByClock:
    """One pass of decoding, from the first frame on.

    Args:
        path: The file.
        found: The stream to decode, as its packets tell it.
        geometry: Resize and crop.
        tick: Called at least once a packet.
        watch: Called with each frame.
        media: The file, if it is still open as it was counted; it is used up. None: it is opened.
    """

    def __init__(
        self,
        path: str,
        found: Survey,
        geometry: FrameGeometry,
        tick: Tick,
        watch: Callable[[Shown], None] = lambda _: None,
        media: Media | None = None,
    ) -> None:
        self.path = path
        self._media = media
        self.found = found
        self.geometry = geometry
        self.tick = tick
        self.watch = watch
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
        counted = nullcontext(self._media) if self._media else None
        with counted or opened(self.path, self.tick) as media:
            for frame in self.frames(media):
                self.watch(frame)
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
        self.duration_seconds = exact(
            until if self._is_complete else max(until, self.found.duration_seconds)
        )
        yield from cutter.show(shown, until, is_gap=is_gap)

    def _end(self, shown: Shown, *, is_gap: bool) -> float:
        """When the last frame's time is over: with the last packet's, even if its frame is lost."""
        found = self.found
        if shown.fed.number == found.last:
            return shown.time + found.last_seconds
        if is_gap:
            between = found.seconds_between(shown.fed.number, found.last)
            if 0 < between <= found.longest_step:
                return shown.time + between + found.last_seconds
        return shown.time + shown.duration

    def frames(self, media: Media) -> Iterator[Shown]:
        """Yield each frame, whether it is damaged or not, in the order they are shown.

        Args:
            media: The file, freshly opened.

        Raises:
            VideoError: The file cannot be read.
        """
        feeder = Feeder(media, self.found)
        clock = self._clock = clock_for(media, self.found)
        scaler = Scaler(self.geometry)
        for packet, _ in packets(media, [feeder.stream], self.tick, self._note, is_heard=False):
            handed = None if packet is None else self.trust.feed(packet)
            frames, trouble = feeder.feed(packet, handed)
            if handed and trouble:
                self.first_error = self.first_error or trouble
                self.trust.fail(handed)
            for frame in frames:
                self.tick()
                check_size(frame.width, frame.height)
                fed = cast(Fed, frame.opaque)
                fed.has_picture = True
                time = clock.time(frame.pts, frame.dts, fed.number, follows_loss=fed.follows_loss)
                if time is None:
                    continue
                if self._info is None:
                    self._info = feeder.describe(frame, clock.first_timestamp_seconds)
                yield Shown(frame, time, clock.duration(frame.pts, frame.duration), fed, scaler)

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


def clock_for(media: Media, found: Survey) -> Clock:
    """Make the clock that fits a stream."""
    return Clock(
        found.time_base,
        found.frame_seconds,
        found.longest_step,
        has_pts=media.format != "avi",
        goes_on=found.goes_on,
    )
