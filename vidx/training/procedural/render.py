"""Render scenes to frames, and the true motion of every tubelet."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own documentation calls it F)
from torch import Tensor

from vidx.training.procedural.scenes import Scenes

# The background's texture reaches this far from the middle, in half frames; mirrored beyond.
BACKGROUND_REACH = 1.4


def render(scenes: Scenes, sprites: Tensor, backgrounds: Tensor, size: int) -> Tensor:
    """Draw the layers over each other.

    Args:
        scenes: Where the layers are.
        sprites: Colour times opacity, and opacity, shape (clips, layers, 4, side, side).
        backgrounds: RGB, shape (clips, 3, side, side).
        size: Height and width of the frames.

    Returns:
        RGB, float32, about [0, 1], shape (clips, 3, frames, size, size).
    """
    clips, frames = scenes.light.shape
    image = _sample(backgrounds, scenes.camera / BACKGROUND_REACH, size, "reflection")
    for layer in range(scenes.opacity.shape[1]):
        opacity = scenes.opacity[:, layer]  # (clips, frames)
        seen = (opacity.amax(dim=1) > 0).nonzero().flatten()
        part = _sample(sprites[seen, layer], scenes.layers[seen, layer], size, "zeros")
        part *= opacity[seen][:, None, :, None, None]  # (seen, 4, frames, size, size)
        image[seen] = torch.addcmul(part[:, :3], image[seen], part[:, 3:].neg_().add_(1))
    return image.mul_(scenes.light.view(clips, 1, frames, 1, 1))


def _sample(textures: Tensor, maps: Tensor, size: int, beyond: str) -> Tensor:
    """Textures seen through maps, shape (clips, channels, frames, size, size)."""
    clips, frames = maps.shape[:2]
    line = (torch.arange(size, device=maps.device) + 0.5) * (2 / size) - 1  # (size,)
    grid = maps.new_empty(clips, frames, size, size, 2)
    for axis in range(2):
        across, along, start = maps[:, :, axis, :, None].unbind(2)  # (clips, frames, 1) each
        rows = torch.addcmul(start, along, line)[..., None]  # (clips, frames, size, 1)
        columns = (across * line)[..., None, :]  # (clips, frames, 1, size)
        torch.add(rows, columns, out=grid[..., axis])
    grid = grid.view(clips, frames * size, size, 2)
    image = F.grid_sample(textures, grid, padding_mode=beyond, align_corners=False)
    return image.view(clips, textures.shape[1], frames, size, size)


def flow(scenes: Scenes, sprites: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """How each tubelet moves from its first frame to its second.

    Args:
        scenes: Where the layers are, two frames a tubelet.
        sprites: As for `render`.
        grid: Tubelets along time, height and width.

    Returns:
        Mean motion to the right and downward and mean speed, in half frames a frame, shape
        (clips, tubelets, 3).
    """
    time, height, width = grid
    fine = 2  # points along each side of a tubelet
    points = _points(height * fine, width * fine, scenes.light.device)  # (points, 3)
    first, second = scenes.camera[:, 0::2], scenes.camera[:, 1::2]  # (clips, time, 2, 3)
    moved = _moved(points, first, second)  # (clips, time, points, 2)
    for layer in range(scenes.opacity.shape[1]):
        opacity = scenes.opacity[:, layer, 0::2]  # (clips, time)
        seen = (opacity.amax(dim=1) > 0).nonzero().flatten()
        first, second = scenes.layers[seen, layer, 0::2], scenes.layers[seen, layer, 1::2]
        own = _moved(points, first, second)
        at = points @ first.transpose(-1, -2)  # (seen, time, points, 2)
        alpha = F.grid_sample(sprites[seen, layer, 3:], at, align_corners=False)[:, 0]
        alpha = (alpha * opacity[seen][:, :, None])[..., None]  # (seen, time, points, 1)
        moved[seen] = moved[seen] * (1 - alpha) + own * alpha
    motion = torch.cat([moved, moved.norm(dim=-1, keepdim=True)], dim=-1)
    motion = motion.view(len(moved), time, height, fine, width, fine, 3).mean(dim=(3, 5))
    return motion.reshape(len(moved), time * height * width, 3)


def _points(height: int, width: int, device: torch.device) -> Tensor:
    """Homogeneous points spread over the frame, shape (height * width, 3)."""
    y = (torch.arange(height, device=device) + 0.5) * (2 / height) - 1
    x = (torch.arange(width, device=device) + 0.5) * (2 / width) - 1
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([columns, rows, torch.ones_like(rows)], dim=-1).flatten(0, 1)


def _moved(points: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Where the points' matter goes, as an offset, shape (..., points, 2)."""
    at = points @ first.transpose(-1, -2)  # (..., points, 2)
    back = torch.linalg.inv(second[..., :2])  # (..., 2, 2)
    offset: Tensor = (at - second[..., None, :, 2]) @ back.transpose(-1, -2) - points[:, :2]
    return offset
