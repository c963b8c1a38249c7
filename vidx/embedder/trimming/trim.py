"""One video to the clips that are cut out of it, each with exactly the pictures of its span.

A clip that begins with a key frame, and whose last picture is the last of what was coded together,
is copied; any other is encoded anew. Sound is left out. Of a file that can be foreseen no more is
decoded than the clips take.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from vidx.embedder.decoding.container import FileState, file_state, opened
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.packets import Tick
from vidx.embedder.decoding.pass_by_clock import PassByClock
from vidx.embedder.decoding.pass_by_timetable import PassByTimetable
from vidx.embedder.decoding.survey import Survey, survey
from vidx.embedder.decoding.timetable import Surprise, Timetable
from vidx.embedder.trimming.copying import copies
from vidx.embedder.trimming.encoding import ClipEncoder, Picture
from vidx.embedder.trimming.messages import TrimmedClip, TrimTask
from vidx.errors import VideoError

if TYPE_CHECKING:
    from vidx.embedder.decoding.trust import Fed
    from vidx.records import Clip

USUAL_RATE = Fraction(25)


def trim(task: TrimTask, tick: Tick) -> Iterator[TrimmedClip]:
    """Cut clips out of a video.

    Args:
        task: What to cut.
        tick: Called at least once a packet.

    Yields:
        Each clip that can be had.

    Raises:
        VideoError: The file cannot be read, or is not as expected.
    """
    _check_unchanged(task.path, task.state)
    with opened(task.path, tick) as media:
        found = survey(media, tick)
    timetable, left = Timetable.of(found), dict(task.clips)
    if timetable and task.is_upright:
        for number, data in copies(task.path, timetable, left, tick).items():
            del left[number]
            yield TrimmedClip(number, data, is_copy=True)
    if timetable and left:
        try:
            for clip in _encoded(_foreseen(task.path, timetable, left, tick), left, _rate(found)):
                del left[clip.number]
                yield clip
        except Surprise:
            timetable = None
    if left and not timetable:
        yield from _encoded(_as_they_come(task.path, found, tick), left, _rate(found))
    _check_unchanged(task.path, task.state)


def _check_unchanged(path: str, state: FileState) -> None:
    if file_state(path) != state:
        raise VideoError("changed_while_reading", "size or modification time changed")


def _rate(found: Survey) -> Fraction:
    seconds = found.frame_seconds
    return Fraction(1 / seconds).limit_denominator(1001) if seconds > 0 else USUAL_RATE


def _encoded(
    pictures: Iterable[Picture], clips: Mapping[int, Clip], rate: Fraction
) -> Iterator[TrimmedClip]:
    """Encode each clip while the pictures pass, in the order they are shown."""
    order = sorted(clips.items(), key=lambda item: item[1].start_seconds)
    waiting, begun = deque(order), dict[int, ClipEncoder]()
    for picture in pictures:
        while waiting and waiting[0][1].start_seconds < picture.until:
            number, clip = waiting.popleft()
            begun[number] = ClipEncoder(clip, rate)
        for number, encoder in list(begun.items()):
            if encoder.wants(picture):
                encoder.add(picture)
            if encoder.is_over(picture):
                del begun[number]
                yield TrimmedClip(number, encoder.finish(), is_copy=False)
        if not (waiting or begun):
            return


def _foreseen(
    path: str, timetable: Timetable, clips: Mapping[int, Clip], tick: Tick
) -> Iterator[Picture]:
    """The pictures of some clips and what had to be decoded for them.

    Raises:
        Surprise: There is damage.
    """
    place_of = {packet: place for place, packet in enumerate(timetable.packets.tolist())}
    needed = timetable.needed_throughout(clips.values())
    on_time = PassByTimetable(path, timetable, FrameGeometry(), tick)
    with opened(path, tick) as media:
        for frame in on_time.frames(media, needed):
            place = place_of.get(cast("Fed", frame.opaque).number)
            if place is None or frame.is_corrupt:
                raise Surprise
            yield Picture(frame, float(timetable.seconds[place]), timetable.until(place))


def _as_they_come(path: str, found: Survey, tick: Tick) -> Iterator[Picture]:
    """All pictures."""
    decoding = PassByClock(path, found, FrameGeometry(), tick)
    last = None
    with opened(path, tick) as media:
        for shown, following in pairwise(decoding.frames(media)):
            yield Picture(shown.frame, shown.time, following.time)
            last = following
    if last:  # it stands to the end of the clip: the container's word of its time means little
        yield Picture(last.frame, last.time, float("inf"))
