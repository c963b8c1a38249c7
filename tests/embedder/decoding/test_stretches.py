"""Promises of a long video that several workers decode: it is what one would have made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.embedder.decoding.test_pool import workers_now
from tests.embedder.decoding.test_timetable import damaged
from tests.numbered_videos import Numbered, make
from vidx.embedder.decoding import pass_by_timetable, pool
from vidx.embedder.decoding.events import (
    ClipDecoded,
    ClipRepeated,
    Event,
    Job,
    VideoDone,
    VideoFailed,
)
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo, RepeatedClip
from vidx.embedder.decoding.messages import Given, Rest, StretchOver
from vidx.embedder.decoding.pool import Limits, decode
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.shared import Shared
from vidx.embedder.decoding.video import decode_clips
from vidx.records import Begun, Clip, ClipFacts, Problem, VideoInfo

SAMPLING, GEOMETRY = Sampling(), FrameGeometry(resize_to=(48, 64))
LONG = Numbered(seconds=120.0, fps=10, gop=25, b_frames=2, size=(64, 48))
PATIENT = Limits(deadline_seconds=120)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """No test leaves a process behind."""
    before = {child.pid for child in psutil.Process().children()}
    yield
    assert {child.pid for child in psutil.Process().children()} <= before


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """56 clips, and one that ends with it; three stretches."""
    return make(tmp_path_factory.mktemp("long") / "long.mp4", LONG)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[Shared]:
    """The videos that were divided."""
    seen: list[Shared] = []

    class Watched(Shared):
        def __init__(self, rest: Rest) -> None:
            super().__init__(rest)
            seen.append(self)

    monkeypatch.setattr(pool, "Shared", Watched)
    return seen


def start(path: Path, workers: int, begun: Begun | None = None) -> Iterator[Event]:
    jobs = [Job("video", str(path), begun=begun)]
    return decode(jobs, sampling=SAMPLING, geometry=GEOMETRY, workers=workers, limits=PATIENT)


def told(events: Iterator[Event]) -> list[object]:
    """All that is told of a video, but for the attempt's number, whose last one counts."""
    found: list[tuple[int, object]] = []
    for event in events:
        match event:
            case ClipDecoded():
                pixels = event.frames.tobytes()
                found.append((event.attempt, (event.clip, event.facts, pixels, event.info)))
            case ClipRepeated():
                found.append((event.attempt, (event.clip, event.facts, event.info)))
            case VideoDone():
                found.append((event.attempt, (event.info, event.problem)))
            case VideoFailed():
                return [event.problem]
    return [one for attempt, one in found if attempt == found[-1][0]]


def assert_alike(path: Path, shared: list[Shared], begun: Begun | None = None) -> list[object]:
    """Three workers tell what one tells; returns that."""
    alone = told(start(path, 1, begun))
    assert not shared
    assert told(start(path, 3, begun)) == alone
    assert len(shared) == 1
    assert len(shared[0].rest.stretches) >= 2
    return alone


def test_several_workers_tell_what_one_tells(video: Path, shared: list[Shared]) -> None:
    assert len(assert_alike(video, shared)) == 58


@pytest.mark.parametrize(
    ("name", "codec", "gop"),
    [
        pytest.param("open_gop.mp4", "libx265", 24, marks=pytest.mark.long),
        pytest.param("vp9.webm", "libvpx-vp9", 40, marks=pytest.mark.long),
        pytest.param("mpeg4.mkv", "mpeg4", 30, marks=pytest.mark.long),
        pytest.param("intra.mov", "mjpeg", 1, marks=pytest.mark.long),
        pytest.param("long_gop.mkv", "libx264", 400, marks=pytest.mark.long),
    ],
)
def test_whatever_the_codec(
    name: str, codec: str, gop: int, shared: list[Shared], tmp_path: Path
) -> None:
    how = Numbered(codec=codec, seconds=90.0, fps=10, gop=gop, size=(64, 64))
    assert_alike(make(tmp_path / name, how), shared)


@pytest.mark.parametrize("packet", [pytest.param(420, marks=pytest.mark.long), 676])
def test_damage_in_any_stretch_costs_what_it_costs_one_worker(
    packet: int, shared: list[Shared], tmp_path: Path
) -> None:
    how = Numbered(seconds=80.0, fps=10, gop=25, b_frames=2, size=(320, 240))
    path = damaged(make(tmp_path / "a.mp4", how), packet)
    *_, (_, problem) = assert_alike(path, shared)
    assert isinstance(problem, Problem)


def test_a_picture_that_stands_still_is_told_across_stretches(
    make_video: Callable[..., Path], shared: list[Shared], tmp_path: Path
) -> None:
    gray = np.full((48, 64, 3), 128, np.uint8)
    path = make_video(tmp_path / "a.mp4", still=gray, seconds=90.0, fps=10, size=(64, 48), gop=25)
    first, *others, _ = assert_alike(path, shared)
    assert len(first) == 4
    assert {len(one) for one in others} == {3}  # without pixels


def test_behind_stored_parts_too(video: Path, shared: list[Shared]) -> None:
    stored = [event.clip for event in start(video, 0) if isinstance(event, ClipDecoded)][:10]
    begun = Begun("take", 1, 10, stored[-1].start_seconds, has_non_finite=False)
    *clips, (_, problem) = assert_alike(video, shared, begun)
    assert len(clips) == 47
    assert problem is None


