"""Whether other pictures can refer to the one in a packet, where its bitstream says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

START_CODE = b"\x00\x00\x01"
SLICES = frozenset({1, 2, 3, 4, 5})  # types of NAL units (ITU-T H.264, table 7-1)


def is_reference(packet: Packet[VideoStream]) -> bool:
    """Whether other pictures may refer to a packet's picture; True where that is not known.

    Containers have a flag for it. H.264 says it in each slice (`nal_ref_idc`, ITU-T H.264, 7.4.1);
    to B pictures of MPEG-1, 2 and 4 (part 2) no other refers.

    Args:
        packet: As demuxed.
    """
    if packet.is_disposable:
        return False
    match packet.stream.codec_context.name:
        case "h264":
            return _is_reference_in_h264(packet)
        case "mpeg1video" | "mpeg2video":  # ISO/IEC 13818-2, 6.2.3: picture_coding_type 3
            start = bytes(packet).find(START_CODE + b"\x00")
            return start < 0 or packet.size < start + 6 or bytes(packet)[start + 5] >> 3 & 7 != 3
        case "mpeg4":  # ISO/IEC 14496-2, 6.2.5: vop_coding_type 2
            start = bytes(packet).find(START_CODE + b"\xb6")
            return start < 0 or packet.size < start + 5 or bytes(packet)[start + 4] >> 6 != 2
    return True


def _is_reference_in_h264(packet: Packet[VideoStream]) -> bool:
    extradata = packet.stream.codec_context.extradata or b""
    headers = (
        _after_lengths(bytes(packet), (extradata[4] & 3) + 1)
        if extradata[:1] == b"\x01" and len(extradata) > 4
        else _after_start_codes(bytes(packet))
    )
    slices = [header for header in headers if header & 31 in SLICES]
    return not slices or any(header >> 5 & 3 for header in slices)


def _after_lengths(content: bytes, size: int) -> Iterator[int]:
    """First bytes of NAL units that each follow their length (ISO/IEC 14496-15)."""
    position = 0
    while position + size < len(content):
        yield content[position + size]
        position += size + int.from_bytes(content[position : position + size], "big")


def _after_start_codes(content: bytes) -> Iterator[int]:
    """First bytes of NAL units that each follow a start code (ITU-T H.264, annex B)."""
    position = content.find(START_CODE)
    while 0 <= position < len(content) - len(START_CODE):
        yield content[position + len(START_CODE)]
        position = content.find(START_CODE, position + len(START_CODE))
