"""Numbers, times and names as people read them."""

from __future__ import annotations

import re
import unicodedata

_SIZES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


def printable(text: str) -> str:
    """Text with control characters escaped, so that a file's name cannot drive a terminal."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character).startswith("C")
        else character
        for character in text
    )


def span(start_seconds: float, end_seconds: float) -> str:
    """A clip's times, such as `1:02.1-1:04.3`."""
    return f"{clock(start_seconds)}-{clock(end_seconds)}"


def clock(seconds: float) -> str:
    """A time, such as `1:02.1` or `1:02:03.4`."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest / 10:04.1f}" if hours else f"{minutes}:{rest / 10:04.1f}"


def in_words(seconds: float) -> str:
    """How long something takes, such as `40 s`, `12 min` or `3.4 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"


def num_bytes(size: str) -> int | None:
    """The number of bytes that a size such as `500M` or `2G` stands for; None: it is no size.

    >>> num_bytes("1.5G"), num_bytes("64 kB"), num_bytes("much")
    (1500000000, 64000, None)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", size.strip().lower())
    return int(float(match[1]) * _SIZES[match[2]]) if match else None


def count(number: int, noun: str) -> str:
    """A number with its noun, such as `1 clip` or `2 clips`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
