"""Check a checkpoint: every tensor accounted for, and a fixed input run through."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import torch

from vidx.embedder.checkpoints.known_models import licence_of
from vidx.embedder.checkpoints.reading import ReadCheckpoint, read_checkpoint
from vidx.embedder.videomae.model import VideoMAEForVideoClassification
from vidx.embedder.videomae.weights import hub_name, read_tensors
from vidx.errors import CheckpointError
from vidx.model_records import ModelReport

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN = 4


def check(model: str | os.PathLike[str]) -> ModelReport:
    """Load a checkpoint on the CPU in float32, and run a fixed input.

    Args:
        model: A folder, or a hub id with optional revision (`organisation/name@revision`), or
            `builtin:tiny`.

    Returns:
        What was found.

    Raises:
        ModelNotFound: No checkpoint under that name.
        CheckpointError: It cannot be loaded, or its output is not finite.
    """
    read = read_checkpoint(model)
    state = read.model.state_dict()
    used = {hub_name(name) for name in state}
    stored = read_tensors(read.checkpoint.weights)
    embedding, logits = _run(read)
    space = read.space
    return ModelReport(
        name=read.checkpoint.name,
        revision=read.checkpoint.revision,
        licence=licence_of(read.checkpoint.name),
        fingerprint=space.fingerprint,
        dim=space.dim,
        num_labels=len(space.labels),
        num_parameters=sum(value.numel() for value in state.values()),
        used=tuple(sorted(used)),
        ignored=tuple(sorted(stored.keys() - used)),
        embedding_norm=float(np.linalg.norm(embedding)),
        embedding_start=tuple(float(value) for value in embedding[:SHOWN]),
        top_label=None if logits is None else space.labels[int(logits.argmax())],
    )


def fixed_clip(num_frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """Noise that is the same everywhere and always.

    Args:
        num_frames: Frames of the clip.
        height: Pixels.
        width: Pixels.

    Returns:
        uint8, shape (1, num_frames, height, width, 3).
    """
    count = num_frames * height * width * 3
    # Raw bits: numpy keeps them from version to version, its distributions it does not.
    words = np.random.PCG64(0).random_raw(-(-count // 8)).astype("<u8")
    return words.view(np.uint8)[:count].reshape(1, num_frames, height, width, 3)


@torch.inference_mode()
def _run(read: ReadCheckpoint) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """The fixed input's embedding (dim,) and logits (labels,)."""
    model, config = read.model.float(), read.model.config
    clip = torch.from_numpy(fixed_clip(config.num_frames, *config.frame_shape))
    hidden = model.encoder(read.preprocessing.normalize(clip)).last_hidden_state
    outputs = [hidden.mean(dim=1)]  # (1, dim)
    if isinstance(model, VideoMAEForVideoClassification):
        outputs.append(model.head(hidden))  # (1, labels)
    if not all(output.isfinite().all() for output in outputs):
        raise CheckpointError(
            f"{read.checkpoint.weights} gives output that is not finite for ordinary pixels",
            "Fetch the checkpoint anew.",
        )
    embedding, *logits = (output[0].numpy() for output in outputs)
    return embedding, logits[0] if logits else None
