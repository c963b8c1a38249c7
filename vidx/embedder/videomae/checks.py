"""What the models refuse: arguments of a wrong shape, dtype or range, named with the rule."""

from __future__ import annotations

import torch
from torch import Tensor

from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.errors import UsageError

ATTN_IMPLEMENTATIONS = ("eager", "sdpa")
# Labels that cross-entropy passes over, as torch's own default has it.
IGNORED_LABEL = -100


def check_attn_implementation(name: str) -> None:
    """Refuse an unknown way to compute attention."""
    if name not in ATTN_IMPLEMENTATIONS:
        known = " or ".join(ATTN_IMPLEMENTATIONS)
        raise UsageError(f"attn_implementation {name!r} is unknown", f"Choose {known}.")


def check_pixels(pixel_values: Tensor, config: VideoMAEConfig) -> None:
    """Refuse pixels that are not of the model's shape, or not floating point."""
    expected = (config.num_frames, config.num_channels, *config.frame_shape)
    if pixel_values.ndim != 5 or pixel_values.shape[1:] != expected or not len(pixel_values):
        raise UsageError(
            f"pixel_values have shape {tuple(pixel_values.shape)}, they must have "
            f"(batch, {', '.join(map(str, expected))})",
            "Prepare the frames with VideoMAEImageProcessor. Another number or size of frames "
            "needs a model of that config.",
        )
    if not pixel_values.is_floating_point():
        raise UsageError(
            f"pixel_values are {pixel_values.dtype}, they must be floating point",
            "Prepare the frames with VideoMAEImageProcessor.",
        )


def check_mask(bool_masked_pos: Tensor, batch: int, config: VideoMAEConfig) -> None:
    """Refuse a mask of another shape or dtype, or with unequal counts, or with all masked."""
    expected = (batch, config.num_tokens)
    if bool_masked_pos.dtype != torch.bool or bool_masked_pos.shape != expected:
        raise _wrong_mask(
            f"is {bool_masked_pos.dtype} of shape {tuple(bool_masked_pos.shape)}, it must be "
            f"torch.bool of shape {expected}"
        )
    counts = bool_masked_pos.sum(dim=1).tolist()
    if len(set(counts)) > 1:
        raise _wrong_mask(f"masks {counts} tokens of the videos, it must mask equally many of each")
    if counts[0] == config.num_tokens:
        raise _wrong_mask(f"masks all {counts[0]} tokens, one at least must stay visible")


def check_something_masked(bool_masked_pos: Tensor) -> None:
    """Refuse to pre-train with nothing to predict."""
    if not bool_masked_pos.any():
        raise _wrong_mask("masks nothing, so there is nothing to predict")


def check_head_mask(head_mask: Tensor, config: VideoMAEConfig) -> None:
    """Refuse a head mask that has not one number a head, or one a block and head."""
    heads, blocks = config.num_attention_heads, config.num_hidden_layers
    if head_mask.shape not in ((heads,), (blocks, heads)):
        raise UsageError(
            f"head_mask has shape {tuple(head_mask.shape)}, it must have ({heads},) for all blocks "
            f"or ({blocks}, {heads})",
            "Give 1.0 for each head to keep and 0.0 for each to leave out.",
        )


def check_class_numbers(labels: Tensor, logits: Tensor) -> None:
    """Refuse labels that are not one class number a video."""
    batch, num_labels = logits.shape
    if labels.dtype not in (torch.int32, torch.int64) or labels.numel() != batch:
        raise _wrong_labels(labels, f"{batch} class numbers (int64), one a video")
    valid = (labels == IGNORED_LABEL) | ((labels >= 0) & (labels < num_labels))
    if not valid.all():
        wrong = labels[~valid].tolist()
        raise UsageError(
            f"labels {wrong} are out of range, classes are numbered 0 to {num_labels - 1}",
            "Make the model with as many labels as there are classes (config.labels).",
        )


def check_targets(labels: Tensor, logits: Tensor) -> None:
    """Refuse labels that are not one number a logit."""
    if labels.numel() != logits.numel() or labels.is_complex():
        raise _wrong_labels(labels, f"numbers of shape {tuple(logits.shape)}")


def _wrong_mask(problem: str) -> UsageError:
    return UsageError(
        f"bool_masked_pos {problem}", "tube_mask(config, batch_size) makes one as the paper does."
    )


def _wrong_labels(labels: Tensor, expected: str) -> UsageError:
    return UsageError(
        f"labels are {labels.dtype} of shape {tuple(labels.shape)}, they must be {expected}",
        "The config's problem_type says what labels mean; without one, their dtype does.",
    )
