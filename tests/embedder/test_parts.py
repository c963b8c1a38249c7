"""A video in parts is the same video, also behind what is stored of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from vidx.embedder import encoder as encoders
from vidx.embedder.decoding.events import Job
from vidx.embedder.decoding.sampling import Plan, Sampling, num_clips_until
from vidx.embedder.encoder import Encoder
from vidx.embedder.pipeline import embed_videos
from vidx.records import Begun, EmbeddedVideo, Problem, Span

PLANS = [
    Plan(),
    Plan(stride_seconds=3.7),
    Plan.of_spans(None, [Span(0.5, 6.5), Span(7.0, 8.0), Span(8.0, 12.2), Span(14.0, 30.0)]),
    Plan(segment="shots"),
    pytest.param(Plan(stride_seconds=1.3), marks=pytest.mark.long),
]
NOT_FINITE = [
    {1, 2},
    {0, 1, 2, 3, 4, 8, 9, 10},
    *(pytest.param(some, marks=pytest.mark.long) for some in ({0}, {3, 4, 5, 9}, {10})),
]


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint: Path) -> Iterator[Encoder]:
    loaded = encoders.load(tiny_checkpoint)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def video(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten clips, and one that ends with it."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return make_video(path, seconds=22.0, fps=10, size=(64, 48))


@pytest.fixture(scope="module")
def damaged(video: Path) -> Path:
    """The same, but every 40th picture is rubbish."""
    path = video.with_name("damaged.mkv")
    with av.open(str(video)) as given, av.open(str(path), "w") as made:
        stream = given.streams.video[0]
        out = made.add_stream_from_template(stream)
        for number, packet in enumerate(given.demux(stream)):
            if packet.dts is not None:
                copy = av.Packet(b"\xff" * 40 if number % 40 == 30 else bytes(packet))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.is_keyframe, copy.stream = packet.is_keyframe, out
                made.mux(copy)
    return path


def run(
    encoder: Encoder,
    path: Path,
    plan: Plan | None = None,
    begun: Begun | None = None,
    **how: object,
) -> list[EmbeddedVideo | Problem]:
    """What comes of one video."""
    options = {"workers": 0, "batch_size": 3} | how
    job = Job("video", str(path), plan or Plan(), begun=begun)
    return [outcome for _, outcome in embed_videos(encoder, [job], **options)]


def joined(parts: list[EmbeddedVideo]) -> tuple[list[object], np.ndarray, np.ndarray]:
    clips = [clip for part in parts for clip in part.clips]
    vectors = np.concatenate([part.embeddings for part in parts])
    return clips, vectors, np.concatenate([part.logits for part in parts])


def assert_same(parts: list[EmbeddedVideo], whole: EmbeddedVideo) -> None:
    clips, vectors, logits = joined(parts)
    assert clips == list(whole.clips)
    assert [one for part in parts for one in part.facts] == list(whole.facts)
    np.testing.assert_allclose(vectors, whole.embeddings, rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits, whole.logits, rtol=0, atol=1e-2)
    assert [part.is_last for part in parts] == [*[False] * (len(parts) - 1), True]
    assert (parts[-1].info, parts[-1].problem) == (whole.info, whole.problem)


def begun_with(parts: list[EmbeddedVideo]) -> Begun:
    """What a collection tells of the parts that it has."""
    clips = [clip for part in parts for clip in part.clips]
    problem = parts[-1].problem
    start = clips[-1].start_seconds
    return Begun("take", len(parts), len(clips), start, has_non_finite=problem is not None)


def test_memory_for_frames_is_used_again(
    encoder: Encoder, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms, room = [], Encoder.room

    def counted(self: Encoder, batch_size: int) -> np.ndarray:
        rooms.append(batch_size)
        return room(self, batch_size)

    monkeypatch.setattr(Encoder, "room", counted)
    [whole] = run(encoder, video, batch_size=1)
    assert len(whole.clips) == 11
    assert len(rooms) <= 2 + encoder.ahead


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("which", ["video", "damaged"])
def test_parts_are_the_whole_wherever_a_run_ends(
    which: str, plan: Plan, encoder: Encoder, request: pytest.FixtureRequest
) -> None:
    path = request.getfixturevalue(which)
    [whole] = run(encoder, path, plan)
    assert (whole.problem is not None) == (which == "damaged")
    parts = run(encoder, path, plan, part_clips=2)
    assert_same(parts, whole)
    assert {len(part.clips) for part in parts[:-1]} == {2}
    for ended in range(1, len(parts)):
        rest = run(encoder, path, plan, begun_with(parts[:ended]), part_clips=3)
        assert_same([*parts[:ended], *rest], whole)


def test_a_part_tells_of_the_video_what_is_known_so_far(encoder: Encoder, video: Path) -> None:
    first, *_, last = run(encoder, video, part_clips=2)
    assert first.info.duration_seconds == pytest.approx(22.0)
    assert first.info == replace(last.info, duration_seconds=first.info.duration_seconds)


@pytest.mark.parametrize("part_clips", [1, 10, 11, 12, None])
def test_no_part_is_empty(part_clips: int | None, encoder: Encoder, video: Path) -> None:
    parts = run(encoder, video, part_clips=part_clips)
    assert sum(len(part.clips) for part in parts) == 11
    assert all(len(part.clips) for part in parts)
    assert len(parts) == {1: 11, 10: 2, 11: 1, 12: 1, None: 1}[part_clips]


def test_parts_come_before_the_video_ends(encoder: Encoder, video: Path) -> None:
    seen: list[object] = []
    job = Job("video", str(video))
    results = embed_videos(
        encoder, [job], workers=0, batch_size=3, part_clips=2, watch=lambda *one: seen.append(one)
    )
    next(results)
    assert len(seen) <= 6
    results.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_video_is_finished_while_others_are_waited_for(
    encoder: Encoder, make_video: Callable[..., Path], tmp_path: Path, workers: int
) -> None:
    """A batch that is never full would wait for a job that waits for its result."""
    paths = [make_video(tmp_path / f"{n}.mp4", seconds=1.0, seed=n) for n in range(2)]
    done: list[object] = []

    def jobs() -> Iterator[Job | None]:
        for number, path in enumerate(paths):
            yield Job(number, str(path))
            while len(done) == number:
                yield None

    for job, outcome in embed_videos(encoder, jobs(), workers=workers, batch_size=64):
        assert isinstance(outcome, EmbeddedVideo)
        done.append(job.key)
    assert done == [0, 1]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_clip_may_repeat_one_of_an_earlier_part(
    encoder: Encoder, make_video: Callable[..., Path], tmp_path: Path, batch_size: int
) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    path = tmp_path / "still.mkv"
    make_video(path, codec="ffv1", seconds=22.0, fps=10, size=(64, 48), still=picture)
    [whole] = run(encoder, path)
    assert whole.repeats == (False, *[True] * 10)
    seeing = Blind(encoder, set())
    parts = run(seeing, path, part_clips=2, batch_size=batch_size)
    assert seeing.seen == 1
    assert_same(parts, whole)
    assert [one for part in parts for one in part.repeats] == list(whole.repeats)
    rest = run(seeing, path, begun=begun_with(parts[:2]), part_clips=2, batch_size=batch_size)
    assert_same([*parts[:2], *rest], whole)
    assert [one for part in rest for one in part.repeats] == [False, *[True] * 6]
    assert seeing.seen == 2


def test_a_worker_that_dies_between_parts_makes_none_void(encoder: Encoder, video: Path) -> None:
    [whole] = run(Blind(encoder, {0}), video)
    job, blind = Job("video", str(video)), Blind(encoder, {0})
    parts, before = [], psutil.Process().children()
    results = embed_videos(blind, [job], workers=1, batch_size=1, part_clips=2)
    for _, part in results:
        parts.append(part)
        if len(parts) == 2:
            [worker] = [child for child in psutil.Process().children() if child not in before]
            os.kill(worker.pid, signal.SIGKILL)
            time.sleep(0.2)
    assert_same(parts, whole)


class Blind:
    """An encoder that gives no finite vector for some of the clips that it sees."""

    def __init__(self, encoder: Encoder, numbers: set[int]) -> None:
        self.encoder, self.numbers, self.seen = encoder, numbers, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.encoder, name)

    def start(self, frames: np.ndarray, *, lasting: bool = False) -> Ready:
        embeddings, logits = self.encoder.start(frames, lasting=lasting).result()
        rows = [n - self.seen for n in self.numbers if 0 <= n - self.seen < len(frames)]
        embeddings[rows] = np.inf
        self.seen += len(frames)
        return Ready((embeddings, logits))


class Ready:
    """What was computed."""

    def __init__(self, output: tuple[np.ndarray, np.ndarray]) -> None:
        self.output = output

    def done(self) -> bool:
        return True

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        return self.output


@pytest.mark.parametrize("numbers", NOT_FINITE)
def test_vectors_that_are_not_finite_are_counted_over_all_parts(
    numbers: set[int], encoder: Encoder, video: Path
) -> None:
    [whole] = run(Blind(encoder, numbers), video)
    lost = len(numbers)
    message = f"the model gave vectors that are not finite for {lost} of 11 clips"
    assert whole.problem == Problem("non_finite", message)
    parts = run(Blind(encoder, numbers), video, part_clips=2)
    assert_same(parts, whole)
    for ended in range(1, len(parts)):
        begun = begun_with(parts[:ended])
        known = num_clips_until(begun.last_start_seconds, Sampling(), Plan())
        later = {number - known for number in numbers if number >= known}
        rest = run(Blind(encoder, later), video, begun=begun, part_clips=2)
        assert_same([*parts[:ended], *rest], whole)


def test_parts_that_nothing_follows_are_a_problem_that_says_what_to_do(
    encoder: Encoder, video: Path
) -> None:
    """No video is like that, but another decoder may be."""
    begun = Begun("take", 1, 40, 100.0, has_non_finite=False)
    [problem] = run(encoder, video, begun=begun, part_clips=2)
    assert problem.reason == "no_frames"
    assert "remove it, and embed it anew" in problem.message
