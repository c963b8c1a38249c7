"""From a clip's logits to the labels that the catalogue keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

TOP_LABELS = 5


def top_labels(logits: NDArray[np.float16], names: Sequence[str]) -> list[list[tuple[str, float]]]:
    """The most probable labels of each clip, best first.

    They are computed from the stored float16 logits, so that a catalogue made anew from the
    shards says the same.

    Args:
        logits: Shape (clips, classes).
        names: The classes' names, length classes.

    Returns:
        For each clip at most five (name, probability by softmax).
    """
    scores = logits.astype(np.float64)  # (clips, classes)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :TOP_LABELS]  # (clips, 5)
    return [
        _merged((names[column], float(row[column])) for column in columns)
        for row, columns in zip(scores, best, strict=True)
    ]


def _merged(labels: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """Add up classes that bear the same name; best first."""
    scores: dict[str, float] = {}
    for name, score in labels:
        scores[name] = scores.get(name, 0.0) + score
    return sorted(scores.items(), key=lambda item: -item[1])
