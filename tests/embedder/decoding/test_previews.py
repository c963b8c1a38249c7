"""Previews show the middle sample of their clip, whole and upright, and cost the model nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.embedder.decoding.test_orientation import COLOURS, ORIENTATIONS
from tests.numbered_videos import Numbered, make, number_in
from vidx.embedder.decoding import pool
from vidx.embedder.decoding.events import ClipDecoded, ClipRepeated, Job, VideoDone
from vidx.embedder.decoding.geometry import PREVIEW_SIDE, FrameGeometry, WithPreviews
from vidx.embedder.decoding.jpeg import jpeg
from vidx.embedder.decoding.pool import Limits, decode
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.shared import Shared
from vidx.embedder.decoding.timetable import Timetable
from vidx.embedder.decoding.video import DecodedClip, RepeatedClip, decode_clips
from vidx.records import Span

MakeVideo = Callable[..., Path]
MODEL = FrameGeometry(resize_shortest_edge=32, crop=(32, 32))
GEOMETRY = WithPreviews.of(MODEL)
SAMPLING = Sampling(num_frames=4, fps=4.0)  # windows of one second
MIDDLE = 2  # of the samples
WHOLE = Plan()


def clips_of(
    path: Path, plan: Plan = WHOLE, geometry: FrameGeometry = GEOMETRY
) -> Iterator[DecodedClip | RepeatedClip]:
    for part in decode_clips(str(path), SAMPLING, plan, geometry):
        if isinstance(part, DecodedClip | RepeatedClip):
            yield part


def shown(preview: bytes | None) -> NDArray[np.uint8]:
    """A preview as anybody's reader of JPEG shows it."""
    assert preview is not None
    image = Image.open(io.BytesIO(preview))
    assert image.format == "JPEG"
    return np.asarray(image.convert("RGB"))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Mean absolute, of levels from 0 to 255."""
    assert one.shape == other.shape
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((640, 360), (256, 144)),
        ((360, 640), (144, 256)),
        ((64, 48), (64, 48)),
        ((300, 2), (256, 2)),
    ],
)
def test_a_preview_is_the_whole_frame_shrunk_to_fit(
    tmp_path: Path, make_video: MakeVideo, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1.0, size=size)
    [clip] = clips_of(path)
    with av.open(str(path)) as container:
        frames = {float(frame.time or 0): frame for frame in container.decode(video=0)}
    middle = min(frames, key=lambda time: abs(time - clip.facts.frame_seconds[MIDDLE]))
    whole = Image.fromarray(frames[middle].to_ndarray(format="rgb24"))
    small = np.asarray(whole.resize(expected, Image.Resampling.BILINEAR))
    luma = np.array([0.299, 0.587, 0.114])
    assert difference(shown(clip.facts.preview) @ luma, small @ luma) < 6


PLANS = {
    "back to back": WHOLE,
    "overlapping": Plan(stride_seconds=0.3),
    "a span": Plan(start_seconds=1.5, end_seconds=4.2),
    "spans": Plan.of_spans(None, [Span(0.0, 1.3), Span(2.0, 2.4), Span(3.0, None)]),
    "shots": Plan(segment="shots"),
}


@pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))
@pytest.mark.parametrize("by_clock", [False, True])
def test_it_is_the_middle_sample_however_a_video_is_cut_and_decoded(
    tmp_path: Path, plan: Plan, by_clock: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_clock:
        monkeypatch.setattr(Timetable, "of", lambda _: None)
    how = Numbered(seconds=5.0, fps=20, b_frames=2)
    path = make(tmp_path / "numbered.mp4", how)
    found = list(clips_of(path, plan))
    assert len(found) > 1
    for clip in found:
        middle = round(clip.facts.frame_seconds[MIDDLE] * how.fps)
        assert number_in(shown(clip.facts.preview)) == middle


def test_what_the_model_gets_is_the_same_with_and_without(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=3.0)
    plain = list(clips_of(path, geometry=MODEL))
    for one, other in zip(plain, clips_of(path), strict=True):
        assert isinstance(one, DecodedClip)
        assert isinstance(other, DecodedClip)
        assert np.array_equal(one.frames, other.frames)
        assert one.facts.preview is None


@pytest.mark.parametrize("name", ["turned by 90", "transversed"])
def test_it_is_upright(tmp_path: Path, make_video: MakeVideo, name: str) -> None:
    (a, b, c, d), _, corners, _ = ORIENTATIONS[name]
    image = np.zeros((64, 96, 3), np.uint8)
    quarters = [np.s_[:32, :48], np.s_[:32, 48:], np.s_[32:, :48], np.s_[32:, 48:]]
    for quarter, colour in zip(quarters, "RGBW", strict=True):
        image[quarter] = COLOURS[colour]
    path = make_video(
        tmp_path / "turned.mp4", seconds=1.0, size=(96, 64), still=image,
        matrix=(a, b, c, d, 0, 0),
    )  # fmt: skip
    [clip, *_] = clips_of(path)
    picture = shown(clip.facts.preview)
    assert picture.shape == (96, 64, 3)
    seen = [picture[y, x] for y in (8, -8) for x in (8, -8)]
    for pixel, colour in zip(seen, corners, strict=True):
        assert np.abs(pixel.astype(int) - COLOURS[colour]).max() < 60, (name, pixel, colour)


def test_a_clip_that_repeats_has_the_picture_that_it_repeats(
    tmp_path: Path, make_video: MakeVideo
) -> None:
    still = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    path = make_video(tmp_path / "still.mkv", codec="ffv1", seconds=4.0, still=still)
    first, *others = clips_of(path)
    assert [type(one) for one in others] == [RepeatedClip] * 3
    assert {one.facts.preview for one in others} == {first.facts.preview}


@pytest.mark.parametrize("frame", ["wide", "tall", "one pixel", "one row"])
def test_frames_of_any_shape_have_one(frame: str) -> None:
    sizes = {"wide": (16, 16384), "tall": (16384, 16), "one pixel": (1, 1), "one row": (1, 5000)}
    height, width = GEOMETRY.preview.resized(*sizes[frame])  # type: ignore[union-attr]
    assert max(height, width) <= PREVIEW_SIDE
    pixels = np.full((height, width, 3), 128, np.uint8)
    assert difference(shown(jpeg(pixels)), pixels) < 2


def test_a_ribbon_has_one(tmp_path: Path, make_video: MakeVideo) -> None:
    """A frame so long that, resized for the model, it is made in part only."""
    path = make_video(tmp_path / "ribbon.mkv", codec="ffv1", seconds=1.0, size=(1280, 16))
    geometry = WithPreviews.of(FrameGeometry(resize_shortest_edge=224, crop=(224, 224)))
    [clip] = clips_of(path, geometry=geometry)
    assert shown(clip.facts.preview).shape == (4, 256, 3)


def previews_from(path: Path, workers: int) -> dict[float, bytes | None]:
    """By start, of a video that is decoded by workers."""
    events = decode(
        [Job("video", str(path))],
        sampling=Sampling(),
        geometry=WithPreviews.of(FrameGeometry(resize_to=(48, 64))),
        workers=workers,
        limits=Limits(deadline_seconds=120),
    )
    found = {}
    for event in events:
        if isinstance(event, ClipDecoded | ClipRepeated):
            found[event.clip.start_seconds] = event.facts.preview
        else:
            assert isinstance(event, VideoDone)
    return found


def test_they_come_from_workers_and_from_several_of_one_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    divided = []

    class Watched(Shared):
        def __init__(self, rest: object) -> None:
            super().__init__(rest)  # type: ignore[arg-type]
            divided.append(self)

    path = make(tmp_path / "long.mp4", Numbered(seconds=100.0, fps=10, gop=25, size=(64, 48)))
    here = previews_from(path, 0)
    assert len(here) == 47
    assert all(here.values())
    monkeypatch.setattr(pool, "Shared", Watched)
    assert previews_from(path, 2) == here
    assert divided, "two workers were at it"
