"""Scores of a retrieval: every item asks for the others of its class. Pure functions on arrays.

All of them keep one row of figures for each query, so that two ways of describing the same items
can be compared query by query.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]  # (queries, figures): one set's figures, query by query

FIGURES = ("accuracy", "mean_average_precision", "precision_at_5")
FIRST = 5  # neighbours that precision_at_5 looks at
RESAMPLES, BLOCK = 5_000, 100  # drawn a block at a time, for memory's sake
SEED = 0


def unit(vectors: NDArray[Any]) -> NDArray[np.float64]:
    """Scale the vectors of the last axis to length 1; a vector of zeros stays one.

    Args:
        vectors: Shape (..., dim).

    Returns:
        float64, the same shape.
    """
    vectors = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def item_vector(clips: NDArray[Any]) -> NDArray[np.float64]:
    """One vector for a video: the mean of its clips' vectors, each scaled to length 1 before.

    Args:
        clips: Shape (clips, dim).

    Returns:
        float64, shape (dim,).
    """
    mean: NDArray[np.float64] = unit(clips).mean(axis=0)
    return mean


def candidates(groups: Sequence[str]) -> NDArray[np.bool_]:
    """Say which items are ranked for which query: neither itself nor one of its own group.

    Args:
        groups: Each item's group; those of group "" have none.

    Returns:
        bool, shape (items, items): row i is True for what query i may find.
    """
    names = np.asarray(groups)
    together = (names[:, None] == names) & (names != "")
    result: NDArray[np.bool_] = ~(together | np.eye(len(names), dtype=bool))
    return result


def queries(labels: Sequence[str], groups: Sequence[str]) -> NDArray[np.int64]:
    """The items that can be asked for: those with another of their class among their candidates.

    Args:
        labels: Each item's class.
        groups: As for `candidates`.

    Returns:
        Positions of items, ascending.
    """
    return np.flatnonzero(_relevant(labels, groups).any(axis=1))


def query_scores(vectors: NDArray[Any], labels: Sequence[str], groups: Sequence[str]) -> Rows:
    """Rank each query's candidates by cosine similarity, and score the ranking.

    Equal similarities are put in a random order, the same in every call: the items' own order
    goes by class and would tell something.

    Args:
        vectors: Shape (items, dim).
        labels: Each item's class.
        groups: As for `candidates`.

    Returns:
        float64, shape (queries, figures), in the order of `FIGURES`: whether the nearest is of
        the query's class, the average precision, and the share of the class among the first 5.
    """
    directions = unit(vectors)
    similarities = directions @ directions.T  # (items, items)
    allowed, relevant = candidates(groups), _relevant(labels, groups)
    chance_order = np.random.default_rng(SEED).permutation(len(directions))
    rows = []
    for query in queries(labels, groups):
        best_first = np.lexsort((chance_order, -similarities[query]))
        ranking = best_first[allowed[query][best_first]]
        rows.append(ranking_scores(relevant[query][ranking]))
    return np.array(rows).reshape(-1, len(FIGURES))


def ranking_scores(hits: NDArray[np.bool_]) -> tuple[float, float, float]:
    """Score one ranking.

    Args:
        hits: Which candidates are of the query's class, best first; at least one is.

    Returns:
        In the order of `FIGURES`.
    """
    ranks = np.flatnonzero(hits) + 1
    precisions = np.arange(1, len(ranks) + 1) / ranks  # at each hit
    return float(hits[0]), float(precisions.mean()), float(hits[:FIRST].mean())


def chance_scores(labels: Sequence[str], groups: Sequence[str]) -> Rows:
    """What a random order scores on average, exactly.

    Of n candidates r are hits. One at rank k has precision (1 + (k - 1)(r - 1)/(n - 1)) / k on
    average; the mean over k is somewhat above the share r / n.

    Args:
        labels: Each item's class.
        groups: As for `candidates`.

    Returns:
        As `query_scores`.
    """
    counts = candidates(groups).sum(axis=1), _relevant(labels, groups).sum(axis=1)
    rows = []
    for query in queries(labels, groups):
        n, r = (int(count[query]) for count in counts)
        ranks = np.arange(1, n + 1)
        among_others = (r - 1) / max(n - 1, 1)
        precision = ((1 + (ranks - 1) * among_others) / ranks).mean()
        rows.append((r / n, precision, r / n))
    return np.array(rows).reshape(-1, len(FIGURES))


def average(sets: Sequence[Rows]) -> NDArray[np.float64]:
    """The mean over sets of their means over queries: every set weighs the same.

    Args:
        sets: Rows of one or more sets.

    Returns:
        float64, shape (figures,).
    """
    mean: NDArray[np.float64] = np.mean([rows.mean(axis=0) for rows in sets], axis=0)
    return mean


def interval(sets: Sequence[Rows]) -> NDArray[np.float64]:
    """The 95% bootstrap interval of `average`: queries are drawn anew within each set.

    The items they are ranked against stay. For a difference, give the differences of two ways'
    rows: they are drawn in pairs then.

    Args:
        sets: Rows of one or more sets.

    Returns:
        float64, shape (2, figures): the lower and the upper end.
    """
    generator = np.random.default_rng(SEED)
    resampled = [
        np.mean([_drawn_anew(rows, generator) for rows in sets], axis=0)  # (BLOCK, figures)
        for _ in range(RESAMPLES // BLOCK)
    ]
    ends: NDArray[np.float64] = np.percentile(np.concatenate(resampled), (2.5, 97.5), axis=0)
    return ends


def figures(sets: Sequence[Rows]) -> dict[str, dict[str, float]]:
    """Each figure with its interval, averaged over sets; ready for JSON."""
    columns = zip(FIGURES, average(sets), *interval(sets), strict=True)
    return {
        name: {"value": float(value), "low": float(low), "high": float(high)}
        for name, value, low, high in columns
    }


def _drawn_anew(rows: Rows, generator: np.random.Generator) -> NDArray[np.float64]:
    """Means of as many rows, drawn with replacement, again and again: (BLOCK, figures)."""
    drawn = generator.integers(len(rows), size=(BLOCK, len(rows)))
    means: NDArray[np.float64] = rows[drawn].mean(axis=1)
    return means


def _relevant(labels: Sequence[str], groups: Sequence[str]) -> NDArray[np.bool_]:
    """(items, items): which candidates are of the query's class."""
    names = np.asarray(labels)
    result: NDArray[np.bool_] = (names[:, None] == names) & candidates(groups)
    return result
