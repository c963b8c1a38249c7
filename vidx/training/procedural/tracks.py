"""Tracks: where the parts of a scene, the camera and the light are over time.

Places are in units of half the frame: x and y from -1 (left, top) to 1. Time is in clips: a whole
clip runs from 0 to 1, and tracks are defined before and after it, too. Times have the shape
(clips, 1, frames); tracks broadcast with them, one row a part: (clips, parts, frames).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from vidx.training.procedural.draw import Draw

MAX_PARTS = 3


@dataclass(slots=True)
class Tracks:
    """What a motion does; whatever is not named stays as it is.

    Attributes:
        x: Place of each part, to the right.
        y: Place of each part, downward.
        size: Radius of each part.
        angle: Turn of each part in radians, clockwise on the screen.
        stretch: Factor on a part's own width.
        opacity: From 0, unseen, to 1.
        limbs: How many of the last parts are bars instead of shapes.
        camera_x: Where the camera looks.
        camera_y: Where the camera looks.
        camera_angle: Turn of the camera in radians.
        camera_zoom: Above 1 it sees less, larger.
        light: Factor on the brightness.
    """

    x: Tensor
    y: Tensor
    size: Tensor
    angle: Tensor
    stretch: Tensor | float = 1.0
    opacity: Tensor | float = 1.0
    limbs: int = 0
    camera_x: Tensor | float = 0.0
    camera_y: Tensor | float = 0.0
    camera_angle: Tensor | float = 0.0
    camera_zoom: Tensor | float = 1.0
    light: Tensor | float = 1.0


# (draw, time) to tracks.
Motion = Callable[[Draw, Tensor], Tracks]


def resting(
    draw: Draw, number: int, parts: int = 1, low: float = 0.18, high: float = 0.42
) -> Tracks:
    """Parts that lie about."""
    shape = (number, parts, 1)
    return Tracks(
        x=draw.uniform(-0.5, 0.5, *shape),
        y=draw.uniform(-0.5, 0.5, *shape),
        size=draw.log_uniform(low, high, *shape),
        angle=draw.uniform(0, math.tau, *shape),
    )


def progress(draw: Draw, time: Tensor) -> Tensor:
    """From 0 to 1, beginning and ending at some time, evenly, speeding up or slowing down."""
    number = len(time)
    begin = draw.uniform(-0.1, 0.25, number, 1, 1)
    end = draw.uniform(0.75, 1.1, number, 1, 1)
    done = ((time - begin) / (end - begin)).clamp(0, 1)
    return done + draw.uniform(-0.6, 0.6, number, 1, 1) * done * (1 - done)


def moment(draw: Draw, time: Tensor) -> Tensor:
    """From 0 to 1 quickly, somewhere in the middle."""
    number = len(time)
    when = draw.uniform(0.3, 0.7, number, 1, 1)
    return ((time - when) / draw.uniform(0.05, 0.3, number, 1, 1) + 0.5).clamp(0, 1)


def cycles(draw: Draw, time: Tensor, low: float, high: float) -> Tensor:
    """An angle that runs through some turns a clip, from any beginning."""
    number = len(time)
    turns = draw.log_uniform(low, high, number, 1, 1)
    return math.tau * (turns * time + draw.uniform(0, 1, number, 1, 1))
