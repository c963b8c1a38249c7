"""A picture or a short film of a span, as bytes that browsers show. It runs in a child process."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import av
import numpy as np

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import decode_clips
from vidx.errors import VideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidx.embedder.decoding.packets import Tick
    from vidx.records import Footage

FRAMES_PER_SECOND = 25
MOST_FRAMES = 500  # of a film; a longer span is shown with fewer a second
INSTANT_SECONDS = 0.05  # what a picture is taken from
PICTURE_TYPE, FILM_TYPE = "image/webp", "video/mp4"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be shown.

    Attributes:
        kind: `picture` of the middle of the span, or the span as a `film`, without sound.
        path: The file or URL.
        start_seconds: Begin of the span.
        end_seconds: Its end.
        height: Pixels, even.
        width: Pixels, even.
    """

    kind: Literal["picture", "film"]
    path: str
    start_seconds: float
    end_seconds: float
    height: int
    width: int


def wanted_of(footage: Footage, kind: Literal["picture", "film"], longer_side: int) -> Wanted:
    """What is to be made of a clip.

    Args:
        footage: Where its pictures are to be had.
        kind: Which of the two.
        longer_side: Of the picture, pixels at most; it is never larger than the video.

    Raises:
        VideoError: `unreadable`: no file has its video any more.
    """
    if not footage.paths:
        raise VideoError("unreadable", "no file of this video is as it was when embedded")
    height, width = _fitting(footage.height, footage.width, longer_side)
    clip = footage.clip
    return Wanted(kind, footage.paths[0], clip.start_seconds, clip.end_seconds, height, width)


def _fitting(height: int, width: int, longer_side: int) -> tuple[int, int]:
    """A size that fits, never a larger one; even numbers, as H.264 takes.

    >>> _fitting(1080, 1920, 480), _fitting(48, 64, 480), _fitting(1, 5000, 480)
    ((270, 480), (48, 64), (2, 480))
    """
    share = min(1.0, longer_side / max(height, width))
    return max(2, round(height * share / 2) * 2), max(2, round(width * share / 2) * 2)


def made(wanted: Wanted, tick: Tick) -> bytes:
    """Decode, and encode anew.

    Args:
        wanted: What.
        tick: Called now and then, as a sign of life.

    Returns:
        WebP, or MP4 with H.264.

    Raises:
        VideoError: The file cannot be read there.
    """
    return _picture(wanted, tick) if wanted.kind == "picture" else _film(wanted, tick)


def _picture(wanted: Wanted, tick: Tick) -> bytes:
    middle = (wanted.start_seconds + wanted.end_seconds) / 2
    sampling = Sampling(1, 1 / (2 * INSTANT_SECONDS))
    plan = Plan(None, middle, middle + INSTANT_SECONDS)
    [image] = _frames(wanted, sampling, plan, tick)
    encoder = av.CodecContext.create("libwebp", "w")
    assert isinstance(encoder, av.VideoCodecContext)  # noqa: S101 - for the type checker
    encoder.width, encoder.height, encoder.pix_fmt = wanted.width, wanted.height, "yuv420p"
    encoder.time_base = Fraction(1, FRAMES_PER_SECOND)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    return b"".join(map(bytes, [*encoder.encode(frame), *encoder.encode(None)]))


def _film(wanted: Wanted, tick: Tick) -> bytes:
    seconds = wanted.end_seconds - wanted.start_seconds
    rate = min(FRAMES_PER_SECOND, MOST_FRAMES / seconds)
    sampling = Sampling(max(1, round(seconds * rate)), rate)
    plan = Plan(None, wanted.start_seconds, wanted.end_seconds)
    frames = _frames(wanted, sampling, plan, tick)
    # Fragments need no second pass over the file, and play as they come.
    options = {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = wanted.width, wanted.height, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "26"}
        for image in frames:
            tick()
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def _frames(wanted: Wanted, sampling: Sampling, plan: Plan, tick: Tick) -> NDArray[np.uint8]:
    """Uint8, shape (num_frames, height, width, 3): of the first clip of a plan."""
    geometry = FrameGeometry(resize_to=(wanted.height, wanted.width))
    for part in decode_clips(wanted.path, sampling, plan, geometry, tick):
        if isinstance(part, DecodedClip):
            return part.frames
    raise VideoError("no_frames", "there is no picture at this time")
