"""Encoder: a checkpoint loaded onto a device, with its preprocessing and its embedding space."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from vidx.embedder.checkpoints.finding import DEFAULT_MODEL, Checkpoint
from vidx.embedder.checkpoints.reading import DEFAULT_FPS, read_checkpoint
from vidx.embedder.inference.devices import check_name, find_devices, find_dtype
from vidx.embedder.inference.engine import Engine, Output, Pending, Spent, engine_on
from vidx.embedder.inference.team import Setup, Team
from vidx.embedder.videomae.model import Model
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.errors import UsageError
from vidx.records import Space

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidx.embedder.decoding.geometry import FrameGeometry


@dataclass(frozen=True, slots=True)
class Encoder:
    """Frames of the model's size to embeddings and logits.

    Attributes:
        engine: The encoder at work on its device, in its precision.
        model: As it was stored, on the CPU.
        preprocessing: From frames of any size to the model's input.
        space: What the embeddings are comparable with.
        checkpoint: The files it was read from.
        device: Where it computes, such as `cpu`, `cuda` or `cuda:0,cuda:1`.
        dtype: Precision, such as `float32`.
    """

    engine: Engine | Team = field(repr=False)
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

    @property
    def ahead(self) -> int:
        """Batches that may be started before the first one's result is asked for."""
        return self.engine.ahead

    @property
    def batch_size(self) -> int:
        """Clips in one batch that suit the device."""
        return self.engine.batch_size

    @property
    def spent(self) -> Spent:
        """What all batches so far took."""
        return self.engine.spent

    def start(self, frames: NDArray[np.uint8], *, lasting: bool = False) -> Pending:
        """Begin to embed a batch of clips; on a GPU this does not wait.

        Args:
            frames: uint8, shape (batch, frames, height, width, 3), of the model's size.
            lasting: Whether it is one of many, for which a graph may pay.

        Returns:
            What gives the embeddings and logits.

        Raises:
            UsageError: Frames of another shape or type.
            DeviceError: The device's memory does not hold one clip, or the device failed.
        """
        self._check_frames(frames)
        return self.engine.start(frames, lasting=lasting)

    def room(self, clips: int) -> NDArray[np.uint8]:
        """Memory for a batch, from where it gets to the device without a further copy.

        Args:
            clips: In the batch.

        Returns:
            uint8, shape (clips, frames, height, width, 3), of any contents.
        """
        height, width = self.geometry.made or (0, 0)
        return self.engine.room((clips, self.space.num_frames, height, width, 3))

    def encode(self, frames: NDArray[np.uint8]) -> Output:
        """Embed a batch of clips, as `start` does, and wait for it.

        Returns:
            Embeddings float32, shape (batch, dim), and logits float32, shape (batch, labels), or
            None when the checkpoint has no head.
        """
        return self.start(frames).result()

    def close(self) -> None:
        """Let go of the device, and of the processes of several ones."""
        self.engine.close()

    def _check_frames(self, frames: NDArray[np.uint8]) -> None:
        height, width = self.geometry.made or (0, 0)
        expected = (self.space.num_frames, height, width, 3)
        if frames.dtype != np.uint8 or frames.shape[1:] != expected or not len(frames):
            raise UsageError(
                f"frames are {frames.dtype} of shape {frames.shape}, they must be uint8 of shape "
                f"(batch, {', '.join(map(str, expected))})"
            )


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
            Several, separated by commas, share the work, each with a process of its own.
        dtype: `float32`, `float16`, `bfloat16`; None is float16 on cuda, bfloat16 on a CPU with
            native products of it that prove faster, and float32 elsewhere.
        num_frames: Frames of a clip; None takes the checkpoint's. Another number gets a position
            table of its own.
        fps: Frames sampled a second.

    Returns:
        The encoder, ready to encode.

    Raises:
        ModelNotFound: No checkpoint under that name.
        CheckpointError: Config, preprocessing and weights do not make a VideoMAE encoder.
        DeviceError: A device that this machine lacks, or that lacks memory or the precision.
        UsageError: An unknown device or dtype, or an impossible number of frames or rate.
    """
    devices = find_devices(device)
    check_name(dtype)
    read = read_checkpoint(model, num_frames=num_frames, fps=fps)
    dtype = find_dtype(dtype, devices[0])  # not for a model that is not there: it may measure
    space = read.space
    if len(devices) > 1:
        setup = Setup(space.source, dtype, space.num_frames, space.fps, space.fingerprint)
        engine: Engine | Team = Team(devices, setup)
    else:
        engine = engine_on(devices[0], dtype, read.model, read.preprocessing)
    return Encoder(
        engine, read.model, read.preprocessing, space, read.checkpoint, ",".join(devices), dtype
    )
