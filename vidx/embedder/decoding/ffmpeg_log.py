"""What FFmpeg says while it reads and decodes: often the only word of what it steps over."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import ClassVar

import av.logging

# Lines of demuxers below the rank of an error that tell of data that were lost.
_LOST = re.compile(
    "continuity check failed|packet corrupt|mismatch|sync lost|resync", re.IGNORECASE
)
_CUT = re.compile("file ended prematurely|partial file", re.IGNORECASE)
_CORRUPT_PACKET = re.compile(r"Packet corrupt \(stream = (\d+), dts = (-?\d+)\)")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of FFmpeg's log.

    Attributes:
        level: 16 is an error, 24 a warning, 48 what else may help to find a fault.
        speaker: Name of the demuxer, decoder ...
        text: What it says.
    """

    level: int
    speaker: str
    text: str

    @property
    def is_error(self) -> bool:
        """Whether its speaker takes it for an error."""
        return self.level <= av.logging.ERROR

    def tells_of_loss(self, demuxer: str) -> bool:
        """Whether a demuxer stepped over something, or noticed that something is missing."""
        return self.speaker == demuxer and (self.is_error or bool(_LOST.search(self.text)))

    @property
    def tells_of_cut(self) -> bool:
        """Whether the file ended before its content did."""
        return bool(_CUT.search(self.text))

    @property
    def tells_of_bad_picture(self) -> bool:
        """Whether a decoder could not make the picture that was written."""
        return self.is_error or self.text.startswith("concealing")

    @property
    def corrupt_packet(self) -> tuple[int, int] | None:
        """Stream index and decoding time of a packet that is not what was sent."""
        found = _CORRUPT_PACKET.search(self.text)
        return (int(found[1]), int(found[2])) if found else None


class Listening:
    """Catches FFmpeg's lines, as the context of a single call.

    FFmpeg has one log for the whole process, so its level is raised for no longer than calls take.

    Args:
        level: The least important level that is caught.
    """

    _lock = threading.Lock()
    _levels: ClassVar[list[int]] = []  # of the calls that are listened to now, in all threads
    _before: ClassVar[tuple[int | None, bool]] = (None, True)

    def __init__(self, level: int) -> None:
        self.level = level
        self._said: list[tuple[int, str, str]] = []

    def __enter__(self) -> Listening:
        with self._lock:
            if not self._levels:
                Listening._before = av.logging.get_level(), av.logging.get_skip_repeated()
                av.logging.set_skip_repeated(False)
            self._levels.append(self.level)
            av.logging.set_level(max(self._levels))
        self._capture = av.logging.Capture(local=True)
        self._said = self._capture.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._capture.__exit__(None, None, None)
        with self._lock:
            self._levels.remove(self.level)
            level, skips_repeated = self._before
            av.logging.set_level(max(self._levels) if self._levels else level)
            av.logging.set_skip_repeated(skips_repeated and not self._levels)

    @property
    def lines(self) -> list[Line]:
        """What was said, in order."""
        said = self._said
        return [Line(level, who, text.strip()) for level, who, text in said if level <= self.level]