@pytest.fixture
def amid(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Attempts in which the worker of the second stretch is killed once a clip of it has come.

    It has more to decode than it may send at once, so it is amid it.
    """
    attempts: set[int] = set()

    class Killing(pool._Pool):
        def _take(self, help_: Any, sent: Any) -> Iterator[Event]:
            is_second = help_.piece.clips == help_.piece.shared.rest.stretches[1]
            if is_second and help_.attempt.number in attempts:
                attempts.remove(help_.attempt.number)
                [worker] = [worker for worker, errand in self.busy.items() if errand is help_]
                worker.process.kill()
            return super()._take(help_, sent)

    monkeypatch.setattr(pool, "_Pool", Killing)
    return attempts


def test_a_video_of_which_one_worker_is_killed_is_tried_once_more(
    video: Path, shared: list[Shared], amid: set[int]
) -> None:
    alone = told(start(video, 1))
    amid.add(1)
    events = list(start(video, 3))
    assert told(iter(events)) == alone
    done = events[-1]
    assert isinstance(done, VideoDone)
    assert done.attempt == 2
    assert len(shared) == 2


def test_a_video_of_which_a_worker_dies_twice_is_given_up(
    video: Path, shared: list[Shared], amid: set[int]
) -> None:
    amid |= {1, 2}
    *_, failed = start(video, 3)
    assert isinstance(failed, VideoFailed)
    assert failed.problem.reason == "decode_crashed"
    assert len(shared) == 2


def test_a_file_that_changes_meanwhile_fails(video: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.mp4"
    path.write_bytes(video.read_bytes())
    events = start(path, 3)
    next(events)
    os.utime(path, ns=(1, 1))
    [problem] = told(events)
    assert isinstance(problem, Problem)
    assert problem.reason == "changed_while_reading"


def test_closing_leaves_no_worker(video: Path) -> None:
    events = start(video, 3)
    assert any(len(workers_now()) == 3 for _ in events)  # others join once the first has counted
    events.close()  # type: ignore[attr-defined]
    assert workers_now() == []


def test_what_comes_early_is_held_up_to_a_limit_and_nobody_waits_for_ever(
    video: Path, shared: list[Shared], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = told(start(video, 1))
    monkeypatch.setattr(pool, "HELD_EACH", 1)
    held = []

    def events() -> Iterator[Event]:
        for event in start(video, 3):
            held.append(shared[0].num_held())
            yield event

    assert told(events()) == alone
    assert 0 < max(held) <= 3 + 2 * pool.SLOTS_EACH  # what had leave when the limit was reached


def test_short_videos_are_not_divided(shared: list[Shared], tmp_path: Path) -> None:
    path = make(tmp_path / "a.mp4", Numbered(seconds=30.0, fps=10, gop=10, size=(64, 48)))
    list(start(path, 3))
    assert not shared


def test_formats_without_an_index_are_not_divided(shared: list[Shared], tmp_path: Path) -> None:
    how = Numbered(seconds=90.0, fps=10, gop=10, size=(64, 48))
    list(start(make(tmp_path / "a.ts", how), 3))
    assert not shared


def test_where_seeking_leads_nowhere_all_is_decoded(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clips() -> list[bytes]:
        parts = decode_clips(str(video), SAMPLING, Plan(start_seconds=60.0), GEOMETRY)
        return [part.frames.tobytes() for part in parts if isinstance(part, DecodedClip)]

    sought = clips()
    monkeypatch.setattr(pass_by_timetable, "SEEKS", 0)
    monkeypatch.setattr(pass_by_timetable, "FAR_PACKETS", 1 << 30)
    assert clips() == sought
    monkeypatch.setattr(pass_by_timetable, "FAR_PACKETS", 300)
    assert clips() == sought


INFO = VideoInfo(8.0, 64, 48, 10.0, "h264", "mp4", 0.0, 0, False, ())
FACTS = ClipFacts(0.5, 0.1, 1.0, 0.1, 0.0, 0.0, (0.0,))
SPANS = tuple(Clip(2.0 * number, 2.0 * number + 2.0) for number in range(4))


def decoded(number: int) -> DecodedClip:
    return DecodedClip(SPANS[number], FACTS, np.full((1, 4, 4, 3), number // 2, np.uint8), INFO)


def made_shared() -> Shared:
    given = Given(frozenset(), 0, 0, None, None)
    return Shared(Rest(None, None, (SPANS[:2], SPANS[2:]), given, None))  # type: ignore[arg-type]


def test_lost_clips_of_all_stretches_are_counted() -> None:
    shared = made_shared()
    first, second = shared.waiting
    handed = [*shared.take(second, decoded(3)), *shared.take(second, over(SPANS[2:]))]
    assert handed == []
    handed += [*shared.take(first, decoded(0)), *shared.take(first, over(SPANS[:2]))]
    assert [one.clip for one in handed] == [SPANS[0], SPANS[3]]
    assert isinstance(shared.outcome, DecodedVideo)
    assert shared.outcome.problem is not None
    assert "2 of 4 clips" in shared.outcome.problem.message


def test_what_repeats_the_stretch_before_is_told() -> None:
    shared = made_shared()
    first, second = shared.waiting
    list(shared.take(first, decoded(2)))
    list(shared.take(first, over(SPANS[:2])))
    [repeated] = shared.take(second, decoded(3))
    assert isinstance(repeated, RepeatedClip)


def test_a_surprise_in_a_later_stretch_waits_for_the_earlier_ones() -> None:
    shared = made_shared()
    first, second = shared.waiting
    list(shared.take(second, StretchOver(frozenset(), None)))
    assert shared.outcome is None
    assert [*shared.take(first, decoded(0))]
    list(shared.take(first, over(SPANS[:2])))
    assert isinstance(shared.outcome, Given)
    assert shared.outcome.clips == frozenset(SPANS[:2])
    assert (shared.outcome.num_good, shared.outcome.num_lost) == (1, 1)


def over(clips: tuple[Clip, ...]) -> StretchOver:
    return StretchOver(frozenset(clips), INFO)
