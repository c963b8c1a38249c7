"""Animated pictures are videos, or a plain reason is told; still ones are pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.sampling import Plan, Sampling, clip_spans, frame_times
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, decode_clips
from vidx.errors import VideoError

GEOMETRY = FrameGeometry(resize_to=(32, 32))
FRAME_SECONDS, NUM_FRAMES = 0.05, 60


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """The first grey level is 16, and each following is 3 more."""
    return [Image.new("RGB", (64, 64), (16 + 3 * n,) * 3) for n in range(NUM_FRAMES)]


def animated(path: Path, pictures: list[Image.Image]) -> Path:
    milliseconds = round(1000 * FRAME_SECONDS)
    kind = "png" if path.suffix == ".apng" else None
    first, *rest = pictures
    first.save(path, kind, save_all=True, append_images=rest, duration=milliseconds, lossless=True)
    return path


def failure(path: Path) -> VideoError:
    with pytest.raises(VideoError) as caught:
        list(decode_clips(str(path), Sampling(), Plan(), GEOMETRY))
    return caught.value


@pytest.mark.parametrize("name", ["a.apng", "a.png", "a.gif", "a.avif", "a.mp4"])
def test_an_animated_picture_is_a_video(
    name: str, pictures: list[Image.Image], tmp_path: Path
) -> None:
    kind = ".png" if name == "a.mp4" else Path(name).suffix
    path = animated(tmp_path / f"made{kind}", pictures).rename(tmp_path / name)
    *clips, video = decode_clips(str(path), Sampling(), Plan(), GEOMETRY)
    assert isinstance(video, DecodedVideo)
    assert video.problem is None
    seconds = NUM_FRAMES * FRAME_SECONDS
    assert video.info.duration_seconds == pytest.approx(seconds, abs=0.001)
    spans = clip_spans(seconds, Sampling(), Plan())
    assert len(clips) == len(spans)
    for clip, span in zip(clips, spans, strict=True):
        assert isinstance(clip, DecodedClip)
        shown = (frame_times(span, Sampling()) + 0.001) // FRAME_SECONDS
        levels = clip.frames.mean(axis=(1, 2, 3))
        assert levels == pytest.approx(16 + 3 * shown, abs=1.4)


@pytest.mark.parametrize("name", ["a.apng", "a.png", "a.webp", "a.avif"])
def test_a_still_one_is_a_picture(name: str, pictures: list[Image.Image], tmp_path: Path) -> None:
    assert failure(animated(tmp_path / name, pictures[:1])).reason == "still_image"


def test_of_animated_webp_it_is_told_that_there_is_no_decoder(
    pictures: list[Image.Image], tmp_path: Path
) -> None:
    path = animated(tmp_path / "a.webp", pictures)
    for size in (path.stat().st_size, path.stat().st_size // 2):  # also of half a download
        path.write_bytes(path.read_bytes()[:size])
        error = failure(path)
        assert (error.reason, error.message) == ("no_decoder", "FFmpeg cannot decode animated WebP")
