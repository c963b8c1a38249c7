"""Whether a clip shows a cut from one shot to another, by its frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EVERY = 4  # pixels, in height and width: enough to see a change of everything
LEAST_CHANGE = 15.0  # of 255, on average over the picture
SUDDEN = 2.0  # times the third largest change, and so far from steady motion
STEADY = 2.0  # added to that, for pictures that stand still


def holds_cut(frames: NDArray[np.uint8]) -> bool:
    """Whether the picture changes as a whole, and once or twice, from one frame to the next.

    Args:
        frames: uint8, shape (n, height, width, 3), in time order.
    """
    if len(frames) < 4:
        return False
    small = frames[:, ::EVERY, ::EVERY].astype(np.float32).mean(axis=-1)
    changes = np.sort(np.abs(np.diff(small, axis=0)).mean(axis=(1, 2)))
    is_large = changes[-1] > LEAST_CHANGE
    return bool(is_large and changes[-1] > SUDDEN * (changes[-3] + STEADY))
