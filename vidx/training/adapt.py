"""Adapt an encoder to videos: masked pre-training goes on with them, without labels.

Published encoders come without the decoder that pre-training needs, so that a new one is fitted
first, with the encoder frozen. Then both are trained, at low rates.
"""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidx.embedder.checkpoints.hub import PREPROCESSOR_FILE
from vidx.embedder.encoder import Encoder
from vidx.embedder.videomae.masking import DEFAULT_RATIO, tube_mask
from vidx.embedder.videomae.model import VideoMAEForPreTraining
from vidx.embedder.videomae.outputs import PreTrainingOutput
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.embedder.videomae.weights import hub_name, read_tensors
from vidx.training.batches import seeded
from vidx.training.course import Course
from vidx.training.device import flushing_denormals
from vidx.training.footage import Footage, Frames, Video
from vidx.training.loop import Stage, TrainProgress, go_through
from vidx.training.objectives import half_precision
from vidx.training.optimizer import Optimizer, RunningMean
from vidx.training.recipe import Rates
from vidx.training.run import Run

DECODER = "decoder"
ADAPTING = "adapting"
HELD_OUT = "held_out"  # in the log, beside the losses

MEASURES = 5  # of each stage, and one at the end
MEASURED_CLIPS = 128


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How an encoder is adapted. Part of every run's state.

    Attributes:
        seed: Of the decoder's first weights, the masks and the order of clips.
        steps: Of fitting the decoder, and again of training both.
        clips: Clips a step.
        mask_ratio: Share of places hidden.
        decoder_rate: Highest learning rate while the decoder is fitted (AdamW).
        matrix_rate: Then, highest learning rate of the encoder's matrices (Muon).
        rate: Then, highest learning rate of all else (AdamW).
        weight_decay: Of all matrices.
        warmup_steps: Over which the rates rise, at the beginning of both stages.
        average: Decay of the running mean of the weights, which is what a run gives.
        frozen: Whether the encoder stays as it is to the end, to compare with.
    """

    seed: int = 0
    steps: int = 400
    clips: int = 16
    mask_ratio: float = DEFAULT_RATIO
    decoder_rate: float = 1e-3
    matrix_rate: float = 2e-3
    rate: float = 2e-4
    weight_decay: float = 0.05
    warmup_steps: int = 20
    average: float = 0.99
    frozen: bool = False


def run_of(folder: Path, encoder: Encoder, videos: Sequence[Video], adaptation: Adaptation) -> Run:
    """Where a run is kept, and what decides its outcome.

    Args:
        folder: Of the run.
        encoder: The one to adapt.
        videos: Those to read, whether or not all of them can be.
        adaptation: How.

    Returns:
        The run; its `load` refuses a folder that is none of this run.
    """
    ids = sorted(video.video_id for video in videos)
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
    facts = {
        "device": torch.device(encoder.device).type,
        "model": encoder.space.fingerprint,
        "videos": f"{len(ids)} ({digest[:12]})",
    }
    return Run(folder, facts | asdict(adaptation))


def adapt(
    run: Run, encoder: Encoder, footage: Footage, adaptation: Adaptation
) -> Iterator[TrainProgress]:
    """Adapt an encoder, or go on with a run that was stopped; its `model` is the encoder so far.

    Args:
        run: Of this encoder, the footage's videos and this adaptation, see `run_of`.
        encoder: In float32; it stays as it is.
        footage: Clips of the videos.
        adaptation: How.

    Yields:
        After each step; some have the loss of the held-out clips before it, `held_out`, and the
        last one has that of the result alone. The log has all of them.

    Raises:
        CheckpointError: The folder's run was begun otherwise, or is damaged.
        UsageError: The folder holds something else.
        VidxError: A loss is no number, the folder cannot be written to, or another process trains
            there.
    """
    with run.held(), flushing_denormals():
        yield from _both_stages(run, encoder, footage, adaptation)


def _both_stages(
    run: Run, encoder: Encoder, footage: Footage, adaptation: Adaptation
) -> Iterator[TrainProgress]:
    state = run.load()
    work = _Adapting(encoder, footage, adaptation)
    stage_name, done = (DECODER, 0) if state is None else (state["stage"], state["step"])
    if stage_name == DECODER:
        run.begin_log(done)
        stage = work.stage(DECODER)
        yield from go_through(stage, run, state, work.device)
        work.module.load_state_dict(stage.mean.mean)
        state = None
    else:
        run.begin_log(adaptation.steps + done)
    stage = work.stage(ADAPTING)
    yield from go_through(stage, run, state, work.device)
    result = {HELD_OUT: work.held_out_loss(stage.mean).item()}
    steps = 2 * adaptation.steps
    run.log({"stage": ADAPTING, "step": steps} | result)
    yield TrainProgress(ADAPTING, steps, steps, result)


class Reconstruction(nn.Module):
    """The loss of masked pixels.

    Args:
        model: Encoder and decoder.
        preprocessing: The encoder's.
    """

    def __init__(self, model: VideoMAEForPreTraining, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model = model
        self.preprocessing = preprocessing

    def forward(self, frames: Tensor, masked: Tensor) -> Tensor:
        """The loss of clips, uint8, of which the masked tokens are predicted."""
        with half_precision(frames.device):
            output: PreTrainingOutput = self.model(self.preprocessing.normalize(frames), masked)
        return output.loss


class _Adapting:
    """What both stages have in common: the model, the clips, the masks."""

    def __init__(self, encoder: Encoder, footage: Footage, adaptation: Adaptation) -> None:
        self.device = torch.device(encoder.device)
        self.adaptation = adaptation
        self.clips = footage.training
        gap = -(-len(footage.held_out) // MEASURED_CLIPS)
        self.held_out = footage.held_out[::gap]
        tensors = read_tensors(encoder.checkpoint.weights)
        model = _with_decoder(encoder, tensors, adaptation.seed)
        self.module = Reconstruction(model, encoder.preprocessing).to(self.device)
        self.save_model = _saver(encoder, tensors)

    def stage(self, name: str) -> Stage:
        """Fitting the decoder, or training both."""
        numbers = self.adaptation
        fitting = name == DECODER
        self.module.model.encoder.requires_grad_(not (fitting or numbers.frozen))
        mean = RunningMean(self.module, numbers.average)
        before = 0 if fitting else numbers.steps
        rates = Rates(
            matrix_rate=numbers.matrix_rate,
            rate=numbers.decoder_rate if fitting else numbers.rate,
            weight_decay=numbers.weight_decay,
            warmup_steps=numbers.warmup_steps,
        )

        def losses(step: int, _position: float) -> dict[str, Tensor]:
            measured = {}
            if step % max(1, numbers.steps // MEASURES) == 0:
                measured[HELD_OUT] = self.held_out_loss(mean)
            rows = torch.randperm(
                len(self.clips), generator=seeded(numbers.seed, "clips", name, step)
            )[: numbers.clips]
            clips = [self.clips[row] for row in rows.tolist()]
            return {"loss": self._loss(clips, name, step)} | measured

        return Stage(
            name=name,
            module=self.module,
            optimizer=Optimizer(self.module, rates, numbers.steps),
            mean=mean,
            course=Course(numbers.steps, planned=before, first_step=before),
            losses=losses,
            save_model=self.save_model,
        )

    @torch.no_grad()
    def held_out_loss(self, mean: RunningMean) -> Tensor:
        """The loss of the held-out clips with the mean's weights, under masks that never change."""
        size = self.adaptation.clips
        total = torch.zeros((), device=self.device)
        self.module.eval()
        with mean.taken(self.module):
            for start in range(0, len(self.held_out), size):
                clips = self.held_out[start : start + size]
                total += self._loss(clips, HELD_OUT, start) * len(clips)
        self.module.train()
        return total / len(self.held_out)

    def _loss(self, clips: Sequence[Frames], purpose: str, number: int) -> Tensor:
        """Of some clips, with masks drawn for this purpose and number."""
        mask = tube_mask(
            self.module.model.config, len(clips), ratio=self.adaptation.mask_ratio,
            generator=seeded(self.adaptation.seed, "tubes", purpose, number),
        )  # fmt: skip
        frames = torch.from_numpy(np.stack(clips)).to(self.device)
        loss: Tensor = self.module(frames, mask.to(self.device))
        return loss


