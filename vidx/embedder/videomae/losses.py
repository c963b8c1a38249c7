"""The losses of pre-training and of classification."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor

from vidx.embedder.videomae.checks import check_class_numbers, check_targets
from vidx.embedder.videomae.config import VideoMAEConfig

# Mean and standard deviation of ImageNet's pixels, with which the processor normalises.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)
# Keeps the tubelets of one colour from dividing by zero; the reference's number.
STD_EPS = 1e-6


def tubelets(frames: Tensor, config: VideoMAEConfig) -> Tensor:
    """Cut clips into tubelets.

    Args:
        frames: Shape (batch, frames, channels, height, width).
        config: The shape.

    Returns:
        Shape (batch, tokens, frames x height x width of a tubelet, channels).
    """
    batch, _, channels, _, _ = frames.shape
    time, rows, columns = config.grid
    height, width = config.patch_shape
    x = frames.reshape(
        batch, time, config.tubelet_size, channels, rows, height, columns, width
    )  # (batch, time, tubelet frames, channels, rows, height, columns, width)
    x = x.permute(
        0, 1, 4, 6, 2, 5, 7, 3
    )  # (batch, time, rows, columns, tubelet frames, height, width, channels)
    return x.reshape(batch, config.num_tokens, -1, channels)  # (batch, tokens, pixels, channels)


@torch.no_grad()
def pixel_targets(pixel_values: Tensor, bool_masked_pos: Tensor, config: VideoMAEConfig) -> Tensor:
    """What pre-training is to predict: the masked tubelets' values.

    RGB pixels are first brought back to [0, 1]. With `norm_pix_loss`, each tubelet's channel is
    then normalised by its own mean and standard deviation (Tong et al., section 3.2, after
    He et al., "Masked Autoencoders Are Scalable Vision Learners", section 3).

    Args:
        pixel_values: Normalised by `PIXEL_MEAN` and `PIXEL_STD`, shape (batch, frames, channels,
            height, width).
        bool_masked_pos: True where masked, shape (batch, tokens), equally many in each row.
        config: The shape, and whether to normalise.

    Returns:
        float32, shape (batch, masked tokens, values of a tubelet).
    """
    frames = pixel_values.float()  # (batch, frames, channels, height, width)
    if config.num_channels == len(PIXEL_MEAN):
        std = frames.new_tensor(PIXEL_STD)[:, None, None]  # (channels, 1, 1)
        mean = frames.new_tensor(PIXEL_MEAN)[:, None, None]  # (channels, 1, 1)
        frames = frames * std + mean  # (batch, frames, channels, height, width)
    x = tubelets(frames, config)  # (batch, tokens, pixels, channels)
    if config.norm_pix_loss:
        spread = x.var(dim=2, keepdim=True).sqrt() + STD_EPS  # (batch, tokens, 1, channels)
        x = (x - x.mean(dim=2, keepdim=True)) / spread  # (batch, tokens, pixels, channels)
    x = x.flatten(2)  # (batch, tokens, values)
    return x[bool_masked_pos].view(len(x), -1, x.shape[2])  # (batch, masked, values)


def classification_loss(logits: Tensor, labels: Tensor, config: VideoMAEConfig) -> Tensor:
    """The loss that the config's `problem_type` names, or that the labels call for.

    Args:
        logits: Shape (batch, labels).
        labels: Class numbers, shape (batch,), for cross-entropy; numbers, shape (batch,) or
            (batch, labels), for the mean squared error, which one label means; 0 or 1 for each
            class, floating point, shape (batch, labels), for binary cross-entropy.
        config: Its `problem_type` decides, where it is not None.

    Returns:
        A scalar.

    Raises:
        UsageError: Labels of another shape or dtype, or out of range.
    """
    labels = labels.to(logits.device)
    problem = config.problem_type or _problem_type(labels, config)
    if problem == "single_label_classification":
        check_class_numbers(labels, logits)
        return F.cross_entropy(logits, labels.view(-1).long())
    check_targets(labels, logits)
    targets = labels.view_as(logits).to(logits.dtype)  # (batch, labels)
    if problem == "regression":
        return F.mse_loss(logits, targets)
    return F.binary_cross_entropy_with_logits(logits, targets)


def _problem_type(labels: Tensor, config: VideoMAEConfig) -> str:
    if config.num_labels == 1:
        return "regression"
    if labels.is_floating_point():
        return "multi_label_classification"
    return "single_label_classification"
