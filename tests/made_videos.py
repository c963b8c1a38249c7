"""Small videos made for the tests: textures that differ by seed and move all the time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

MILLISECOND = Fraction(1, 1000)
BOXES = {".mp4", ".mov"}
TURNS = {90: (0, 1, -1, 0, 0, 0), 180: (-1, 0, 0, -1, 0, 0), 270: (0, -1, 1, 0, 0, 0)}


def picture(seed: int, seconds: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture of a video at a time: a coarse texture that pans, under a bar that wanders."""
    width, height = size
    rng = np.random.default_rng(seed)
    tiles = rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)
    speed_y, speed_x = rng.uniform(10, 40, 2)
    rows = (np.arange(height) + speed_y * seconds) / max(height, 8) * 8
    columns = (np.arange(width) + speed_x * seconds) / max(width, 8) * 8
    image = tiles[rows.astype(int) % 9][:, columns.astype(int) % 9]
    bar = int(seconds * 0.21 * width) % width
    image[:, bar : bar + max(width // 16, 1)] = tiles[0, 0]
    return image


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """A function that writes a video and returns its path."""
    return _make_video


def _make_video(
    path: Path,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (128, 96),
    fps: int = 25,
    seconds: float = 3.0,
    seed: int = 0,
    rotation: int = 0,
    matrix: Sequence[float] | None = None,
    still: NDArray[np.uint8] | None = None,
    b_frames: int = 0,
    gop: int = 12,
    times: Sequence[float] | None = None,
    bit_rate: int | None = None,
    format: str | None = None,  # noqa: A002 - as av.open calls it
) -> Path:
    """Write a video.

    Args:
        path: The file; its extension names the container, unless `format` does.
        codec: FFmpeg encoder.
        size: (width, height) as coded, even numbers for most codecs.
        fps: Frames a second.
        seconds: Duration.
        seed: Decides the content.
        rotation: Clockwise degrees that it is to be turned by: 0, 90, 180 or 270.
        matrix: How it is to be turned and mirrored: a, b, c, d, x, y of the matrix in an MP4's or
            MOV's track header, which is written there; other containers are left to FFmpeg.
        still: Shown all the time, uint8, shape (height, width, 3), instead of what moves.
        b_frames: Reordered frames between two others.
        gop: Frames from one key frame to the next.
        times: When each frame appears, in seconds, instead of `fps` and `seconds`.
        bit_rate: Bits a second; None for the encoder's default.
        format: FFmpeg muxer.
    """
    matrix = matrix or TURNS.get(rotation)
    shown = times if times is not None else [i / fps for i in range(round(seconds * fps))]
    with av.open(str(path), "w", format=format) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8", "prores_ks": "yuv422p10le"}.get(
            codec, "yuv420p"
        )
        stream.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.thread_count = 1
        if bit_rate:
            stream.bit_rate = bit_rate
        if codec == "libx264":
            stream.options = {"preset": "ultrafast", "bf": str(b_frames)}
        if matrix and path.suffix not in BOXES:
            stream.set_display_matrix(_fixed_point(matrix))
        if times is not None:
            stream.codec_context.time_base = stream.time_base = MILLISECOND
        for number, time in enumerate(shown):
            image = picture(seed, time, size) if still is None else still
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = number if times is None else round(time * 1000)
            frame.time_base = Fraction(1, fps) if times is None else MILLISECOND
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if matrix and path.suffix in BOXES:
        _write_matrix(path, matrix)
    return path


def _write_matrix(path: Path, matrix: Sequence[float]) -> None:
    """Write the matrix of the track header (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 40
    data[start : start + 36] = b"".join(
        value.to_bytes(4, "big", signed=True) for value in _fixed_point(matrix)
    )
    path.write_bytes(data)


def _fixed_point(matrix: Sequence[float]) -> list[int]:
    """From a, b, c, d, x, y: three rows of which the last column has 30 bits after the point."""
    a, b, c, d, x, y = (round(value * (1 << 16)) for value in matrix)
    return [a, b, 0, c, d, 0, x, y, 1 << 30]


@pytest.fixture(scope="session")
def cut_short() -> Callable[[Path], Path]:
    """A function that takes the second half of a file away, as a broken download does."""

    def cut(path: Path) -> Path:
        os.truncate(path, path.stat().st_size // 2)
        return path

    return cut


@pytest.fixture(scope="session")
def make_sound() -> Callable[..., Path]:
    """A function that writes a second of sound without pictures and returns its path."""

    def make(
        path: Path,
        *,
        codec: str = "pcm_s16le",
        rate: int = 8000,
        format: str | None = None,  # noqa: A002 - as av.open calls it
    ) -> Path:
        with av.open(str(path), "w", format=format) as container:
            stream = container.add_stream(codec, rate=rate, layout="mono")
            noise = np.random.default_rng(0).integers(-999, 999, (1, rate), dtype=np.int16)
            frame = av.AudioFrame.from_ndarray(noise, format="s16", layout="mono")
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return make
