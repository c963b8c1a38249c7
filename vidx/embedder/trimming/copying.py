"""Clips whose packets can be copied as they are: a cut at a key frame, and none within a group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import av

from vidx.embedder.decoding.container import opened
from vidx.embedder.decoding.packets import Tick, packets
from vidx.embedder.decoding.sampling import TOLERANCE_SECONDS

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from vidx.embedder.decoding.timetable import Timetable
    from vidx.records import Clip

CODECS = frozenset({"h264", "hevc", "av1", "vp9"})  # that an MP4 holds, and players play
CONTAINERS = ("mov,", "matroska")  # whose packets are as an MP4 has them


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive packets that are all of a clip's pictures and no other.

    Attributes:
        first: The first packet, a key frame.
        end: The packet after the last.
        last_picture: The packet whose picture is shown last.
        last_seconds: How long that is shown in the clip.
    """

    first: int
    end: int
    last_picture: int
    last_seconds: float


def stretch_of(timetable: Timetable, clip: Clip) -> Stretch | None:
    """The packets to copy for a clip; None where a copy would not be exact."""
    first, end = timetable.places(clip)
    inside = timetable.packets[first:end]
    key = int(inside[0])
    is_on_time = abs(timetable.seconds[first] - clip.start_seconds) <= TOLERANCE_SECONDS
    is_whole = int(inside.min()) == key and int(inside.max()) - key + 1 == len(inside)
    if not (is_on_time and is_whole and timetable.found.starts[key]):
        return None
    last = float(clip.end_seconds - timetable.seconds[end - 1])
    return Stretch(key, key + len(inside), int(inside[-1]), last)


def copies(
    path: str, timetable: Timetable, clips: Mapping[int, Clip], tick: Tick
) -> dict[int, bytes]:
    """Copy those clips that can be.

    Args:
        path: The video.
        timetable: When each picture is shown.
        clips: The spans, by number.
        tick: Called at least once a packet.

    Returns:
        MP4 files by number; clips that would not be exact are left out.

    Raises:
        VideoError: The file cannot be read.
    """
    wanted = {number: stretch_of(timetable, clip) for number, clip in clips.items()}
    stretches = {number: one for number, one in wanted.items() if one}
    with opened(path, tick) as media:
        stream = next(s for s in media.container.streams.video if s.index == timetable.found.index)
        known = stream.codec_context.name in CODECS and media.format.startswith(CONTAINERS)
        if not (stretches and known):
            return {}
        files = {number: _Copy(stream, one) for number, one in stretches.items()}
        reading = packets(media, [stream], tick, lambda _: None, is_heard=False)
        for place, (packet, _) in enumerate(reading):
            for file in files.values():
                if packet is not None and file.stretch.first <= place < file.stretch.end:
                    file.add(packet, place)
    return {number: file.finish() for number, file in files.items() if file.is_sound}


class _Copy:
    """One file in the making."""

    def __init__(self, stream: VideoStream, stretch: Stretch) -> None:
        self.stretch = stretch
        self.is_sound = True
        self._data = BytesIO()
        self._container = av.open(self._data, "w", format="mp4")
        self._stream = self._container.add_stream_from_template(stream)
        self._base = stream.time_base
        self._origin: int | None = None

    def add(self, packet: Packet[VideoStream], place: int) -> None:
        """Take in a packet; its own times are left as they are."""
        if packet.pts is None or packet.dts is None:
            self.is_sound = False
            return
        if self._origin is None:
            self._origin = packet.pts
        one = av.Packet(bytes(packet))
        one.pts, one.dts = packet.pts - self._origin, packet.dts - self._origin
        one.time_base, one.is_keyframe = packet.time_base, packet.is_keyframe
        one.duration = packet.duration or 0
        if place == self.stretch.last_picture:
            one.duration = round(self.stretch.last_seconds / float(packet.time_base))
        one.stream = self._stream
        self._container.mux(one)

    def finish(self) -> bytes:
        self._container.close()
        return self._data.getvalue()
