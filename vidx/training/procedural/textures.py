"""Textures: images of noise, cells, stripes ... in random colours, whole batches at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor

from vidx.training.procedural.draw import Draw

# A pattern: (draw, number, size) to values around 0, shape (number, 3, size, size).
Pattern = Callable[[Draw, int, int], Tensor]


def axes(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres across [-1, 1]: x of shape (1, 1, size) and y of shape (1, size, 1)."""
    line = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1  # (size,)
    return line.view(1, 1, size), line.view(1, size, 1)


def clouds(draw: Draw, number: int, size: int) -> Tensor:
    """Noise with a falling spectrum, as photographs have (Field, 1987: power about 1 / f^2)."""
    rows = torch.fft.fftfreq(size, device=draw.device).view(1, 1, size, 1)
    columns = torch.fft.rfftfreq(size, device=draw.device).view(1, 1, 1, -1)
    frequency = (rows.square() + columns.square()).sqrt().clamp_min(1 / size)  # (1, 1, size, ...)
    falloff = draw.uniform(0.7, 2.0, number, 1, 1, 1)
    noise = torch.fft.rfft2(draw.normal(number, 3, size, size))  # (number, 3, size, size / 2 + 1)
    image: Tensor = torch.fft.irfft2(noise * frequency**-falloff, s=(size, size))
    return _standardized(image)


def cells(draw: Draw, number: int, size: int) -> Tensor:
    """Voronoi cells of one colour each: edges and flat areas."""
    points = 14
    x, y = axes(size, draw.device)
    at_x = draw.uniform(-1, 1, number, points, 1, 1)
    at_y = draw.uniform(-1, 1, number, points, 1, 1)
    distance = (x[:, None] - at_x).square() + (y[:, None] - at_y).square()  # (n, points, s, s)
    nearest = distance.argmin(dim=1).flatten(1)[:, None].expand(-1, 3, -1)  # (n, 3, size * size)
    colours = draw.normal(number, 3, points)
    return colours.gather(2, nearest).view(number, 3, size, size)


def stripes(draw: Draw, number: int, size: int) -> Tensor:
    """Parallel bands, bent a little."""
    return _two_colours(draw, _wave(draw, number, size))


def spots(draw: Draw, number: int, size: int) -> Tensor:
    """Dots on a grid that is turned and bent."""
    first = _wave(draw, number, size)
    second = _wave(draw, number, size)
    return _two_colours(draw, 2 * first * second)


def checks(draw: Draw, number: int, size: int) -> Tensor:
    """Squares of two colours, turned."""
    x, y = axes(size, draw.device)
    angle = draw.uniform(0, math.tau, number, 1, 1)
    width = draw.log_uniform(3, 10, number, 1, 1)
    across, along = _turned(x, y, angle)
    board = torch.sin(across * width * 1.5).sign() * torch.sin(along * width * 1.5).sign()
    return _two_colours(draw, board)


def rings(draw: Draw, number: int, size: int) -> Tensor:
    """Circles around a point, or a spiral."""
    x, y = axes(size, draw.device)
    x, y = x - draw.uniform(-0.8, 0.8, number, 1, 1), y - draw.uniform(-0.8, 0.8, number, 1, 1)
    radius = (x.square() + y.square()).sqrt()  # (number, size, size)
    arms = draw.integers(3, number, 1, 1)
    wave = torch.sin(radius * draw.log_uniform(8, 30, number, 1, 1) + arms * torch.atan2(y, x))
    return _two_colours(draw, wave)


TRAINING_PATTERNS: Mapping[str, Pattern] = MappingProxyType(
    {"clouds": clouds, "cells": cells, "stripes": stripes, "spots": spots}
)
HELD_OUT_PATTERNS: Mapping[str, Pattern] = MappingProxyType({"checks": checks, "rings": rings})


def textures(draw: Draw, number: int, size: int, patterns: Mapping[str, Pattern]) -> Tensor:
    """Draw images of random pattern, colour, brightness and contrast.

    Args:
        draw: The random numbers.
        number: How many.
        size: Height and width, pixels.
        patterns: The kinds to choose from; under each lies a cloud of its own.

    Returns:
        RGB in [0, 1], float32, shape (number, 3, size, size).
    """
    kind = draw.integers(len(patterns), number)
    image = 0.5 * clouds(draw, number, size)
    for index, pattern in enumerate(patterns.values()):
        chosen = (kind == index).nonzero().flatten()
        if len(chosen):
            image[chosen] += pattern(draw, len(chosen), size)
    # A common grey part, so that colours differ less than brightness does, as in photographs.
    grey = image.mean(dim=1, keepdim=True)
    image = grey + (image - grey) * draw.uniform(0, 1, number, 1, 1, 1)
    tint = draw.uniform(0.2, 0.8, number, 1, 1, 1) + 0.12 * draw.normal(number, 3, 1, 1)
    return (tint + image * draw.log_uniform(0.07, 0.3, number, 1, 1, 1)).clamp(0, 1)


def _wave(draw: Draw, number: int, size: int) -> Tensor:
    """A bent sine wave in some direction, shape (number, size, size)."""
    x, y = axes(size, draw.device)
    across, along = _turned(x, y, draw.uniform(0, math.tau, number, 1, 1))
    bend = draw.uniform(0, 0.3, number, 1, 1) * torch.sin(3 * along)
    return torch.sin((across + bend) * draw.log_uniform(4, 30, number, 1, 1))


def _turned(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = angle.cos(), angle.sin()
    return x * cos + y * sin, y * cos - x * sin


def _two_colours(draw: Draw, wave: Tensor) -> Tensor:
    """Values in [-1, 1], shape (number, size, size), between a colour and its opposite."""
    sharpness = draw.log_uniform(1, 8, len(wave), 1, 1)
    edge = torch.tanh(wave * sharpness)[:, None]  # (number, 1, size, size)
    return edge * F.normalize(draw.normal(len(wave), 3, 1, 1), dim=1) * 1.7


def _standardized(image: Tensor) -> Tensor:
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    return (image - mean) / image.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