def _with_decoder(
    encoder: Encoder, tensors: dict[str, Tensor], seed: int
) -> VideoMAEForPreTraining:
    """The encoder with its own decoder where the checkpoint has one, else with a new one."""
    # Whatever mean and deviation pixels are normalised by, these targets are the same.
    config = replace(encoder.model.config, norm_pix_loss=True)
    if _has_decoder(tensors):
        model = VideoMAEForPreTraining.from_tensors(config, tensors).float()
    else:
        torch.manual_seed(seed)
        model = VideoMAEForPreTraining(config)
    model.encoder.load_state_dict(encoder.model.encoder.state_dict())
    return model


def _has_decoder(tensors: dict[str, Tensor]) -> bool:
    return hub_name("decoder.norm.weight") in tensors


def _saver(encoder: Encoder, tensors: dict[str, Tensor]) -> Callable[[nn.Module, Path], None]:
    """A function that writes a checkpoint with the parts and the precision of the original."""
    dtype = tensors[hub_name("encoder.tubelet_embedding.weight")].dtype

    def save(module: nn.Module, folder: Path) -> None:
        trained: Any = module.model
        made = copy.deepcopy(trained if _has_decoder(tensors) else encoder.model)
        made.encoder.load_state_dict(trained.encoder.state_dict())
        made.to(dtype).save_pretrained(folder)
        shutil.copyfile(encoder.checkpoint.preprocessor, folder / PREPROCESSOR_FILE)

    return save
