"""What a file's outermost structure says of its end, and of what FFmpeg cannot read."""

from __future__ import annotations

from dataclasses import dataclass

from vidx.embedder.decoding.source import Source

# Boxes at the top level of ISO/IEC 14496-12 files and of QuickTime's.
BOXES = frozenset(
    {
        b"emsg", b"free", b"ftyp", b"mdat", b"meta", b"mfra", b"moof", b"moov", b"pdin", b"pnot",
        b"prft", b"sidx", b"skip", b"ssix", b"styp", b"udta", b"uuid", b"wide",
    }
)  # fmt: skip
MOST_BOXES = 20_000
SYNC = 0x47
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


@dataclass(frozen=True, slots=True)
class Structure:
    """What the outermost structure says.

    Attributes:
        is_whole: Whether the file is as long as it says; None when it does not say.
        is_fragmented: Whether an MP4 file tells of its content piece by piece.
        second_film: Where a further MP4 begins that was joined to the first, in bytes; or None.
    """

    is_whole: bool | None = None
    is_fragmented: bool = False
    second_film: int | None = None


def structure(source: Source) -> Structure:
    """Look at the outermost structure of a file: a few bytes of each of its parts."""
    head = source.read_at(0, 12)
    if head[4:8] in BOXES:
        return _of_boxes(source)
    if head[:4] == EBML:
        return Structure(_is_segment_whole(source))
    if size := _ts_packet(source):
        return Structure(None if source.size % size == 0 else False)
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"AVIX"):
        size = int.from_bytes(head[4:8], "little")
        return Structure(size + 8 <= source.size if size else None)
    return Structure()


def _ts_packet(source: Source) -> int:
    """Bytes of each packet of a transport stream (ISO/IEC 13818-1, 2.4.3.2); 0 for other files.

    Discs and some cameras put four bytes with a time before each.
    """
    for size, offset in ((188, 0), (192, 4)):
        head = source.read_at(0, 5 * size)
        if len(head) == 5 * size and set(head[offset::size]) == {SYNC}:
            return size
    return 0


def lacks_index(source: Source) -> bool:
    """Whether an MP4 or QuickTime file ends within its media data, before any index."""
    boxes = _boxes(source)
    names = [name for name, _, _ in boxes]
    is_cut = bool(boxes) and boxes[-1][2] > source.size
    return names[:1] == [b"ftyp"] and names[-1:] == [b"mdat"] and b"moov" not in names and is_cut


def is_animated_webp(source: Source) -> bool:
    """Whether a file is a WebP of several pictures, by the flag in its header (RFC 9649, 2.7)."""
    head = source.read_at(0, 21)
    is_extended = head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return is_extended and len(head) == 21 and bool(head[20] & 2)


def media_data(source: Source) -> tuple[tuple[int, int], ...]:
    """Where an MP4 or QuickTime file keeps pictures and sound: first byte and end of each part."""
    size = source.size
    boxes = _boxes(source)
    return tuple((start + 16, min(end, size)) for name, start, end in boxes if name == b"mdat")


def _of_boxes(source: Source) -> Structure:
    boxes = _boxes(source)
    if len(boxes) == MOST_BOXES:
        return Structure(is_fragmented=True)
    last_name, _, last_end = boxes[-1]
    films = [start for name, start, _ in boxes if name == b"moov"]
    heads = [start for name, start, _ in boxes if name == b"ftyp"]
    is_fragmented = any(name == b"moof" for name, _, _ in boxes)
    return Structure(
        # What follows a film may be anything; what follows a fragment is the next one.
        is_whole=last_end <= source.size if last_name in BOXES else not is_fragmented,
        is_fragmented=is_fragmented,
        second_film=heads[1] if len(films) > 1 and len(heads) > 1 else None,
    )


def _boxes(source: Source) -> list[tuple[bytes, int, int]]:
    """Name, start and end of the boxes (ISO/IEC 14496-12, 4.2); the last end may lie beyond."""
    position, boxes = 0, list[tuple[bytes, int, int]]()
    while position < source.size and len(boxes) < MOST_BOXES:
        header = source.read_at(position, 16)
        size = int.from_bytes(header[:4], "big")
        size = int.from_bytes(header[8:16], "big") if size == 1 else size
        end = position + size if size else source.size  # 0: to the end of the file
        boxes.append((header[4:8], position, end))
        if 0 < size < 8:
            break
        position = end
    return boxes


def _is_segment_whole(source: Source) -> bool | None:
    """Whether a Matroska file holds its whole segment (RFC 9559, 5.1; RFC 8794, 4 and 6)."""
    position, name = 0, EBML
    while name != SEGMENT:
        header = source.read_at(position, 12)
        name = header[:4]
        length = 9 - header[4].bit_length() if len(header) == 12 and header[4] else 0
        if name not in (EBML, SEGMENT) or not length:
            return None
        mask = (1 << 7 * length) - 1
        size = int.from_bytes(header[4 : 4 + length], "big") & mask
        if size == mask:
            return None  # unknown, as when it is written live
        position += 4 + length + size
    return position <= source.size
