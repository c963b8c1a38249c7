"""`sample`: some of many clips."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from vidx.curating import clusters
from vidx.curating.part import Part, Progress
from vidx.curation import samples as computing
from vidx.errors import UsageError
from vidx.masks import Chosen
from vidx.records import IndexProgress
from vidx.store.given_labels import given_labels
from vidx.store.told import best_labels
from vidx.store.vectors import live_vectors

Places = NDArray[np.int64]


def sample(
    part: Part, count: int, strategy: str, column: str | None, seed: int, progress: Progress
) -> Chosen:
    """Choose clips, as `Questions.sample` says.

    Raises:
        UsageError: There is no such strategy or column, fewer clips than are asked for, or no
            labels where the strategy needs them.
    """
    if strategy not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise UsageError(f"strategy={strategy!r}: there is none, but {known}.")
    if not 1 <= count <= len(part):
        raise UsageError(f"n={count}: between 1 and {len(part)}, the number of clips there are.")
    if seed < 0:
        raise UsageError(f"seed={seed}: 0 is the least.")
    if column is None:
        places = STRATEGIES[strategy](part, count, seed, progress)
        told = f"sample({count}, {strategy!r}, seed={seed})"
    elif strategy == "balanced":
        values = given_labels(part.catalogue, column, part.clip_ids, part.videos).numbers
        places = _evenly(values, count, seed)
        told = f"sample({count}, {strategy!r}, column={column!r}, seed={seed})"
    else:
        raise UsageError(f"strategy={strategy!r} has no column: 'balanced' has.")
    return Chosen(np.sort(part.clip_ids[places]), told)


def _diverse(part: Part, count: int, seed: int, progress: Progress) -> Places:
    def told(done: int, total: int) -> None:
        progress(IndexProgress("similar", "choosing", done, total))

    return computing.farthest(
        lambda places: part.vectors(places, "similar"), len(part), count, seed, told
    )


def _balanced(part: Part, count: int, seed: int, _progress: Progress) -> Places:
    """As many of each best label as there are, at random."""
    labels, _ = best_labels(part.catalogue, part.clip_ids)
    _need_labels(there=bool((labels >= 0).any()))
    return _evenly(labels, count, seed)


def _evenly(labels: Places, count: int, seed: int) -> Places:
    """As many of each label as there are, at random; what has none is a kind of its own."""
    _, groups = np.unique(labels, return_inverse=True)
    parts = computing.even(np.bincount(groups), count)
    return computing.of_groups(groups, parts, np.random.default_rng(seed).random(len(labels)))


def _representative(part: Part, count: int, seed: int, _progress: Progress) -> Places:
    """Of each cluster by its size, the most typical first."""
    groups, scores = clusters.found(part, None, seed)
    parts = computing.shares(np.bincount(groups), count)
    return computing.of_groups(groups, parts, -scores.astype(np.float64))


def _uncertain(part: Part, count: int, _seed: int, _progress: Progress) -> Places:
    """Those of whose labels the model's head is least sure."""
    _need_labels(there=bool(part.catalogue.manifest.space.labels))
    ids, entropies = [], []
    for some, logits in live_vectors(part.catalogue, part.clip_ids, column="logits"):
        ids.append(some)
        entropies.append(computing.entropies(logits))
    assert np.array_equal(np.concatenate(ids), part.clip_ids)  # noqa: S101 - both ascend
    return np.lexsort((np.arange(len(part)), -np.concatenate(entropies)))[:count]


def _random(part: Part, count: int, seed: int, _progress: Progress) -> Places:
    return computing.at_random(len(part), count, seed)


def _need_labels(*, there: bool) -> None:
    if not there:
        raise UsageError(
            "these clips have no labels: the model has no classification head",
            "Take another strategy, such as 'diverse'.",
        )


STRATEGIES: dict[str, Callable[[Part, int, int, Progress], Places]] = {
    "diverse": _diverse,
    "balanced": _balanced,
    "representative": _representative,
    "uncertain": _uncertain,
    "random": _random,
}
