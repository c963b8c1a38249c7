"""Which files hold video under whatever name: told by their first bytes, with nothing decoded."""

from __future__ import annotations

import mimetypes
import os
import re
from functools import cache

# The headers of four packets of 192 bytes; nothing else needs as many.
HEAD_BYTES = 600

# Brands of the image formats of ISO/IEC 23008-12 and AVIF; their sequences (avis, hevc, msf1)
# are videos.
PICTURE_BRANDS = frozenset({"avif", "heic", "heim", "heis", "heix", "mif1", "mif2"})
_SOUND_BRANDS = frozenset({"F4A", "F4B", "M4A", "M4B", "M4P", "aax", "aaxc"})
_NO_VIDEO_BRANDS = PICTURE_BRANDS | _SOUND_BRANDS | {"avci", "crx", "jp2", "jpm", "jpx"}
# Boxes of ISO/IEC 14496-12 and QuickTime that say nothing, and may come before one that does.
_PADDING = frozenset({b"free", b"pnot", b"skip", b"uuid", b"wide"})

# Start codes are small numbers too, so what follows must fit: the delimiter of a picture may, and
# then parameters, of H.264 with a profile that there is, of H.265 with their 16 reserved bits.
_CODE = rb"\x00{2,3}\x01"
_H264 = rb"[\x27\x47\x67][\x2c\x42\x4d\x53\x56\x58\x64\x6e\x76\x7a\x80\x8a\xf4]"
_H265 = rb"\x40\x01..\xff\xff"
# Sync byte, no error, and an adaptation field or a payload (ISO/IEC 13818-1, 2.4.3.2).
_PACKET = rb"\x47[\x00-\x7f].[\x10-\x3f\x50-\x7f\x90-\xbf\xd0-\xff]"

_SIGNATURES = {
    "ASF": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    "AVI": rb"RIFF.{4}AVI ",
    "FLV with the flag of video": rb"FLV\x01[\x01\x05]",
    "H.264": _CODE + rb"(?:\x09[\x10-\xf0]" + _CODE + rb")?" + _H264,
    "H.265": _CODE + rb"(?:\x46\x01." + _CODE + rb")?" + _H265,
    "IVF": rb"DKIF\x00\x00\x20\x00",
    "Matroska and WebM": rb"\x1a\x45\xdf\xa3.*?\x42\x82.{1,8}?(?:matroska|webm)",
    "MPEG program stream": rb"\x00\x00\x01\xba[\x20-\x2f\x40-\x7f]",
    "MPEG transport stream": rb"(?:" + _PACKET + rb".{184}){3}" + _PACKET,
    "M2TS": rb"(?:.{4}" + _PACKET + rb".{184}){3}.{4}" + _PACKET,
    "MPEG video": rb"\x00\x00\x01\xb3(?!\x00\x00).{3}[\x11-\xe8]",
    "MXF": rb"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02",
    "Ogg with Theora, Dirac, VP8 or OGM": rb"OggS.*?(?:\x80theora|BBCD\x00|OVP80|\x01video)",
    "RealMedia": rb"\.RMF\x00\x00\x00",
    "YUV4MPEG2": rb"YUV4MPEG2 ",
}
_BEGINNING = re.compile(b"|".join(_SIGNATURES.values()), re.DOTALL)

# Of the types that Python knows by endings, those that can be video.
_MAY_BE_VIDEO = ("video/", "audio/3gpp", "application/octet-stream")
# What cannot, and is not known to every version of Python: sound and subtitles in containers of
# video, pictures, and what is written by the million beside videos.
# fmt: off
_NO_VIDEO_ENDINGS = frozenset({
    ".aax", ".f4a", ".f4b", ".m4b", ".m4p", ".m4r", ".mka", ".mks", ".weba", ".wma",
    ".arw", ".cr2", ".cr3", ".dng", ".exr", ".jp2", ".jxl", ".nef", ".webp",
    ".gz", ".jsonl", ".npy", ".npz", ".parquet", ".pkl", ".pt", ".pth", ".safetensors", ".yaml",
    ".yml", ".zst",
})
# fmt: on


def may_hold_video(ending: str) -> bool:
    """Whether a file with this ending is worth a look.

    Args:
        ending: In lower case with its dot, or empty.

    >>> may_hold_video(".insv"), may_hold_video(""), may_hold_video(".jpg")
    (True, True, False)
    """
    return ending not in _endings_of_others()


@cache
def _endings_of_others() -> frozenset[str]:
    """Endings of what cannot be video; Python's own list, not the machine's."""
    known = (item for table in mimetypes.MimeTypes().types_map for item in table.items())
    others = {ending for ending, kind in known if not kind.startswith(_MAY_BE_VIDEO)}
    return _NO_VIDEO_ENDINGS | others


def holds_video(path: str | os.PathLike[str]) -> bool:
    """Whether a file's first bytes are those of a container or stream of video.

    Args:
        path: A regular file.

    Returns:
        False too where it cannot be read.
    """
    try:
        with open(path, "rb", buffering=0) as file:
            return begins_video(file.read(HEAD_BYTES), os.fstat(file.fileno()).st_size)
    except OSError:
        return False


def begins_video(head: bytes, size_bytes: int) -> bool:
    """Whether these are the first bytes of a container or stream of video.

    Args:
        head: `HEAD_BYTES` of them, or all that there are.
        size_bytes: Of the whole file.
    """
    return _BEGINNING.match(head) is not None or _begins_movie(head, size_bytes)


def _begins_movie(head: bytes, size_bytes: int) -> bool:
    """Whether a file is MP4, QuickTime or their like (ISO/IEC 14496-12, 4.2 and 4.3).

    A text may have a box's name at its fifth byte: its first four are then a size beyond its end.
    """
    start = 0
    while start + 8 <= len(head):
        size, name = int.from_bytes(head[start : start + 4], "big"), head[start + 4 : start + 8]
        if size == 1:
            size = int.from_bytes(head[start + 8 : start + 16], "big")
        if not 8 <= size <= size_bytes - start:
            return False
        if name == b"ftyp":
            brand = head[start + 8 : start + 12].decode("latin-1").strip()
            return brand not in _NO_VIDEO_BRANDS
        if name not in _PADDING:
            return name in (b"mdat", b"moov")
        start += size
    return False
