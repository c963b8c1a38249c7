"""Resize images as Pillow 13 does, to the bit, on any device; by the rules of `decoding.taps`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vidx.embedder.decoding.taps import FIXED_POINT_BITS, down_first, taps

if TYPE_CHECKING:
    from vidx.embedder.decoding.geometry import Interpolation


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
    if down_first(images.shape[1], images.shape[2], height, width):
        passes.reverse()
    for axis, size in passes:
        images = _resize_axis(images, axis, size, interpolation)  # (n, *, *, channels)
    return images  # (n, height, width, channels)


def _resize_axis(images: Tensor, axis: int, size: int, interpolation: Interpolation) -> Tensor:
    old_size = images.shape[axis]
    if size == old_size:
        return images
    # Both (taps, size).
    indices, weights = map(torch.from_numpy, taps(old_size, size, interpolation))
    shape = [-1 if i == axis else 1 for i in range(images.ndim)]
    # Starts at one half, which rounds to nearest.
    total = torch.tensor(1 << (FIXED_POINT_BITS - 1), dtype=torch.int32, device=images.device)
    for index, weight in zip(indices.to(images.device), weights.to(images.device), strict=True):
        total = total + images.index_select(axis, index).int() * weight.view(shape)
    return (total >> FIXED_POINT_BITS).clamp(0, 255).to(torch.uint8)
