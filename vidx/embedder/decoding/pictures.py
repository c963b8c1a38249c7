"""What a packet's bitstream says of its picture: what others can refer to, and where to begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from vidx.embedder.decoding import av1

if TYPE_CHECKING:
    from av.codec.context import CodecContext
    from av.packet import Packet
    from av.video.stream import VideoStream

START_CODE = b"\x00\x00\x01"
H264_SLICES, H264_IDR = range(1, 6), 5  # types of NAL units (ITU-T H.264, table 7-1)
HEVC_SLICES = range(32)  # (ITU-T H.265, table 7-1); of those below 16 the even ones end a layer
HEVC_STARTS = range(19, 22)  # IDR, and CRA: what is shown before it may refer to what was before it
INTRA_ONLY = 1  # AV_CODEC_PROP_INTRA_ONLY


class Picture(NamedTuple):
    """What is known of the picture in a packet.

    Attributes:
        is_start: Whether decoding can begin with it: what is shown after it refers to nothing
            before it. False where that is not known.
        is_reference: Whether pictures of its layer or a lower one may refer to it; True where that
            is not known.
        layer: Its temporal layer; pictures of higher ones may refer to it in any case.
    """

    is_start: bool = False
    is_reference: bool = True
    layer: int = 0


def picture(packet: Packet[VideoStream]) -> Picture:
    """Read what a packet says of its picture.

    Args:
        packet: As demuxed.
    """
    found = picture_of(bytes(packet), packet.stream.codec_context)
    return found._replace(is_reference=False) if packet.is_disposable else found


def picture_of(content: bytes, context: CodecContext) -> Picture:
    """Read what the content of a packet says of its picture.

    Args:
        content: As it lies in the file.
        context: Of the packet's stream.
    """
    if context.codec.properties & INTRA_ONLY:
        return Picture(is_start=True, is_reference=False)
    read = _READERS.get(context.name)
    return read(content, context.extradata or b"") if read else Picture()


def _h264(content: bytes, extradata: bytes) -> Picture:
    """`nal_unit_type` and `nal_ref_idc` of each slice (ITU-T H.264, 7.4.1)."""
    length_bytes = (extradata[4] & 3) + 1 if extradata[:1] == b"\x01" and len(extradata) > 4 else 0
    headers = [content[place] for place in _units(content, length_bytes)]
    slices = [header for header in headers if header & 31 in H264_SLICES]
    if not slices:
        return Picture()
    return Picture(
        is_start=all(header & 31 == H264_IDR for header in slices),
        is_reference=any(header >> 5 & 3 for header in slices),
    )


def _hevc(content: bytes, extradata: bytes) -> Picture:
    """`nal_unit_type` and `nuh_temporal_id_plus1` of the first slice (ITU-T H.265, 7.4.2.2)."""
    is_boxed = extradata[:1] == b"\x01" and len(extradata) > 21
    for place in _units(content, (extradata[21] & 3) + 1 if is_boxed else 0):
        kind = content[place] >> 1 & 63
        if kind in HEVC_SLICES and place + 1 < len(content):
            is_reference = kind >= 16 or kind % 2 == 1
            layer = max((content[place + 1] & 7) - 1, 0)
            return Picture(kind in HEVC_STARTS, is_reference, layer)
    return Picture()


def _mpeg2(content: bytes, _: bytes) -> Picture:
    """`picture_coding_type`: 1 is I, 3 is B (ISO/IEC 13818-2, 6.3.9)."""
    start = content.find(START_CODE + b"\x00")
    kind = content[start + 5] >> 3 & 7 if 0 <= start < len(content) - 5 else 0
    return Picture(is_start=kind == 1, is_reference=kind != 3)


def _mpeg4(content: bytes, _: bytes) -> Picture:
    """`vop_coding_type`: 0 is I, 2 is B (ISO/IEC 14496-2, 6.3.5)."""
    start = content.find(START_CODE + b"\xb6")
    kind = content[start + 4] >> 6 if 0 <= start < len(content) - 4 else 3
    return Picture(is_start=kind == 0, is_reference=kind != 2)


def _vp8(content: bytes, _: bytes) -> Picture:
    """The lowest bit is 0 in a key frame (RFC 6386, 9.1)."""
    return Picture(is_start=bool(content) and not content[0] & 1)


def _vp9(content: bytes, _: bytes) -> Picture:
    """`show_existing_frame` and `frame_type` are 0 in a key frame (VP9, 6.2)."""
    profile_is_3 = bool(content) and content[0] >> 4 & 3 == 3  # which a reserved bit follows
    return Picture(is_start=bool(content) and not content[0] >> (1 if profile_is_3 else 2) & 3)


def _av1(content: bytes, extradata: bytes) -> Picture:
    """What the headers of its frames say."""
    return Picture(av1.is_start(content), av1.is_reference(content, extradata))


_READERS = {
    "h264": _h264,
    "hevc": _hevc,
    "mpeg1video": _mpeg2,
    "mpeg2video": _mpeg2,
    "mpeg4": _mpeg4,
    "vp8": _vp8,
    "vp9": _vp9,
    "av1": _av1,
    "libdav1d": _av1,
    "libaom-av1": _av1,
}


def _units(content: bytes, length_bytes: int) -> Iterator[int]:
    """Where NAL units begin: each after its length (ISO/IEC 14496-15), or after a start code.

    Args:
        content: Of a packet.
        length_bytes: Size of a length; 0: there are start codes (ITU-T H.264 and H.265, annex B).
    """
    if not length_bytes:
        place = content.find(START_CODE)
        while 0 <= place < len(content) - len(START_CODE):
            yield place + len(START_CODE)
            place = content.find(START_CODE, place + len(START_CODE))
        return
    place = 0
    while place + length_bytes < len(content):
        yield place + length_bytes
        place += length_bytes + int.from_bytes(content[place : place + length_bytes], "big")
