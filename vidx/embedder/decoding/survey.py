"""Counting a file's packets before anything is decoded: which stream, how long, what is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.avi import frames_held_at_end
from vidx.embedder.decoding.clock import LONGEST_SECONDS, SEAM_SECONDS
from vidx.embedder.decoding.container import (
    Media,
    is_sequence_of_pictures,
    lone_picture,
    video_streams,
)
from vidx.embedder.decoding.endings import Ending, missing
from vidx.embedder.decoding.keeper import Keeper
from vidx.embedder.decoding.packets import Tick, packets
from vidx.embedder.decoding.sampling import exact
from vidx.embedder.decoding.structure import structure
from vidx.embedder.decoding.tally import NO_TIME, REORDERED, Tally
from vidx.records import Problem
from vidx.remote.holes import NO_HOLES, Holes

# Formats whose demuxers step over damage without a word; more than this between packets is damage.
SILENT_FORMATS, PADDING = frozenset({"avi", "nut"}), 1024


@dataclass(frozen=True, slots=True)
class Survey:
    """One video stream as its packets tell it.

    Packets are named by their place among those of the stream, from 0, in the order of the file.

    Attributes:
        index: The stream's index in the container.
        codec: Name of FFmpeg's decoder.
        duration_seconds: From the first presentable packet to the end of the last; 0.0 if none.
        frame_seconds: How long a frame lasts when nothing says otherwise.
        missing: Why the file must lack a part, or None.
        losses: Packets before which others were lost.
        unseen: Packets before whose pictures, in the order they are shown, others are missing.
        damaged: Packets that are not what was written.
        last: The packet with the latest picture, or -1.
        last_seconds: How long that picture is shown.
        times: int64, presentation times of the packets, in units of the time base; NO_TIME where
            there is none, or where the packet is not to be shown.
        time_base: Seconds a unit.
        longest_step: A longer step forward from picture to picture, in seconds, is a seam.
        starts: Whether decoding can begin with a packet, shape (packets,); empty of a hollow file.
        references: Whether other pictures may refer to a packet's, likewise.
        is_foreseeable: Whether it is known of each picture when it is shown: nothing is lost, and
            there is no doubt about the times.
        is_seekable: Whether one can go to a key frame without reading what is before it.
        notes: What else there is in the file, and is not read.
        holes: Of an object, what the spans that are asked for do not take.
    """

    index: int
    codec: str
    duration_seconds: float
    frame_seconds: float
    missing: Problem | None
    losses: frozenset[int]
    unseen: frozenset[int]
    damaged: frozenset[int]
    last: int
    last_seconds: float
    times: NDArray[np.int64]
    time_base: float
    longest_step: float
    starts: NDArray[np.bool_]
    references: NDArray[np.bool_]
    is_foreseeable: bool
    is_seekable: bool
    notes: tuple[str, ...]
    holes: Holes = NO_HOLES

    def goes_on(self, packet: int, time: int, until: int) -> bool:
        """Whether a packet soon after this one shows a picture after a time, up to another."""
        soon = self.times[packet + 1 : packet + REORDERED]
        return bool(((soon > time) & (soon <= until)).any())

    def seconds_between(self, packet: int, other: int) -> float:
        """From one packet's picture to another's; 0.0 where their times are not known."""
        start, end = (int(self.times[number]) for number in (packet, other))
        return (end - start) * self.time_base if NO_TIME not in (start, end) else 0.0


def survey(media: Media, tick: Tick) -> Survey:
    """Choose the stream to decode and count it, without decoding.

    Args:
        media: Freshly opened; it is read to its end, and keeps the packets of the stream if these
            are few.
        tick: Called as reading goes on.

    Raises:
        VideoError: There is no stream of moving pictures that could be decoded, or the file cannot
            be read.
    """
    candidates = video_streams(media.container)
    keeper = Keeper({stream.index for stream in candidates if not media.is_hollow})
    tallies = _count(media, tick, keeper)
    videos = [tallies[stream.index] for stream in candidates]
    chosen = next((tally for tally in videos if tally.num_shown), videos[0])
    media.kept.extend(keeper.of(chosen.stream.index))
    if is_sequence_of_pictures(media.container) and chosen.num_shown < 2:
        raise lone_picture(media)
    ending = Ending(media, structure(media.source), chosen, videos, list(tallies.values()))
    losses, unseen = chosen.losses(), chosen.unseen()
    damaged, lacks = chosen.damaged(losses), missing(ending)
    last, last_seconds = chosen.last_picture()
    held = _held_seconds(media, ending, chosen)
    return Survey(
        index=chosen.stream.index,
        codec=chosen.stream.codec_context.name,
        duration_seconds=exact(chosen.seconds() + held),
        frame_seconds=chosen.frame_seconds,
        missing=lacks,
        losses=losses,
        unseen=unseen,
        damaged=damaged,
        last=last,
        last_seconds=last_seconds + held,
        times=chosen.shown_times(),
        time_base=chosen.time_base,
        longest_step=SEAM_SECONDS if media.is_joinable else LONGEST_SECONDS,
        starts=chosen.starts(),
        references=chosen.references(),
        is_foreseeable=media.format != "avi"  # which keeps the order of decoding alone
        and chosen.has_all_times()
        and not (losses or unseen or damaged or lacks),
        is_seekable=media.is_seekable,
        notes=ending.notes(),
    )


def _count(media: Media, tick: Tick, keeper: Keeper) -> dict[int, Tally]:
    streams = list(media.container.streams)
    tallies = {stream.index: Tally(media, stream) for stream in streams}
    # Where all packets are listed, those that are there tell what is not.
    reading = packets(media, streams, tick, keeper.give_up, is_heard=not media.is_indexed)
    end = 0
    for packet, lines in reading:
        is_stepped_over = False
        if packet is not None and media.format in SILENT_FORMATS and packet.pos is not None:
            is_stepped_over = 0 < end < packet.pos - PADDING
            end = max(end, packet.pos + packet.size)
        if lines or is_stepped_over:
            for tally in tallies.values():
                tally.hear(lines, is_stepped_over=is_stepped_over)
        if packet is not None and packet.stream_index in tallies:
            tallies[packet.stream_index].add(packet)
            keeper.offer(packet)
    return tallies


def _held_seconds(media: Media, ending: Ending, chosen: Tally) -> float:
    """How much longer than its packet says the last picture is shown."""
    if media.format == "avi":
        position = chosen.last_position
        frames = frames_held_at_end(media.source, chosen.stream.index, position) if position else 0
        return frames * chosen.frame_seconds
    if ending.is_complete:
        return max(ending.declared_seconds - chosen.extent, 0.0)
    return 0.0
