"""What describes a clip: the model's vector, an untrained network's, colour, motion."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from numpy.typing import NDArray
from scores import unit

from vidx.embedder.encoder import Encoder
from vidx.embedder.inference.engine import Engine
from vidx.embedder.inference.lean import LeanEncoder
from vidx.embedder.videomae.weights import DTYPES

UNTRAINED_SEEDS = (0, 1, 2)


class Views:
    """All that describes a clip, side by side in one row.

    It stands in for an encoder in `embed_videos`, so that one pass of decoding serves them all.

    Args:
        encoder: The trained one.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.space, self.geometry, self.ahead = encoder.space, encoder.geometry, 0
        self.room, self.spent = encoder.room, encoder.spent
        self.ways: dict[str, Callable[[NDArray[np.uint8]], NDArray[Any]]] = {
            "model": lambda frames: encoder.encode(frames)[0],
            "colour": colour,
            "motion": motion,
        }
        for seed in UNTRAINED_SEEDS:
            self.ways[f"untrained {seed}"] = untrained(encoder, seed)
        self.widths: list[int] = []

    def start(
        self, frames: NDArray[np.uint8], *, lasting: bool = False
    ) -> Future[tuple[NDArray[np.float32], None]]:
        """Describe a batch of clips at once, and give what holds the description."""
        del lasting
        future: Future[tuple[NDArray[np.float32], None]] = Future()
        future.set_result(self.encode(frames))
        return future

    def encode(self, frames: NDArray[np.uint8]) -> tuple[NDArray[np.float32], None]:
        """Describe a batch of clips, uint8, shape (batch, frames, height, width, 3)."""
        parts = [way(frames) for way in self.ways.values()]
        self.widths = [part.shape[1] for part in parts]
        return np.concatenate(parts, axis=1).astype(np.float32), None

    def split(self, row: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """Take what `encode` gave apart again."""
        parts = np.split(row, np.cumsum(self.widths)[:-1], axis=1)
        return dict(zip(self.ways, parts, strict=True))


def colour(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean over frames of 8x8 thumbnails.

    Args:
        frames: uint8, shape (batch, frames, height, width, 3).

    Returns:
        float32, shape (batch, 192), in 0 to 1.
    """
    mean = torch.from_numpy(frames).float().mean(dim=1) / 255  # (batch, h, w, 3)
    small = F.adaptive_avg_pool2d(mean.permute(0, 3, 1, 2), 8)  # (batch, 3, 8, 8)
    return small.flatten(1).numpy()


def motion(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Where and when the frames change.

    Args:
        frames: uint8, shape (batch, frames, height, width, 3).

    Returns:
        float64, shape (batch, 49 + frames - 1): a 7x7 map and a course over time, both of length 1.
    """
    pixels = torch.from_numpy(frames).float()
    changes = pixels.diff(dim=1).abs().mean(dim=-1)  # (batch, steps, h, w)
    pooled = F.adaptive_avg_pool2d(changes, 7).numpy()  # (batch, steps, 7, 7)
    where = pooled.mean(axis=1).reshape(len(frames), -1)  # (batch, 49)
    when = pooled.sum(axis=(2, 3))  # (batch, steps)
    return np.concatenate([unit(where), unit(when)], axis=1)


def untrained(encoder: Encoder, seed: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The same network, preprocessing and precision with new random weights."""
    torch.manual_seed(seed)
    model = type(encoder.model)(encoder.model.config).requires_grad_(requires_grad=False)
    lean = LeanEncoder(
        model, encoder.preprocessing, device=encoder.device, dtype=DTYPES[encoder.dtype]
    )
    fresh = replace(encoder, model=model, engine=Engine(lean))
    return lambda frames: fresh.encode(frames)[0]
