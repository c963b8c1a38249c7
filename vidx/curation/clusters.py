"""How many clusters, how tight they are, and what they are called."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_CLUSTERS = 1000  # unless more are asked for: who looks through more of them?
NAMED_LABELS = 3
LEAST_SHARE = 0.1  # of a cluster's clips, for a label to be told


class Dominant(NamedTuple):
    """A label and the share of a cluster's clips whose best label it is."""

    name: str
    share: float


def default_clusters(num_places: int) -> int:
    """How many clusters suit: the square root of half as many as there are clips.

    >>> [default_clusters(count) for count in (1, 50, 20_000, 10_000_000)]
    [1, 5, 100, 1000]
    """
    return int(max(1, min((num_places / 2) ** 0.5, MOST_CLUSTERS)))


def by_size(which: NDArray[np.int32], num_clusters: int) -> NDArray[np.int64]:
    """Number clusters anew, the largest first; of equal ones the one with the first clip.

    Args:
        which: The cluster of each place, shape (n,).
        num_clusters: How many there are; some may be empty.

    Returns:
        The new number of each place, int64, shape (n,).
    """
    sizes = np.bincount(which, minlength=num_clusters)
    firsts = np.full(num_clusters, len(which))
    np.minimum.at(firsts, which, np.arange(len(which)))
    order = np.lexsort((firsts, -sizes))
    number = np.empty(num_clusters, np.int64)
    number[order] = np.arange(num_clusters)
    return number[which]


def tightness(groups: NDArray[np.int64], scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean similarity of each group's members with its centre, shape (groups,)."""
    sizes = np.bincount(groups)
    return np.asarray(np.bincount(groups, scores.astype(np.float64)) / np.maximum(sizes, 1))


def dominant(
    groups: NDArray[np.int64], labels: NDArray[np.int64], names: list[str]
) -> list[list[Dominant]]:
    """The labels that most of each group's members have, the most frequent first.

    Args:
        groups: Of each place, shape (n,), from 0 without a gap.
        labels: The place in `names` of its best label, shape (n,); -1 where it has none.
        names: Of labels.

    Returns:
        For each group at most `NAMED_LABELS`, each of a `LEAST_SHARE` of its members or more.
    """
    sizes = np.bincount(groups)
    known = labels >= 0
    pairs, counts = np.unique(np.stack([groups[known], labels[known]]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], -counts, pairs[0]))
    found: list[list[Dominant]] = [[] for _ in sizes]
    for group, label, count in zip(*pairs[:, order].tolist(), counts[order].tolist(), strict=True):
        share = count / int(sizes[group])
        if len(found[group]) < NAMED_LABELS and share >= LEAST_SHARE:
            found[group].append(Dominant(names[label], share))
    return found


def name_of(group: int, labels: list[Dominant]) -> str:
    """What a cluster is called: its labels, or else its number.

    >>> name_of(0, [Dominant("archery", 0.6), Dominant("golf", 0.2)]), name_of(7, [])
    ('archery, golf', 'cluster 7')
    """
    return ", ".join(label.name for label in labels) or f"cluster {group}"
