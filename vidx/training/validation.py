"""How good an encoder is on drawn clips that no training uses, while it is trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor, nn

from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.training.batches import GROUP, seed_of
from vidx.training.objectives import half_precision, normalized
from vidx.training.procedural.clips import HELD_OUT, View, views
from vidx.training.procedural.motions import LABELS

NEAREST, TRIMMED, CROPPED, BRIGHTENED = "nearest", "trimmed", "cropped", "brightened"

# The copies are those of benchmarks/changes.py, as far as a clip that is already cut out has them.
LATER = 0.4 * 7.5 / 16  # clips: 0.4 s of 16 frames at 7.5 a second
KEPT = 0.9  # of width and height
GAIN, OFFSET = 1.2, 16


def cropped(frames: Tensor) -> Tensor:
    """The middle of clips, enlarged; uint8, shape (clips, frames, size, size, 3)."""
    size = frames.shape[2]
    edge = round(size * (1 - KEPT) / 2)
    middle = frames[:, :, edge : size - edge, edge : size - edge]
    images = middle.flatten(0, 1).permute(0, 3, 1, 2).float()  # (clips x frames, 3, kept, kept)
    images = F.interpolate(images, size, mode="bilinear", align_corners=False).round_()
    return images.to(torch.uint8).permute(0, 2, 3, 1).view(frames.shape)


def brightened(frames: Tensor) -> Tensor:
    """Clips, lighter; of the same shape and type."""
    return frames.float().mul_(GAIN).add_(OFFSET).clamp_(0, 255).to(torch.uint8)


class Validation:
    """Clips whose outlines, patterns and seeds are none of training's; the same for every run.

    Args:
        config: Size and number of the frames.
        number: Of clips: of as many classes as there can be with two clips or more each.
        device: Where to render them, and where the encoder is.
    """

    def __init__(self, config: VideoMAEConfig, number: int, device: torch.device) -> None:
        self.config = config
        self.device = device
        each = max(2, number // len(LABELS))
        self.labels = torch.arange(number // each).repeat(each)

    @cached_property
    def clips(self) -> list[tuple[Tensor, Tensor]]:
        """Groups of clips, and each as if it began later; rendered when they are first needed."""
        found = []
        for number, labels in enumerate(torch.split(self.labels, GROUP[self.device.type])):
            seed = seed_of("validation", number)
            pair = views(
                seed, seed + 1, [View(seed + 2), View(seed + 2, later=LATER)], labels,
                look=HELD_OUT, size=self.config.frame_shape[0], num_frames=self.config.num_frames,
                device=self.device,
            )  # fmt: skip
            found.append((pair[0].frames, pair[1].frames))
        return found

    def measure(self, encoder: nn.Module) -> dict[str, float]:
        """Search for every clip and for its copies.

        Args:
            encoder: Gives the hidden states of pixels.

        Returns:
            The share of clips whose nearest other clip is of their class, and of copies that find
            their source first.
        """
        sources = self._embed(encoder, lambda group: group[0])
        own = sources @ sources.T
        own.fill_diagonal_(-torch.inf)
        labels = self.labels.to(self.device)
        hits = {NEAREST: labels[own.argmax(dim=1)] == labels}
        copies: dict[str, Callable[[tuple[Tensor, Tensor]], Tensor]] = {
            TRIMMED: lambda group: group[1],
            CROPPED: lambda group: cropped(group[0]),
            BRIGHTENED: lambda group: brightened(group[0]),
        }
        for name, copy in copies.items():
            nearest = (self._embed(encoder, copy) @ sources.T).argmax(dim=1)
            hits[name] = nearest == torch.arange(len(labels), device=self.device)
        return {name: round(hit.float().mean().item(), 4) for name, hit in hits.items()}

    @torch.no_grad()
    def _embed(
        self, encoder: nn.Module, chosen: Callable[[tuple[Tensor, Tensor]], Tensor]
    ) -> Tensor:
        """What is chosen of each group, as the encoder sees it, at length 1, shape (clips, dim)."""
        was, means = encoder.training, []
        encoder.eval()
        for group in self.clips:
            with half_precision(self.device):
                tokens = encoder(normalized(chosen(group))).last_hidden_state
            means.append(tokens.float().mean(dim=1))  # (clips, dim)
        encoder.train(was)
        return F.normalize(torch.cat(means), dim=1)
