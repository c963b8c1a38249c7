"""Asking an engine of benchmarks/search.py: queries, their times, and the cheapest setting."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from drawn_vectors import Vectors
from numpy.typing import NDArray

Setting = dict[str, float]
Rows = NDArray[np.int64]

K = 10


@dataclass(frozen=True)
class Questions:
    """Queries (m, dim) and the rows of their true neighbours (m, K)."""

    vectors: Vectors
    true: Rows


def one_by_one(ask: Callable[[Vectors], Rows], queries: Vectors) -> tuple[Rows, list[float]]:
    """Rows (m, K) and the seconds of each query."""
    found, times = [], []
    for row in range(len(queries)):
        query = queries[row : row + 1]
        started = time.perf_counter()
        found.append(ask(query))
        times.append(time.perf_counter() - started)
    return np.concatenate(found), times


def cheapest(
    rows: Sequence[Sequence[Setting]],
    tried: Callable[[Setting], tuple[float, float]],
    target: float,
) -> Setting | None:
    """The quickest of the first settings in each row that reach a recall; None where none does.

    Args:
        rows: Settings, each row from the cheapest to what finds most.
        tried: Gives recall and seconds of a setting.
        target: The recall.
    """
    best: tuple[float, Setting] | None = None
    for row in rows:
        for setting in row:
            found, cost = tried(setting)
            if best and cost >= best[0]:
                break
            if found >= target:
                best = cost, setting
                break
    return best[1] if best else None
