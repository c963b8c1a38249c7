"""Recipes: what a training run is begun with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.errors import UsageError
from vidx.training.procedural.motions import LABELS

VIEWS = 3  # of each motion: two of the same look, and one of another look


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast weights change.

    Attributes:
        matrix_rate: Highest learning rate of the encoder blocks' matrices (Muon).
        rate: Highest learning rate of all else (AdamW).
        weight_decay: Of all matrices.
        warmup_steps: Over which the rates rise.
    """

    matrix_rate: float
    rate: float
    weight_decay: float
    warmup_steps: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an encoder is trained on procedural videos. Part of every run's state.

    Attributes:
        seed: Of weights, videos, masks and order.
        minutes: A run's time, in which all schedules come to their ends though fewer steps are
            done; None: as long as the steps take.
        hidden_size: Length of a token; a multiple of 64.
        num_hidden_layers: Transformer blocks.
        pretraining_steps: Of masked pre-training.
        pretraining_clips: Clips a step there, rounded down to whole motions.
        mask_ratio: Share of places hidden there.
        steps: Of fine-tuning.
        motions: Different motions a step there, each in `VIEWS` clips.
        uses: How often a rendered clip is used.
        ahead: Motions rendered before the first of them is used.
        view_strength: How far time, crop and exposure of a motion's second view may be from those
            of the first; 1 is as far as those of the third.
        kept: Share of tokens kept in fine-tuning.
        full_from: Share of the course after which all tokens are kept.
        ramp: Share of the course in which videos would go from plain to as difficult as they get;
            they begin a tenth up that way.
        matrix_rate: Highest learning rate of the blocks' matrices (Muon).
        rate: Highest learning rate of all else (AdamW).
        weight_decay: Of all matrices.
        warmup_steps: Over which the rates rise, at the beginning of both stages.
        average: Decay of the running mean of the weights, which is what a run gives.
        flow_weight: Of the error of each tubelet's motion.
        copy_weight: Of telling copies of a clip from other clips.
        motion_weight: Of telling views of a motion from other motions.
        class_weight: Of telling clips of a class from other classes.
        measured: Held-out clips that the encoder is measured with, see `validation.Validation`.
    """

    seed: int = 0
    minutes: float | None = None
    hidden_size: int = 256
    num_hidden_layers: int = 6
    pretraining_steps: int = 200
    pretraining_clips: int = 48
    mask_ratio: float = 0.75
    steps: int = 4000
    motions: int = 16
    uses: int = 3
    ahead: int = 192
    view_strength: float = 1.0
    kept: float = 0.5
    full_from: float = 0.85
    ramp: float = 0.3
    matrix_rate: float = 0.02
    rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 60
    average: float = 0.998
    flow_weight: float = 1.0
    copy_weight: float = 0.75
    motion_weight: float = 0.25
    class_weight: float = 0.75
    measured: int = 144

    def rates(self) -> Rates:
        """How fast weights change."""
        return Rates(self.matrix_rate, self.rate, self.weight_decay, self.warmup_steps)

    def config(self) -> VideoMAEConfig:
        """The shape of the encoder, of its classifier, and of the decoder."""
        dim = self.hidden_size
        return VideoMAEConfig(
            image_size=112,
            patch_size=16,
            num_frames=16,
            tubelet_size=4,
            hidden_size=dim,
            num_hidden_layers=self.num_hidden_layers,
            num_attention_heads=dim // 64,
            intermediate_size=4 * dim,
            # Wider than the usual 0.02, which is made for longer tokens and longer training.
            initializer_range=0.05,
            decoder_hidden_size=dim // 2,
            decoder_num_hidden_layers=2,
            decoder_num_attention_heads=dim // 64,
            decoder_intermediate_size=2 * dim,
            labels=LABELS,
        )


# `minute` shows that all works, `cpu` is for two cores and about an hour, `gpu` for one GPU and
# some minutes.
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "minute": Recipe(
            hidden_size=64,
            num_hidden_layers=2,
            pretraining_steps=20,
            pretraining_clips=12,
            steps=40,
            motions=4,
            uses=2,
            ahead=24,
            warmup_steps=5,
            average=0.9,
            measured=12,
        ),
        "cpu": Recipe(),
        # More steps than there is time for, so that the clock ends it. Half a minute of nine is
        # for the imports.
        "gpu": Recipe(
            minutes=8.5,
            pretraining_steps=2000,
            pretraining_clips=288,
            steps=38_000,
            motions=96,
            uses=1,
            ahead=768,
            view_strength=1.6,
            kept=1.0,
            average=0.999,
            measured=720,
        ),
    }
)

# Steps of the GPU's recipe on a CPU, where one of 288 clips would take minutes.
ON_A_CPU: Mapping[str, int] = MappingProxyType(
    {"pretraining_clips": 12, "motions": 4, "ahead": 4, "measured": 24}
)
MINUTES = (0.5, 10_000.0)  # of a run, at least and at most
MOST_SEED = 2**63 - 1  # torch takes little more


def chosen_recipe(
    name: str, device_type: str, *, minutes: float | None = None, seed: int | None = None
) -> Recipe:
    """A recipe with what was asked for otherwise.

    Args:
        name: One of `RECIPES`.
        device_type: `cpu` or `cuda`; a CPU tries the GPU's recipe with small steps.
        minutes: Of the whole run. None: the recipe's.
        seed: None: the recipe's.

    Returns:
        The recipe.

    Raises:
        UsageError: There is no such recipe, or the minutes or the seed are out of range.
    """
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}", f"There are {', '.join(RECIPES)}.")
    least, most = MINUTES
    if minutes is not None and not least <= minutes <= most:
        raise UsageError(
            f"minutes={minutes:g}: a run takes from {least:g} to {most:g}",
            "Name a time in this range, or none for the recipe's own.",
        )
    if seed is not None and not 0 <= seed <= MOST_SEED:
        raise UsageError(f"seed={seed}: it is from 0 to {MOST_SEED}", "Name one in this range.")
    asked = {"minutes": minutes, "seed": seed}
    changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if name == "gpu" and device_type == "cpu":
        changes |= ON_A_CPU
    return replace(RECIPES[name], **changes)
