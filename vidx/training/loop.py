"""The loop that both stages of training, and `vidx adapt`, go through."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidx.errors import VidxError
from vidx.training.course import Course
from vidx.training.optimizer import Optimizer, RunningMean
from vidx.training.run import Run

# Steps whose losses are fetched at once: a GPU would wait for the host at each of them.
TOLD = {"cpu": 1, "cuda": 10}
FLOAT16_MAX = 65504.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a run.

    Attributes:
        name: As the log and the state call it.
        module: What is trained.
        optimizer: How.
        mean: Of the module's weights.
        course: How far it is.
        losses: Step of the stage, and position on its course, to scalars, of which `loss` is
            minimised.
        save_model: Writes the encoder into a folder.
        measure: Says how good the encoder is; None: nobody asks.
    """

    name: str
    module: nn.Module
    optimizer: Optimizer
    mean: RunningMean
    course: Course
    losses: Callable[[int, float], dict[str, Tensor]]
    save_model: Callable[[nn.Module, Path], None]
    measure: Callable[[], dict[str, float]] | None = None


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """What a run tells while it goes on.

    Attributes:
        stage: Its name.
        step: Steps done, of the whole run.
        position: As many steps are planned until there; more than were done, where time is short.
        losses: Of the last step.
        validation: How good the encoder is, where that was measured.
    """

    stage: str
    step: int
    position: float
    losses: dict[str, float]
    validation: Mapping[str, float] = field(default_factory=dict)


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
        Each step, once its losses are known.

    Raises:
        VidxError: A loss or a weight is no number, or the folder cannot be written to; the last
            state stays.
    """
    if state is not None:
        _go_on(stage, state, device)
    course = stage.course
    step = course.done
    untold: list[_Step] = []
    while not course.ended:
        losses = _one_step(stage, step)
        step += 1
        course.went()
        untold.append(_Step(step, course.position(step), losses))
        due = course.due(step, untold[-1].position)
        if due or len(untold) >= TOLD[device.type]:
            told = _log(stage, run, untold)
            untold = []
            if due:
                told[-1] = replace(told[-1], validation=save(stage, run, step))
            yield from told


def save(stage: Stage, run: Run, step: int) -> dict[str, float]:
    """Measure the encoder so far, write it, then the state: who finds the state has all.

    Args:
        stage: Of which some steps are done.
        run: Where it is kept.
        step: How many.

    Returns:
        How good the encoder is; empty when it was not measured.

    Raises:
        VidxError: A weight is no number of float16, or the folder cannot be written to.
    """
    course = stage.course
    began, position = course.clock.seconds, course.position(step)
    state = {"module": stage.module.state_dict(), "mean": stage.mean.mean}
    _check(state, stage, step)
    measured = {}
    with stage.mean.taken(stage.module):
        if stage.measure and course.measures(position):
            measured = stage.measure()
            run.log({"stage": stage.name, "step": course.first_step + step - 1} | measured)
        run.save_model(lambda folder: stage.save_model(stage.module, folder))
    optimizers = stage.optimizer.state_dict()
    run.save({
        "stage": stage.name, "step": step, "course": course.state_dict(position, began),
        "optimizers": optimizers, **state,
    })  # fmt: skip
    course.saved(step, position, began)
    return measured


@dataclass(frozen=True, slots=True)
class _Step:
    """A step of a stage that is done, and its losses, which may not have been computed yet."""

    number: int
    position: float
    losses: dict[str, Tensor]


def _go_on(stage: Stage, state: dict[str, Any], device: torch.device) -> None:
    """Take over what a state holds."""
    stage.module.load_state_dict(state["module"])
    stage.optimizer.load_state_dict(state["optimizers"])
    stage.mean.mean = {name: value.to(device) for name, value in state["mean"].items()}
    stage.course.load_state_dict(state["step"], state["course"])


def _one_step(stage: Stage, step: int) -> dict[str, Tensor]:
    position = stage.course.position(step)
    losses = stage.losses(step, position)
    stage.optimizer.step(step, position, losses["loss"])
    stage.mean.update(stage.module, step)
    return {name: value.detach() for name, value in losses.items()}


def _log(stage: Stage, run: Run, steps: Sequence[_Step]) -> list[TrainProgress]:
    """Fetch the losses of some steps, and log them."""
    course = stage.course
    fetched = iter(
        torch.stack([loss.float() for step in steps for loss in step.losses.values()]).tolist()
    )
    told = []
    for step in steps:
        values = {name: round(next(fetched), 6) for name in step.losses}
        if not math.isfinite(values["loss"]):
            raise _diverged(f"the loss is {values['loss']}", stage, step.number - 1)
        run.log({"stage": stage.name, "step": course.first_step + step.number - 1} | values)
        done, position = course.first_step + step.number, course.planned + step.position
        told.append(TrainProgress(stage.name, done, position, values))
    return told


def _check(state: dict[str, dict[str, Tensor]], stage: Stage, step: int) -> None:
    """Refuse weights that float16 cannot hold, or that are no numbers."""
    for weights in state.values():
        for name, value in weights.items():
            if not bool((value.abs() <= FLOAT16_MAX).all()):
                raise _diverged(f"{name} is no number of float16", stage, step)


def _diverged(problem: str, stage: Stage, step: int) -> VidxError:
    return VidxError(
        f"{problem} at step {stage.course.first_step + step} ({stage.name})",
        "The last state is whole, but the same command would come to the same step. Begin anew in "
        "another folder with another seed, or with lower rates.",
    )
