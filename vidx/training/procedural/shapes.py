"""Shapes: the outlines of objects, as opacities, whole batches at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from vidx.training.procedural.draw import Draw
from vidx.training.procedural.textures import axes

# An outline: (draw, angle, number) to radii in (0, 1]; angles have the shape (1, size, size).
Outline = Callable[[Draw, Tensor, int], Tensor]


def disc(draw: Draw, angle: Tensor, number: int) -> Tensor:
    """A circle."""
    return torch.full((number, 1, 1), 0.9, device=draw.device).expand(-1, *angle.shape[1:])


def ellipse(draw: Draw, angle: Tensor, number: int) -> Tensor:
    """A circle pressed flat."""
    ratio = draw.uniform(0.4, 0.8, number, 1, 1)
    turned = angle - draw.uniform(0, math.tau, number, 1, 1)
    return 0.95 * ratio / ((ratio * turned.cos()).square() + turned.sin().square()).sqrt()


def polygon(draw: Draw, angle: Tensor, number: int) -> Tensor:
    """Three to six equal sides."""
    sides = draw.integers(4, number, 1, 1) + 3
    part = math.tau / sides
    turned = torch.remainder(angle - draw.uniform(0, math.tau, number, 1, 1), part) - part / 2
    return 0.95 * (part / 2).cos() / turned.cos()


def blob(draw: Draw, angle: Tensor, number: int) -> Tensor:
    """A circle with smooth bumps."""
    radius = torch.full((number, 1, 1), 0.68, device=draw.device)
    for waves in (2, 3, 5):
        phase = draw.uniform(0, math.tau, number, 1, 1)
        radius = radius + draw.uniform(0, 0.12, number, 1, 1) * torch.sin(waves * angle + phase)
    return radius


def star(draw: Draw, angle: Tensor, number: int) -> Tensor:
    """Four to seven points."""
    points = draw.integers(4, number, 1, 1) + 4
    wave = torch.sin(points * angle + draw.uniform(0, math.tau, number, 1, 1))
    return 0.95 - draw.uniform(0.25, 0.45, number, 1, 1) * (wave.asin() / (math.pi / 2) + 1) / 2


def drop(draw: Draw, angle: Tensor, number: int) -> Tensor:
    """Round at one end and pointed at the other."""
    turned = angle - draw.uniform(0, math.tau, number, 1, 1)
    away = torch.remainder(turned + math.pi, math.tau) - math.pi
    return 0.55 + 0.4 * torch.exp(-away.abs() * draw.uniform(1.5, 3, number, 1, 1))


TRAINING_OUTLINES: Mapping[str, Outline] = MappingProxyType(
    {"disc": disc, "ellipse": ellipse, "polygon": polygon, "blob": blob}
)
HELD_OUT_OUTLINES: Mapping[str, Outline] = MappingProxyType({"star": star, "drop": drop})


def shapes(draw: Draw, number: int, size: int, outlines: Mapping[str, Outline]) -> Tensor:
    """Draw filled outlines with soft edges, each inside the circle of radius 1.

    Args:
        draw: The random numbers.
        number: How many.
        size: Height and width, pixels; they span [-1, 1].
        outlines: The kinds to choose from.

    Returns:
        Opacity in [0, 1], float32, shape (number, 1, size, size).
    """
    x, y = axes(size, draw.device)
    angle = torch.atan2(y, x)  # (1, size, size)
    kind = draw.integers(len(outlines), number)
    radius = torch.empty(number, size, size, device=draw.device)
    for index, outline in enumerate(outlines.values()):
        chosen = (kind == index).nonzero().flatten()
        radius[chosen] = outline(draw, angle, len(chosen))
    inside = radius - (x.square() + y.square()).sqrt()  # (number, size, size)
    return (inside * (size / 4) + 0.5).clamp(0, 1)[:, None]


def limbs(draw: Draw, number: int, size: int) -> Tensor:
    """Draw bars with round ends along x, from -1 to 1; as `shapes` otherwise."""
    x, y = axes(size, draw.device)
    width = draw.uniform(0.16, 0.28, number, 1, 1)
    beyond = (x.abs() - (0.95 - width)).clamp_min(0)  # (number, 1, size)
    inside = width - (beyond.square() + y.square()).sqrt()  # (number, size, size)
    return (inside * (size / 4) + 0.5).clamp(0, 1)[:, None]
