"""Two optimisers with one schedule, and the running mean of the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vidx.training.muon import BatchedMuon
from vidx.training.recipe import Rates

MAX_GRADIENT_NORM = 1.0
LAST_RATE = 0.01  # share of the highest


class Optimizer:
    """Muon for the blocks' matrices, AdamW for all else.

    Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/) learns in fewer steps,
    which counts where a step is dear.

    Args:
        module: What is trained; its `model.encoder.blocks` hold the matrices.
        rates: How fast.
        steps: Positions over which the rates fall.
    """

    def __init__(self, module: nn.Module, rates: Rates, steps: int) -> None:
        self.rates = rates
        self.steps = steps
        self.module = module
        named = dict(module.named_parameters())
        blocks = {n: p for n, p in named.items() if ".encoder.blocks." in n and p.ndim == 2}
        others = {n: p for n, p in named.items() if n not in blocks}
        rest: list[dict[str, Any]] = [
            {"params": [p for p in others.values() if p.ndim > 1]},
            {"params": [p for p in others.values() if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.highest = (rates.matrix_rate, rates.rate)
        # Both are quicker on a GPU, and round otherwise.
        fast = next(module.parameters()).is_cuda
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            (BatchedMuon if fast else torch.optim.Muon)(
                blocks.values(),
                weight_decay=rates.weight_decay,
                momentum=0.95,
                nesterov=True,
                ns_steps=5,
            ),
            torch.optim.AdamW(rest, weight_decay=rates.weight_decay, betas=(0.9, 0.98), fused=fast),
        )

    def step(self, step: int, position: float, loss: Tensor) -> None:
        """Go down a loss's gradient.

        Args:
            step: Number of this step, by which the rates rise.
            position: Of it on the stage's course, by which they fall.
            loss: A scalar.
        """
        for part, highest in zip(self.parts, self.highest, strict=True):
            part.zero_grad(set_to_none=True)
            for group in part.param_groups:
                group["lr"] = highest * self._share(step, position)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.module.parameters(), MAX_GRADIENT_NORM)
        for part in self.parts:
            part.step()

    def _share(self, step: int, position: float) -> float:
        """Of the highest rate: a straight rise, then half a cosine down."""
        rise = min(1.0, (step + 1) / self.rates.warmup_steps)
        fall = (1 + math.cos(math.pi * position / self.steps)) / 2
        return rise * (LAST_RATE + (1 - LAST_RATE) * fall)

    def state_dict(self) -> list[dict[str, Any]]:
        """What `load_state_dict` takes."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from a saved state."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)


class RunningMean:
    """Mean of a module's weights over the last steps, which is better than the last ones.

    Args:
        module: Whose weights.
        decay: Share that stays at each step, once there have been enough.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.mean = {name: value.clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take the weights after a step into the mean."""
        decay = min(self.decay, (1 + step) / (10 + step))
        now = module.state_dict()
        means = [self.mean[name] for name in now]
        torch._foreach_lerp_(means, list(now.values()), 1 - decay)

    @contextmanager
    def taken(self, module: nn.Module) -> Iterator[None]:
        """Have the module take the mean's weights for a while."""
        own = {name: value.clone() for name, value in module.state_dict().items()}
        module.load_state_dict(self.mean)
        try:
            yield
        finally:
            module.load_state_dict(own)
