"""The loop that both stages of training, and `vidx adapt`, go through."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidx.errors import VidxError
from vidx.training.optimizer import Optimizer, RunningMean
from vidx.training.run import Run

SAVES = 50  # of each stage
FLOAT16_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run.

    Attributes:
        name: As the log and the state call it.
        module: What is trained.
        optimizer: How.
        mean: Of the module's weights.
        first_step: The run's steps before this stage.
        steps: Of this stage.
        losses: Step of the stage to scalars, of which `loss` is minimised.
        save_model: Writes the encoder with the mean's weights into a folder.
    """

    name: str
    module: nn.Module
    optimizer: Optimizer
    mean: RunningMean
    first_step: int
    steps: int
    losses: Callable[[int], dict[str, Tensor]]
    save_model: Callable[[nn.Module, Path], None]


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """What a run tells while it goes on.

    Attributes:
        stage: Its name.
        step: Steps done, of the whole run.
        losses: Of the last step.
    """

    stage: str
    step: int
    losses: dict[str, float]


def go_through(
    stage: Stage, run: Run, state: dict[str, Any] | None, device: torch.device
) -> Iterator[TrainProgress]:
    """Train one stage, from where its state says.

    Args:
        stage: What to do.
        run: Where it is kept.
        state: Of this stage, to go on from; None begins it.
        device: Where the module is.

    Yields:
        After each step.

    Raises:
        VidxError: A loss or a weight is no number, or the folder cannot be written to; the last
            state stays.
    """
    begin = 0
    if state is not None:
        stage.module.load_state_dict(state["module"])
        stage.optimizer.load_state_dict(state["optimizers"])
        stage.mean.mean = {name: value.to(device) for name, value in state["mean"].items()}
        begin = state["step"]
    save_every = max(1, stage.steps // SAVES)
    for step in range(begin, stage.steps):
        losses = _one_step(stage, step)
        run.log({"stage": stage.name, "step": stage.first_step + step} | losses)
        if (step + 1) % save_every == 0 or step + 1 == stage.steps:
            save(stage, run, step + 1)
        yield TrainProgress(stage.name, stage.first_step + step + 1, losses)


def save(stage: Stage, run: Run, step: int) -> None:
    """Write the encoder so far as a checkpoint, then the state: who finds the state has both."""
    state = {"module": stage.module.state_dict(), "mean": stage.mean.mean}
    for weights in state.values():
        for name, value in weights.items():
            if not bool((value.abs() <= FLOAT16_MAX).all()):  # also what is no number
                raise _diverged(f"{name} is no number of float16", stage, step)
    with stage.mean.taken(stage.module):
        run.save_model(lambda folder: stage.save_model(stage.module, folder))
    optimizers = stage.optimizer.state_dict()
    run.save({"stage": stage.name, "step": step, "optimizers": optimizers, **state})


def _one_step(stage: Stage, step: int) -> dict[str, float]:
    losses = stage.losses(step)
    values = {name: round(value.item(), 6) for name, value in losses.items()}
    if not math.isfinite(values["loss"]):
        raise _diverged(f"the loss is {values['loss']}", stage, step)
    stage.optimizer.step(step, losses["loss"])
    stage.mean.update(stage.module, step)
    return values


def _diverged(problem: str, stage: Stage, step: int) -> VidxError:
    return VidxError(
        f"{problem} at step {stage.first_step + step} ({stage.name})",
        "The last state is whole, but the same command would come to the same step. Begin anew in "
        "another folder with another seed, or with lower rates.",
    )
