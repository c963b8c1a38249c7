"""`clusters`: what kinds of clips there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.curating.part import Part
from vidx.curating.tables import numbered
from vidx.curation import clusters as computing
from vidx.errors import UsageError
from vidx.index.clustering import POINTS_A_CENTRE, ROUNDS, centres, nearest_centre, sampled
from vidx.store.told import clips_told, dominant_labels

if TYPE_CHECKING:
    import pyarrow as pa


class Clusters(NamedTuple):
    """The cluster of each clip, by size, and its similarity to the centre: shape (n,) each."""

    groups: NDArray[np.int64]
    scores: NDArray[np.float32]


def found(part: Part, k: int | None, seed: int) -> Clusters:
    """Part clips by k-means on the sphere, in the `similar` space.

    Raises:
        UsageError: k is below 1, or more than there are clips.
    """
    count = computing.default_clusters(len(part)) if k is None else k
    if not 1 <= count <= len(part):
        raise UsageError(f"k={count}: between 1 and {len(part)}, the number of clips, there are.")

    def take(places: NDArray[np.int64]) -> NDArray[np.float32]:
        return part.vectors(places, "similar")

    sample = take(sampled(len(part), POINTS_A_CENTRE * count, seed))
    means = centres(sample, count, seed=seed, rounds=ROUNDS, spherical=True)
    which, scores = nearest_centre(take, len(part), means)
    return Clusters(computing.by_size(which, count), np.clip(scores, -1, 1))


def clusters(part: Part, k: int | None, seed: int) -> pa.Table:
    """The members of each cluster, the most typical first; as `Questions.clusters` says."""
    groups, scores = found(part, k, seed)
    order = np.lexsort((np.arange(len(part)), -scores, groups))
    group, rank = numbered(groups[order])
    labels = computing.dominant(group, *_best_labels(part, order))
    names = [computing.name_of(number, some) for number, some in enumerate(labels)]
    return clips_told(
        part.catalogue,
        part.clip_ids[order],
        {"group": group, "rank": rank},
        {
            "score": scores[order].astype(np.float64),
            "size": np.bincount(group)[group],
            "tightness": computing.tightness(group, scores[order])[group],
            "name": np.array(names, object)[group],
            "labels": dominant_labels(labels, group),
        },
    )


def _best_labels(part: Part, order: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
    labels, names = part.labels
    return labels[order], names
