"""One video file to clips of frames: uint8, resized and cropped, as the model takes them.

The packets are counted first. Where they leave no doubt about when each picture is shown, a pass
by this timetable decodes what the clips take and no more. Where they do, or a frame is not the one
that was foreseen, a pass by the clock decodes all, and hands out each clip as soon as it is sure to
be wholly there; where its end was not where the packets said, the clip that ends with the video is
had by a further pass.

What damage costs: a clip is kept when each of its sampled frames can be trusted (see `trust`), and
when no sample stands on a frame whose time is over where the next one was lost. Without word of a
loss, a long time is what a variable frame rate looks like. FFmpeg decodes in one thread, as with
several it reports errors, and marks frames as corrupt, at other places from run to run; workers
give the parallelism.
"""

from __future__ import annotations

import contextlib
import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import dropwhile
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from vidx.embedder.decoding.container import FileState, Media, file_state
from vidx.embedder.decoding.handout import (
    DecodedClip,
    DecodedVideo,
    Handout,
    Part,
    RepeatedClip,
    Room,
)
from vidx.embedder.decoding.messages import Given, Stretch, StretchOver
from vidx.embedder.decoding.packets import Tick
from vidx.embedder.decoding.pass_by_clock import PassByClock
from vidx.embedder.decoding.pass_by_timetable import PassByTimetable
from vidx.embedder.decoding.pass_for_shots import plan_of_shots
from vidx.embedder.decoding.sampling import (
    TOLERANCE_SECONDS,
    Plan,
    Sampling,
    clip_at_end,
    clip_spans,
    clips_within,
    num_clips_until,
)
from vidx.embedder.decoding.span_survey import surveyed, without_holes
from vidx.embedder.decoding.stretches import Divider
from vidx.embedder.decoding.survey import Survey
from vidx.embedder.decoding.timetable import Surprise, Timetable
from vidx.errors import VideoError
from vidx.records import Begun, Clip

if TYPE_CHECKING:
    from vidx.embedder.decoding.card import Card
    from vidx.embedder.decoding.geometry import FrameGeometry


def decode_clips(
    path: str,
    sampling: Sampling,
    plan: Plan,
    geometry: FrameGeometry,
    tick: Tick = lambda: None,
    expected: FileState | None = None,
    room: Room = np.empty,
    begun: Begun | None = None,
    given: Given | None = None,
    is_asked: Callable[[], bool] = lambda: False,
    card: Card | None = None,
) -> Iterator[Part]:
    """Decode a video's clips.

    Args:
        path: The file.
        sampling: Frames of a clip and their spacing.
        plan: Stride, spans and segmentation.
        geometry: Resize and crop.
        tick: Called at least once a packet, as a sign of life.
        expected: What the file must be like, or None when that does not matter.
        room: Makes the array that a clip's frames are written to.
        begun: What of the video is stored: only clips behind that are handed out. None: nothing.
        given: What was handed out until it went otherwise than foreseen. None: nothing.
        is_asked: Whether the rest of a long video is to be left to several, as of now.
        card: What decodes where it can. None: the processor.

    Yields:
        Its good clips in time order, at least one if nothing is stored, and then one
        `DecodedVideo`. The first clip has pixels.

    Raises:
        VideoError: Nothing could be had, or the file is not as expected, or changed meanwhile; the
            clips are void then. Or all of the plan's spans start after the video's end.
        Divided: The rest is left, as was asked.
    """
    before = expected or file_state(path)
    check_unchanged(path, before)
    if before.size == 0:
        raise VideoError("empty_file", "0 bytes")
    handout = Handout(room)
    with errors_told(path, before), surveyed(path, plan, sampling, tick) as (found, media):
        if plan.segment == "shots":
            plan = plan_of_shots(path, found, plan, tick)
        if given:
            handout.go_on(given)
        elif begun:
            known = num_clips_until(begun.last_start_seconds, sampling, plan)
            handout.num_good, handout.num_lost = begun.num_clips, known - begun.num_clips
        # What was wrong with clips that are lost is learned again by decoding all.
        divider = None if given or handout.num_lost else Divider(before, is_asked)
        for part in _decode(
            path, found, media, sampling, plan, geometry, tick, handout, begun, divider, card
        ):
            if isinstance(part, DecodedVideo):  # nothing comes after this
                check_unchanged(path, before)
            yield part


def decode_stretch(
    stretch: Stretch, tick: Tick, room: Room, card: Card | None = None
) -> Iterator[DecodedClip | RepeatedClip | StretchOver]:
    """Decode some clips of a video that several decode.

    Args:
        stretch: Which.
        tick: Called at least once a packet, as a sign of life.
        room: Makes the array that a clip's frames are written to.
        card: As for `decode_clips`.

    Yields:
        Its good clips in time order, the first with pixels, and then one `StretchOver`.

    Raises:
        VideoError: The file cannot be read, or is not as expected.
    """
    timetable = Timetable.of(stretch.found)
    assert timetable is not None  # noqa: S101 - by it the stretch was made
    handout, info = Handout(room), None
    check_unchanged(stretch.path, stretch.state)
    with errors_told(stretch.path, stretch.state):
        for on_time in _passes(stretch.path, timetable, stretch.geometry, tick, None, card):
            with on_time.given_up():
                yield from clips_on_time(on_time, stretch.clips, stretch.sampling, handout)
                info = on_time.info()
                break
        check_unchanged(stretch.path, stretch.state)
        yield StretchOver(frozenset(handout.seen), info)


