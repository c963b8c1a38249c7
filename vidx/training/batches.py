"""Batches of procedural clips, the same for the same recipe and step."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from vidx.embedder.videomae.config import VideoMAEConfig
from vidx.training.procedural.clips import TRAINING, Clips, View, views
from vidx.training.procedural.motions import LABELS
from vidx.training.recipe import VIEWS

# Rendered at once: small enough for a CPU's cache, large enough for a GPU.
GROUP = {"cpu": 12, "cuda": 768}
# Rendered before the next step is made of them, so that they come in another order every time.
CHUNK_MOTIONS = 192
EASIEST = 0.1


@dataclass(frozen=True, slots=True)
class Batch:
    """Clips of a step; three views of a motion follow each other.

    Attributes:
        frames: uint8, shape (motions x VIEWS, frames, height, width, 3).
        labels: Numbers of motion classes, shape (motions x VIEWS,).
        motion: True motion of the tubelets, shape (motions x VIEWS, tokens, 3).
    """

    frames: Tensor
    labels: Tensor
    motion: Tensor


class Batches:
    """Renders as it goes; holds what it rendered until it has been used often enough.

    Args:
        config: Size and number of the frames, and the tubelets.
        seed: Of all that is drawn.
        purpose: Whose batches these are; another purpose has other clips.
        motions: Different motions a batch, each in `VIEWS` clips.
        uses: How often a clip is used.
        ramp_steps: In so many positions the clips would go from plain to as difficult as they get;
            they begin at `EASIEST`.
        device: Where to render, and where the batches are.
        ahead: Motions rendered before the first of them is used.
        strength: See `three_views`.
    """

    def __init__(
        self, config: VideoMAEConfig, seed: int, purpose: str, motions: int, uses: int,
        ramp_steps: float, device: torch.device,
        *,
        ahead: int = CHUNK_MOTIONS, strength: float = 1.0,
    ) -> None:  # fmt: skip
        self.config = config
        self.seed = seed
        self.purpose = purpose
        self.motions = motions
        self.uses = uses
        self.ramp_steps = ramp_steps
        self.device = device
        self.strength = strength
        self.batches_a_pass = max(1, ahead // motions)
        self._chunk: tuple[int, Batch] | None = None

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step in a run that has all the time it wants."""
        return self.at(step, step)

    def at(self, step: int, position: float) -> Batch:
        """The batch of a step, as difficult as the position on the course demands."""
        chunk, place = divmod(step, self.batches_a_pass * self.uses)
        batch = self._rendered(chunk, max(0.0, position - place))
        use, turn = divmod(place, self.batches_a_pass)
        generator = seeded(self.seed, "order", self.purpose, chunk, use)
        order = torch.randperm(len(batch.labels) // VIEWS, generator=generator)
        motions = order[turn * self.motions :][: self.motions]
        rows = (motions[:, None] * VIEWS + torch.arange(VIEWS)).flatten()
        rows = rows.to(self.device, non_blocking=True)  # else a GPU waits at every step
        return Batch(batch.frames[rows], batch.labels[rows], batch.motion[rows])

    def _rendered(self, chunk: int, position: float) -> Batch:
        if self._chunk is None or self._chunk[0] != chunk:
            self._chunk = None  # frees the last one first
            self._chunk = (chunk, self._render(chunk, position))
        return self._chunk[1]

    def _render(self, chunk: int, position: float) -> Batch:
        motions = self.batches_a_pass * self.motions
        difficulty = EASIEST + position / self.ramp_steps
        labels = mixed_labels(motions, seeded(self.seed, "labels", self.purpose, chunk))
        parts = []
        for number, part in enumerate(torch.split(labels, GROUP[self.device.type])):
            seed = seed_of(self.seed, "clips", self.purpose, chunk, number)
            parts.append(
                three_views(
                    part, seed, self.config, min(1.0, difficulty), self.device, self.strength
                )
            )
        return Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def three_views(
    labels: Tensor, seed: int, config: VideoMAEConfig, difficulty: float, device: torch.device,
    strength: float,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Render a copy pair and a twin of another look for each label: a batch's three tensors.

    The second of the pair is seen with a strength of its own; the others must show all of the
    motion.
    """
    size, frames = config.frame_shape[0], config.num_frames
    pair = [View(seed + 2), View(seed + 3, strength)]
    looks = ((seed + 1, pair), (seed + 4, [View(seed + 5)]))
    clips = [
        view
        for look_seed, seen in looks
        for view in views(
            seed, look_seed, seen, labels,
            look=TRAINING, size=size, num_frames=frames, difficulty=difficulty, device=device,
        )
    ]  # fmt: skip
    return (
        torch.stack([clip.frames for clip in clips], dim=1).flatten(0, 1),
        labels.to(device).repeat_interleave(VIEWS),
        torch.stack([motion_of_tubelets(clip, config) for clip in clips], dim=1).flatten(0, 1),
    )


def motion_of_tubelets(clips: Clips, config: VideoMAEConfig) -> Tensor:
    """Mean over each tubelet's pairs of frames, shape (clips, tokens, 3)."""
    time, height, width = config.grid
    pairs = config.tubelet_size // 2
    motion = clips.motion.view(-1, time, pairs, height * width, 3).mean(dim=2)
    return motion.flatten(1, 2)


def mixed_labels(number: int, generator: torch.Generator) -> Tensor:
    """As many of each class as of any other, in any order, shape (number,)."""
    rounds = -(-number // len(LABELS))
    orders = [torch.randperm(len(LABELS), generator=generator) for _ in range(rounds)]
    return torch.cat(orders)[:number]


def seed_of(*parts: int | str) -> int:
    """A seed of its own for each purpose, with room for ten more after it."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:6], "big") * 10


def seeded(*parts: int | str) -> torch.Generator:
    """A generator of random numbers on the CPU, see `seed_of`."""
    return torch.Generator().manual_seed(seed_of(*parts))
