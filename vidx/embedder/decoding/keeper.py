"""Packets that were counted, kept in memory for decoding: so a short video is read once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

KEPT_BYTES = 32 << 20
PACKET_BYTES = 1024  # that each takes besides its content


class Keeper:
    """Keeps the packets of some streams as long as they are few.

    Args:
        indices: The streams.
    """

    def __init__(self, indices: Collection[int]) -> None:
        self._indices = indices
        self._packets: list[Packet[Stream]] = []
        self._room = KEPT_BYTES

    def offer(self, packet: Packet[Stream]) -> None:
        """Keep a packet, if it is of one of the streams."""
        if self._room < 0 or packet.stream_index not in self._indices:
            return
        self._packets.append(packet)
        self._room -= packet.size + PACKET_BYTES
        if self._room < 0:
            self.give_up()

    def give_up(self, _: Exception | None = None) -> None:
        """Keep nothing: they are too many, or not all can be read."""
        self._packets.clear()
        self._room = -1

    def of(self, index: int) -> Iterator[Packet[VideoStream]]:
        """All packets of a stream; none when they were not kept."""
        packets = cast("list[Packet[VideoStream]]", self._packets)
        return (packet for packet in packets if packet.stream_index == index)
