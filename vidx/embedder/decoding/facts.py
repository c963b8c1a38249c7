"""What is plain to see of a clip: how bright, sharp and lively its samples are.

Whole numbers, one picture at a time: so a sample stays in a core's cache, and 16 of 224 x 224 take
2 ms. Decoding is not counted: it is done anyway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vidx.records import ClipFacts

if TYPE_CHECKING:
    from numpy.typing import NDArray

WHITE = 255
RED, GREEN, BLUE = 77, 150, 29  # of 256: 0.299, 0.587 and 0.114, as in ITU-R BT.601
# A picture is black when 98 % of its pixels are at most 10 % bright, as in FFmpeg's blackdetect.
BLACK_LEVEL = 25
BLACK_PIXELS = 0.98
LOOK_EACH = 4  # samples: contrast and sharpness change slowly, and cost as much as all else


def clip_facts(frames: Sequence[NDArray[np.uint8]], frame_seconds: tuple[float, ...]) -> ClipFacts:
    """Measure a clip.

    Args:
        frames: Its samples in order, at least one: uint8, shape (height, width, 3), RGB.
        frame_seconds: The time of each, in seconds.

    Returns:
        The facts, as `docs/formats.md` defines them.
    """
    brightness: list[float] = []
    contrast: list[float] = []
    edges: list[float] = []
    motion: list[float] = []
    black: list[bool] = []
    frozen: list[bool] = []
    before = None
    for number, frame in enumerate(frames):
        light = luma(frame)
        brightness.append(mean(light))
        black.append(is_black(light))
        if number % LOOK_EACH == 0:
            contrast.append(deviation(light))
            edges.append(sharpness(light))
        if before is not None:
            motion.append(difference(light, before))
            frozen.append(not motion[-1] and np.array_equal(frame, frames[number - 1]))
        before = light
    return ClipFacts(
        brightness=_mean(brightness) / WHITE,
        contrast=_mean(contrast) / WHITE,
        sharpness=_mean(edges),
        motion=_mean(motion) / WHITE,
        black_share=_mean(black),
        frozen_share=_mean(frozen),
        frame_seconds=frame_seconds,
    )


def _mean(values: Sequence[float]) -> float:
    """The mean; 0 of none, as where a clip of one sample has no neighbours."""
    return float(sum(values)) / max(len(values), 1)


def luma(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luma of a picture: uint8, shape (height, width)."""
    light = np.multiply(frame[..., 0], RED, dtype=np.uint16)
    light += np.multiply(frame[..., 1], GREEN, dtype=np.uint16)
    light += np.multiply(frame[..., 2], BLUE, dtype=np.uint16)
    light += 128  # to round; 65,408 at most
    light >>= 8
    return light.astype(np.uint8)


def mean(light: NDArray[np.uint8]) -> float:
    """The mean luma of a picture, 0 to 255."""
    # 32 bits are quicker than 64, and enough for 16 million pixels: no model takes so many.
    return int(light.sum(dtype=np.uint32)) / light.size


def deviation(light: NDArray[np.uint8]) -> float:
    """The standard deviation of a picture's luma, 0 to 127.5."""
    square = int(np.square(light, dtype=np.uint16).sum(dtype=np.uint64)) / light.size
    return math.sqrt(max(square - mean(light) ** 2, 0.0))


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
    wide = light.astype(np.int16)
    edges = wide[:-2, 1:-1] + wide[2:, 1:-1]
    edges += wide[1:-1, :-2]
    edges += wide[1:-1, 2:]
    wide <<= 2
    edges -= wide[1:-1, 1:-1]
    if not edges.size:
        return 0.0
    squares = np.square(edges, dtype=np.float32)  # whole numbers below 2 ** 24
    return max(float(squares.mean()) - float(edges.mean()) ** 2, 0.0)