@contextlib.contextmanager
def errors_told(path: str, before: FileState) -> Iterator[None]:
    """Tell a lack of memory, and a file that changed meanwhile, for what they are."""
    try:
        yield
    except MemoryError:
        raise VideoError("too_large", "out of memory when decoding") from None
    except VideoError:
        check_unchanged(path, before)
        raise


def check_unchanged(path: str, before: FileState) -> None:
    """See to it that a file is what it was.

    Raises:
        VideoError: It is not.
    """
    if file_state(path) != before:
        raise VideoError("changed_while_reading", "size or modification time changed")


def _decode(
    path: str,
    found: Survey,
    media: Media | None,
    sampling: Sampling,
    plan: Plan,
    geometry: FrameGeometry,
    tick: Tick,
    handout: Handout,
    begun: Begun | None,
    divider: Divider | None,
    card: Card | None,
) -> Iterator[Part]:
    if divider and (timetable := Timetable.of(found)):
        clips = list(_behind(begun, clip_spans(timetable.end_seconds, sampling, plan)))
        handout.beyond = plan.beyond(timetable.end_seconds)
        divider.plan(timetable, clips, sampling)
        for on_time in _passes(path, timetable, geometry, tick, media, card):
            with on_time.given_up():
                yield from clips_on_time(on_time, clips, sampling, handout, divider)
                yield DecodedVideo(on_time.info(), handout.verdict(None, ""))
                return
        media = None
    first = PassByClock(path, without_holes(found), geometry, tick, media=media)
    yield from _decode_by_clock(first, sampling, plan, handout, begun)


def _passes(
    path: str,
    timetable: Timetable,
    geometry: FrameGeometry,
    tick: Tick,
    media: Media | None,
    card: Card | None,
) -> Iterator[PassByTimetable]:
    """The passes by a timetable, each for where the one before went otherwise than foreseen."""
    if card and card.takes(timetable.found.codec):
        yield PassByTimetable(path, timetable, geometry, tick, card=card)
    yield PassByTimetable(path, timetable, geometry, tick, media)


def _behind(begun: Begun | None, clips: Iterable[Clip]) -> Iterator[Clip]:
    """Those of some clips that are not stored."""
    last = begun.last_start_seconds if begun else -math.inf
    return dropwhile(lambda clip: clip.start_seconds <= last, clips)


def clips_on_time(
    decoding: PassByTimetable,
    clips: Sequence[Clip],
    sampling: Sampling,
    handout: Handout,
    divider: Divider | None = None,
) -> Iterator[DecodedClip | RepeatedClip]:
    """Decode what the clips take.

    Raises:
        Surprise: It does not go as foreseen. What was let out so far is good.
        Divided: The rest is left, as was asked.
    """
    last = None
    if divider:
        divider.check(0, handout)
    for number, cut in enumerate(decoding.cuts(clips, sampling), 1):
        if cut.clip is clips[-1]:
            last = cut
            continue
        yield from handout.hand_out(cut, decoding.info())
        if divider:
            divider.check(number, handout)
    if last is None:
        raise Surprise
    yield from handout.hand_out(last, decoding.info())


def _decode_by_clock(
    first: PassByClock, sampling: Sampling, plan: Plan, handout: Handout, begun: Begun | None
) -> Iterator[Part]:
    """Decode all, up to the plan's end."""
    guess = clip_at_end(first.duration_seconds, sampling, plan)  # held until the end is known
    sure = _behind(begun, clips_within(math.inf, sampling, plan))
    wanted = heapq.merge(sure, [guess] if guess else [], key=attrgetter("start_seconds"))
    held = latest = None
    for cut in first.cuts(wanted, sampling, plan.end()):
        if cut.clip is guess:
            held = cut
        else:
            latest = cut.clip
            yield from handout.hand_out(cut, first.info())

    truncation, handout.beyond = first.truncation(), plan.beyond(first.duration_seconds)
    if truncation and not plan.spans_within(first.duration_seconds):
        raise VideoError(truncation.reason, truncation.message)
    last = clip_spans(first.duration_seconds, sampling, plan)[-1]
    if held and _alike(last, held.clip):
        yield from handout.hand_out(held, first.info())
    elif not (latest and _alike(last, latest)):
        again = PassByClock(first.path, first.found, first.geometry, first.tick)
        for cut in again.cuts([last], sampling, last.end_seconds):
            yield from handout.hand_out(cut, first.info())
    yield DecodedVideo(first.info(), handout.verdict(truncation, first.first_error))


def _alike(one: Clip, other: Clip) -> bool:
    return (
        abs(one.start_seconds - other.start_seconds) <= TOLERANCE_SECONDS
        and abs(one.end_seconds - other.end_seconds) <= TOLERANCE_SECONDS
    )
