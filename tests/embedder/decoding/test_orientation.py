"""Turned and mirrored videos are shown as FFmpeg's autorotate shows them."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from PIL import Image, ImageOps

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.orientation import Orientation, from_matrix, orientation_of
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import DecodedClip, DecodedVideo, decode_clips
from vidx.records import VideoInfo

MakeVideo = Callable[..., Path]
WHOLE = FrameGeometry()
GEOMETRIES = [
    # With a crop off the centre by half a pixel, which a turn must not take to the other side.
    FrameGeometry(resize_shortest_edge=33, crop=(24, 31)),
    FrameGeometry(resize_to=(20, 50)),
    WHOLE,
]

# a, b, c, d: a point (x, y) of the coded picture is shown at (ax + cy, bx + dy), y downwards.
# Then what FFmpeg's autorotate does, and where it brings the corners red, green, blue and white:
# at the top from left to right, and then at the bottom. Then (rotation_degrees, is_mirrored).
ORIENTATIONS = {
    "as coded": ((1, 0, 0, 1), [], "RGBW", (0, False)),
    "turned by 90": ((0, 1, -1, 0), [("transpose", "clock")], "BRWG", (270, False)),
    "turned by 180": ((-1, 0, 0, -1), [("hflip", ""), ("vflip", "")], "WBGR", (180, False)),
    "turned by 270": ((0, -1, 1, 0), [("transpose", "cclock")], "GWRB", (90, False)),
    "left to right": ((-1, 0, 0, 1), [("hflip", "")], "GRWB", (0, True)),
    "upside down": ((1, 0, 0, -1), [("vflip", "")], "BWRG", (180, True)),
    "transposed": ((0, 1, 1, 0), [("transpose", "cclock_flip")], "RBGW", (90, True)),
    "transversed": ((0, -1, -1, 0), [("transpose", "clock_flip")], "WGBR", (270, True)),
}
EACH = pytest.mark.parametrize(
    ("axes", "filters", "corners", "told"), ORIENTATIONS.values(), ids=list(ORIENTATIONS)
)
COLOURS = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}


def decoded(path: Path, geometry: FrameGeometry = WHOLE) -> tuple[NDArray[np.uint8], VideoInfo]:
    """Its only clip, uint8 (2, height, width, 3)."""
    clip, video = decode_clips(str(path), Sampling(num_frames=2, fps=2.0), Plan(), geometry)
    assert isinstance(clip, DecodedClip)
    assert isinstance(video, DecodedVideo)
    return clip.frames, video.info


def first_frame(path: Path) -> VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def filtered(frame: VideoFrame, filters: Iterable[tuple[str, str]]) -> VideoFrame:
    """A frame as libavfilter gives it."""
    graph = Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        ),
        *(graph.add(name, arguments) for name, arguments in filters),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    graph.vpush(frame)
    return graph.vpull()


def quarters() -> NDArray[np.uint8]:
    """A wide picture, red and green above blue and white."""
    rows = [np.repeat([COLOURS[name] for name in pair], 64, axis=0) for pair in ("RG", "BW")]
    return np.repeat(np.array(rows, np.uint8), 48, axis=0)  # (96, 128, 3)


def corners_of(image: NDArray[np.uint8]) -> str:
    """The names of its corners' colours."""
    shown = [image[y, x].astype(int) for y in (2, -3) for x in (2, -3)]
    return "".join(
        min(COLOURS, key=lambda name: np.abs(pixel - COLOURS[name]).sum()) for pixel in shown
    )


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=["cropped", "exact", "whole"])
@EACH
def test_a_picture_is_shown_as_libavfilter_shows_it(
    axes, filters, corners, told, geometry: FrameGeometry, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1.0, matrix=(*axes, 0, 0))
    frame = first_frame(path)
    upright = filtered(frame, filters)
    height, width = geometry.resized(upright.height, upright.width)
    coded = (height, width) if upright.width > upright.height else (width, height)
    # At the same size, as swscale has no equal rules for both axes.
    small = frame.reformat(
        coded[1],
        coded[0],
        "gbrp",
        interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
    )
    expected = filtered(small, filters).to_ndarray()
    top, left, crop_height, crop_width = geometry.crop_box(height, width)

    frames, info = decoded(path, geometry)

    np.testing.assert_array_equal(
        frames[0], expected[top : top + crop_height, left : left + crop_width]
    )
    assert (info.width, info.height) == (upright.width, upright.height)
    assert (info.rotation_degrees, info.is_mirrored) == told


