"""What a camera and a codec do to a picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vidx.training.procedural.draw import Draw

BLOCK = 8  # pixels of a codec's blocks along each side


def photographed(draw: Draw, image: Tensor, difficulty: float, strength: float = 1.0) -> Tensor:
    """Expose, tint, add noise and compress.

    Args:
        draw: The random numbers.
        image: RGB, about [0, 1], shape (clips, 3, frames, size, size); used up.
        difficulty: How much noise there is.
        strength: How far exposure may be from the middle.

    Returns:
        RGB in [0, 255], to be cut off to whole numbers, the same shape.
    """
    clips = len(image)
    gain = draw.log_uniform(0.7**strength, 1.4**strength, clips, 1, 1, 1, 1)
    tint = draw.uniform(0.92**strength, 1.08**strength, clips, 3, 1, 1, 1)
    bias = draw.uniform(-0.08 * strength, 0.08 * strength, clips, 1, 1, 1, 1)
    noise = difficulty * draw.uniform(0, 0.03, clips) * draw.chance(0.5, clips)
    coarse = draw.log_uniform(4, 40, clips) * draw.chance(0.3, clips)
    image *= gain * tint * 255
    image += bias * 255 + 0.5
    grain = draw.normal(*image.shape[2:])  # the same for all, at another place in each
    noisy = noise.nonzero().flatten()
    shifts = draw.integers(image.shape[-1], len(noisy), 2)
    for clip, strength, shift in zip(
        noisy.tolist(), noise[noisy].tolist(), shifts.tolist(), strict=True
    ):
        image[clip].add_(grain.roll(shift, (1, 2)), alpha=strength * 255)
    compressed = coarse.nonzero().flatten()
    image[compressed] = _compressed(image[compressed], coarse[compressed])
    return image.clamp_(0, 255)


def _compressed(image: Tensor, coarse: Tensor) -> Tensor:
    """Round the cosine coefficients of blocks, as codecs do.

    Args:
        image: Shape (clips, 3, frames, size, size).
        coarse: Step of the mean of a block's coefficients, shape (clips,); finer detail has
            coarser steps.

    Returns:
        The same shape.
    """
    side = BLOCK
    line = torch.arange(side, device=image.device)
    waves = (math.pi / side * line[:, None] * (line + 0.5)).cos() * (2 / side) ** 0.5
    waves[0] /= 2**0.5  # (side, side), orthonormal
    size = image.shape[-1]
    blocks = image.view(*image.shape[:3], size // side, side, size // side, side)
    blocks = torch.einsum("nctiajb,ua,vb->nctijuv", blocks, waves, waves)
    step = coarse.view(-1, 1, 1, 1, 1, 1, 1) * (1 + (line[:, None] + line) / 2)
    blocks = (blocks / step).round_() * step
    return torch.einsum("nctijuv,ua,vb->nctiajb", blocks, waves, waves).reshape(image.shape)
