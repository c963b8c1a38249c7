"""Queries of which a part is known: a cut of one video between cuts of others, encoded anew."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream
from changes import frames_as_shown

from vidx.embedder.decoding.container import opened

RATE = Fraction(25)  # of a cut whose file tells none
LONGEST_SIDE = 640
OTHER_SECONDS = (2.0, 6.0)  # before and after


@dataclass(frozen=True)
class Cut:
    """A span of a video."""

    path: Path
    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end_seconds - self.start_seconds


@dataclass(frozen=True)
class Splice:
    """What a query is made of: other footage, the cut that is to be found, other footage."""

    before: Cut
    cut: Cut
    after: Cut


def draw_splices(
    sources: dict[Path, float],
    others: dict[Path, float],
    seconds: tuple[float, float],
    count: int,
    seed: int,
) -> list[Splice]:
    """Draw what queries are made of; each source is used before any is used again.

    Args:
        sources: Videos to be found, and how many seconds they last.
        others: Those that the other footage is of.
        seconds: Least and greatest length of what is to be found, as far as its source lasts;
            shorter sources are left out.
        count: How many queries.
        seed: Of what is drawn.
    """
    random = np.random.default_rng(seed)
    long_enough = {path: length for path, length in sources.items() if length >= seconds[0]}
    rounds = itertools.chain.from_iterable(
        random.permutation(np.array(sorted(map(str, long_enough)))) for _ in itertools.count()
    )
    names = sorted(others)
    return [
        Splice(
            _cut(random, names[random.integers(len(names))], others, OTHER_SECONDS),
            _cut(random, Path(source), sources, seconds),
            _cut(random, names[random.integers(len(names))], others, OTHER_SECONDS),
        )
        for source in itertools.islice(rounds, count)
    ]


def _cut(
    random: np.random.Generator,
    path: Path,
    lengths: dict[Path, float],
    seconds: tuple[float, float],
) -> Cut:
    length = min(random.uniform(*seconds), lengths[path])
    start = random.uniform(0, lengths[path] - length)
    return Cut(path, start, start + length)


def write_splice(splice: Splice, target: Path) -> tuple[float, float]:
    """Write a query, all of the size of the cut that is to be found.

    Returns:
        Where in it that cut begins and ends, in seconds.
    """
    parts = [splice.before, splice.cut, splice.after]
    width, height, rate = _shape(splice.cut.path)
    counts = []
    with av.open(str(target), "w") as after:
        stream = cast("VideoStream", after.add_stream("libx264", rate=rate))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryfast"}
        number = 0
        for part in parts:
            for frame in _frames(part, rate):
                picture = frame.reformat(width, height, "yuv420p")
                picture.pts, picture.time_base = number, 1 / rate
                picture.pict_type = PictureType.NONE  # the encoder is to choose its key frames
                after.mux(stream.encode(picture))
                number += 1
            counts.append(number)
        after.mux(stream.encode(None))
    return float(counts[0] / rate), float(counts[1] / rate)


def _frames(cut: Cut, rate: Fraction) -> Iterator[VideoFrame]:
    """The pictures of a span, at a rate: at each time the last one that began."""
    count = round(cut.seconds * rate)
    with opened(str(cut.path)) as media:
        stream = media.container.streams.video[0]
        # A thread of FFmpeg's that has something to log would wait for the GIL, and its end for it.
        stream.codec_context.thread_count = 1
        first, shown, number = None, None, 0
        for frame in frames_as_shown(media.container, stream):
            first = frame.time if first is None else first
            seconds = frame.time - first - cut.start_seconds
            while shown and number < count and seconds > number / rate:
                yield shown
                number += 1
            if number == count:
                return
            shown = frame
        if shown:
            yield from itertools.repeat(shown, count - number)


def _shape(path: Path) -> tuple[int, int, Fraction]:
    """Width and height, made smaller if they are large, and frames a second."""
    with opened(str(path)) as media:
        stream = media.container.streams.video[0]
        scale = min(1.0, LONGEST_SIDE / max(stream.width, stream.height))
        sides = (stream.width, stream.height)
        width, height = (max(2, round(side * scale / 2) * 2) for side in sides)
        rate = Fraction(stream.average_rate or RATE).limit_denominator(1000)
        return width, height, rate
