"""Whether a file ends where it says: all that is declared, against all that is there.

Truncated is what must have been longer. A sign that the file was cut (a box or cluster that is not
finished, a last packet in part, damage after the last packet) is believed unless the pictures are
all there. Without any such sign it takes a declared duration that no stream comes near: headers
round, count what edit lists leave out, and tell the length of the longest stream.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import av

from vidx.embedder.decoding.tally import GAP
from vidx.records import Problem

if TYPE_CHECKING:
    from vidx.embedder.decoding.container import Media
    from vidx.embedder.decoding.structure import Structure
    from vidx.embedder.decoding.tally import Tally

MUCH_SECONDS, MUCH_SHARE = 1.0, 0.1


def is_much(seconds: float, of_seconds: float) -> bool:
    """Whether a difference is more than headers and streams are wont to differ by."""
    return seconds > max(MUCH_SECONDS, MUCH_SHARE * of_seconds)


@dataclass(frozen=True)
class Ending:
    """What is known of a file's end.

    Attributes:
        media: The file, read to its end.
        structure: Its outermost structure.
        chosen: The stream to decode.
        videos: All streams that could be.
        streams: All streams.
    """

    media: Media
    structure: Structure
    chosen: Tally
    videos: list[Tally]
    streams: list[Tally]

    @cached_property
    def is_complete(self) -> bool:
        """Whether the container lists all pictures, and they are all there."""
        listed = 0 if self.structure.is_fragmented else self.chosen.stream.frames
        is_all = self.media.is_indexed and 0 < listed <= self.chosen.num_packets
        return is_all and not self.chosen.is_last_corrupt

    @cached_property
    def is_cut(self) -> bool:
        """Whether something tells that the file once went on."""
        return (
            self.structure.is_whole is False
            or any(tally.is_cut or tally.is_last_corrupt for tally in self.streams)
            or (self.chosen.is_end_lost and not self.media.is_indexed)
        )

    @cached_property
    def declared_seconds(self) -> float:
        """The least that the headers promise for the chosen stream; 0.0 when nothing."""
        stream = self.chosen.stream
        if self.media.is_joinable:
            return 0.0
        if self.media.format == "avi":  # whose duration is made up when the file was cut
            return float(stream.frames * self.chosen.frame_seconds)
        seconds = _parsed(stream.metadata.get("DURATION", ""))
        if not seconds and stream.duration and stream.time_base:
            seconds = float(stream.duration * stream.time_base)
        # MP4 declares how long a stream is; Matroska, NUT and ASF often when it ends.
        return max(seconds - self.chosen.start, 0.0)

    @cached_property
    def lacking_seconds(self) -> float:
        """How much less is there than is declared, of all streams or of the chosen one."""
        container = self.media.container
        begin = max((container.start_time or 0) / av.time_base, 0.0)
        end = max(begin, *(tally.end for tally in self.streams))
        of_all = (container.duration or 0) / av.time_base - end
        return max(of_all, self.declared_seconds - self.chosen.extent, 0.0)

    def notes(self) -> tuple[str, ...]:
        """What else there is in the file, and is not read."""
        notes = []
        if self.structure.second_film is not None:
            position = self.structure.second_film
            notes.append(f"a second film follows at byte {position}; players show the first alone")
        more = max(tally.end for tally in self.streams) - self.chosen.end
        if is_much(more, self.chosen.extent):
            notes.append(f"other streams go on for {more:.3f} s after the picture")
        return tuple(notes)


def missing(ending: Ending) -> Problem | None:
    """Say what of the file must be missing at its end, or None."""
    chosen, there = ending.chosen, ending.chosen.extent
    for other in ending.videos:
        goes_on = other.first >= chosen.end - MUCH_SECONDS and is_much(other.extent, there)
        if other is not chosen and goes_on:
            message = (
                f"after {there:.3f} s the picture goes on in another stream, which is not read"
            )
            return Problem("truncated", message)
    # Made to be cut anywhere, a stream's declared duration is made up from what is there.
    if ending.is_complete or (ending.media.is_joinable and not ending.is_cut):
        return None
    lacking, declared = ending.lacking_seconds, ending.declared_seconds
    if ending.is_cut:
        is_known = declared and not ending.structure.is_fragmented
        if is_known and there >= declared - GAP * chosen.frame_seconds:
            return None
        if lacking <= chosen.frame_seconds:
            return Problem("truncated", f"the file ends amid its data, after {there:.3f} s")
        return Problem("truncated", f"{there:.3f} s of {there + lacking:.3f} s are there")
    is_whole = ending.structure.is_whole and not ending.media.is_indexed
    if is_whole or not is_much(lacking, there + lacking):
        return None
    return Problem("truncated", f"{there:.3f} s of {there + lacking:.3f} s are there")


def _parsed(duration: str) -> float:
    """Seconds of a text like 00:01:10.500000000; 0.0 when it is no such text."""
    try:
        hours, minutes, seconds = duration.split(":")
        span = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    except (ValueError, OverflowError):
        return 0.0
    return span.total_seconds()
