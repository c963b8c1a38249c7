"""Promises of pictures that stand still: one of them is encoded, and every clip has its vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

import vidx
from vidx.embedder import pipeline
from vidx.embedder.attempts import Attempt
from vidx.embedder.decoding import handout
from vidx.embedder.decoding.events import (
    ClipDecoded,
    ClipRepeated,
    Event,
    Job,
    VideoDone,
    VideoFailed,
)
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, RepeatedClip, decode_clips
from vidx.embedder.encoder import Encoder, load
from vidx.records import Clip, ClipFacts, EmbeddedVideo, Problem, VideoInfo

MakeVideo = Callable[..., Path]
GEOMETRY = FrameGeometry(resize_shortest_edge=32, crop=(32, 32))
SAMPLING = Sampling(num_frames=4, fps=4.0)  # windows of one second
MINUTES = 20
SLIDES = [60.0 * minute for minute in range(MINUTES)]
INFO = VideoInfo(9.0, 32, 32, 25.0, "h264", "mp4", 0.0, 0, False, ())
FACTS = ClipFacts(0.5, 0.1, 1.0, 0.0, 0.0, 1.0, (0.0,))


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint: Path) -> Encoder:
    return load(tiny_checkpoint, device="cpu", dtype="float32")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many clips the model saw, batch for batch."""
    sizes: list[int] = []
    start = Encoder.start

    def counting(self: Encoder, frames: np.ndarray, **how: bool) -> object:
        sizes.append(len(frames))
        return start(self, frames, **how)

    monkeypatch.setattr(Encoder, "start", counting)
    return sizes


def embed(encoder: Encoder, path: Path, workers: int = 0) -> EmbeddedVideo:
    jobs = [Job("a", str(path))]
    [(_, video)] = pipeline.embed_videos(encoder, jobs, workers=workers, batch_size=4)
    assert isinstance(video, EmbeddedVideo)
    return video


