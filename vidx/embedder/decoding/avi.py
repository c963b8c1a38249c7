"""What an AVI file knows of its times beyond what FFmpeg's demuxer makes of them.

A frame's time is its number there, and the demuxer counts the frames that it meets: after a hole
they would all come too early. The index at the end of the file has the true numbers. Frames
of no bytes hold the picture before them; those at the very end are passed over by the demuxer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet

    from vidx.embedder.decoding.source import Source

CHUNK_HEADER = 8  # name and size
LIST_HEADER = 12  # and a type


class Times:
    """The numbers of frames by the index.

    Args:
        container: Freshly opened, before the demuxer adds what it meets to the index.
    """

    def __init__(self, container: InputContainer) -> None:
        self._numbers = {
            stream.index: {
                entry.pos + CHUNK_HEADER: entry.timestamp for entry in stream.index_entries
            }
            for stream in container.streams.video
        }

    def mend(self, packet: Packet[Any]) -> None:
        """Give a packet the later of the time that it has and the one in the index."""
        number = self._numbers.get(packet.stream_index, {}).get(packet.pos or -1)
        if number is not None and packet.dts is not None and number > packet.dts:
            packet.pts = packet.dts = number


def frames_held_at_end(source: Source, stream: int, position: int) -> int:
    """Count the frames of no bytes that follow a stream's last frame.

    Args:
        source: The file.
        stream: The stream's index.
        position: Where that frame's bytes end.
    """
    names = (b"%02ddc" % stream, b"%02ddb" % stream)
    position += position % 2
    held = 0
    while len(header := source.read_at(position, LIST_HEADER)) >= CHUNK_HEADER:
        name, size = header[:4], int.from_bytes(header[4:8], "little")
        if name in names and size == 0:
            held += 1
        elif name == b"LIST" and header[8:] == b"rec ":
            position += LIST_HEADER
            continue
        elif not name[:2].isdigit():
            break
        position += CHUNK_HEADER + size + size % 2
    return held
