"""What the two stages of training minimise."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor, nn

from vidx.embedder.videomae.losses import PIXEL_MEAN, PIXEL_STD
from vidx.embedder.videomae.model import VideoMAEForPreTraining, VideoMAEForVideoClassification
from vidx.embedder.videomae.outputs import PreTrainingOutput
from vidx.training.batches import Batch
from vidx.training.recipe import VIEWS, Recipe

# True motion comes in half frames a frame: times this it is about 1 where things move.
MOTION_SCALE = 20.0
COPY_TEMPERATURE = 0.05
TEMPERATURE = 0.1
LABEL_SMOOTHING = 0.05


def normalized(frames: Tensor) -> Tensor:
    """Pixels as the encoder takes them.

    Args:
        frames: uint8, shape (clips, frames, height, width, 3).

    Returns:
        float32, shape (clips, frames, 3, height, width).
    """
    mean, std = _pixel_scale(frames.device)
    pixels = frames.permute(0, 1, 4, 2, 3).float()  # (clips, frames, 3, height, width)
    return pixels.sub_(mean).div_(std)


@cache
def _pixel_scale(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation; made once, as a GPU waits whenever something is brought to it."""
    mean = torch.tensor(PIXEL_MEAN, device=device).mul(255)[:, None, None]
    std = torch.tensor(PIXEL_STD, device=device).mul(255)[:, None, None]
    return mean, std


def half_precision(device: torch.device) -> torch.autocast:
    """Matrix products in bfloat16 within, where the device is quick with it."""
    able = device.type == "cuda" or (
        hasattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported")
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )
    return torch.autocast(device.type, torch.bfloat16, enabled=able)


class PreTraining(nn.Module):
    """Masked pixels.

    Args:
        model: Encoder and decoder.
    """

    def __init__(self, model: VideoMAEForPreTraining) -> None:
        super().__init__()
        self.model = model

    def forward(self, frames: Tensor, masked: Tensor) -> dict[str, Tensor]:
        """The loss of clips, uint8, of which the masked tokens are predicted."""
        with half_precision(frames.device):
            output: PreTrainingOutput = self.model(normalized(frames), masked)
        return {"loss": output.loss}


class FineTuning(nn.Module):
    """Classes, motion of tubelets, and which clips belong together.

    Args:
        model: The encoder and its classifier.
        recipe: The weights of the losses.
    """

    def __init__(self, model: VideoMAEForVideoClassification, recipe: Recipe) -> None:
        super().__init__()
        self.model = model
        self.recipe = recipe
        self.motion = nn.Linear(recipe.hidden_size, 3)
        nn.init.zeros_(self.motion.weight)

    def forward(self, batch: Batch, masked: Tensor | None) -> dict[str, Tensor]:
        """The losses of a batch.

        Args:
            batch: Views of a motion follow each other.
            masked: True where a token is left out, shape (clips, tokens); None leaves out none.

        Returns:
            Scalars; `loss` is what is to be minimised.
        """
        with half_precision(batch.frames.device):
            hidden_states = self.model.encoder(
                normalized(batch.frames), masked, output_hidden_states=True
            ).hidden_states
        last = hidden_states[-1].float()  # (clips, kept, dim)
        middle = hidden_states[len(hidden_states) * 2 // 3].float()  # (clips, kept, dim)
        motion = batch.motion if masked is None else batch.motion[~masked].view(*last.shape[:2], 3)
        parts = retrieval_losses(last.mean(dim=1), batch.labels)
        parts["motion_error"] = F.smooth_l1_loss(self.motion(middle), motion * MOTION_SCALE)
        logits = self.model.head(last)  # (clips, labels)
        parts["label_error"] = F.cross_entropy(
            logits, batch.labels, label_smoothing=LABEL_SMOOTHING
        )
        recipe = self.recipe
        parts["loss"] = (
            parts["label_error"]
            + recipe.flow_weight * parts["motion_error"]
            + recipe.copy_weight * parts["copies"]
            + recipe.motion_weight * parts["motions"]
            + recipe.class_weight * parts["classes"]
        )
        with torch.no_grad():
            parts["accuracy"] = (logits.argmax(dim=1) == batch.labels).float().mean()
        return parts


def retrieval_losses(embeddings: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """How well clips find what belongs to them, by cosine similarity.

    Args:
        embeddings: Three views of a motion follow each other, the third of another look; shape
            (clips, dim).
        labels: Shape (clips,).

    Returns:
        Contrastive losses: `copies` (the same look and motion), `motions` (the same motion),
        `classes` (the same label).
    """
    unit = F.normalize(embeddings, dim=1)
    similarity = unit @ unit.T  # (clips, clips)
    view = torch.arange(len(labels), device=labels.device)
    other = view[:, None] != view
    motion = view[:, None] // VIEWS == view // VIEWS
    copied = view % VIEWS != VIEWS - 1
    pairs = view.view(-1, VIEWS)[:, : VIEWS - 1].flatten()  # those that have a copy
    return {
        "copies": contrastive_loss(
            (similarity / COPY_TEMPERATURE)[pairs], (motion & copied)[pairs], other[pairs]
        ),
        "motions": contrastive_loss(similarity / TEMPERATURE, motion, other),
        "classes": contrastive_loss(similarity / TEMPERATURE, labels[:, None] == labels, other),
    }


def contrastive_loss(logits: Tensor, belong: Tensor, other: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al., 2020, arXiv:2004.11362, equation 2).

    Args:
        logits: Similarity over temperature, shape (anchors, clips).
        belong: True where two clips belong together.
        other: False where a clip meets itself.

    Returns:
        Mean over those anchors to which another clip belongs.
    """
    log_share = logits - logits.masked_fill(~other, -torch.inf).logsumexp(dim=1, keepdim=True)
    positive = belong & other
    number = positive.sum(dim=1)
    mean = (log_share * positive).sum(dim=1) / number.clamp_min(1)
    return -mean.sum() / (number > 0).sum()  # picking rows would have a GPU wait
