"""A checkpoint as it is read: model, preprocessing, and the space that its embeddings lie in."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vidx.embedder.checkpoints.builtin import is_builtin
from vidx.embedder.checkpoints.finding import DEFAULT_MODEL, Checkpoint, find
from vidx.embedder.checkpoints.fingerprint import (
    cached_digest,
    digest_tensors,
    file_state,
    fingerprint,
)
from vidx.embedder.decoding.sampling import Sampling
from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.embedder.videomae.model import Model, VideoMAEForVideoClassification, VideoMAEModel
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.embedder.videomae.weights import hub_name, read_tensors
from vidx.errors import CheckpointError, UsageError
from vidx.records import Space

if TYPE_CHECKING:
    from vidx.embedder.decoding.geometry import FrameGeometry

DEFAULT_FPS = Sampling().fps


@dataclass(frozen=True, slots=True)
class ReadCheckpoint:
    """What a checkpoint holds.

    Attributes:
        checkpoint: The files it was read from.
        model: As it was stored, on the CPU.
        preprocessing: From frames of any size to the model's input.
        space: What the embeddings are comparable with.
    """

    checkpoint: Checkpoint
    model: Model
    preprocessing: Preprocessing
    space: Space


def read_checkpoint(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    num_frames: int | None = None,
    fps: float = DEFAULT_FPS,
) -> ReadCheckpoint:
    """Read a model together with its preprocessing; see `encoder.load` for arguments and errors."""
    checkpoint = find(model)
    config = _with_frames(VideoMAEConfig.from_file(checkpoint.config), num_frames)
    preprocessing = Preprocessing.from_file(checkpoint.preprocessor)
    sampling = Sampling(config.num_frames, float(fps))
    _check_same_size(config, preprocessing.geometry)
    videomae, weights_digest = _read_model(checkpoint, config)
    space = Space(
        fingerprint=fingerprint(weights_digest, config, preprocessing, sampling.fps),
        model=checkpoint.name,
        revision=checkpoint.revision,
        num_frames=sampling.num_frames,
        fps=sampling.fps,
        dim=config.hidden_size,
        labels=config.labels if isinstance(videomae, VideoMAEForVideoClassification) else (),
    )
    return ReadCheckpoint(checkpoint, videomae, preprocessing, space)


def _read_model(checkpoint: Checkpoint, config: VideoMAEConfig) -> tuple[Model, str]:
    """The model in the checkpoint's own precision, and its weights' digest."""
    if config.num_channels != 3:
        raise CheckpointError(
            f"num_channels is {config.num_channels}, but frames are RGB: 3 channels",
            "Name another checkpoint.",
        )
    state = file_state(checkpoint.weights)
    tensors = read_tensors(checkpoint.weights)
    with_head = config.has_head or hub_name("head.classifier.weight") in tensors
    kind = VideoMAEForVideoClassification if with_head else VideoMAEModel
    model: Model = kind.from_tensors(config, tensors).eval().requires_grad_(requires_grad=False)
    if is_builtin(checkpoint.name):
        # Installers may give the files of all versions the same time of change.
        return model, digest_tensors(model.state_dict())
    return model, cached_digest(state, model.state_dict())


def _with_frames(config: VideoMAEConfig, num_frames: int | None) -> VideoMAEConfig:
    if num_frames is None:
        return config
    if num_frames <= 0 or num_frames % config.tubelet_size:
        raise UsageError(
            f"{num_frames} frames a clip cannot be had from this model: "
            f"its tubelets hold {config.tubelet_size} frames",
            f"Choose a positive multiple of {config.tubelet_size}.",
        )
    return replace(config, num_frames=num_frames)


def _check_same_size(config: VideoMAEConfig, geometry: FrameGeometry) -> None:
    made = geometry.made
    if made != config.frame_shape:
        raise CheckpointError(
            f"the model wants frames of {config.frame_shape} (height, width), "
            f"its preprocessor_config.json makes {made or 'frames of any size'}",
            "Take both from the same checkpoint.",
        )
