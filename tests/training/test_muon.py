"""Muon in batches goes where torch's goes, and takes its states."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from vidx.training.muon import BatchedMuon, orthogonal

SHAPES = [(16, 16), (64, 16), (16, 64), (16, 16), (64, 16)]


def went(kind: type[torch.optim.Muon], steps: int, state: dict | None = None) -> tuple:
    """Matrices after some steps down gradients that are always the same, and the optimiser."""
    torch.manual_seed(0)
    matrices = [nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    idle = nn.Parameter(torch.ones(16, 16))
    optimizer = kind([*matrices, idle], lr=0.02, weight_decay=0.05)
    if state:
        optimizer.load_state_dict(copy.deepcopy(state))
    for _ in range(steps):
        for matrix in matrices:
            matrix.grad = torch.randn_like(matrix)
        optimizer.step()
    assert torch.equal(idle, torch.ones(16, 16))
    return matrices, optimizer


def test_batched_muon_goes_where_torchs_goes_but_for_rounding() -> None:
    for one, other in zip(went(BatchedMuon, 5)[0], went(torch.optim.Muon, 5)[0], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-3)


def test_batched_muon_goes_on_from_a_state_of_torchs() -> None:
    state = went(torch.optim.Muon, 3)[1].state_dict()
    assert state["state"]
    after, other = went(BatchedMuon, 2, state)[0], went(torch.optim.Muon, 2, state)[0]
    for one, two in zip(after, other, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=2e-3)


@pytest.mark.parametrize("shape", [(3, 32, 8), (3, 8, 32)])
def test_orthogonal_brings_singular_values_near_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    group = torch.optim.Muon([nn.Parameter(torch.ones(2, 2))]).param_groups[0]
    found = orthogonal(torch.randn(shape), group)
    assert found.shape == shape
    values = torch.linalg.svdvals(found.float())
    assert values.min() > 0.5
    assert values.max() < 1.4
