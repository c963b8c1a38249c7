"""First weights of the tubelet projection: what tubelets are made of, each at unit strength."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

# How much a change of colour, or one over time, counts against one across the picture.
COLOUR_COST = 3.0
TIME_COST = 0.6
# Adds this share of the mean variance, so that what is hardly there is not blown up.
FLOOR = 1e-3


@torch.no_grad()
def start_projection(projection: nn.Conv3d, pixels: Tensor) -> None:
    """Set a projection to the lowest space-time frequencies, with unit variance on these clips.

    Videos have most of their energy in what does not change; with random weights, motion would
    drown in it.

    Args:
        projection: Changed in place; weight of shape (dim, 3, time, height, width).
        pixels: Normalised clips, shape (clips, frames, 3, height, width).
    """
    dim, _, time, height, width = projection.weight.shape
    basis = _waves(dim, time, height, width).to(pixels.device)  # (dim, 3, time, height, width)
    projection.weight.copy_(basis)
    bias = cast(Tensor, projection.bias)
    bias.zero_()
    values = projection(pixels.transpose(1, 2)).transpose(0, 1).flatten(1)  # (dim, tubelets)
    variance = values.var(dim=1)
    scale = (variance + FLOOR * variance.mean()).rsqrt()
    projection.weight.mul_(scale.view(-1, 1, 1, 1, 1))
    bias.copy_(-values.mean(dim=1) * scale)


def _waves(number: int, time: int, height: int, width: int) -> Tensor:
    """The first products of cosines along each axis, by cost, shape (number, 3, t, h, w)."""
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    costs = sorted(
        (y + x + TIME_COST * t + COLOUR_COST * (colour > 0), colour, t, y, x)
        for colour in range(3)
        for t in range(time)
        for y in range(height)
        for x in range(width)
    )
    return torch.stack([
        torch.einsum(
            "c,t,y,x->ctyx", nn.functional.normalize(colours[colour], dim=0),
            _cosine(time, t), _cosine(height, y), _cosine(width, x),
        )
        for _, colour, t, y, x in costs[:number]
    ])  # fmt: skip


def _cosine(length: int, frequency: int) -> Tensor:
    """One function of the discrete cosine transform (type II), of length 1."""
    at = (torch.arange(length) + 0.5) / length
    return nn.functional.normalize((math.pi * frequency * at).cos(), dim=0)
