"""Which clips are poor to look at, by what was measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ISSUES = ("black", "frozen", "static", "blurred", "short")
SHARE_OF_TYPICAL = {"static": 0.05, "blurred": 0.1, "short": 0.5}  # of the median, unless told

Facts = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Limits:
    """From where on a clip is poor.

    Attributes:
        black: The least share of black samples.
        frozen: The least share of neighbouring samples that are one picture.
        static: The motion below which nothing moves. None: a 20th of what is typical.
        blurred: The sharpness below which a clip is blurred. None: a tenth of what is typical.
        short: The seconds below which a clip is too short. None: half of what is typical.
    """

    black: float = 0.5
    frozen: float = 0.5
    static: float | None = None
    blurred: float | None = None
    short: float | None = None


class Flags(NamedTuple):
    """What is poor about some places, issue by issue, the worst first: shape (m,) each.

    Attributes:
        places: int64; a place can be there more than once.
        issues: The place in `ISSUES`, int64.
        values: What was measured, float64.
        limits: What it was compared with, float64.
    """

    places: NDArray[np.int64]
    issues: NDArray[np.int64]
    values: NDArray[np.float64]
    limits: NDArray[np.float64]


def flagged(facts: Facts, typical: Facts, limits: Limits) -> Flags:
    """Tell what is poor about each place.

    What follows is not told again: a black clip is not static and blurred too, nor a frozen one
    static.

    Args:
        facts: `black_share`, `frozen_share`, `motion`, `sharpness` and `seconds` of each place,
            float64, shape (n,) each.
        typical: The same of all that limits are relative to.
        limits: From where on.
    """
    black = facts["black_share"] >= limits.black
    frozen = (facts["frozen_share"] >= limits.frozen) & ~black
    least = {
        "static": _least(limits.static, "static", typical["motion"]),
        "blurred": _least(limits.blurred, "blurred", typical["sharpness"]),
        "short": _least(limits.short, "short", typical["seconds"]),
    }
    found = (
        (black, facts["black_share"], limits.black, -1),
        (frozen, facts["frozen_share"], limits.frozen, -1),
        (
            ~black & ~frozen & (facts["motion"] < least["static"]),
            facts["motion"],
            least["static"],
            1,
        ),
        (~black & (facts["sharpness"] < least["blurred"]), facts["sharpness"], least["blurred"], 1),
        (facts["seconds"] < least["short"], facts["seconds"], least["short"], 1),
    )
    parts = [_worst_first(number, *one) for number, one in enumerate(found)]
    return Flags(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _least(asked: float | None, issue: str, typical: NDArray[np.float64]) -> float:
    return float(np.median(typical)) * SHARE_OF_TYPICAL[issue] if asked is None else asked


def _worst_first(
    issue: int, poor: NDArray[np.bool_], values: NDArray[np.float64], limit: float, sign: int
) -> Flags:
    places = np.flatnonzero(poor)
    places = places[np.lexsort((places, sign * values[places]))]
    return Flags(
        places, np.full(len(places), issue), values[places], np.full(len(places), float(limit))
    )
