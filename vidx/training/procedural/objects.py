"""Motions of objects, each drawn for many clips at once; see `tracks` for the units."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from vidx.training.procedural.draw import Draw
from vidx.training.procedural.tracks import Motion, Tracks, cycles, moment, progress, resting


def still(draw: Draw, time: Tensor) -> Tracks:
    """Nothing moves."""
    return resting(draw, len(time))


def glides(dx: float, dy: float) -> Motion:
    """It moves one way, within 20 degrees."""

    def glide(draw: Draw, time: Tensor) -> Tracks:
        tracks = resting(draw, len(time))
        # Nobody moves exactly along an axis.
        slant = draw.uniform(-0.35, 0.35, len(time), 1, 1)
        way = (progress(draw, time) - 0.5) * draw.uniform(0.7, 1.6, len(time), 1, 1)
        tracks.x = tracks.x * (0.5 if dx else 1) + way * (dx * slant.cos() - dy * slant.sin())
        tracks.y = tracks.y * (0.5 if dy else 1) + way * (dx * slant.sin() + dy * slant.cos())
        return tracks

    return glide


def resizes(sign: float) -> Motion:
    """It comes nearer, or goes away."""

    def resize(draw: Draw, time: Tensor) -> Tracks:
        tracks = resting(draw, len(time))
        growth = draw.uniform(0.9, 1.6, len(time), 1, 1)
        tracks.size = tracks.size * (sign * growth * (progress(draw, time) - 0.5)).exp()
        return tracks

    return resize


def turns(sign: float) -> Motion:
    """It turns about its middle."""

    def turn(draw: Draw, time: Tensor) -> Tracks:
        tracks = resting(draw, len(time), low=0.26, high=0.55)
        turned = draw.uniform(1.8, 4.5, len(time), 1, 1) * progress(draw, time)
        tracks.angle = tracks.angle + sign * turned
        return tracks

    return turn


def bounces(draw: Draw, time: Tensor) -> Tracks:
    """It falls to a floor and springs up again."""
    tracks = resting(draw, len(time), high=0.3)
    floor = draw.uniform(0.3, 0.75, len(time), 1, 1)
    height = draw.uniform(0.7, 1.2, len(time), 1, 1)
    phase = cycles(draw, time, 1.4, 2.4) / math.tau
    since = phase - phase.floor()
    drift = draw.uniform(-0.4, 0.4, len(time), 1, 1)
    tracks.y = floor - height * 4 * since * (1 - since)
    tracks.x = tracks.x * 0.7 + drift * (time - 0.5)
    return tracks


def orbits(draw: Draw, time: Tensor) -> Tracks:
    """It goes around a point, either way."""
    tracks = resting(draw, len(time), high=0.3)
    radius = draw.uniform(0.3, 0.6, len(time), 1, 1)
    angle = cycles(draw, time, 0.9, 2.0) * draw.sign(len(time), 1, 1)
    tracks.x = tracks.x * 0.4 + radius * angle.cos()
    tracks.y = tracks.y * 0.4 + radius * angle.sin()
    return tracks


def swings(draw: Draw, time: Tensor) -> Tracks:
    """It hangs on a bar and swings."""
    tracks = resting(draw, len(time), high=0.26)
    length = draw.uniform(0.6, 1.2, len(time), 1, 1)
    angle = draw.uniform(0.5, 1.0, len(time), 1, 1) * cycles(draw, time, 0.9, 2.0).sin()
    top = draw.uniform(-0.9, -0.4, len(time), 1, 1)
    x = tracks.x * 0.6
    tracks.x = torch.cat([x + length * angle.sin(), x + length * angle.sin() / 2], dim=1)
    tracks.y = torch.cat([top + length * angle.cos(), top + length * angle.cos() / 2], dim=1)
    tracks.size = torch.cat([tracks.size, length / 2], dim=1)
    tracks.angle = torch.cat([tracks.angle - angle, math.pi / 2 - angle], dim=1)
    tracks.limbs = 1
    return tracks


def oscillates(dx: float, dy: float) -> Motion:
    """It moves to and fro."""

    def oscillate(draw: Draw, time: Tensor) -> Tracks:
        tracks = resting(draw, len(time))
        way = draw.uniform(0.25, 0.55, len(time), 1, 1) * cycles(draw, time, 1.2, 2.8).sin()
        tracks.x = tracks.x * (0.6 if dx else 1) + dx * way
        tracks.y = tracks.y * (0.6 if dy else 1) + dy * way
        return tracks

    return oscillate


def pulses(draw: Draw, time: Tensor) -> Tracks:
    """It grows and shrinks in turn."""
    tracks = resting(draw, len(time))
    swell = draw.uniform(0.35, 0.6, len(time), 1, 1) * cycles(draw, time, 1.2, 2.8).sin()
    tracks.size = tracks.size * swell.exp()
    return tracks


def flips(draw: Draw, time: Tensor) -> Tracks:
    """It turns about an axis in the picture, so that its width comes and goes."""
    tracks = resting(draw, len(time), low=0.26, high=0.55)
    tracks.stretch = cycles(draw, time, 0.7, 1.6).cos()
    return tracks


def zigzags(draw: Draw, time: Tensor) -> Tracks:
    """It goes one way, and to both sides in turn."""
    tracks = resting(draw, len(time), high=0.3)
    way = draw.uniform(0.9, 1.6, len(time), 1, 1) * (time - 0.5)
    side = draw.uniform(0.22, 0.4, len(time), 1, 1) * cycles(draw, time, 1.5, 2.8).sin()
    angle = draw.uniform(0, math.tau, len(time), 1, 1)
    tracks.x = tracks.x * 0.4 + way * angle.cos() - side * angle.sin()
    tracks.y = tracks.y * 0.4 + way * angle.sin() + side * angle.cos()
    return tracks


def _two_on_a_line(draw: Draw, time: Tensor, apart: Tensor) -> Tracks:
    """Two alike parts at both sides of a point, some way apart."""
    tracks = resting(draw, len(time), high=0.3)
    angle = draw.uniform(0, math.tau, len(time), 1, 1)
    offset = torch.cat([apart, -apart], dim=1) / 2
    tracks.x = tracks.x * 0.6 + offset * angle.cos()
    tracks.y = tracks.y * 0.6 + offset * angle.sin()
    tracks.size = tracks.size.expand(-1, 2, -1)
    tracks.angle = tracks.angle.expand(-1, 2, -1)
    return tracks


def splits(draw: Draw, time: Tensor) -> Tracks:
    """Two that were one part."""
    far = draw.uniform(0.7, 1.4, len(time), 1, 1)
    return _two_on_a_line(draw, time, far * progress(draw, time))


def merges(draw: Draw, time: Tensor) -> Tracks:
    """Two become one."""
    far = draw.uniform(0.7, 1.4, len(time), 1, 1)
    return _two_on_a_line(draw, time, far * (1 - progress(draw, time)))


def collides(draw: Draw, time: Tensor) -> Tracks:
    """Two meet and are thrown back."""
    far = draw.uniform(0.8, 1.5, len(time), 1, 1)
    when = draw.uniform(0.35, 0.65, len(time), 1, 1)
    return _two_on_a_line(draw, time, 0.3 + 2 * far * (time - when).abs())


def fades(begin: float, change: float) -> Motion:
    """It turns up, or vanishes."""

    def fade(draw: Draw, time: Tensor) -> Tracks:
        tracks = resting(draw, len(time))
        tracks.opacity = begin + change * moment(draw, time)
        return tracks

    return fade


def blinks(draw: Draw, time: Tensor) -> Tracks:
    """It comes and goes."""
    tracks = resting(draw, len(time))
    tracks.opacity = (cycles(draw, time, 1.5, 2.8).sin() * 4).clamp(-0.5, 0.5) + 0.5
    return tracks


def _limb(tracks: Tracks, angle: Tensor, length: Tensor) -> tuple[Tensor, ...]:
    """Place, size and angle of a bar that hangs on the body's edge."""
    x = tracks.x + (tracks.size * 0.5 + length / 2) * angle.cos()
    y = tracks.y + (tracks.size * 0.5 + length / 2) * angle.sin()
    return x, y, length / 2, angle


