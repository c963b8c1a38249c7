"""The map as numbers that can be drawn: where each clip lies, and what colour it has there."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.curating.clusters import found
from vidx.curating.labels import labels_of
from vidx.curating.maps import placed
from vidx.curating.part import Part
from vidx.curation.clusters import default_clusters
from vidx.errors import UsageError

MOST_CLUSTERS = 24  # more colours nobody can tell apart
MOST_NAMES = 65_535


class Points(NamedTuple):
    """A map.

    Attributes:
        clip_ids: int64, shape (n,), ascending.
        places: float32, shape (n, 2).
        colours: uint16, shape (n,): places among the names; their number where a clip has none.
        names: What the colours stand for, the most frequent first.
    """

    clip_ids: NDArray[np.int64]
    places: NDArray[np.float32]
    colours: NDArray[np.uint16]
    names: list[str]


def points(part: Part, method: str, colour: str, seed: int) -> Points:
    """Lay clips out, and colour them.

    Args:
        part: The clips.
        method: As for `Reviews.map`.
        colour: `label`, each clip's most probable one by the model; `cluster`; or a column of
            metadata with text, whole numbers or booleans.
        seed: Of what is random.

    Raises:
        UsageError: There is no such method or column, or the clips are too few.
    """
    places = placed(part, method, seed).astype(np.float32)
    if colour == "cluster":
        count = min(default_clusters(len(part)), MOST_CLUSTERS)
        numbers = found(part, count, seed).groups
        names = [f"cluster {number}" for number in range(count)]
    else:
        labels = labels_of(part, None if colour == "label" else colour)
        numbers, names = _by_frequency(labels.numbers, labels.names)
    if len(names) > MOST_NAMES:
        raise UsageError(f"{colour!r} has {len(names)} values, more than there are colours.")
    return Points(part.clip_ids, places, numbers.astype(np.uint16), names)


def _by_frequency(
    numbers: NDArray[np.int64], names: list[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """The same with the most frequent name first, those of nobody left out; none is the last."""
    counts = np.bincount(numbers[numbers >= 0], minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    turned = np.full(len(names) + 1, len(order))  # the last stands for none, which is -1
    turned[order] = np.arange(len(order))
    return turned[numbers], [names[number] for number in order.tolist()]
