"""What a packet of AV1 says of its picture; numbers are of the specification's sections."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6  # types of OBUs (6.2.2)
KEY_FRAME, INTRA_ONLY, SWITCH = 0, 2, 3  # types of frames (6.8.2)
CHOSEN_EACH = 2  # by each frame: SELECT_SCREEN_CONTENT_TOOLS and SELECT_INTEGER_MV (3)
LISTED = b"\x81"  # what a list of OBUs in a container's header begins with, before four bytes end
LONGEST_HEADER = 128  # bytes up to what is read here; 32 operating points take 92


class Sequence(NamedTuple):
    """What the headers of a sequence's frames depend on.

    Attributes:
        screen_content: Whether tools for screen content are used, or `CHOSEN_EACH`.
        integer_mv: Whether motion is in whole pixels, likewise.
        id_bits: Of a frame's number; 0: it has none.
        order_bits: Of a frame's place in the order of showing.
    """

    screen_content: int
    integer_mv: int
    id_bits: int
    order_bits: int


class Bits:
    """Reads bits, the highest of a byte first; past the end they are 0."""

    def __init__(self, content: bytes) -> None:
        padded = content[:LONGEST_HEADER].ljust(LONGEST_HEADER, b"\x00")
        self._number = int.from_bytes(padded, "big")
        self._left = 8 * LONGEST_HEADER

    def read(self, count: int = 1) -> int:
        """The next bits as a number."""
        self._left -= count
        return self._number >> self._left & ((1 << count) - 1)


def units(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type of each OBU (5.3) and what is in it."""
    place = 0
    while place < len(content):
        header = content[place]
        place += 2 if header & 4 else 1  # with an extension or without
        size, place = _leb128(content, place) if header & 2 else (len(content) - place, place)
        yield header >> 3 & 15, content[place : place + size]
        place += size


def is_start(content: bytes) -> bool:
    """Whether the first frame of a packet is shown, new, and a key frame (5.9.2)."""
    frames = (unit for kind, unit in units(content) if kind in (FRAME_HEADER, FRAME))
    first = next(frames, b"")
    return bool(first) and first[0] >> 4 == 0b0001


def is_reference(content: bytes, extradata: bytes) -> bool:
    """Whether a frame of a packet is kept for others to refer to; True where that is not known.

    Args:
        content: The packet.
        extradata: The container's header, whose sequence header is that of all packets.
    """
    sequence = sequence_of(extradata)
    if sequence is None:
        return True
    frames = [unit for kind, unit in units(content) if kind in (FRAME_HEADER, FRAME)]
    return not frames or any(_is_kept(Bits(frame), sequence) for frame in frames)


def _is_kept(bits: Bits, sequence: Sequence) -> bool:
    """Read a frame's header up to `refresh_frame_flags` (5.9.2)."""
    if bits.read():  # one that was decoded before is shown; a key frame is kept anew by that
        return True
    kind, is_shown = bits.read(2), bits.read()
    if not is_shown:
        bits.read()  # showable_frame
    if kind == SWITCH or (kind == KEY_FRAME and is_shown):
        return True
    is_resilient = bits.read()
    bits.read()  # disable_cdf_update
    screen_content = sequence.screen_content
    if screen_content == CHOSEN_EACH:
        screen_content = bits.read()
    if screen_content and sequence.integer_mv == CHOSEN_EACH:
        bits.read()
    bits.read(sequence.id_bits + 1 + sequence.order_bits)  # with frame_size_override_flag
    if not (kind in (KEY_FRAME, INTRA_ONLY) or is_resilient):
        bits.read(3)  # primary_ref_frame
    return bits.read(8) != 0


@lru_cache
def sequence_of(extradata: bytes) -> Sequence | None:
    """Read the sequence header in an MP4's or Matroska's header; None where it tells too little."""
    if extradata[:1] != LISTED:
        return None
    headers = [unit for kind, unit in units(extradata[4:]) if kind == SEQUENCE_HEADER]
    return _sequence(Bits(headers[0])) if len(headers) == 1 else None


def _sequence(bits: Bits) -> Sequence | None:
    """Read a sequence header up to `order_hint_bits_minus_1` (5.5.1)."""
    bits.read(4)  # profile, still_picture
    if bits.read() or bits.read():  # reduced_still_picture_header, timing_info_present_flag
        return None
    _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4), bits.read(4)
    bits.read(width_bits + height_bits + 2)
    id_bits = bits.read(4) + bits.read(3) + 3 if bits.read() else 0
    bits.read(7)  # superblocks, filters, compounds
    has_order = bits.read()
    bits.read(2 * has_order)
    screen_content = CHOSEN_EACH if bits.read() else bits.read()
    integer_mv = CHOSEN_EACH
    if screen_content and not bits.read():
        integer_mv = bits.read()
    return Sequence(screen_content, integer_mv, id_bits, bits.read(3) + 1 if has_order else 0)


def _skip_operating_points(bits: Bits) -> None:
    has_delays = bits.read()
    for _ in range(bits.read(5) + 1):
        bits.read(12)
        if bits.read(5) > 7:
            bits.read()  # seq_tier
        if has_delays and bits.read():
            bits.read(4)


def _leb128(content: bytes, place: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and the place after it (4.10.5)."""
    number = shift = 0
    while place < len(content):
        number |= (content[place] & 127) << shift
        shift += 7
        place += 1
        if not content[place - 1] & 128:
            break
    return number, place
