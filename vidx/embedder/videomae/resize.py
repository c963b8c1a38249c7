"""Resize images as Pillow 13 does, to the bit, on any device.

The rules are those of `Image.resize`: one pass along each axis; a filter widened by the shrink
factor; weights in fixed point with 22 bits; a rounded uint8 after each pass. As the first pass
rounds, the order of the passes counts: see `_down_first`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from vidx.embedder.decoding.geometry import Interpolation

Float64s = NDArray[np.float64]

# 32 bits less 8 for a pixel and 2 for sums beyond 1 and their sign.
FIXED_POINT_BITS = 22


def resize(images: Tensor, height: int, width: int, interpolation: Interpolation) -> Tensor:
    """Resize images.

    Args:
        images: uint8, shape (n, any height, any width, channels).
        height: Pixels wanted.
        width: Pixels wanted.
        interpolation: The filter.

    Returns:
        uint8, shape (n, height, width, channels).
    """
    passes = [(2, width), (1, height)]  # across, then down
    if _down_first(images.shape[1], images.shape[2], height, width):
        passes.reverse()
    for axis, size in passes:
        images = _resize_axis(images, axis, size, interpolation)  # (n, *, *, channels)
    return images  # (n, height, width, channels)


def _down_first(old_height: int, old_width: int, height: int, width: int) -> bool:
    """Whether the height is resized first: it loses over twice the pixels that the width loses.

    Pillow 13's rule (its pull request 9549; the bound is measured). Earlier versions always went
    across first: a frame of at most twice its width's height comes out the same in all of them.
    """
    return old_height - height > 2 * max(old_width - width, 0)


def _resize_axis(images: Tensor, axis: int, size: int, interpolation: Interpolation) -> Tensor:
    old_size = images.shape[axis]
    if size == old_size:
        return images
    if interpolation == "nearest":
        return images.index_select(axis, _nearest(old_size, size).to(images.device))
    indices, weights = _taps(old_size, size, interpolation)  # both (taps, size)
    shape = [-1 if i == axis else 1 for i in range(images.ndim)]
    # Starts at one half, which rounds to nearest.
    total = torch.tensor(1 << (FIXED_POINT_BITS - 1), dtype=torch.int32, device=images.device)
    for index, weight in zip(indices.to(images.device), weights.to(images.device), strict=True):
        total = total + images.index_select(axis, index).int() * weight.view(shape)
    return (total >> FIXED_POINT_BITS).clamp(0, 255).to(torch.uint8)


def _nearest(old_size: int, size: int) -> Tensor:
    """Index of the source pixel under each target pixel's centre, int64, shape (size,)."""
    # A running sum, with its rounding, as Pillow steps along a row.
    steps = np.full(size, old_size / size)
    steps[0] /= 2
    return torch.from_numpy(np.minimum(np.cumsum(steps).astype(np.int64), old_size - 1))


def _taps(old_size: int, size: int, interpolation: Interpolation) -> tuple[Tensor, Tensor]:
    """Source pixels of each target pixel, and their fixed-point weights.

    Returns:
        Indices int64 and weights int32, both of shape (taps, size); unused taps weigh 0.
    """
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
    index = np.minimum(index, old_size - 1)
    return torch.from_numpy(index), torch.from_numpy(fixed.astype(np.int32))


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
