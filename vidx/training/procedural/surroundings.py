"""Motions of camera and light, while an object lies there; see `tracks` for the units."""

from __future__ import annotations

from torch import Tensor

from vidx.training.procedural.draw import Draw
from vidx.training.procedural.tracks import Motion, Tracks, cycles, progress, resting


def pans(dx: float, dy: float) -> Motion:
    """The camera moves one way."""

    def pan(draw: Draw, time: Tensor) -> Tracks:
        tracks = resting(draw, len(time))
        way = draw.uniform(0.45, 1.2, len(time), 1, 1) * (progress(draw, time) - 0.5)
        tracks.camera_x, tracks.camera_y = dx * way, dy * way
        return tracks

    return pan


def zooms(sign: float) -> Motion:
    """The camera sees less and less, or more and more."""

    def zoom(draw: Draw, time: Tensor) -> Tracks:
        tracks = resting(draw, len(time))
        growth = draw.uniform(0.6, 1.1, len(time), 1, 1)
        tracks.camera_zoom = (sign * growth * (progress(draw, time) - 0.5)).exp()
        return tracks

    return zoom


def rolls(draw: Draw, time: Tensor) -> Tracks:
    """The camera turns about its own axis."""
    tracks = resting(draw, len(time))
    way = draw.uniform(0.9, 2.0, len(time), 1, 1) * draw.sign(len(time), 1, 1)
    tracks.camera_angle = way * (progress(draw, time) - 0.5)
    return tracks


def shakes(draw: Draw, time: Tensor) -> Tracks:
    """The camera trembles."""
    tracks = resting(draw, len(time))
    for turns in (3.0, 5.0):
        reach = draw.uniform(0.03, 0.09, 2, len(time), 1, 1)
        tracks.camera_x = tracks.camera_x + reach[0] * cycles(draw, time, turns, 1.5 * turns).sin()
        tracks.camera_y = tracks.camera_y + reach[1] * cycles(draw, time, turns, 1.5 * turns).sin()
    return tracks


def lights(sign: float) -> Motion:
    """It becomes lighter, or darker."""

    def light(draw: Draw, time: Tensor) -> Tracks:
        tracks = resting(draw, len(time))
        change = draw.uniform(0.5, 1.2, len(time), 1, 1)
        tracks.light = (sign * change * (progress(draw, time) - 0.5)).exp()
        return tracks

    return light
