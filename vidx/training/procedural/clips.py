"""Procedural clips: labelled motion that nobody filmed.

From still to moving, other shapes, transformations, acceleration and textures: the progression of
Yu, Chen and Gandelsman, "Learning Video Representations without Natural Videos", 2024
(arXiv:2410.24213), with camera motion, articulated and periodic motion, light and codecs on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidx.training.procedural.draw import Draw
from vidx.training.procedural.photograph import photographed
from vidx.training.procedural.render import BACKGROUND_REACH, flow, render
from vidx.training.procedural.scenes import BYSTANDERS, Scenes, scenes
from vidx.training.procedural.shapes import (
    HELD_OUT_OUTLINES,
    TRAINING_OUTLINES,
    Outline,
    limbs,
    shapes,
)
from vidx.training.procedural.textures import (
    HELD_OUT_PATTERNS,
    TRAINING_PATTERNS,
    Pattern,
    textures,
)
from vidx.training.procedural.tracks import MAX_PARTS

SPRITE_SIZE = 48
CONTRAST = 0.2  # least difference in brightness, on the mean, of an object from the background
PATCH = 16  # side of the squares whose motion is told, pixels
LAYERS = MAX_PARTS + BYSTANDERS


@dataclass(frozen=True, slots=True)
class Look:
    """Which shapes and textures there are.

    Attributes:
        outlines: Kinds of shapes.
        patterns: Kinds of textures.
    """

    outlines: Mapping[str, Outline]
    patterns: Mapping[str, Pattern]


TRAINING = Look(TRAINING_OUTLINES, TRAINING_PATTERNS)
HELD_OUT = Look(HELD_OUT_OUTLINES, HELD_OUT_PATTERNS)


@dataclass(frozen=True, slots=True)
class View:
    """How a clip is looked at.

    Attributes:
        seed: Of when it begins and how fast it runs, what part of the frame is seen, exposure,
            noise and compression.
        strength: How far beginning, speed, crop and exposure may be from the middle; 1 is usual.
        later: It begins so much later than the seed says, in clips.
    """

    seed: int
    strength: float = 1.0
    later: float = 0.0


@dataclass(frozen=True, slots=True)
class Clips:
    """Rendered clips.

    Attributes:
        frames: RGB, uint8, shape (clips, frames, size, size, 3).
        motion: See `render.flow`: shape (clips, tubelets, 3).
    """

    frames: Tensor
    motion: Tensor


def views(
    motion_seed: int,
    look_seed: int,
    seen: Sequence[View],
    labels: Tensor,
    *,
    look: Look,
    size: int,
    num_frames: int = 16,
    difficulty: float = 1.0,
    device: torch.device | str = "cpu",
) -> list[Clips]:
    """Render one clip for each label, as often as it is looked at.

    For the same labels, equal seeds give equal motion, equal looks (of the same motion), or an
    equal view.

    Args:
        motion_seed: Of what moves, and how.
        look_seed: Of shapes and textures.
        seen: How, once for each view.
        labels: Numbers of motion classes, int64, shape (clips,).
        look: The shapes and textures to choose from.
        size: Height and width of the frames, a multiple of 16 pixels.
        num_frames: Frames of a clip, an even number.
        difficulty: From 0 (plain background, quiet camera, nothing else in sight) to 1.
        device: Where to render.

    Returns:
        One for each view, each with a clip for each label.
    """
    labels = labels.to(device)
    found = []
    looks = None
    for view in seen:
        camera = Draw.seeded(view.seed, device)
        time, crop = _view(camera, len(labels), num_frames, view)
        placed = scenes(Draw.seeded(motion_seed, device), labels, time, crop, difficulty)
        if looks is None:
            looks = _looks(Draw.seeded(look_seed, device), placed, look, size, difficulty)
        image = photographed(camera, render(placed, *looks, size), difficulty, view.strength)
        motion = flow(placed, looks[0], (num_frames // 2, size // PATCH, size // PATCH))
        frames = image.to(torch.uint8).permute(0, 2, 3, 4, 1).contiguous()
        found.append(Clips(frames, motion))
    return found


def _set_apart(colour: Tensor, background: Tensor) -> None:
    """Make sprites that the background would swallow brighter or darker, in place.

    Args:
        colour: Shape (clips, LAYERS, 3, side, side).
        background: Mean colour, shape (clips, 1, 3, 1, 1).
    """
    apart = colour.mean(dim=(2, 3, 4), keepdim=True) - background.mean(dim=2, keepdim=True)
    lacking = (CONTRAST - apart.abs()).clamp_min(0)  # (clips, LAYERS, 1, 1, 1)
    colour += torch.where(apart < 0, -lacking, lacking)


def _view(draw: Draw, clips: int, num_frames: int, view: View) -> tuple[Tensor, Tensor]:
    """When the frames are taken, in clips, and how the frame is cropped, see `scenes.scenes`."""
    step = torch.arange(num_frames, device=draw.device) / (num_frames - 1)
    far = view.strength
    rate = draw.log_uniform(0.9**far, 1.1**far, clips, 1)
    begin = draw.uniform(-0.18 * far, 0.18 * far, clips, 1) + view.later
    time = (step - 0.5) * rate + 0.5 + begin
    zoom = draw.uniform(1.0, 1.18**far, clips, 1)
    crop = torch.cat([zoom, (1 - 1 / zoom) * draw.uniform(-1, 1, clips, 2)], dim=1)
    return time, crop


def _looks(
    draw: Draw, placed: Scenes, look: Look, size: int, difficulty: float
) -> tuple[Tensor, Tensor]:
    """Sprites, shape (clips, LAYERS, 4, side, side), and backgrounds, (clips, 3, side, side)."""
    clips = len(placed.light)
    alpha = torch.zeros(clips, LAYERS, 1, SPRITE_SIZE, SPRITE_SIZE, device=draw.device)
    colour = torch.zeros(clips, LAYERS, 3, SPRITE_SIZE, SPRITE_SIZE, device=draw.device)
    visible = placed.opacity.amax(dim=2) > 0
    shaped, barred = visible & ~placed.limb, visible & placed.limb
    alpha[shaped] = shapes(draw, int(shaped.sum()), SPRITE_SIZE, look.outlines)
    alpha[barred] = limbs(draw, int(barred.sum()), SPRITE_SIZE)
    colour[visible] = textures(draw, int(visible.sum()), SPRITE_SIZE, look.patterns)
    # Two of a kind: what splits, merges and collides looks alike.
    twins = shaped[:, 1] & shaped[:, 2]
    colour[twins, 2] = colour[twins, 1]
    alpha[twins, 2] = alpha[twins, 1]
    backgrounds = textures(draw, clips, int(size * BACKGROUND_REACH), look.patterns)
    mean = backgrounds.mean(dim=(2, 3), keepdim=True)
    backgrounds = mean + (backgrounds - mean) * difficulty
    _set_apart(colour, mean[:, None])
    return torch.cat([colour * alpha, alpha], dim=2), backgrounds
