"""Encoder: a checkpoint loaded onto a device, with its preprocessing and its embedding space."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from vidx.embedder.builtin import is_builtin
from vidx.embedder.checkpoint import DEFAULT_MODEL, Checkpoint, find
from vidx.embedder.fingerprint import cached_digest, digest_tensors, file_state, fingerprint
from vidx.embedder.preprocess import Preprocessing
from vidx.embedder.sampling import Sampling
from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.embedder.videomae.model import VideoMAEForVideoClassification, VideoMAEModel
from vidx.embedder.videomae.pretrained import DTYPES
from vidx.embedder.videomae.weights import hub_name, read_tensors
from vidx.errors import CheckpointError, DeviceError, UsageError
from vidx.records import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidx.embedder.geometry import FrameGeometry

DEFAULT_FPS = Sampling().fps

DEVICES = ("cpu", "cuda", "mps")

# With the classifier where the checkpoint has one.
Model = VideoMAEModel | VideoMAEForVideoClassification


@dataclass(frozen=True, slots=True)
class Encoder:
    """Frames of the model's size to embeddings and logits.

    Attributes:
        model: On its device, in its precision.
        preprocessing: From frames of any size to the model's input.
        space: What the embeddings are comparable with.
        checkpoint: The files it was read from.
        device: Where it computes, such as `cpu` or `cuda`.
        dtype: Precision, such as `float32`.
    """

    model: Model = field(repr=False)
    preprocessing: Preprocessing
    space: Space
    checkpoint: Checkpoint
    device: str
    dtype: str

    @property
    def geometry(self) -> FrameGeometry:
        """How frames come to the model's size."""
        return self.preprocessing.geometry

    def provenance(self) -> dict[str, str]:
        """What made the vectors but does not decide whether they are comparable."""
        return {
            "model": self.checkpoint.name,
            "revision": self.checkpoint.revision or "",
            "weights_file": self.checkpoint.weights.name,
            "device": self.device,
            "dtype": self.dtype,
            "torch": torch.__version__,
        }

    def encode(
        self, frames: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Embed a batch of clips.

        Args:
            frames: uint8, shape (batch, frames, height, width, 3), of the model's size.

        Returns:
            Embeddings float32, shape (batch, dim), and logits float32, shape (batch, labels), or
            None when the checkpoint has no head.

        Raises:
            UsageError: Frames of another shape or type.
            DeviceError: The device's memory does not hold the batch.
        """
        self._check_frames(frames)
        try:
            with torch.inference_mode():
                # Copied, because torch wants memory that it may write to.
                pixels = self.preprocessing.normalize(torch.tensor(frames, device=self.device))
                embeddings, logits = embed(self.model, pixels)
                return (
                    embeddings.cpu().numpy(),
                    None if logits is None else logits.cpu().numpy(),
                )
        except RuntimeError as error:
            # torch has a class for a full GPU, and only this text for full main memory.
            if isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error):
                raise DeviceError(
                    f"{self.device} has no memory for a batch of {len(frames)} clips",
                    "Choose a smaller --batch-size.",
                ) from error
            raise

    def _check_frames(self, frames: NDArray[np.uint8]) -> None:
        height, width = self.geometry.crop or self.geometry.resize_to or (0, 0)
        expected = (self.space.num_frames, height, width, 3)
        if frames.dtype != np.uint8 or frames.shape[1:] != expected:
            raise UsageError(
                f"frames are {frames.dtype} of shape {frames.shape}, they must be uint8 of shape "
                f"(batch, {', '.join(map(str, expected))})"
            )


def embed(model: Model, pixel_values: Tensor) -> tuple[Tensor, Tensor | None]:
    """Embed clips, and classify them in the same pass where the model can.

    Args:
        model: Norms, pooling and classifier in float32, see `set_precision`.
        pixel_values: Normalised pixels, float, shape (batch, frames, 3, height, width).

    Returns:
        The mean over tokens of the last hidden state, shape (batch, dim), and class scores, shape
        (batch, labels), or None; both float32.
    """
    hidden = model.encoder(pixel_values).last_hidden_state.float()  # (batch, tokens, dim)
    logits = model.head(hidden) if isinstance(model, VideoMAEForVideoClassification) else None
    return hidden.mean(dim=1), logits  # (batch, dim), (batch, labels)


def set_precision(model: Model, dtype: torch.dtype) -> None:
    """Compute in a dtype; norms, pooling and classifier stay in float32.

    Args:
        model: Changed in place.
        dtype: Of the encoder's matrix products and of the values between its blocks.
    """
    model.float()
    for module in model.encoder.modules():
        if isinstance(module, nn.Linear | nn.Conv3d):
            module.to(dtype)


def load(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    *,
    device: str | None = None,
    dtype: str | None = None,
    num_frames: int | None = None,
    fps: float = DEFAULT_FPS,
) -> Encoder:
    """Load a checkpoint together with its preprocessing, so that they cannot drift apart.

    Args:
        model: A folder, or a hub id with optional revision (`organisation/name@revision`), or
            `builtin:tiny`.
        device: `cpu`, `cuda`, `cuda:1`, `mps`; None takes cuda when there is one, else cpu.
        dtype: `float32`, `float16`, `bfloat16`; None is float16 on cuda and float32 elsewhere.
        num_frames: Frames of a clip; None takes the checkpoint's. Another number gets a position
            table of its own.
        fps: Frames sampled a second.

    Returns:
        The encoder, ready to encode.

    Raises:
        ModelNotFound: No checkpoint under that name.
        CheckpointError: Config, preprocessing and weights do not make a VideoMAE encoder.
        DeviceError: A device that this machine lacks.
        UsageError: An unknown device or dtype, or an impossible number of frames or rate.
    """
    device = _device(device)
    dtype = _dtype(dtype, device)
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
    return Encoder(
        _placed(videomae, device, dtype), preprocessing, space, checkpoint, device, dtype
    )


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
    model: Model = kind.from_tensors(config, tensors)
    if is_builtin(checkpoint.name):
        # Installers may give the files of all versions the same time of change.
        return model, digest_tensors(model.state_dict())
    return model, cached_digest(state, model.state_dict())


def _placed(model: Model, device: str, dtype: str) -> Model:
    set_precision(model, DTYPES[dtype])
    try:
        return model.to(device).eval().requires_grad_(requires_grad=False)
    except torch.OutOfMemoryError as error:
        raise DeviceError(f"{device} has no memory for the model", "Try --device cpu.") from error


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
    made = geometry.crop or geometry.resize_to
    if made != config.frame_shape:
        raise CheckpointError(
            f"the model wants frames of {config.frame_shape} (height, width), "
            f"its preprocessor_config.json makes {made or 'frames of any size'}",
            "Take both from the same checkpoint.",
        )


def _device(name: str | None) -> str:
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.partition(":")[0] not in DEVICES:
        raise UsageError(f"device {name!r} is unknown", f"Choose one of {', '.join(DEVICES)}.")
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        problem = str(error).partition("\n")[0]
        raise DeviceError(
            f"device {name!r} is not to be had here: {problem}", "Try --device cpu."
        ) from error
    return name


def _dtype(name: str | None, device: str) -> str:
    if name is None:
        return "float16" if device.startswith("cuda") else "float32"
    if name not in DTYPES:
        raise UsageError(f"dtype {name!r} is unknown", f"Choose one of {', '.join(DTYPES)}.")
    return name
