"""Videos each of whose frames shows its own number, so that one can see which frames were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SIDE = 4  # a number is SIDE x SIDE squares, white for a 1, the least significant bit first
MILLISECOND = Fraction(1, 1000)
SOUND_RATE = 48000


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """How such a video is made.

    Attributes:
        codec: FFmpeg encoder of the pictures.
        sound: FFmpeg encoder of the sound; None for none.
        fps: Frames a second.
        seconds: Duration of the pictures.
        sound_seconds: Duration of the sound; None: as the pictures.
        start_seconds: When the first picture is shown; the sound begins at 0.
        times: When each frame appears, in seconds from the first; None: `fps` a second.
        gop: Frames from one key frame to the next.
        b_frames: Reordered frames between two others.
        size: (width, height).
        seed: Decides the texture.
        format: FFmpeg muxer; None: by the name.
        options: Of the muxer.
    """

    codec: str = "libx264"
    sound: str | None = None
    fps: int = 30
    seconds: float = 10.0
    sound_seconds: float | None = None
    start_seconds: float = 0.0
    times: Sequence[float] | None = None
    gop: int = 30
    b_frames: int = 0
    size: tuple[int, int] = (128, 96)
    seed: int = 0
    format: str | None = None
    options: dict[str, str] | None = None

    def shown(self) -> list[float]:
        """When each frame appears, in seconds from the first."""
        if self.times is not None:
            return list(self.times)
        return [number / self.fps for number in range(round(self.seconds * self.fps))]


def picture(number: int, size: tuple[int, int], seed: int) -> NDArray[np.uint8]:
    """The picture of a frame: its number in squares, under a texture that moves."""
    width, height = size
    bits = (number >> np.arange(SIDE * SIDE)) & 1
    squares = (60 + 135 * bits).reshape(SIDE, SIDE)
    rows, columns = np.arange(height) * SIDE // height, np.arange(width) * SIDE // width
    texture = np.random.default_rng(seed).integers(-40, 40, (height, width))
    moved = np.roll(texture, (number, 3 * number), (0, 1))
    gray = np.clip(squares[rows][:, columns] + moved, 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def number_in(image: NDArray[np.uint8]) -> int:
    """Read the number off a picture of any size."""
    gray = image.mean(axis=2)
    squares = [
        square
        for row in np.array_split(gray, SIDE, axis=0)
        for square in np.array_split(row, SIDE, axis=1)
    ]
    return sum(int(square.mean() > 127) << place for place, square in enumerate(squares))


def make(path: Path, how: Numbered) -> Path:
    """Write a video."""
    with av.open(str(path), "w", format=how.format, options=how.options or {}) as container:
        stream = container.add_stream(how.codec, rate=how.fps)
        stream.width, stream.height = how.size
        stream.pix_fmt = "yuvj420p" if how.codec == "mjpeg" else "yuv420p"
        stream.gop_size, stream.codec_context.max_b_frames = how.gop, how.b_frames
        stream.codec_context.thread_count = 1
        stream.options = _encoder_options(how)
        base = MILLISECOND if how.times is not None or how.start_seconds else Fraction(1, how.fps)
        stream.codec_context.time_base = stream.time_base = base
        packets = []
        sound = None
        if how.sound:
            sound = container.add_stream(how.sound, rate=SOUND_RATE, layout="mono")
            sound.codec_context.format = sound.codec_context.codec.audio_formats[0]
        for number, time in enumerate(how.shown()):
            frame = av.VideoFrame.from_ndarray(picture(number, how.size, how.seed), format="rgb24")
            frame.pts, frame.time_base = round((time + how.start_seconds) / base), base
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if sound:
            packets += _sound_packets(sound, how)
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * p.time_base):
            container.mux(packet)
    return path


def _encoder_options(how: Numbered) -> dict[str, str]:
    if how.codec == "libx264":
        return {"preset": "ultrafast", "bf": str(how.b_frames), "sc_threshold": "0"}
    if how.codec in ("libvpx", "libvpx-vp9"):
        return {"deadline": "realtime", "cpu-used": "8", "auto-alt-ref": "0", "lag-in-frames": "0"}
    return {}


def _sound_packets(sound: av.AudioStream, how: Numbered) -> list[av.Packet]:
    seconds = how.seconds if how.sound_seconds is None else how.sound_seconds
    samples = sound.codec_context.frame_size or 1024
    times = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
    wave = (
        np.sin(times * 2764) * 8000 + np.random.default_rng(how.seed).normal(0, 900, len(times))
    ).astype(np.int16)
    resampler = av.AudioResampler(sound.codec_context.format, "mono", SOUND_RATE)
    packets = []
    for start in range(0, len(wave) - samples + 1, samples):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + samples], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
        for converted in resampler.resample(frame):
            packets += sound.encode(converted)
    return packets + sound.encode(None)