@EACH
def test_corners_are_where_the_matrix_puts_them(
    axes, filters, corners, told, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1.0, still=quarters(), matrix=(*axes, 0, 0))
    assert corners_of(decoded(path)[0][0]) == corners


@pytest.mark.parametrize("shift", [(0, 0), (128, 0), (-3.5, 96)])
@pytest.mark.parametrize("scale", [1.0, 2.0, 0.5])
@EACH
def test_scale_and_shift_of_the_matrix_change_nothing(
    axes, filters, corners, told, scale, shift, make_video: MakeVideo, tmp_path: Path
) -> None:
    matrix = (*(scale * value for value in axes), *shift)
    path = make_video(tmp_path / "a.mp4", seconds=1.0, still=quarters(), matrix=matrix)
    frames, info = decoded(path)
    assert corners_of(frames[0]) == corners
    assert (info.rotation_degrees, info.is_mirrored) == told


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9")])
@EACH
def test_matroska_turns_and_mirrors_alike(
    axes, filters, corners, told, name, codec, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(
        tmp_path / name, codec=codec, seconds=1.0, still=quarters(), matrix=(*axes, 0, 0)
    )
    frames, info = decoded(path)
    assert corners_of(frames[0]) == corners
    assert (info.rotation_degrees, info.is_mirrored) == told


@pytest.mark.parametrize("degrees", [0.4, -0.4])
@EACH
def test_a_matrix_that_is_rounded_is_honoured(axes, filters, corners, told, degrees) -> None:
    a, b, c, d = axes
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    axes = [a * cos - b * sin, a * sin + b * cos, c * cos - d * sin, c * sin + d * cos]
    a, b, c, d = (round(65536 * value) for value in axes)
    orientation = from_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
    assert (90 * orientation.turns, orientation.is_mirrored) == told


@pytest.mark.parametrize("degrees", [0.6, 30, 91, 225])
@pytest.mark.parametrize("flip", [1, -1])
def test_other_angles_are_shown_as_coded(
    degrees: float, flip: int, make_video: MakeVideo, tmp_path: Path
) -> None:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    matrix = (flip * cos, flip * sin, -sin, cos, 0, 0)
    path = make_video(tmp_path / "a.mp4", seconds=1.0, still=quarters(), matrix=matrix)
    frames, info = decoded(path)
    assert corners_of(frames[0]) == "RGBW"
    assert (info.width, info.height) == (128, 96)
    assert (info.rotation_degrees, info.is_mirrored) == (0, False)


@pytest.mark.parametrize("matrix", [(0, 0, 0, 0, 0, 0), (1, 0, 0, 0, 0, 0), (0, 0, 1, 1, 0, 0)])
def test_a_matrix_that_makes_no_picture_changes_none(
    matrix, make_video: MakeVideo, tmp_path: Path
) -> None:
    path = make_video(tmp_path / "a.mp4", seconds=1.0, still=quarters(), matrix=matrix)
    assert corners_of(decoded(path)[0][0]) == "RGBW"


@pytest.mark.parametrize("exif", range(1, 9))
def test_a_jpegs_own_orientation_is_honoured(exif: int, tmp_path: Path) -> None:
    """Its frames have side data that PyAV does not know, beside the matrix."""
    tags = Image.Exif()
    tags[0x0112] = exif
    path = tmp_path / "a.jpg"
    Image.fromarray(quarters()).save(path, exif=tags, quality=95)
    frame = first_frame(path)
    ours = orientation_of(frame).upright(frame.to_ndarray(format="rgb24"))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert ours.shape == expected.shape
    assert corners_of(ours) == corners_of(expected)


def test_a_frame_that_was_looked_at_is_let_go(make_video: MakeVideo, tmp_path: Path) -> None:
    """At 4K, those that wait for Python's collection would take gigabytes."""

    def frames() -> int:
        return sum(type(thing) is VideoFrame for thing in gc.get_objects())

    frame = first_frame(make_video(tmp_path / "a.mp4", seconds=1.0, rotation=90))
    gc.collect()
    gc.disable()
    try:
        before = frames()
        assert orientation_of(frame) == Orientation(turns=3)
        del frame
        assert frames() == before - 1
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("name", "corners"), [("mirror_hflip.mp4", "GRWB"), ("mirror_rot90.mp4", "WGBR")]
)
def test_reported_videos_are_mirrored_not_upside_down(name, corners, media: Path) -> None:
    first, *_ = decode_clips(str(media / "reports" / name), Sampling(), Plan(), WHOLE)
    assert isinstance(first, DecodedClip)
    assert corners_of(first.frames[0]) == corners