def _inward(draw: Draw, tracks: Tracks) -> Tensor:
    """Which way an arm points: into the frame, more or less, where it can be seen."""
    return torch.atan2(-tracks.y, -tracks.x) + draw.uniform(-1.2, 1.2, *tracks.x.shape)


def _with_limbs(tracks: Tracks, angles: list[Tensor], length: Tensor) -> Tracks:
    parts = [_limb(tracks, angle, length) for angle in angles]
    frames = max(part[0].shape[2] for part in parts)

    def joined(own: Tensor, others: list[Tensor]) -> Tensor:
        number = len(own)
        return torch.cat([track.expand(number, 1, frames) for track in (own, *others)], dim=1)

    return Tracks(
        x=joined(tracks.x, [part[0] for part in parts]),
        y=joined(tracks.y, [part[1] for part in parts]),
        size=joined(tracks.size, [part[2] for part in parts]),
        angle=joined(tracks.angle, [part[3] for part in parts]),
        limbs=len(parts),
    )


def waves(draw: Draw, time: Tensor) -> Tracks:
    """A body at rest moves an arm to and fro."""
    tracks = resting(draw, len(time), low=0.2, high=0.32)
    side = _inward(draw, tracks)
    swing = draw.uniform(0.5, 0.9, len(time), 1, 1) * cycles(draw, time, 1.2, 2.6).sin()
    length = tracks.size * draw.uniform(1.8, 2.6, len(time), 1, 1)
    return _with_limbs(tracks, [side + swing], length)


def strikes(draw: Draw, time: Tensor) -> Tracks:
    """A body at rest thrusts an arm out once and draws it back."""
    tracks = resting(draw, len(time), low=0.2, high=0.32)
    number = len(time)
    side = _inward(draw, tracks)
    when = draw.uniform(0.3, 0.7, number, 1, 1)
    out = (1 - (time - when).abs() / draw.uniform(0.15, 0.35, number, 1, 1)).clamp(0, 1)
    length = tracks.size * (0.4 + draw.uniform(2.0, 2.8, number, 1, 1) * out)
    return _with_limbs(tracks, [side.expand_as(time)], length)


def walks(draw: Draw, time: Tensor) -> Tracks:
    """A body on two swinging legs goes to one side."""
    tracks = resting(draw, len(time), low=0.16, high=0.3)
    number = len(time)
    way = draw.uniform(0.4, 1.2, number, 1, 1) * draw.sign(number, 1, 1)
    tracks.x = tracks.x * 0.5 + way * (time - 0.5)
    tracks.y = (tracks.y * 0.7 - 0.1).expand_as(time)
    stride = draw.uniform(0.35, 0.7, number, 1, 1) * cycles(draw, time, 1.2, 2.6).sin()
    length = tracks.size * draw.uniform(1.8, 2.6, number, 1, 1)
    return _with_limbs(tracks, [math.pi / 2 + stride, math.pi / 2 - stride], length)
