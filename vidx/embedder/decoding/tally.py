"""One stream's packets as they are counted."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.clock import LONGEST_SECONDS, unrounded
from vidx.embedder.decoding.pictures import picture
from vidx.embedder.decoding.sampling import TOLERANCE_SECONDS

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

    from vidx.embedder.decoding.container import Media
    from vidx.embedder.decoding.ffmpeg_log import Line

DEFAULT_FRAME_SECONDS = 1 / 25
NO_TIME = -(1 << 63)
# Where packets were lost there is a gap of one and a half frames or more. What FFmpeg says of it
# comes up to so many packets sooner or later: packets are put together from what was read before.
GAP, NEAR = 1.5, 4
AROUND = 8  # steps to either side, by which a gap is told from a slower rate
RESTART_SECONDS = 0.2  # of a step back in the order of decoding
REORDERED = 32  # packets, generously, that a picture may be shown later than it comes
ZEROS = bytes(16)  # what a hole in a file leaves at the end of the packet before it


class Tally:
    """Counts the packets of a stream.

    Args:
        media: The file.
        stream: The stream.

    Attributes:
        num_packets: All.
        num_shown: Those whose content is to be shown.
        first: The earliest time of one of those, in the container's seconds; inf of none.
        end: The latest end, likewise; -inf.
        last_position: Where the last packet ends in the file, in bytes; 0 when that is not known.
        is_reordered: Whether packets come in another order than their pictures are shown.
        is_last_corrupt: Whether the last packet came in part.
        is_end_lost: Whether FFmpeg told of a loss after the last packet.
        is_cut: Whether FFmpeg said that the file ends before its content.
    """

    def __init__(self, media: Media, stream: Stream) -> None:
        self.stream = stream
        self.time_base = float(stream.time_base or 0)
        self.num_packets = self.num_shown = 0
        self.first, self.end = math.inf, -math.inf
        self.last_position = 0
        self.is_reordered = self.is_last_corrupt = self.is_end_lost = self.is_cut = False
        self._demuxer = media.format
        self._head_end = media.head_end
        self._is_head_lossy = any(line.tells_of_loss(media.format) for line in media.said)
        self._is_indexed, self._is_joinable = media.is_indexed, media.is_joinable
        # FFmpeg makes decoding times up for them, unevenly next to a gap.
        self._has_no_decoding_times = media.format in ("matroska,webm", "nut", "asf")
        self._num_in_head = 0
        self._times, self._decoding = array("q"), array("q")
        self._last_ticks: tuple[int, int, int] = (NO_TIME, -1, 0)  # time, packet, duration
        self._marks: list[int] = []
        self._corrupt: set[int] = set()
        self._corrupt_times = self._told_corrupt(media.said)
        self._ending_in_zeros: set[int] = set()
        is_video = stream.type == "video" and stream.codec_context is not None
        self._has_pictures = is_video and not media.is_hollow
        self._starts, self._references, self._layers = bytearray(), bytearray(), bytearray()

    def hear(self, lines: list[Line], *, is_stepped_over: bool) -> None:
        """Note what FFmpeg said before the next packet, and whether bytes were passed over."""
        is_loss = is_stepped_over or any(line.tells_of_loss(self._demuxer) for line in lines)
        if is_loss:
            self._marks.append(self.num_packets)
            self.is_end_lost = any(line.is_error for line in lines)
        self.is_cut |= any(line.tells_of_cut for line in lines)
        self._corrupt_times |= self._told_corrupt(lines)

    def _told_corrupt(self, lines: list[Line]) -> set[tuple[int, int]]:
        told = [line.corrupt_packet for line in lines]
        return {(self.num_packets, one[1]) for one in told if one and one[0] == self.stream.index}

    def add(self, packet: Packet[Stream]) -> None:
        """Count a packet."""
        number = self.num_packets
        self.num_packets += 1
        self.is_end_lost = False
        # Of a transport stream the mark is on the packet before; the log has the right one.
        self.is_last_corrupt = packet.is_corrupt and not self._is_joinable
        if self.is_last_corrupt:
            self._corrupt.add(number)
        if self._has_pictures:
            if memoryview(packet)[-len(ZEROS) :] == ZEROS:
                self._ending_in_zeros.add(number)
            is_start, is_reference, layer = picture(cast("Packet[VideoStream]", packet))
            self._starts.append(is_start)
            self._references.append(is_reference)
            self._layers.append(layer)
        if packet.pos is not None:
            self.last_position = packet.pos + packet.size
            self._num_in_head += packet.pos < self._head_end
        is_timed = packet.pts is not None and self.time_base > 0 and not packet.is_discard
        time = packet.pts if is_timed and packet.pts is not None else NO_TIME
        self._times.append(time)
        self._decoding.append(time if packet.dts is None else packet.dts)
        self.is_reordered |= time not in (NO_TIME, self._decoding[-1])
        if packet.is_discard:
            return
        self.num_shown += 1
        if time == NO_TIME:
            return
        if time >= self._last_ticks[0]:
            self._last_ticks = time, number, packet.duration or 0
        start, end = time * self.time_base, (time + (packet.duration or 0)) * self.time_base
        if start < self.first:
            self.first = start
        if end > self.end:
            self.end = end

    @cached_property
    def frame_seconds(self) -> float:
        """How long a frame lasts: by the stream's rate, unless most of its packets say otherwise.

        A rate is an average, which one jump of the clock spoils.
        """
        nominal = self._nominal_seconds()
        _, times, parts = self._shown()
        steps = np.diff(times)
        steps = steps[(steps > 0) & (parts[1:] == parts[:-1])]
        if not len(steps):
            return nominal or DEFAULT_FRAME_SECONDS
        typical = float(np.median(steps)) * self.time_base
        if abs(typical - nominal) < TOLERANCE_SECONDS:
            return nominal
        return typical if 0 < typical <= LONGEST_SECONDS else DEFAULT_FRAME_SECONDS

    def _nominal_seconds(self) -> float:
        """By the stream's rate; 0.0 when it has no sane one."""
        rate = getattr(self.stream, "average_rate", None) or getattr(
            self.stream, "guessed_rate", None
        )
        return float(1 / rate) if rate and 1 / LONGEST_SECONDS <= rate <= 1000 else 0.0

    def losses(self) -> frozenset[int]:
        """Name the packets before which others were lost.

        That takes a gap in the order of the file, and word of a loss near it.
        """
        order, times, parts = self._shown() if self._has_no_decoding_times else self._decoded()
        found = set()
        for gap, _ in self._gaps(times, parts):
            after = order[gap + 1 : gap + 1 + REORDERED]
            found.add(int(after[np.abs(after - after[0]) < REORDERED].min()))
        return frozenset(first for first in found if self._is_told(first, NEAR))

    def unseen(self) -> frozenset[int]:
        """Name the packets before whose pictures, in the order they are shown, others are missing.

        A stream that may be cut anywhere lacks pictures there too, when they would have come later
        in the file than what is shown after them.
        """
        order, times, parts = self._shown()
        is_cut = self._is_joinable and self.is_reordered
        return frozenset(
            int(order[gap + 1])
            for gap, lost in self._gaps(times, parts)
            if self._is_told(order[gap + 1], REORDERED)
            or (is_cut and lost <= NEAR and self.num_packets - order[gap + 1] <= NEAR)
        )

    def _is_told(self, packet: int, near: int) -> bool:
        marks = np.array(self._marks, np.int64)
        is_in_head = self._is_head_lossy and packet <= self._num_in_head
        return is_in_head or bool((np.abs(marks - packet) <= near).any())

    def _gaps(
        self, times: NDArray[np.int64], parts: NDArray[np.int64]
    ) -> Iterator[tuple[int, int]]:
        """Yield where a time is followed by one too late, and about how many lack between them."""
        if self._is_indexed or not (self._marks or self._is_head_lossy or self._is_joinable):
            return
        steps = np.where(parts[1:] == parts[:-1], np.diff(times), 0)
        for gap in np.flatnonzero(steps * self.time_base >= GAP * self.frame_seconds):
            around = steps[max(gap - AROUND, 0) : gap + AROUND + 1]
            frames = steps[gap] / np.median(around[around > 0])  # the rate may have changed
            if frames >= GAP:
                yield int(gap), round(float(frames)) - 1

    def _decoded(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Packets with a time in the order of the file, their decoding times, and their parts."""
        times, parts = np.array(self._decoding, np.int64), self._parts()
        order = np.flatnonzero(times != NO_TIME)
        return order, times[order], parts[order]

    def _shown(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Packets with a time in the order they are shown, their times, and their parts."""
        times, parts = self.shown_times(), self._parts()
        order = np.lexsort((times, parts))
        order = order[times[order] != NO_TIME]
        return order, times[order], parts[order]

    def _parts(self) -> NDArray[np.int64]:
        """Which part each packet is of: where streams were joined, times may begin anew."""
        is_first = np.zeros(self.num_packets, np.int64)
        is_first[self._restarts()] = 1
        return np.cumsum(is_first)

    def _restarts(self) -> NDArray[np.int64]:
        """The packets with which the clock begins anew."""
        steps: NDArray[np.float64] = np.diff(np.array(self._decoding, np.float64)) * self.time_base
        return np.flatnonzero(steps < -RESTART_SECONDS) + 1

    def damaged(self, losses: Iterable[int]) -> frozenset[int]:
        """Name the packets that are not what was written.

        Args:
            losses: As `losses` tells them.
        """
        torn = {loss - 1 for loss in losses} & self._ending_in_zeros
        told = {self._decoded_at(mark, time) for mark, time in self._corrupt_times}
        # Where streams were joined the count of packets begins anew, and nothing need be lost.
        joints = {int(one) - 1 for one in self._restarts()} if self._is_joinable else set()
        return frozenset((self._corrupt | torn | told) - joints - {-1})

    def _decoded_at(self, mark: int, time: int) -> int:
        """The packet with a decoding time, at or soon after a mark; -1: there is none."""
        until = None if mark == 0 else mark + REORDERED
        soon = np.array(self._decoding[mark:until], np.int64)
        found = np.flatnonzero(soon >= time)
        return mark + int(found[0]) if len(found) else -1

    def starts(self) -> NDArray[np.bool_]:
        """Of each packet, whether decoding can begin with it."""
        return np.frombuffer(self._starts, np.bool_).copy()

    def references(self) -> NDArray[np.bool_]:
        """Of each packet, whether others may refer to its picture."""
        layers = np.frombuffer(self._layers, np.uint8)
        highest = layers.max(initial=0)
        found: NDArray[np.bool_] = np.frombuffer(self._references, np.bool_) | (layers < highest)
        return found

    def has_all_times(self) -> bool:
        """Whether each picture has a time of its own, on a clock that never began anew."""
        times = self.shown_times()
        there = times[times != NO_TIME]
        has_own = len(np.unique(there)) == self.num_shown
        return self.num_shown > 0 and has_own and not len(self._restarts())

    def shown_times(self) -> NDArray[np.int64]:
        """Presentation times of all packets, int64; NO_TIME for those that are not shown."""
        return np.array(self._times, np.int64)

    def last_picture(self) -> tuple[int, float]:
        """The packet with the latest picture, or -1, and how long that picture is shown."""
        _, number, duration = self._last_ticks
        seconds = duration * self.time_base
        known = 0 < seconds <= LONGEST_SECONDS
        return number, unrounded(seconds, self.frame_seconds) if known else self.frame_seconds

    def seconds(self) -> float:
        """From the first picture to the end of the last, without jumps of the clock."""
        _, times, parts = self._shown()
        steps = np.diff(times) * self.time_base
        seams = (steps > LONGEST_SECONDS) | (parts[1:] != parts[:-1])
        timed = float(steps[~seams].sum()) + int(seams.sum()) * self.frame_seconds
        untimed = self.num_shown - len(times)
        last = self.last_picture()[1] if len(times) else 0.0
        return timed + last + untimed * self.frame_seconds

    @property
    def start(self) -> float:
        """The earliest time in the container's seconds; 0.0 when it is before that, or nothing."""
        return max(self.first, 0.0) if math.isfinite(self.first) else 0.0

    @property
    def extent(self) -> float:
        """Seconds from the first to the last, jumps of the clock included; 0.0 of nothing."""
        return max(self.end - self.first, 0.0) if math.isfinite(self.first) else 0.0
