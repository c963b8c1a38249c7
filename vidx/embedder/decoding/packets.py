"""Counting a video's packets: which stream, how long, and what the headers promise."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import av
import av.container
import av.error
from av.packet import Packet
from av.video.stream import VideoStream

from vidx.embedder.decoding.clock import LONGEST_SECONDS, SEAM_SECONDS, Clock, unrounded
from vidx.embedder.decoding.container import video_streams

DEFAULT_FRAME_SECONDS = 1 / 25
TS_DISCONT = 0x0200  # AVFMT_TS_DISCONT: the format allows timestamps to start anew

Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Survey:
    """One video stream as its packets tell it.

    Attributes:
        index: The stream's index in the container.
        duration_seconds: From the first presentable packet to the end of the last; 0.0 if none.
        declared_seconds: The least that the headers promise for this stream; 0.0 when nothing.
    """

    index: int
    duration_seconds: float
    declared_seconds: float


def survey(container: av.container.InputContainer, tick: Tick) -> Survey:
    """Choose the stream to decode and count it, without decoding.

    Args:
        container: Freshly opened; it is read to its end.
        tick: Called as reading goes on.

    Raises:
        VideoError: There is no stream of moving pictures that could be decoded.
    """
    streams = video_streams(container)
    tallies = {stream.index: _Tally(stream) for stream in streams}
    for packet in packets(container, streams, tick, lambda _: None):
        tallies[packet.stream_index].add(packet)
    chosen = next((s for s in streams if tallies[s.index].packets), streams[0])
    return Survey(
        index=chosen.index,
        duration_seconds=tallies[chosen.index].seconds(),
        declared_seconds=tallies[chosen.index].length(_declared_seconds(container, chosen)),
    )


def packets(
    container: av.container.InputContainer,
    streams: list[VideoStream],
    tick: Tick,
    note: Callable[[Exception], None],
) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of streams, going on after damage while there is something left to read.

    Args:
        container: Read from where it stands.
        streams: Streams to read.
        tick: Called as reading goes on.
        note: Called with the damage that reading met.
    """
    has_progressed = True
    while has_progressed:
        has_progressed = False
        try:
            for packet in container.demux(tuple(streams)):
                tick()
                if packet.size:
                    has_progressed = True
                    yield packet
            return
        except MemoryError:
            raise
        except av.error.FFmpegError as error:
            note(error)


def frame_seconds(stream: VideoStream) -> float:
    """How long a frame lasts by the stream's rate, 1/25 s when it has no sane one."""
    rate = stream.average_rate or stream.guessed_rate
    if not rate or not 1 / LONGEST_SECONDS <= rate <= 1000:
        return DEFAULT_FRAME_SECONDS
    return float(1 / rate)


def clock_for(container: av.container.InputContainer, stream: VideoStream) -> Clock:
    """Make the clock that fits a stream."""
    is_joinable = bool(container.format.flags & TS_DISCONT)
    longest = SEAM_SECONDS if is_joinable else LONGEST_SECONDS
    return Clock(
        float(stream.time_base or 0),
        frame_seconds(stream),
        longest,
        has_pts=container.format.name != "avi",
    )


class _Tally:
    def __init__(self, stream: VideoStream) -> None:
        self.time_base = float(stream.time_base or 0)
        self.frame_seconds = frame_seconds(stream)
        self.packets = 0
        self.without_pts = 0
        self.first = math.inf
        self.end = -math.inf

    def add(self, packet: Packet[VideoStream]) -> None:
        if packet.is_discard:
            return
        self.packets += 1
        if packet.pts is None or self.time_base <= 0:
            self.without_pts += 1
            return
        start = packet.pts * self.time_base
        self.first = min(self.first, start)
        duration = (packet.duration or 0) * self.time_base or self.frame_seconds
        self.end = max(self.end, start + unrounded(duration, self.frame_seconds))

    def seconds(self) -> float:
        timed = max(self.end - self.first, 0.0)
        return timed + self.without_pts * self.frame_seconds

    def length(self, declared_seconds: float) -> float:
        """What a declared duration is at least.

        MP4 declares how long the stream is. Matroska, NUT and ASF often declare when it ends,
        which is more where it starts late.
        """
        late = max(self.first, 0.0) if math.isfinite(self.first) else 0.0
        return max(declared_seconds - late, 0.0)


def _declared_seconds(container: av.container.InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    # The container's duration is that of its longest stream.
    if container.duration and len(container.streams) == 1:
        return container.duration / av.time_base
    return 0.0
