"""Scenes: many clips' layers, each with its track through the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vidx.training.procedural.draw import Draw
from vidx.training.procedural.motions import MOTIONS
from vidx.training.procedural.tracks import MAX_PARTS, Tracks

BYSTANDERS = 2  # behind and in front of the parts that move


@dataclass(frozen=True, slots=True)
class Scenes:
    """Where every layer of every clip is in every frame.

    Attributes:
        layers: Affine maps from the frame to a layer's own square [-1, 1] x [-1, 1], back to
            front, shape (clips, layers, frames, 2, 3).
        opacity: From 0 to 1, shape (clips, layers, frames).
        limb: True where a layer is a bar, shape (clips, layers).
        camera: Affine maps from the frame to the background, shape (clips, frames, 2, 3).
        light: Factor on the brightness, shape (clips, frames).
    """

    layers: Tensor
    opacity: Tensor
    limb: Tensor
    camera: Tensor
    light: Tensor


def scenes(draw: Draw, labels: Tensor, time: Tensor, crop: Tensor, difficulty: float) -> Scenes:
    """Draw a scene for each label.

    The same draw with other times gives the same motion at those times.

    Args:
        draw: The random numbers.
        labels: Numbers of motion classes, shape (clips,).
        time: When, in clips, shape (clips, frames).
        crop: Zoom (1: all), x and y of the part of the frame that is seen, shape (clips, 3).
        difficulty: From 0 to 1: how likely bystanders are, and how unsteady the camera.

    Returns:
        The scenes, one a label.
    """
    clips, frames = time.shape
    tracks = _all_tracks(draw, labels, time)
    by = draw.uniform(-0.9, 0.9, clips, BYSTANDERS, 1, 2).expand(-1, -1, frames, -1)
    # What stands in front does not hide what happens.
    largest = torch.tensor([0.4, 0.2], device=time.device).view(1, BYSTANDERS, 1)
    by_size = (draw.uniform(0.3, 1, clips, BYSTANDERS, 1) * largest).expand(-1, -1, frames)
    by_angle = draw.uniform(0, math.tau, clips, BYSTANDERS, 1).expand(-1, -1, frames)
    there = draw.uniform(0, 1, clips, BYSTANDERS, 1)
    limit = torch.tensor([0.5, 0.2], device=time.device).view(1, BYSTANDERS, 1)
    by_opacity = (there < limit * difficulty).float().expand(-1, -1, frames)

    def ordered(bystanders: Tensor, parts: Tensor) -> Tensor:
        return torch.cat([bystanders[:, :1], parts, bystanders[:, 1:]], dim=1)

    x = ordered(by[..., 0], tracks["x"])
    y = ordered(by[..., 1], tracks["y"])
    size = ordered(by_size, tracks["size"])
    angle = ordered(by_angle, tracks["angle"])
    stretch = ordered(torch.ones_like(by_size), tracks["stretch"])
    limb = torch.nn.functional.pad(tracks["limb"], (1, 1))
    hand = _hand_held(draw, time, difficulty)
    camera = _camera(tracks, hand, crop)  # (clips, frames, 2, 3)
    return Scenes(
        layers=_compose(_into_layer(x, y, size, angle, stretch), camera[:, None]),
        opacity=ordered(by_opacity, tracks["opacity"]),
        limb=limb.bool(),
        camera=camera,
        light=tracks["light"],
    )


def _all_tracks(draw: Draw, labels: Tensor, time: Tensor) -> dict[str, Tensor]:
    """Every clip's tracks: (clips, parts, frames) of parts, (clips, frames) of camera and light."""
    clips, frames = time.shape
    names = ("x", "y", "size", "angle", "stretch", "opacity")
    found = {name: torch.ones(clips, MAX_PARTS, frames, device=time.device) for name in names}
    found["opacity"].zero_()
    found["limb"] = torch.zeros(clips, MAX_PARTS, device=time.device)
    whole = ("camera_x", "camera_y", "camera_angle", "camera_zoom", "light")
    found |= {name: torch.zeros(clips, frames, device=time.device) for name in whole}
    for number, motion in enumerate(MOTIONS.values()):
        chosen = (labels == number).nonzero().flatten()
        tracks = motion(draw, time[chosen][:, None])
        _place(found, chosen, tracks)
    return found


def _place(found: dict[str, Tensor], chosen: Tensor, tracks: Tracks) -> None:
    parts = max(tracks.x.shape[1], tracks.size.shape[1])
    frames = found["light"].shape[1]
    for name, into in found.items():
        if name == "limb":
            into[chosen, parts - tracks.limbs : parts] = 1
            continue
        track = torch.as_tensor(getattr(tracks, name), dtype=torch.float32, device=into.device)
        if into.ndim == 3:
            into[chosen, :parts] = track.expand(len(chosen), parts, frames)
        else:
            into[chosen] = track.expand(len(chosen), 1, frames)[:, 0]


def _hand_held(draw: Draw, time: Tensor, difficulty: float) -> tuple[Tensor, Tensor]:
    """A little unsteadiness of the camera in some clips, each (clips, frames)."""
    clips = len(time)
    reach = difficulty * draw.uniform(0, 0.025, clips, 1) * draw.chance(0.5, clips, 1)
    phase = draw.uniform(0, math.tau, 2, clips, 1)
    turns = draw.uniform(1, 6, 2, clips, 1)
    return (
        reach * (turns[0] * time + phase[0]).sin(),
        reach * (turns[1] * time + phase[1]).sin(),
    )


def _into_layer(x: Tensor, y: Tensor, size: Tensor, angle: Tensor, stretch: Tensor) -> Tensor:
    """Maps from the scene to layers, shape (..., 2, 3); of one turned to its edge 5% are left."""
    cos, sin = angle.cos() / size, angle.sin() / size
    thin = torch.where(stretch < 0, -1.0, 1.0) * stretch.abs().clamp_min(0.05)
    first = torch.stack([cos, sin, -(cos * x + sin * y)], dim=-1) / thin[..., None]
    second = torch.stack([-sin, cos, sin * x - cos * y], dim=-1)
    return torch.stack([first, second], dim=-2)


def _camera(tracks: dict[str, Tensor], hand: tuple[Tensor, Tensor], crop: Tensor) -> Tensor:
    """Maps from the frame to the scene, shape (clips, frames, 2, 3)."""
    zoom = 1 / (tracks["camera_zoom"] * crop[:, :1])
    cos, sin = tracks["camera_angle"].cos() * zoom, tracks["camera_angle"].sin() * zoom
    x = tracks["camera_x"] + hand[0] + crop[:, 1:2]
    y = tracks["camera_y"] + hand[1] + crop[:, 2:3]
    return torch.stack(
        [torch.stack([cos, -sin, x], dim=-1), torch.stack([sin, cos, y], dim=-1)], dim=-2
    )


def _compose(outer: Tensor, inner: Tensor) -> Tensor:
    """The affine map that does `inner` first, shape (..., 2, 3)."""
    turned = outer[..., :2] @ inner  # (..., 2, 3)
    return torch.cat([turned[..., :2], turned[..., 2:] + outer[..., 2:]], dim=-1)
