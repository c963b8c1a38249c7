"""What is resized in part is what it is in the resized whole."""

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.margins import TOLERANCE, Margin, margin
from vidx.embedder.decoding.scaler import Scaler

FILTERS = {"bilinear": Interpolation.BILINEAR, "bicubic": Interpolation.BICUBIC}


def picture(width: int, height: int, form: str, seed: int) -> av.VideoFrame:
    """Blots of all colours."""
    shape = (max(height // 8, 2), max(width // 8, 2), 3)
    blots = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    small = av.VideoFrame.from_ndarray(blots, format="rgb24")
    return small.reformat(width, height, form, interpolation=Interpolation.BICUBIC)


def whole_then_cropped(
    frame: av.VideoFrame, geometry: FrameGeometry, side: int
) -> NDArray[np.uint8]:
    height, width = geometry.resized(frame.height, frame.width)
    rounded = FILTERS[geometry.interpolation] | Interpolation.ACCURATE_RND
    whole = frame.reformat(width, height, "gbrp", interpolation=rounded).to_ndarray()
    top, left = (height - side) // 2, (width - side) // 2
    return whole[top : top + side, left : left + side]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "form", ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv410p", "yuv420p10le", "nv12", "gbrp"]
)
@pytest.mark.parametrize(
    ("width", "height"),
    [(640, 480), (1280, 720), (720, 1280), (1920, 1080), (854, 480), (180, 102), (641, 361)],
)
def test_a_part_looks_as_it_does_in_the_whole(
    width: int, height: int, form: str, interpolation: str
) -> None:
    geometry = FrameGeometry(224, crop=(224, 224), interpolation=interpolation)
    frame = picture(width, height, form, seed=width)
    apart = np.abs(
        Scaler(geometry).pixels(frame).astype(np.int16) - whole_then_cropped(frame, geometry, 224)
    )
    assert apart.max() <= 4
    assert apart.mean() <= 0.4


@pytest.mark.parametrize("size", range(32, 2000, 38))
@pytest.mark.parametrize("resized", [224, 298, 398, 500])
def test_a_margin_ends_between_two_pixels_of_both_and_off_what_is_kept(
    size: int, resized: int
) -> None:
    start = (resized - 224) // 2
    found = margin(size, resized, start, 224, 2)
    assert found.cut % 2 == 0
    assert abs(found.cut - found.made * size / resized) <= TOLERANCE
    assert found == Margin() or found.made <= start - 2


@pytest.mark.parametrize("start", [-20, 0, 1])
def test_what_is_kept_whole_or_padded_has_no_margin(start: int) -> None:
    assert margin(640, 298, start, 298 - 2 * start, 2) == Margin()


def test_a_third_less_is_resized_of_the_usual_shapes() -> None:
    for width, height, most in [(640, 480, 0.85), (1280, 720, 0.65), (1920, 1080, 0.65)]:
        resized = 224 * width // height
        found = margin(width, resized, (resized - 224) // 2, 224, 2)
        assert (resized - 2 * found.made) / resized <= most
