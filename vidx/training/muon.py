"""Muon with the matrices of one shape in one product, as a GPU is quick with few large ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class BatchedMuon(torch.optim.Muon):
    """What `torch.optim.Muon` does, but for rounding, in a tenth of the calls to the device.

    Its arguments and its state are the same.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Go down the gradients that there are."""
        loss = closure() if closure else None
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.shape, []).append(parameter)
            for parameters in by_shape.values():
                self._go_down(parameters, group)
        return loss

    def _go_down(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        """Update the matrices of one shape."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        means = [self._mean(parameter) for parameter in parameters]
        momentum = group["momentum"]
        torch._foreach_lerp_(means, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, means, momentum) if group["nesterov"] else means
        updates = orthogonal(torch.stack(list(ahead)), group).to(parameters[0].dtype)
        rows, columns = parameters[0].shape
        rate = group["lr"] * math.sqrt(max(1, rows / columns))
        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, updates.unbind(), alpha=-rate)

    def _mean(self, parameter: Tensor) -> Tensor:
        """The running mean of a matrix's gradients, as torch's Muon keeps it."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        mean: Tensor = state["momentum_buffer"]
        return mean


def orthogonal(matrices: Tensor, group: dict[str, Any]) -> Tensor:
    """Bring all singular values near 1 (Newton-Schulz, https://kellerjordan.github.io/posts/muon/).

    Args:
        matrices: Shape (matrices, rows, columns).
        group: Of torch's Muon: `ns_coefficients`, `ns_steps` and `eps`.

    Returns:
        bfloat16, the same shape.
    """
    a, b, c = group["ns_coefficients"]
    found = matrices.bfloat16()
    tall = matrices.shape[1] > matrices.shape[2]
    if tall:
        found = found.mT
    found = found / found.norm(dim=(1, 2), keepdim=True).clamp_min(group["eps"])
    for _ in range(group["ns_steps"]):
        gram = found @ found.mT
        gram = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        found = torch.baddbmm(found, gram, found, beta=a)
    return found.mT if tall else found
