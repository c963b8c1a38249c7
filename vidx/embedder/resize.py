"""Resize images as Pillow does, to the bit, on any device.

The rules are those of Pillow's `Image.resize`: one pass along each axis, across first; a filter
widened by the shrink factor; weights in fixed point with 22 bits; a rounded uint8 after each pass.
(Pillow 13 goes down first where the height shrinks much more than the width. A resize that keeps
the aspect is the same in all versions.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from vidx.embedder.geometry import Interpolation

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
    images = _resize_axis(images, 2, width, interpolation)  # (n, old height, width, channels)
    return _resize_axis(images, 1, height, interpolation)  # (n, height, width, channels)


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
    centre = (np.arange(size) + 0.5) * scale  # (size,)
    first = np.maximum((centre - radius * stretch + 0.5).astype(np.int64), 0)  # (size,)
    stop = np.minimum((centre + radius * stretch + 0.5).astype(np.int64), old_size)  # (size,)
    index = first + np.arange(int((stop - first).max()))[:, None]  # (taps, size)
    weight = np.where(index < stop, kernel((index - centre + 0.5) / stretch), 0.0)  # (taps, size)
    weight /= weight.sum(axis=0)
    fixed = np.trunc(weight * (1 << FIXED_POINT_BITS) + np.copysign(0.5, weight))  # (taps, size)
    index = np.minimum(index, old_size - 1)
    return torch.from_numpy(index), torch.from_numpy(fixed.astype(np.int32))


def _triangle(x: Float64s) -> Float64s:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _cubic(x: Float64s) -> Float64s:
    """Keys' cubic convolution (1981) with a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


# Filter and its radius in pixels of the smaller image.
KERNELS: dict[Interpolation, tuple[Callable[[Float64s], Float64s], float]] = {
    "bilinear": (_triangle, 1.0),
    "bicubic": (_cubic, 2.0),
}
