"""Random numbers for whole batches, from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Draw:
    """A source of random tensors: the same ones for the same seed and kind of device.

    Attributes:
        generator: Where the numbers come from. It is on the device: on a GPU, drawing them on the
            CPU would take longer than all else.
    """

    generator: torch.Generator

    @classmethod
    def seeded(cls, seed: int, device: torch.device | str = "cpu") -> Draw:
        """A source that begins at a seed, 0 or more."""
        return cls(torch.Generator(device).manual_seed(seed))

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.generator.device

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Evenly from [low, high), float32, of the given shape."""
        values = torch.rand(*shape, generator=self.generator, device=self.device)
        return values * (high - low) + low

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Evenly in the logarithm from [low, high), float32, of the given shape."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def normal(self, *shape: int) -> Tensor:
        """Standard normal, float32, of the given shape."""
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def sign(self, *shape: int) -> Tensor:
        """Minus or plus one, float32, of the given shape."""
        return self.choice((-1.0, 1.0), *shape)

    def choice(self, values: Sequence[float], *shape: int) -> Tensor:
        """One of the values each, float32, of the given shape."""
        return torch.tensor(values, device=self.device)[self.integers(len(values), *shape)]

    def integers(self, stop: int, *shape: int) -> Tensor:
        """Whole numbers from [0, stop), int64, of the given shape."""
        return torch.randint(stop, shape, generator=self.generator, device=self.device)

    def chance(self, probability: float, *shape: int) -> Tensor:
        """True with a probability each, bool, of the given shape."""
        return self.uniform(0, 1, *shape) < probability
