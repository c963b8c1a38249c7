"""Train an encoder on procedural videos: masked pre-training, then fine-tuning."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.embedder.videomae.masking import random_mask, tube_mask
from vidx.embedder.videomae.model import VideoMAEForPreTraining, VideoMAEForVideoClassification
from vidx.embedder.videomae.processor import VideoMAEImageProcessor
from vidx.training.batches import Batches, seeded
from vidx.training.course import Clock, Course
from vidx.training.device import flushing_denormals
from vidx.training.loop import Stage, TrainProgress, go_through
from vidx.training.objectives import FineTuning, PreTraining, normalized
from vidx.training.optimizer import Optimizer, RunningMean
from vidx.training.recipe import VIEWS, Recipe
from vidx.training.run import Run
from vidx.training.start import start_projection
from vidx.training.validation import Validation

PRETRAINING = "pretraining"
FINETUNING = "finetuning"

# On a CPU, torch's fused attention takes longer to go backward than matrix products do.
ATTENTION = {"cpu": "eager", "cuda": "sdpa"}


def train(recipe: Recipe, folder: Path, device: torch.device) -> Iterator[TrainProgress]:
    """Train, or go on with a run that was stopped; `folder/model` holds what it has given so far.

    Args:
        recipe: What to do.
        folder: Of this run; made when it is not there.
        device: Where to compute.

    Yields:
        After each step.

    Raises:
        CheckpointError: The folder's run was begun with another recipe, or is damaged.
        UsageError: The folder holds something else.
        VidxError: A loss is no number, the folder cannot be written to, or another process trains
            there.
    """
    # The kind of device is part of it: random numbers and precision differ.
    run = Run(folder, {"device": device.type} | asdict(recipe))
    with run.held(), flushing_denormals():
        yield from _both_stages(recipe, run, device)


def _both_stages(recipe: Recipe, run: Run, device: torch.device) -> Iterator[TrainProgress]:
    state = run.load()
    if state is None:
        clock, stage_name, first_step, done = Clock(), PRETRAINING, 0, 0
    else:
        clock, first_step = Clock(state["course"]["seconds"]), state["course"]["first_step"]
        stage_name, done = state["stage"], state["step"]
    run.begin_log(first_step + done)
    pretrained = None
    if stage_name == PRETRAINING:
        stage = _pretraining(recipe, device, pretraining_course(recipe, clock))
        yield from go_through(stage, run, state, device)
        pretrained, state, first_step = stage.mean.mean, None, stage.course.done
    course = finetuning_course(recipe, clock, first_step)
    yield from go_through(_finetuning(recipe, pretrained, device, course), run, state, device)


def pretraining_course(recipe: Recipe, clock: Clock) -> Course:
    """How long pre-training is: its share of a recipe's time is that of its steps."""
    share = recipe.pretraining_steps / (recipe.pretraining_steps + recipe.steps)
    until = None if recipe.minutes is None else 60 * recipe.minutes * share
    return Course(recipe.pretraining_steps, until=until, clock=clock)


def finetuning_course(recipe: Recipe, clock: Clock, first_step: int) -> Course:
    """How long fine-tuning is, after so many steps of pre-training: the rest of the time."""
    until = None if recipe.minutes is None else 60 * recipe.minutes
    return Course(
        recipe.steps, planned=recipe.pretraining_steps, first_step=first_step,
        until=until, clock=clock,
    )  # fmt: skip


def _pretraining(recipe: Recipe, device: torch.device, course: Course) -> Stage:
    config = recipe.config()
    torch.manual_seed(recipe.seed)
    model = VideoMAEForPreTraining(config, attn_implementation=ATTENTION[device.type]).to(device)
    module = PreTraining(model)
    motions = max(1, recipe.pretraining_clips // VIEWS)
    batches = Batches(
        config, recipe.seed, PRETRAINING, motions, recipe.uses, 1.0, device, ahead=recipe.ahead
    )
    start_projection(model.encoder.tubelet_embedding, normalized(batches[0].frames))

    def losses(step: int, position: float) -> dict[str, Tensor]:
        frames = batches.at(step, position).frames
        generator = seeded(recipe.seed, "tubes", step)
        mask = tube_mask(config, len(frames), ratio=recipe.mask_ratio, generator=generator)
        found: dict[str, Tensor] = module(frames, mask.to(device, non_blocking=True))
        return found

    return Stage(
        name=PRETRAINING,
        module=module,
        optimizer=Optimizer(module, recipe.rates(), recipe.pretraining_steps),
        mean=RunningMean(module, recipe.average),
        course=course,
        losses=losses,
        save_model=save_model,
    )


def _finetuning(
    recipe: Recipe, pretrained: dict[str, Tensor] | None, device: torch.device, course: Course
) -> Stage:
    """Fine-tuning, from the weights of pre-training unless a state is loaded over it anyway."""
    config = recipe.config()
    torch.manual_seed(recipe.seed + 1)
    model = VideoMAEForVideoClassification(config, attn_implementation=ATTENTION[device.type])
    if pretrained is not None:
        prefix = "model.encoder."
        model.encoder.load_state_dict(
            {n.removeprefix(prefix): v for n, v in pretrained.items() if n.startswith(prefix)}
        )
    module = FineTuning(model, recipe).to(device)
    batches = Batches(
        config, recipe.seed, FINETUNING, recipe.motions, recipe.uses,
        max(1.0, recipe.ramp * recipe.steps), device, ahead=recipe.ahead,
        strength=recipe.view_strength,
    )  # fmt: skip

    validation = Validation(config, recipe.measured, device)

    def losses(step: int, position: float) -> dict[str, Tensor]:
        batch = batches.at(step, position)
        mask = None
        if recipe.kept < 1 and position < recipe.full_from * recipe.steps:
            generator = seeded(recipe.seed, "tokens", step)
            mask = random_mask(
                config, len(batch.labels), ratio=1 - recipe.kept, generator=generator
            ).to(device, non_blocking=True)
        found: dict[str, Tensor] = module(batch, mask)
        return found

    return Stage(
        name=FINETUNING,
        module=module,
        optimizer=Optimizer(module, recipe.rates(), recipe.steps),
        mean=RunningMean(module, recipe.average),
        course=course,
        losses=losses,
        save_model=save_model,
        measure=lambda: validation.measure(model.encoder),
    )


def save_model(module: nn.Module, folder: Path) -> None:
    """Write a module's `model` as a checkpoint in float16, with its preprocessing."""
    model: Any = copy.deepcopy(module.model)
    model.half().save_pretrained(folder)
    preprocessing_of(model.config).save_pretrained(folder)


def preprocessing_of(config: VideoMAEConfig) -> VideoMAEImageProcessor:
    """The usual one at the model's size: shortest edge, centre crop, ImageNet's mean and std."""
    height, width = config.frame_shape
    return VideoMAEImageProcessor(
        size={"shortest_edge": min(height, width)}, crop_size={"height": height, "width": width}
    )
