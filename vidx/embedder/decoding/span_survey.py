"""The survey of an object of which spans alone are asked for: its index, and what they take.

An MP4 or QuickTime file lists all its packets. FFmpeg reads the list, and steps through packets
whose content is not fetched; it tells of each the very time that it tells where the content is
there. Of those that the spans take, the content is read then, for only that says where decoding can
begin. Other files tell the times of pictures between these: they are read whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from vidx.embedder.decoding.container import Media, opened
from vidx.embedder.decoding.pictures import picture_of
from vidx.embedder.decoding.sampling import READ_WHOLE, clip_spans
from vidx.embedder.decoding.source import RemoteSource
from vidx.embedder.decoding.structure import media_data
from vidx.embedder.decoding.survey import Survey, survey
from vidx.embedder.decoding.timetable import Timetable
from vidx.remote.holes import NO_HOLES, Holes
from vidx.remote.urls import is_url

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    from vidx.embedder.decoding.packets import Tick
    from vidx.embedder.decoding.sampling import Plan, Sampling


class _Doubt(Exception):
    """The index does not tell enough, and why."""


@contextlib.contextmanager
def surveyed(
    path: str, plan: Plan, sampling: Sampling, tick: Tick
) -> Iterator[tuple[Survey, Media | None]]:
    """Count a video's packets, and read of an object no more than its spans take, if that is safe.

    Args:
        path: The file or URL.
        plan: What is cut.
        sampling: Frames of a clip and their spacing.
        tick: Called as reading goes on.

    Yields:
        As `survey`, and the file while it is open, if it has kept its packets. Of an object it may
        have holes: then `starts` and `references` are right of those packets that the spans take.
        One that was read whole for spans has a note of it.

    Raises:
        VideoError: As `survey`; or all spans begin after the video's end.
    """
    notes: tuple[str, ...] = ()
    if is_url(path) and plan.segment == "fixed" and not plan.is_of_whole:
        try:
            with opened(path, tick) as media:
                found = _by_index(media, plan, sampling, tick)
        except _Doubt as doubt:
            notes = (f"{READ_WHOLE}: {doubt}",)
        else:
            yield found, None
            return
    with opened(path, tick) as media:
        found = survey(media, tick)
        found = dataclasses.replace(found, notes=found.notes + notes)
        if media.kept:
            yield found, media
            return
    yield found, None


def without_holes(found: Survey) -> Survey:
    """The same packets, all of which are to be decoded."""
    if found.holes is NO_HOLES:
        return found
    note = f"{READ_WHOLE}: decoding did not go as its index says"
    return dataclasses.replace(found, holes=NO_HOLES, notes=(*found.notes, note))


def _by_index(media: Media, plan: Plan, sampling: Sampling, tick: Tick) -> Survey:
    """Count by the index, and read packets until all that the spans take were read.

    Raises:
        _Doubt: That cannot be done.
    """
    source = cast(RemoteSource, media.source)
    if not media.is_indexed:
        raise _Doubt(f"a file of the kind {media.format} does not list its pictures")
    holes = source.holes = Holes(media_data(source))
    # Several workers would each fetch the index.
    found = dataclasses.replace(survey(media, tick), is_seekable=False)
    if not source.has_ranges:
        raise _Doubt("the server gives no parts of it")
    contents = _Contents(media, found)
    while True:
        found = contents.entered_in(found)
        timetable = Timetable.of(found)
        if timetable is None:
            raise _Doubt("its index leaves the times of its pictures in doubt")
        clips = clip_spans(timetable.end_seconds, sampling, plan)
        unread = np.flatnonzero(timetable.needed(clips, sampling) & ~contents.is_read)
        if not len(unread):
            return dataclasses.replace(found, holes=source.holes)
        contents.is_read[unread] = True
        source.holes = holes.but(contents.places())
        for number in unread:
            tick()
            contents.read(number)


class _Contents:
    """What is known of the packets of an object's stream, of which few were read.

    Args:
        media: The object, of which all packets were stepped through.
        found: What came of that.

    Attributes:
        is_read: Which are read, shape (packets,).
    """

    def __init__(self, media: Media, found: Survey) -> None:
        self._source = media.source
        self._stream = cast("VideoStream", media.container.streams[found.index])
        index = self._stream.index_entries
        self._entries = [index[number] for number in range(len(index))]
        if len(index) != len(found.times):
            raise _Doubt("its index lists other pictures than there are")
        # Until a packet is read, the index is believed, and others may refer to it.
        self._starts = np.array([entry.is_keyframe for entry in self._entries], np.bool_)
        self._references = np.ones(len(index), np.bool_)
        self._layers = np.zeros(len(index), np.uint8)
        self.is_read = np.zeros(len(index), np.bool_)

    def places(self) -> list[tuple[int, int]]:
        """First byte and end of each packet that is read."""
        read = (self._entries[number] for number in np.flatnonzero(self.is_read))
        return [(entry.pos, entry.pos + entry.size) for entry in read]

    def read(self, number: np.int64) -> None:
        """Read a packet."""
        entry = self._entries[number]
        content = self._source.read_at(entry.pos, entry.size)
        found = picture_of(content, self._stream.codec_context)
        self._starts[number] = found.is_start
        self._references[number], self._layers[number] = found.is_reference, found.layer

    def entered_in(self, found: Survey) -> Survey:
        """The survey with what is known by now."""
        # Whatever refers to a packet and is needed is read too, so the highest layer is known.
        references = self._references | (self._layers < self._layers.max(initial=0))
        return dataclasses.replace(found, starts=self._starts.copy(), references=references)
