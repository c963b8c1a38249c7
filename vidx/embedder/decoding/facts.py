"""What is plain to see of a clip: how bright, sharp and lively its samples are.

Whole numbers, and each sample as soon as it is made, when it still lies in a core's cache: 16 of
224 x 224 take 2 ms. Decoding is not counted: it is done anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from vidx.records import ClipFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    # Of a picture: red, green and blue, each uint8, shape (height, width).
    Channels = Sequence[NDArray[np.uint8]]

WHITE = 255
RED, GREEN, BLUE = 77, 150, 29  # of 256: 0.299, 0.587 and 0.114, as in ITU-R BT.601
# A picture is black when 98 % of its pixels are at most 10 % bright, as in FFmpeg's blackdetect.
BLACK_LEVEL = 25
BLACK_PIXELS = 0.98
BRIGHTEST_BLACK = BLACK_PIXELS * BLACK_LEVEL + (1 - BLACK_PIXELS) * WHITE + 1e-6
LOOK_EACH = 4  # samples: contrast and sharpness change slowly, and cost as much as all else


class Sample:
    """A frame as the model takes it, measured.

    Args:
        channels: Red, green and blue: uint8, shape (height, width).

    Attributes:
        pixels: Uint8, shape (height, width, 3).
        luma: Uint8, shape (height, width).
        brightness: The mean luma, 0 to 255.
        is_black: Whether it is.
    """

    def __init__(self, channels: Channels) -> None:
        self.pixels = interleaved(channels)
        self.luma = luma(*channels)
        self.brightness = mean(self.luma)
        # No picture that is brighter in the mean can be black: there is no need to count.
        self.is_black = self.brightness <= BRIGHTEST_BLACK and is_black(self.luma)


def clip_facts(samples: Sequence[Sample], frame_seconds: tuple[float, ...]) -> ClipFacts:
    """Measure a clip.

    Args:
        samples: In order, at least one, of one size.
        frame_seconds: The time of each, in seconds.

    Returns:
        The facts, as `docs/formats.md` defines them.
    """
    motion: list[float] = []
    frozen: list[bool] = []
    for before, sample in pairwise(samples):
        motion.append(difference(sample.luma, before.luma))
        frozen.append(not motion[-1] and np.array_equal(sample.pixels, before.pixels))
    looked_at = samples[::LOOK_EACH]
    return ClipFacts(
        brightness=_mean([sample.brightness for sample in samples]) / WHITE,
        contrast=_mean([deviation(one.luma, one.brightness) for one in looked_at]) / WHITE,
        sharpness=_mean([sharpness(sample.luma) for sample in looked_at]),
        motion=_mean(motion) / WHITE,
        black_share=_mean([sample.is_black for sample in samples]),
        frozen_share=_mean(frozen),
        frame_seconds=frame_seconds,
    )


def _mean(values: Sequence[float]) -> float:
    """The mean; 0 of none, as where a clip of one sample has no neighbours."""
    return float(sum(values)) / max(len(values), 1)


def interleaved(channels: Channels) -> NDArray[np.uint8]:
    """Channels as an image: uint8, shape (height, width, 3)."""
    image = np.empty((*channels[0].shape, len(channels)), np.uint8)
    for number, channel in enumerate(channels):
        image[..., number] = channel
    return image


def luma(
    red: NDArray[np.uint8], green: NDArray[np.uint8], blue: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The luma of a picture: uint8, of the channels' shape."""
    # Made wide first, and then multiplied in place: quicker than both at once.
    light = red.astype(np.uint16)
    light *= RED
    for channel, part in ((green, GREEN), (blue, BLUE)):
        wide = channel.astype(np.uint16)
        wide *= part
        light += wide
    light += 128  # to round; 65,408 at most
    light >>= 8
    return light.astype(np.uint8)


def mean(light: NDArray[np.uint8]) -> float:
    """The mean luma of a picture, 0 to 255."""
    # 32 bits are quicker than 64, and enough for 16 million pixels: no model takes so many.
    return int(light.sum(dtype=np.uint32)) / light.size


def deviation(light: NDArray[np.uint8], brightness: float) -> float:
    """The standard deviation of a picture's luma, 0 to 127.5, by its luma and the mean of that."""
    rows = np.square(light, dtype=np.uint16).sum(axis=-1, dtype=np.uint32)  # as for `mean`
    square = int(rows.sum(dtype=np.uint64)) / light.size
    return math.sqrt(max(square - brightness**2, 0.0))


def is_black(light: NDArray[np.uint8]) -> bool:
    """Whether a picture, given by its luma, is black."""
    return bool(np.count_nonzero(light <= BLACK_LEVEL) >= BLACK_PIXELS * light.size)


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """The mean absolute difference of two pictures' luma, 0 to 255."""
    apart = np.maximum(one, other)
    apart -= np.minimum(one, other)
    return mean(apart)


def sharpness(light: NDArray[np.uint8]) -> float:
    """The variance of the Laplacian of a picture's luma, but for its outermost pixels."""
    height, width = light.shape
    if height < 3 or width < 3:
        return 0.0
    # As one long row, in which neighbours above and below are a width away: quicker than row by
    # row. What is wrong at both ends of each row is left out afterwards.
    wide = light.astype(np.int16).reshape(-1)
    end = wide.size - width
    sums = wide[: end - width] + wide[2 * width :]
    sums += wide[width - 1 : end - 1]
    sums += wide[width + 1 : end + 1]
    wide <<= 2
    sums -= wide[width:end]
    edges = sums.reshape(-1, width)[:, 1:-1]
    squares = np.square(edges, dtype=np.float32)  # whole numbers below 2 ** 24
    mean_edge = int(edges.sum(dtype=np.int64)) / edges.size
    return max(float(squares.mean()) - mean_edge**2, 0.0)
