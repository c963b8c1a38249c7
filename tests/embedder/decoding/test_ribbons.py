"""Frames so long that, resized, they are too large: what the crop keeps is made, and no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.taps import resized_part
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, decode_clips
from vidx.embedder.videomae.preprocess import INTERPOLATIONS
from vidx.errors import VideoError
from vidx.records import VideoInfo

MakeVideo = Callable[..., Path]
PILLOW = {name: number for number, name in INTERPOLATIONS.items()}
MODEL = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
TURNED = (0, 1, -1, 0, 0, 0)  # clockwise
TRANSVERSED = (0, -1, -1, 0, 0, 0)


def decoded(path: Path, geometry: FrameGeometry) -> tuple[NDArray[np.uint8], VideoInfo]:
    """The first frame, uint8 (height, width, 3)."""
    sampling = Sampling(num_frames=2, fps=2.0)
    clip, *_, video = decode_clips(str(path), sampling, Plan(), geometry)
    assert isinstance(clip, DecodedClip)
    assert isinstance(video, DecodedVideo)
    assert video.problem is None
    return clip.frames[0], video.info


def first_frame(path: Path) -> av.VideoFrame:
    """As coded."""
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def whole_by_pillow(path: Path, geometry: FrameGeometry, show: Callable) -> NDArray[np.uint8]:
    """All of the frame is resized, and then cropped."""
    image = show(first_frame(path).to_ndarray(format="rgb24"))
    height, width = geometry.resized(*image.shape[:2])
    assert max(height, width) > 16384
    filter_number = PILLOW[geometry.interpolation]
    whole = Image.fromarray(image).resize((width, height), filter_number)
    top, left, crop_height, crop_width = geometry.crop_box(height, width)
    return np.asarray(whole.crop((left, top, left + crop_width, top + crop_height)))


RIBBONS = {
    "wide": ((1280, 16), None, lambda image: image),
    "tall": ((16, 1280), None, lambda image: image),
    "odd": ((1283, 17), None, lambda image: image),
    "very wide": ((3840, 16), None, lambda image: image),
    "wide, shown tall": ((1280, 16), TURNED, lambda image: np.rot90(image, -1)),
    "tall, shown wide": ((16, 1280), TURNED, lambda image: np.rot90(image, -1)),
    "odd, turned and mirrored": (
        (1283, 17),
        TRANSVERSED,
        lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    ),
}


def ribbon(make_video: MakeVideo, path: Path, size: tuple[int, int], matrix=None) -> Path:
    return make_video(path, codec="mjpeg", size=size, seconds=1.0, matrix=matrix, seed=5)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "matrix", "show"), RIBBONS.values(), ids=list(RIBBONS))
def test_a_ribbon_equals_the_crop_of_the_whole(
    size, matrix, show, interpolation, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = ribbon(make_video, tmp_path / "a.mov", size, matrix)
    geometry = FrameGeometry(224, None, (224, 224), interpolation)
    frame, info = decoded(path, geometry)
    expected = whole_by_pillow(path, geometry, show)
    assert expected.std() > 20
    np.testing.assert_array_equal(frame, expected)
    assert (info.width, info.height) == show(np.zeros(size[::-1])[..., None]).shape[1::-1]


def test_a_ribbon_is_within_a_grey_level_of_other_frames_resize(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    path = ribbon(make_video, tmp_path / "a.mov", (1280, 16))
    whole = first_frame(path).reformat(format="rgb24").reformat(17920, 224, "gbrp").to_ndarray()
    difference = np.abs(decoded(path, MODEL)[0].astype(int) - whole[:, 8848:9072])
    assert difference.mean() < 0.5
    assert difference.max() <= 8  # on edges, where swscale's steps of a 65536th add up


def test_a_crop_beyond_a_ribbon_is_black_there(make_video: MakeVideo, tmp_path: Path) -> None:
    path = ribbon(make_video, tmp_path / "a.mov", (1280, 16))
    geometry = FrameGeometry(resize_shortest_edge=224, crop=(231, 300))
    frame, _ = decoded(path, geometry)
    np.testing.assert_array_equal(frame, whole_by_pillow(path, geometry, lambda image: image))
    assert not frame[:4].any()
    assert not frame[228:].any()
    assert frame[4:228].any(axis=2).all()


@pytest.mark.parametrize(
    ("crop", "kept"), [(None, "no crop"), ((224, 17000), "the crop keeps 17000x224")]
)
def test_what_is_kept_too_large_is_refused_with_the_reason(
    crop, kept, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = ribbon(make_video, tmp_path / "a.mov", (3840, 16))
    with pytest.raises(VideoError) as caught:
        decoded(path, FrameGeometry(resize_shortest_edge=224, crop=crop))
    assert caught.value.reason == "too_large"
    assert caught.value.message == (
        f"the model's resize makes 53760x224 of 3840x16 pixels ({kept}): a side over 16384"
    )


@pytest.mark.parametrize("name", list(PILLOW))
def test_any_part_of_a_resized_image_equals_pillows(name) -> None:
    generator = np.random.default_rng(0)
    for _ in range(60):
        old_height, old_width, height, width = (int(n) for n in generator.integers(1, 90, 4))
        image = generator.integers(0, 256, (old_height, old_width, 3), dtype=np.uint8)
        whole = np.asarray(Image.fromarray(image).resize((width, height), PILLOW[name]))
        top, left = int(generator.integers(height)), int(generator.integers(width))
        box = (top, left, height - top - top % 2, width - left - left % 2)
        part = resized_part(image, height, width, box, name)
        np.testing.assert_array_equal(part, whole[top:, left:][: box[2], : box[3]])


def test_the_reported_ribbon_is_a_video(media: Path) -> None:
    path = media / "reports" / "ribbon_3840x16.mp4"
    frame, info = decoded(path, MODEL)
    assert (info.width, info.height) == (3840, 16)
    assert frame.shape == (224, 224, 3)
