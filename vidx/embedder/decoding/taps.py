"""Resizing as Pillow 13 does it, in numbers; and a part of a large result alone. No torch, no av.

The rules are those of `Image.resize`: one pass along each axis; a filter widened by the shrink
factor; weights in fixed point with 22 bits; a rounded uint8 after each pass. As the first pass
rounds, the order of the passes counts: see `down_first`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from vidx.embedder.decoding.geometry import Interpolation

Float64s = NDArray[np.float64]

# 32 bits less 8 for a pixel and 2 for sums beyond 1 and their sign.
FIXED_POINT_BITS = 22


def down_first(old_height: int, old_width: int, height: int, width: int) -> bool:
    """Whether the height is resized first: it loses over twice the pixels that the width loses.

    Pillow 13's rule (its pull request 9549; the bound is measured). Earlier versions always went
    across first: a frame of at most twice its width's height comes out the same in all of them.
    """
    return old_height - height > 2 * max(old_width - width, 0)


def taps(
    old_size: int, size: int, interpolation: Interpolation
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Source pixels of each target pixel, and their fixed-point weights.

    Args:
        old_size: Pixels along the axis.
        size: Pixels wanted.
        interpolation: The filter.

    Returns:
        Indices and weights, both of shape (taps, size); unused taps weigh 0.
    """
    if interpolation == "nearest":
        return _nearest(old_size, size)[None], np.full((1, size), 1 << FIXED_POINT_BITS, np.int32)
    kernel, radius = KERNELS[interpolation]
    scale = old_size / size
    stretch = max(scale, 1.0)
    shrink = 1 / stretch  # multiplied with, as Pillow does: box and lanczos have hard edges
    centre = (np.arange(size) + 0.5) * scale  # (size,)
    first = np.maximum((centre - radius * stretch + 0.5).astype(np.int64), 0)  # (size,)
    stop = np.minimum((centre + radius * stretch + 0.5).astype(np.int64), old_size)  # (size,)
    index = first + np.arange(int((stop - first).max()))[:, None]  # (taps, size)
    weight = np.where(index < stop, kernel((index - centre + 0.5) * shrink), 0.0)  # (taps, size)
    weight /= weight.sum(axis=0)
    fixed = np.trunc(weight * (1 << FIXED_POINT_BITS) + np.copysign(0.5, weight))  # (taps, size)
    return np.minimum(index, old_size - 1), fixed.astype(np.int32)


def _nearest(old_size: int, size: int) -> NDArray[np.int64]:
    """Index of the source pixel under each target pixel's centre, shape (size,)."""
    # A running sum, with its rounding, as Pillow steps along a row.
    steps = np.full(size, old_size / size)
    steps[0] /= 2
    return np.minimum(np.cumsum(steps).astype(np.int64), old_size - 1)


def resized_part(
    image: NDArray[np.uint8],
    height: int,
    width: int,
    box: tuple[int, int, int, int],
    interpolation: Interpolation,
) -> NDArray[np.uint8]:
    """Resize an image, and make no more of the result than a box of it.

    Args:
        image: Shape (any height, any width, channels).
        height: Pixels of the whole result.
        width: Pixels of the whole result.
        box: (top, left, height, width) of the part that is wanted, within the whole.
        interpolation: The filter.

    Returns:
        Shape (box height, box width, channels), to the bit what the whole has there.
    """
    top, left, box_height, box_width = box
    passes = [  # across, then down
        (1, width, slice(left, left + box_width)),
        (0, height, slice(top, top + box_height)),
    ]
    if down_first(image.shape[0], image.shape[1], height, width):
        passes.reverse()
    for axis, size, kept in passes:
        indices, weights = taps(image.shape[axis], size, interpolation)
        image = _weighed(image, axis, indices[:, kept], weights[:, kept])
    return image


def _weighed(
    image: NDArray[np.uint8], axis: int, indices: NDArray[np.int64], weights: NDArray[np.int32]
) -> NDArray[np.uint8]:
    """One pass: each target pixel is the sum of its taps, rounded."""
    shape = [-1 if i == axis else 1 for i in range(image.ndim)]
    # Starts at one half, which rounds to nearest.
    total = np.full(1, 1 << (FIXED_POINT_BITS - 1), np.int32)
    for index, weight in zip(indices, weights, strict=True):
        total = total + image.take(index, axis).astype(np.int32) * weight.reshape(shape)
    return (total >> FIXED_POINT_BITS).clip(0, 255).astype(np.uint8)


def _box(x: Float64s) -> Float64s:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _triangle(x: Float64s) -> Float64s:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _hamming(x: Float64s) -> Float64s:
    """A sinc under Hamming's window; its two constants are rounded to float32, as in Pillow."""
    window = np.float64(np.float32(0.54)) + np.float64(np.float32(0.46)) * np.cos(np.pi * x)
    return np.where(np.abs(x) < 1.0, _sinc(x) * window, 0.0)


def _cubic(x: Float64s) -> Float64s:
    """Keys' cubic convolution (1981) with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: Float64s) -> Float64s:
    return np.where((x >= -3.0) & (x < 3.0), _sinc(x) * _sinc(x / 3.0), 0.0)


def _sinc(x: Float64s) -> Float64s:
    return np.asarray(np.sinc(x), np.float64)


# Filter and its radius in pixels of the smaller image.
KERNELS: dict[Interpolation, tuple[Callable[[Float64s], Float64s], float]] = {
    "box": (_box, 0.5),
    "bilinear": (_triangle, 1.0),
    "hamming": (_hamming, 1.0),
    "bicubic": (_cubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
