"""What of a picture need not be resized, as the crop afterwards leaves it out; no torch, no av."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

REACH = 2  # pixels on each side that the filters look at: of the smaller image, or its colours
TOLERANCE = 1 / 16  # of a pixel of the picture, by which what is left may be moved


class Margin(NamedTuple):
    """As many pixels at each end of a side.

    Attributes:
        cut: Of the picture.
        made: Of the resized picture.
    """

    cut: int = 0
    made: int = 0


@lru_cache
def margin(size: int, resized: int, start: int, kept: int, step: int) -> Margin:
    """How much of a side need not be resized: as much at its end as at its start.

    What is left is resized to what it is in the resized whole, but for `TOLERANCE`: the filters see
    the same pixels, as the cut lies where it falls between two of them in both.

    >>> margin(1920, 398, 87, 224, 2)  # 1080 lines to 224, and their middle
    Margin(cut=410, made=85)
    >>> 398 - 2 * 85, (1920 - 2 * 410) / (398 - 2 * 85), 1920 / 398
    (228, 4.824561403508772, 4.824120603015075)

    Args:
        size: Pixels of the picture's side.
        resized: Pixels of that side after the resize.
        start: The first of them that is kept; below 0 where the crop reaches beyond.
        kept: How many are kept.
        step: Pixels of the picture that cannot be parted, as they share their colour.
    """
    if size % step:  # its last pixels have a colour that is stretched with the whole
        return Margin()
    reach = REACH * math.ceil(max(step * resized / size, 1))
    for made in range(min(start, resized - start - kept) - reach, 0, -1):
        place = made * size / resized
        cut = round(place / step) * step
        if abs(cut - place) <= TOLERANCE:
            return Margin(cut, made)
    return Margin()