@pytest.mark.parametrize("workers", [0, 2])
def test_of_a_video_with_a_frame_a_minute_few_clips_are_encoded(
    tmp_path: Path, make_video: MakeVideo, encoder: Encoder, seen: list[int], workers: int
) -> None:
    path = make_video(tmp_path / "slides.mp4", times=SLIDES)
    video = embed(encoder, path, workers)
    # The last frame has no duration. A clip lies across each change, or begins at it, and the
    # first clip after it is another one.
    assert len(video.clips) > (MINUTES - 1) * 28
    assert sum(seen) == video.repeats.count(False) <= 2 * MINUTES
    for start, end, repeats, facts in zip(
        [clip.start_seconds for clip in video.clips],
        [clip.end_seconds for clip in video.clips],
        video.repeats,
        video.facts,
        strict=True,
    ):
        shown = [60 * (time // 60) for time in np.linspace(start, end, 16, endpoint=False) + 0.001]
        assert facts.frame_seconds == pytest.approx(shown, abs=0.002)
        if repeats:
            assert len(set(shown)) == 1


def test_vectors_and_facts_are_what_encoding_each_clip_gives(
    tmp_path: Path, make_video: MakeVideo, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video(tmp_path / "slides.mp4", times=[0.0, 20.0, 24.0, 24.2, 24.4, 50.0])
    video = embed(encoder, path)
    assert 0 < video.repeats.count(True) < len(video.clips)
    monkeypatch.setattr(handout, "_are_same", lambda *_: False)
    plain = embed(encoder, path)
    assert not any(plain.repeats)
    assert video.clips == plain.clips
    assert video.facts == plain.facts
    np.testing.assert_allclose(video.embeddings, plain.embeddings, atol=1e-5)
    assert video.logits is not None
    assert plain.logits is not None
    np.testing.assert_allclose(video.logits, plain.logits, atol=1e-2)


def test_frames_that_are_equal_in_each_pixel_are_the_same_picture(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    still = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    path = make_video(tmp_path / "still.mkv", codec="ffv1", seconds=4.48, still=still)
    first, *others, video = decode_clips(str(path), SAMPLING, Plan(), GEOMETRY)
    assert isinstance(first, DecodedClip)
    assert isinstance(video, DecodedVideo)
    assert [type(one) for one in others] == [RepeatedClip] * 4
    spans = [(one.clip.start_seconds, one.clip.end_seconds) for one in others]
    assert np.allclose(spans, [(1, 2), (2, 3), (3, 4), (3.48, 4.48)])
    assert all(one.facts.frozen_share == 1 for one in others)


def test_what_moves_a_little_is_no_repeat(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "moves.mkv", codec="ffv1", seconds=4.0)
    *clips, _ = decode_clips(str(path), SAMPLING, Plan(), GEOMETRY)
    assert [type(one) for one in clips] == [DecodedClip] * 4


def test_a_damaged_clip_between_changes_nothing(
    tmp_path: Path, make_video: MakeVideo, encoder: Encoder, seen: list[int]
) -> None:
    still = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    path = make_video(tmp_path / "still.avi", codec="mjpeg", seconds=8.0, still=still)
    data = bytearray(path.read_bytes())
    pictures = [at for at in range(len(data)) if data[at : at + 3] == b"\xff\xd8\xff"]
    assert len(pictures) == 200
    begin, end = pictures[70], pictures[80]  # in the second clip
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)
    video = embed(encoder, path)
    assert video.problem is not None
    starts = [round(clip.start_seconds, 1) for clip in video.clips]
    assert starts == [0, 4.3, 5.9]
    # The encoder of the file needs a picture or two until it makes one like the other.
    assert video.repeats[-1]
    assert sum(seen) == video.repeats.count(False) <= 2


def test_a_collection_tells_and_leaves_out_repeats(
    tmp_path: Path, make_video: MakeVideo, tiny_checkpoint: Path
) -> None:
    make_video(tmp_path / "slides.mp4", times=[0.0, 20.0, 40.0])
    with vidx.open(tmp_path / "collection", create=True) as collection:
        collection.embed(tmp_path / "slides.mp4", vidx.EmbedOptions(model=tiny_checkpoint))
        info = collection.info()
        assert info.num_clips == 19
        assert info.num_repeats == collection.where("repeats").count() >= 15
        others = collection.where("not repeats").clip_ids().tolist()
        assert len(others) == info.num_clips - info.num_repeats
        hits = collection.search_by_id(others[0], 9, vidx.SearchOptions(where="not repeats"))
        assert {hit.clip_id for hit in hits} == set(others)
        collection.remove(tmp_path / "slides.mp4")
        assert collection.info().num_repeats == 0


def frames(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (16, 32, 32, 3), np.uint8)


def span(number: int) -> Clip:
    return Clip(2.0 * number, 2.0 * number + 2)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_second_attempt_has_vectors_of_its_own(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    """Two videos by turns; the worker of the first one dies, and what it gave is void."""
    one, other, bad = Job("one", "/1"), Job("other", "/2"), Job("bad", "/3")

    def events(jobs: Iterable[Job], **_: object) -> Iterator[Event]:
        yield ClipDecoded(one, 1, span(0), FACTS, frames(9), INFO)
        yield ClipRepeated(one, 1, span(1), FACTS, INFO)
        yield ClipDecoded(bad, 1, span(0), FACTS, frames(8), INFO)
        yield ClipDecoded(other, 1, span(0), FACTS, frames(1), INFO)
        yield ClipRepeated(bad, 1, span(1), FACTS, INFO)
        yield ClipDecoded(one, 2, span(0), FACTS, frames(2), INFO)
        yield ClipRepeated(other, 1, span(1), FACTS, INFO)
        yield VideoFailed(bad, Problem("decode_crashed", "it did"))
        yield ClipRepeated(one, 2, span(1), FACTS, INFO)
        yield ClipDecoded(one, 2, span(2), FACTS, frames(3), INFO)
        yield ClipRepeated(other, 1, span(2), FACTS, INFO)
        yield VideoDone(other, 1, INFO, None)
        yield ClipRepeated(one, 2, span(3), FACTS, INFO)
        yield VideoDone(one, 2, INFO, None)

    monkeypatch.setattr(pipeline, "decode", events)
    done = pipeline.embed_videos(encoder, [], workers=1, batch_size=batch_size)
    found = {str(job.key): outcome for job, outcome in done}
    assert found["bad"] == Problem("decode_crashed", "it did")
    expected = {
        "one": ([2, 2, 3, 3], (False, True, False, True)),
        "other": ([1] * 3, (False, True, True)),
    }
    for name, (seeds, repeats) in expected.items():
        video = found[name]
        assert isinstance(video, EmbeddedVideo)
        assert video.clips == tuple(map(span, range(len(seeds))))
        assert video.repeats == repeats
        vectors, _ = encoder.encode(np.stack([frames(seed) for seed in seeds]))
        np.testing.assert_allclose(video.embeddings, vectors, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_second_attempt_goes_on_behind_parts_with_a_repeat(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    """The clip that it repeats is in a part that the first attempt gave."""

    def events(jobs: Iterable[Job], **_: object) -> Iterator[Event]:
        job = Job("a", "/1")
        for attempt, frozen in ((1, 3), (2, 4)):
            yield ClipDecoded(job, attempt, span(0), FACTS, frames(7), INFO)
            yield ClipDecoded(job, attempt, span(1), FACTS, frames(1), INFO)
            for number in range(2, 2 + frozen):
                yield ClipRepeated(job, attempt, span(number), FACTS, INFO)
            if attempt == 1:
                yield ClipDecoded(Job("other", "/2"), 1, span(0), FACTS, frames(9), INFO)
                yield ClipDecoded(Job("other", "/2"), 1, span(1), FACTS, frames(9), INFO)
        yield VideoDone(job, 2, INFO, None)

    monkeypatch.setattr(pipeline, "decode", events)
    done = pipeline.embed_videos(encoder, [], workers=1, batch_size=batch_size, part_clips=2)
    parts = [part for _, part in done if isinstance(part, EmbeddedVideo)]
    assert [len(part.clips) for part in parts] == [2, 2, 2]
    assert [clip for part in parts for clip in part.clips] == [span(number) for number in range(6)]
    assert [one for part in parts for one in part.repeats] == [False, False, *[True] * 4]
    vectors, _ = encoder.encode(np.stack([frames(seed) for seed in (7, 1, 1, 1, 1, 1)]))
    np.testing.assert_allclose(
        np.concatenate([part.embeddings for part in parts]), vectors, atol=1e-5
    )


def test_clips_lost_to_the_model_take_their_repeats_along(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def events(jobs: Iterable[Job], **_: object) -> Iterator[Event]:
        for number in range(2):
            yield ClipDecoded(Job("a", "/1"), 1, span(2 * number), FACTS, frames(number), INFO)
            yield ClipRepeated(Job("a", "/1"), 1, span(2 * number + 1), FACTS, INFO)
        yield VideoDone(Job("a", "/1"), 1, INFO, None)

    take = Attempt.take
    taken: list[np.ndarray] = []

    def broken(self: Attempt, embedding: np.ndarray, logits: np.ndarray | None) -> None:
        taken.append(embedding)
        take(self, embedding if len(taken) > 1 else embedding * np.nan, logits)

    monkeypatch.setattr(pipeline, "decode", events)
    monkeypatch.setattr(Attempt, "take", broken)
    [(_, video)] = pipeline.embed_videos(encoder, [], workers=1, batch_size=4)
    assert isinstance(video, EmbeddedVideo)
    assert video.clips == (span(2), span(3))
    assert video.problem is not None
    assert "2 of 4 clips" in video.problem.message


def test_a_worker_sends_no_frames_of_a_repeat(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video(tmp_path / "slides.mp4", times=[0.0, 30.0, 60.0])
    jobs = [Job("a", str(path))]
    events = list(decode(jobs, sampling=SAMPLING, geometry=GEOMETRY, workers=1))
    decoded = [event for event in events if isinstance(event, ClipDecoded)]
    repeated = [event for event in events if isinstance(event, ClipRepeated)]
    assert len(decoded) <= 5
    assert len(repeated) >= 55
    times = [event.clip.start_seconds for event in events if not isinstance(event, VideoDone)]
    assert times == sorted(times)
