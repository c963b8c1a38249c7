"""The classes of motion, by the names that a person would give them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vidx.training.procedural import objects, surroundings
from vidx.training.procedural.tracks import Motion

MOTIONS: Mapping[str, Motion] = MappingProxyType(
    {
        "still": objects.still,
        "moves left": objects.glides(-1, 0),
        "moves right": objects.glides(1, 0),
        "moves up": objects.glides(0, -1),
        "moves down": objects.glides(0, 1),
        "approaches": objects.resizes(1),
        "recedes": objects.resizes(-1),
        "turns clockwise": objects.turns(1),
        "turns counter-clockwise": objects.turns(-1),
        "bounces": objects.bounces,
        "orbits": objects.orbits,
        "swings": objects.swings,
        "oscillates sideways": objects.oscillates(1, 0),
        "oscillates up and down": objects.oscillates(0, 1),
        "pulses": objects.pulses,
        "flips": objects.flips,
        "zigzags": objects.zigzags,
        "splits": objects.splits,
        "merges": objects.merges,
        "collides": objects.collides,
        "appears": objects.fades(0, 1),
        "disappears": objects.fades(1, -1),
        "blinks": objects.blinks,
        "waves": objects.waves,
        "strikes": objects.strikes,
        "walks": objects.walks,
        "camera pans left": surroundings.pans(-1, 0),
        "camera pans right": surroundings.pans(1, 0),
        "camera tilts up": surroundings.pans(0, -1),
        "camera tilts down": surroundings.pans(0, 1),
        "camera zooms in": surroundings.zooms(1),
        "camera zooms out": surroundings.zooms(-1),
        "camera rolls": surroundings.rolls,
        "camera shakes": surroundings.shakes,
        "light brightens": surroundings.lights(1),
        "light darkens": surroundings.lights(-1),
    }
)
LABELS = tuple(MOTIONS)
