"""Many axes brought down to two: where things lie on a map."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS = 16_384  # vectors in memory at a time

Take: TypeAlias = Callable[[NDArray[np.int64]], NDArray[np.float32]]


def principal(take: Take, num_places: int, num_axes: int = 2) -> NDArray[np.float64]:
    """Coordinates on the axes along which vectors differ most, by principal components.

    An axis points to where its largest component is positive, so that it is the same each time.

    Args:
        take: Gives vectors by their places.
        num_places: How many there are.
        num_axes: How many axes; beyond what vectors differ along, coordinates are 0.

    Returns:
        Shape (num_places, num_axes), the most telling axis first, around 0.
    """
    blocks = [
        np.arange(start, min(start + BLOCK_ROWS, num_places))
        for start in range(0, num_places, BLOCK_ROWS)
    ]
    mean = sum(take(block).sum(axis=0, dtype=np.float64) for block in blocks) / num_places
    moved = (take(block) - mean for block in blocks)
    spread = sum(part.T @ part for part in moved) / num_places
    axes = np.linalg.eigh(np.asarray(spread))[1][:, ::-1][:, :num_axes]  # (dim, axes)
    largest = np.abs(axes).argmax(axis=0)
    axes = axes * np.sign(axes[largest, np.arange(axes.shape[1])])
    found = np.zeros((num_places, num_axes))
    for block in blocks:
        found[block, : axes.shape[1]] = (take(block) - mean) @ axes
    return found
