"""From clips' logits to the labels that the catalogue keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TOP_LABELS = 5


class TopLabels(NamedTuple):
    """The most probable labels of some clips.

    Attributes:
        names: Each name once.
        columns: Shape (clips, at most 5): numbers of `names`, the most probable first.
        scores: float64, of the same shape: probabilities.
    """

    names: tuple[str, ...]
    columns: NDArray[np.int64]
    scores: NDArray[np.float64]


def top_labels(logits: NDArray[np.float16], names: Sequence[str]) -> TopLabels:
    """The most probable labels of each clip: probability by softmax, classes of one name added up.

    They are computed from the stored float16 logits, so that a catalogue made anew from the
    shards says the same.

    Args:
        logits: Shape (clips, classes).
        names: The classes' names, length classes.
    """
    scores = logits.astype(np.float64)  # (clips, classes)
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    different = tuple(dict.fromkeys(names))
    if len(different) < len(names):
        same = np.array([[name == other for other in different] for name in names], np.float64)
        scores = scores @ same  # (clips, names)
    best = _largest(scores, min(TOP_LABELS, len(different)))  # (clips, 5)
    return TopLabels(different, best, np.take_along_axis(scores, best, axis=1))


def _largest(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The columns of each row's largest scores, of equal ones the first; no sorting of all."""
    left, best = scores.copy(), np.empty((len(scores), count), np.int64)
    for place in range(count):
        best[:, place] = left.argmax(axis=1)
        np.put_along_axis(left, best[:, place, None], -np.inf, axis=1)
    return best
