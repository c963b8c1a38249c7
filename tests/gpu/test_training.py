"""Training on a GPU: within its time, and without waiting for the host at each step.

It stands on torch, filelock and pytest; see test_gpu.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("filelock")

from vidx.training.course import Course
from vidx.training.loop import _one_step
from vidx.training.muon import BatchedMuon
from vidx.training.recipe import RECIPES
from vidx.training.run import LOG_FILE
from vidx.training.train import _finetuning, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

CUDA = torch.device("cuda")
SECONDS = 40.0


@pytest.fixture
def waiting_is_an_error() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("waiting_is_an_error")
def test_a_step_of_training_never_waits_for_the_host() -> None:
    recipe = replace(RECIPES["gpu"], motions=8, ahead=32)
    stage = _finetuning(recipe, None, CUDA, Course(recipe.steps))
    assert isinstance(stage.optimizer.parts[0], BatchedMuon)
    _one_step(stage, 0)  # renders, which does wait
    torch.cuda.set_sync_debug_mode("error")
    _one_step(stage, 1)


def test_the_gpu_recipe_ends_in_its_time_with_a_lower_loss(tmp_path: Path) -> None:
    recipe = replace(RECIPES["gpu"], minutes=SECONDS / 60)
    began = time.monotonic()
    told = list(train(recipe, tmp_path / "run", CUDA))
    torch.cuda.synchronize()
    assert time.monotonic() - began < SECONDS + 5
    log = [json.loads(line) for line in (tmp_path / "run" / LOG_FILE).read_text().splitlines()]
    losses = [line["loss"] for line in log if "motions" in line]
    assert len(losses) > 50
    assert sum(losses[-10:]) < sum(losses[:10])
    assert told[-1].validation["nearest"] == log[-1]["nearest"] > 2 / 36
