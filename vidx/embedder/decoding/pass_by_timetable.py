"""A pass over a video that decodes no more than its samples take, as long as all goes to plan."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, NoReturn, cast

import av.error
import numpy as np

from vidx.embedder.decoding.container import Media, check_size, opened
from vidx.embedder.decoding.cutter import Cut, Cutter, Shown
from vidx.embedder.decoding.feeder import Feeder
from vidx.embedder.decoding.packets import Tick, packets
from vidx.embedder.decoding.sampling import Sampling
from vidx.embedder.decoding.scaler import Scaler
from vidx.embedder.decoding.timetable import Surprise, Timetable
from vidx.embedder.decoding.trust import Fed
from vidx.errors import VideoError
from vidx.records import Clip, VideoInfo

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from vidx.embedder.decoding.card import Card
    from vidx.embedder.decoding.geometry import FrameGeometry

FAR_PACKETS = 300  # so many are sooner read than stepped over
SEEKS = 4  # key frames to aim at, one before the other


class PassByTimetable:
    """One pass of decoding, each frame of which was foreseen.

    Args:
        path: The file.
        timetable: When each picture is shown.
        geometry: Resize and crop.
        tick: Called at least once a packet.
        media: The file, if it is still open as it was counted; it is used up. None: it is opened.
        card: What decodes. None: the processor.
    """

    def __init__(
        self,
        path: str,
        timetable: Timetable,
        geometry: FrameGeometry,
        tick: Tick,
        media: Media | None = None,
        card: Card | None = None,
    ) -> None:
        self.path = path
        self._media = media
        self._card = card
        self.timetable = timetable
        self.geometry = geometry
        self.tick = tick
        self.duration_seconds = timetable.end_seconds
        self._info: VideoInfo | None = None

    def cuts(self, clips: Sequence[Clip], sampling: Sampling) -> Iterator[Cut]:
        """Yield each clip as soon as it has been passed.

        Args:
            clips: All within the video, in the order of their starts.
            sampling: Frames of a clip and their spacing.

        Raises:
            VideoError: The file cannot be read.
            Surprise: A frame is missing, damaged, or not the one that was foreseen. The clips so
                far are good.
        """
        timetable = self.timetable
        needed = timetable.needed(clips, sampling)
        # Places of the frames that are to come.
        due = np.flatnonzero(needed[timetable.packets]).tolist()
        cutter, scaler = Cutter(clips, sampling), Scaler(self.geometry)
        num_shown = 0
        with nullcontext(self._media) if self._media else self._opened() as media:
            for frame in self.frames(media, needed):
                if num_shown == len(due):
                    raise Surprise
                place = due[num_shown]
                fed = self._expected(frame, int(timetable.packets[place]))
                shown = Shown(frame, float(timetable.seconds[place]), 0.0, fed, scaler)
                yield from cutter.show(shown, timetable.until(place), is_gap=False)
                num_shown += 1
        if num_shown < len(due):
            raise Surprise

    @contextmanager
    def given_up(self) -> Iterator[None]:
        """End it quietly where it goes otherwise than foreseen; a card's pass for any cause."""
        try:
            yield
        except (Surprise, VideoError, MemoryError) as error:
            if not (self._card or isinstance(error, Surprise)):
                raise
            if self._card and self._info is None:  # else it is the file that is damaged
                why = str(error) or "it gave no picture"
                self._card.refuse(self.timetable.found.codec, why)

    def _opened(self) -> AbstractContextManager[Media]:
        accelerator = self._card.accelerator() if self._card else None
        return opened(self.path, self.tick, self.timetable.found.holes, accelerator)

    def _expected(self, frame: VideoFrame, packet: int) -> Fed:
        fed = cast(Fed, frame.opaque)
        times = self.timetable.found.times
        if fed.number != packet or frame.pts != times[packet] or frame.is_corrupt:
            raise Surprise
        return fed

    def frames(self, media: Media, needed: NDArray[np.bool_]) -> Iterator[VideoFrame]:
        """Yield the frames of needed packets in the order they are shown, each with its `Fed`.

        Args:
            media: The file, freshly opened.
            needed: Which packets are decoded, shape (packets,).

        Raises:
            VideoError: The file cannot be read.
            Surprise: There is damage.
        """
        feeder = Feeder(media, self.timetable.found)
        for number, packet in self._packets(media, feeder, needed):
            fed = Fed(number, follows_loss=False, is_damaged=False)
            frames, trouble = feeder.feed(packet, fed)
            if trouble:
                raise Surprise(trouble)
            for frame in frames:
                self.tick()
                check_size(frame.width, frame.height)
                if self._card and (frame.width, frame.height) != feeder.size:
                    raise Surprise("it does not cut off the margins that are not to be shown")
                if self._info is None:
                    found = self.timetable.found
                    first_seconds = float(found.times[self.timetable.packets[0]] * found.time_base)
                    self._info = feeder.describe(frame, first_seconds)
                yield frame

    def _packets(
        self, media: Media, feeder: Feeder, needed: NDArray[np.bool_]
    ) -> Iterator[tuple[int, Packet[VideoStream] | None]]:
        """Yield the needed packets with their numbers; None where all frames so far are due."""
        first, *others = np.flatnonzero(needed).tolist()
        reading = self._read(media, feeder.stream)
        starts = self.timetable.starts_before(others[0] if others else first)
        is_far = len(starts) > 0 and starts[-1] - first > FAR_PACKETS
        if is_far and media.is_seekable and not media.kept:
            yield from _only(needed[: first + 1], reading)
            reading = self._read_from(starts[-SEEKS:], media, feeder.stream)
        yield from _only(needed, reading)

    def _read(
        self, media: Media, stream: VideoStream, number: int = 0
    ) -> Iterator[tuple[int, Packet[VideoStream] | None]]:
        reading = packets(media, [stream], self.tick, _surprised, is_heard=False)
        return enumerate((packet for packet, _ in reading), number)

    def _read_from(
        self, starts: NDArray[np.int64], media: Media, stream: VideoStream
    ) -> Iterator[tuple[int, Packet[VideoStream] | None]]:
        """Read on from the last of some packets that decoding can begin with, or from a bit before.

        A container's index may name other key frames, and what lies before one that is aimed at.

        Raises:
            Surprise: It leads nowhere.
        """
        times = self.timetable.found.times
        for start in starts[::-1]:
            try:
                # That makes the decoder, too, forget what was before.
                media.container.seek(int(times[start]), stream=stream)
            except av.error.FFmpegError:
                raise Surprise from None
            reading = packets(media, [stream], self.tick, _surprised, is_heard=False)
            for packet, _ in reading:
                if packet is None or packet.pts is None or packet.is_discard:
                    continue
                [places] = np.nonzero(times == packet.pts)
                if len(places) and places[0] <= start:
                    there = itertools.chain([packet], (packet for packet, _ in reading))
                    return enumerate(there, int(places[0]))
                break
        raise Surprise

    def info(self) -> VideoInfo:
        """What was learned of the video.

        Raises:
            Surprise: Nothing, as it gave no frame.
        """
        if self._info is None:
            raise Surprise
        return dataclasses.replace(
            self._info,
            duration_seconds=self.duration_seconds,
            notes=self.timetable.found.notes,
        )


def _only(
    needed: NDArray[np.bool_], reading: Iterator[tuple[int, Packet[VideoStream] | None]]
) -> Iterator[tuple[int, Packet[VideoStream] | None]]:
    """Those packets that are needed, and None after the last of them."""
    last = int(np.flatnonzero(needed)[-1])
    for number, packet in reading:
        if packet is None or number > last:
            yield number, None
            return
        if needed[number]:
            yield number, packet


def _surprised(_: Exception) -> NoReturn:
    """Reading met damage."""
    raise Surprise
