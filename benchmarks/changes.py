"""Changed copies of a video's beginning: encoded anew, resized, cropped, brightened, ..."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer, OutputContainer
from av.filter import Graph
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from vidx.embedder.decoding.container import opened
from vidx.embedder.decoding.orientation import Orientation, orientation_of
from vidx.records import VideoInfo

COPY_SECONDS = 3.0  # one clip of 16 frames at 7.5 a second, and some more
TRIMMED_SECONDS, TRIMMED_FROM = 0.4, 1.5
RATE, SLOW_RATE = 25, Fraction(25, 2)  # the other frame rate is the one that is farther away
LOW_BITS = 0.05  # a pixel

# libavfilter's names and arguments; what copies have in common is in `_chain`.
CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "re-encoded": (),
    "resized": (("scale", "iw/2:ih/2"),),
    "cropped": (("crop", "0.9*iw:0.9*ih"),),
    "brightened": (("lutyuv", "y=clip(1.2*(val-minval)+minval+16\\,minval\\,maxval)"),),
    "trimmed": (("trim", f"start={TRIMMED_SECONDS}"), ("setpts", "PTS-STARTPTS")),
    "other frame rate": (),
}
MIRRORED = "mirrored"
_FILTERS = CHANGES | {MIRRORED: (("hflip", ""),)}  # it shows something else, strictly


def changes_for(info: VideoInfo) -> list[str]:
    """The changes that a video is long enough for."""
    return [kind for kind in CHANGES if kind != "trimmed" or info.duration_seconds > TRIMMED_FROM]


def write_copy(
    source: Path, info: VideoInfo, kind: str, target: Path, seconds: float = COPY_SECONDS
) -> None:
    """Decode a video's beginning, change it, and encode it.

    Args:
        source: The video.
        info: What the decoder learned of it.
        kind: One of `CHANGES`, or MIRRORED.
        target: The copy.
        seconds: How long it is at most.

    Raises:
        av.error.FFmpegError: The beginning cannot be decoded.
    """
    rate = _rate(info, kind)
    with opened(str(source)) as media, av.open(str(target), "w") as after:
        before = media.container
        stream = before.streams.video[0]
        stream.codec_context.thread_count = 1
        pictures = _changed(before, stream, kind, rate, seconds)
        first = next(pictures)
        encoder = _encoder(after, info, kind, rate, first)
        for picture in itertools.chain([first], pictures):
            after.mux(encoder.encode(picture))
        after.mux(encoder.encode(None))


def _rate(info: VideoInfo, kind: str) -> Fraction:
    """Frames a second of a copy."""
    own = Fraction(info.frame_rate or RATE).limit_denominator(1000)
    if kind != "other frame rate":
        return own
    return max(Fraction(RATE), SLOW_RATE, key=lambda other: abs(other - own))


def _changed(
    before: InputContainer, stream: VideoStream, kind: str, rate: Fraction, seconds: float
) -> Iterator[VideoFrame]:
    """The pictures of a copy, numbered from 0."""
    frames = frames_as_shown(before, stream)
    first = next(frames)
    graph = _graph(stream, _chain(kind, rate, orientation_of(first), seconds))
    enough = first.time + TRIMMED_SECONDS + seconds + 1
    needed = itertools.takewhile(lambda frame: frame.time < enough, frames)
    number = 0
    for frame in itertools.chain([first], needed, [None]):
        try:
            graph.push(frame)
        except EOFError:  # all of the copy is out
            return
        for picture in _ready(graph):
            picture.pts, picture.time_base, number = number, 1 / rate, number + 1
            picture.pict_type = PictureType.NONE  # the encoder is to choose its key frames
            yield picture


def frames_as_shown(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Decode a video; the times of its pictures are those at which they are shown."""
    next_pts = 0
    for frame in container.decode(stream):
        if container.format.name == "avi":  # it has times of decoding alone, and pts step back
            frame.pts = next_pts if frame.dts is None else max(frame.dts, next_pts)
            next_pts = frame.pts + 1
        yield frame


def _ready(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield cast("VideoFrame", graph.pull())
        except (BlockingIOError, EOFError):  # it wants more, or there is no more
            return


def _chain(
    kind: str, rate: Fraction, orientation: Orientation, seconds: float
) -> list[tuple[str, str]]:
    """All filters of a copy: upright, from 0, changed, of one rate, short, of even size."""
    mirrored = [("hflip", "")] * orientation.is_mirrored
    upright = [*mirrored, *[("transpose", "cclock")] * orientation.turns]
    from_zero = [("setpts", "PTS-STARTPTS")]
    short = [("fps", str(rate)), ("trim", f"duration={seconds}")]
    even = [("crop", "trunc(iw/2)*2:trunc(ih/2)*2"), ("format", "yuv420p")]
    return [*upright, *from_zero, ("format", "yuv420p"), *_FILTERS[kind], *short, *even]


def _graph(stream: VideoStream, chain: Sequence[tuple[str, str]]) -> Graph:
    graph = Graph()
    nodes = [graph.add_buffer(template=stream)]
    nodes += [graph.add(name, arguments) for name, arguments in chain]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def _encoder(
    after: OutputContainer, info: VideoInfo, kind: str, rate: Fraction, picture: VideoFrame
) -> VideoStream:
    """The copy's stream: of good quality, but for the re-encoded copy."""
    is_poor = kind == "re-encoded"
    codec = "mpeg4" if is_poor and info.codec != "mpeg4" else "libx264"
    stream = cast("VideoStream", after.add_stream(codec, rate=rate))
    stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
    stream.codec_context.thread_count = 1
    if codec == "libx264":
        stream.options = {"preset": "ultrafast", **({} if is_poor else {"crf": "18"})}
    if is_poor:
        stream.bit_rate = round(LOW_BITS * picture.width * picture.height * rate)
    return stream
