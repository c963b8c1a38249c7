"""Masks: which tubelets a clip's encoder does not see."""

from __future__ import annotations

import torch
from torch import Tensor

from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.errors import UsageError

DEFAULT_RATIO = 0.9


def tube_mask(
    config: VideoMAEConfig,
    batch_size: int = 1,
    *,
    ratio: float = DEFAULT_RATIO,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one spatial mask a video, the same for all time steps (Tong et al., section 3.3).

    Args:
        config: Its grid of tubelets is masked.
        batch_size: Videos; each gets a mask of its own, with equally many tokens masked.
        ratio: Share of the places that are masked, rounded down to whole places.
        generator: Of random numbers, on the CPU; None for torch's global one.

    Returns:
        bool, shape (batch, tokens), on the CPU: True where masked.

    Raises:
        UsageError: The ratio leaves no place masked, or none visible.
    """
    time, height, width = config.grid
    places = height * width
    masked = int(ratio * places)
    if not 0 < masked < places:
        raise UsageError(
            f"a mask ratio of {ratio} masks {masked} of {places} places",
            "Choose one that leaves both a masked and a visible place.",
        )
    order = torch.rand(batch_size, places, generator=generator).argsort(dim=1)  # (batch, places)
    return (order < masked).repeat(1, time)  # (batch, tokens)


def random_mask(
    config: VideoMAEConfig,
    batch_size: int = 1,
    *,
    ratio: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw masks over space and time alike, as `tube_mask` otherwise; for fewer tokens a step."""
    masked = int(ratio * config.num_tokens)
    order = torch.rand(batch_size, config.num_tokens, generator=generator).argsort(dim=1)
    return order < masked  # (batch, tokens)
