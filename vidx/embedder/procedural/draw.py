"""Random numbers for whole batches, the same on every device for the same seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Draw:
    """A source of random tensors, drawn on the CPU so that every device gets the same ones.

    Attributes:
        generator: Where the numbers come from.
        device: Where the tensors go.
    """

    generator: torch.Generator
    device: torch.device

    @classmethod
    def seeded(cls, seed: int, device: torch.device | str = "cpu") -> Draw:
        """A source that begins at a seed, 0 or more."""
        return cls(torch.Generator().manual_seed(seed), torch.device(device))

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Evenly from [low, high), float32, of the given shape."""
        return self._send(torch.rand(*shape, generator=self.generator)) * (high - low) + low

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Evenly in the logarithm from [low, high), float32, of the given shape."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, float32, of the given shape."""
        return self._send(torch.randn(*shape, generator=self.generator))

    def sign(self, *shape: int) -> Tensor:
        """Minus or plus one, float32, of the given shape."""
        return self.choice((-1.0, 1.0), *shape)

    def choice(self, values: Sequence[float], *shape: int) -> Tensor:
        """One of the values each, float32, of the given shape."""
        return torch.tensor(values, device=self.device)[self.integers(len(values), *shape)]

    def integers(self, stop: int, *shape: int) -> Tensor:
        """Whole numbers from [0, stop), int64, of the given shape."""
        return self._send(torch.randint(stop, shape, generator=self.generator))

    def chance(self, probability: float, *shape: int) -> Tensor:
        """True with a probability each, bool, of the given shape."""
        return self._send(torch.rand(*shape, generator=self.generator)) < probability

    def _send(self, values: Tensor) -> Tensor:
        return values.to(self.device, non_blocking=True)
