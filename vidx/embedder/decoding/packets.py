"""Reading a file's packets on to its end, whatever is met on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar, cast

import av.error
import av.logging
from av.packet import Packet
from av.stream import Stream

from vidx.embedder.decoding.avi import Times
from vidx.embedder.decoding.container import Media
from vidx.embedder.decoding.ffmpeg_log import Line, Listening

Tick = Callable[[], None]
S = TypeVar("S", bound=Stream)
SPARE_BYTES = 64 << 20  # as much memory as is left when it does not lack


def packets(
    media: Media,
    streams: list[S],
    tick: Tick,
    note: Callable[[Exception], None],
    *,
    is_heard: bool = True,
) -> Iterator[tuple[Packet[S] | None, list[Line]]]:
    """Read packets, going on after damage while there is something left to read.

    Args:
        media: Freshly opened. What it has kept is given out, and nothing is read.
        streams: Streams to read.
        tick: Called as reading goes on.
        note: Called with the damage that reading met.
        is_heard: Whether it matters what FFmpeg says meanwhile.

    Yields:
        Each packet with what FFmpeg said while it was read; at the end None, and the last words.

    Raises:
        VideoError: The file cannot be read.
    """
    if media.kept:
        yield from _kept(cast("deque[Packet[S]]", media.kept), tick)
        return
    # Lost packets of a transport stream are told at the lowest rank alone.
    listening = Listening(av.logging.DEBUG if media.is_joinable else av.logging.WARNING)
    hearing = listening if is_heard else nullcontext()
    times = Times(media.container) if media.format == "avi" else None
    lines: list[Line] = []
    reached = -1
    while media.source.tell() > reached:
        reached = media.source.tell()
        demuxing = cast("Iterator[Packet[S]]", media.container.demux(tuple(streams)))
        while True:
            packet = _next(demuxing, hearing)
            media.source.check()
            if is_heard:
                lines += listening.lines
            if isinstance(packet, Exception):
                note(packet)
                break
            tick()
            if packet is None:
                yield None, lines
                return
            if packet.size:
                if times:
                    times.mend(packet)
                yield packet, lines
                lines = []
    yield None, lines


def _kept(kept: deque[Packet[S]], tick: Tick) -> Iterator[tuple[Packet[S] | None, list[Line]]]:
    """Let go of each packet as it is given out."""
    while kept:
        tick()
        yield kept.popleft(), []
    yield None, []


def _next(
    demuxing: Iterator[Packet[S]], hearing: AbstractContextManager[object]
) -> Packet[S] | Exception | None:
    """The next packet, the damage in its place, or None at the end."""
    try:
        with hearing:
            return next(demuxing, None)
    except MemoryError as error:
        # Damage can ask for any amount: is there room for what a file may need?
        bytearray(SPARE_BYTES)
        return error
    except IndexError:  # PyAV, at the end, over streams that appeared meanwhile
        return None
    except (av.error.FFmpegError, OSError) as error:
        return error
