"""The closest others of every vector: all compared where they are few, else those in near lists.

Vectors are parted into lists by k-means on their principal axes. The vectors of one list are
compared exactly with those of the lists that are nearest to it, as many as it takes for the recall
that is wanted: a list at a time, so memory is bounded whatever there is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.index.closest import Neighbours, closest
from vidx.index.clustering import Take, centres, nearest_centre, sampled
from vidx.stages import logger

NEIGHBOURS = 20  # that are asked for
WIDTH = 32  # that are found, so that some can go and there are enough
FEW_ROWS = 30_000  # are compared one with all
ROUTING_DIM = 128  # of the axes that lists are made with
POINTS_A_LIST = 40
ROUNDS = 6
LISTS_A_ROOT = 4.0  # lists for the square root of all rows
MOST_LISTS = 8192
TARGET_RECALL = 0.97
LEAST_PROBES = 8  # lists, the own one included
PROBE_LISTS = 24  # whose vectors recall is measured with
PROBE_ROWS = 384  # of these, at most
BLOCK_ROWS = 2048  # where all are compared

Told: TypeAlias = Callable[[int, int], None]
Task: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]  # queries and candidates


def neighbours(
    take: Take, owners: NDArray[np.int32], told: Told = lambda _done, _total: None
) -> Neighbours:
    """Find the closest others of every vector.

    Args:
        take: Gives vectors of length 1 by their places.
        owners: Of each place, shape (n,): those of one owner are no neighbours of each other.
        told: Called with how many of n vectors are done.

    Returns:
        n rows of `WIDTH`. All are right for up to `FEW_ROWS`; of more, `TARGET_RECALL` of the
        first `NEIGHBOURS` of each, as measured with some of the vectors.
    """
    num_rows = len(owners)
    if num_rows <= FEW_ROWS:
        everything = np.arange(num_rows)
        blocks = -(-num_rows // BLOCK_ROWS)

        def task(one: int) -> Task:
            return everything[one * BLOCK_ROWS : (one + 1) * BLOCK_ROWS], everything

        return _answered(take, owners, (blocks, task), told)
    lists = Lists.of(take, num_rows)
    num_probes = _tuned(take, owners, lists)

    def task_of_list(one: int) -> Task:
        return lists.members(one), lists.near(one, num_probes)

    return _answered(take, owners, (len(lists), task_of_list), told)


@dataclass(frozen=True, slots=True)
class Lists:
    """Places parted into lists.

    Attributes:
        places: All places, list by list, int64, shape (n,).
        starts: Where each list begins among them, and the end, int64, shape (lists + 1,).
        nearest: All lists for each one, the nearest first, itself at the front: (lists, lists).
    """

    places: NDArray[np.int64]
    starts: NDArray[np.int64]
    nearest: NDArray[np.int32]

    @classmethod
    def of(cls, take: Take, num_rows: int) -> Lists:
        """Part vectors by k-means."""
        num_lists = min(int(LISTS_A_ROOT * num_rows**0.5), MOST_LISTS)
        sample = take(sampled(num_rows, POINTS_A_LIST * num_lists))
        axes = _principal_axes(sample)
        found = centres(sample @ axes, num_lists, rounds=ROUNDS)
        which, _ = nearest_centre(lambda places: take(places) @ axes, num_rows, found)
        sizes = np.bincount(which, minlength=num_lists)
        squares = np.einsum("cd,cd->c", found, found)
        apart = squares - 2 * found @ found.T
        np.fill_diagonal(apart, -np.inf)
        return cls(
            np.argsort(which, kind="stable"),
            np.concatenate([[0], np.cumsum(sizes)]),
            np.argsort(apart, axis=1, kind="stable").astype(np.int32),
        )

    def __len__(self) -> int:
        return len(self.nearest)

    def members(self, one: int) -> NDArray[np.int64]:
        """The places in a list."""
        return self.places[self.starts[one] : self.starts[one + 1]]

    def near(self, one: int, num_probes: int) -> NDArray[np.int64]:
        """The places in the lists that are nearest to a list, ascending."""
        return np.sort(np.concatenate([self.members(n) for n in self.nearest[one, :num_probes]]))


def _principal_axes(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """The directions along which vectors are longest: (dim, at most `ROUTING_DIM`)."""
    _, axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    return np.ascontiguousarray(axes[:, ::-1][:, :ROUTING_DIM], np.float32)


def _tuned(take: Take, owners: NDArray[np.int32], lists: Lists) -> int:
    """How many lists to look through, by what some vectors find there."""
    everything = np.arange(len(owners))
    some = [one for one in sampled(len(lists), PROBE_LISTS).tolist() if len(lists.members(one))]
    each = -(-PROBE_ROWS // max(len(some), 1))
    asked = [lists.members(one)[:each] for one in some]
    true = closest(take, np.concatenate(asked), everything, owners, NEIGHBOURS).scores
    num_probes = LEAST_PROBES
    while True:
        tasks = zip(asked, (lists.near(one, num_probes) for one in some), strict=True)
        found = [closest(take, queries, near, owners, NEIGHBOURS).scores for queries, near in tasks]
        recall = _recall(np.concatenate(found), true)
        if recall >= TARGET_RECALL or num_probes >= len(lists):
            logger.info("graph: %d of %d lists, recall %.4f", num_probes, len(lists), recall)
            return num_probes
        num_probes = min(2 * num_probes, len(lists))


def _recall(found: NDArray[np.float32], true: NDArray[np.float32]) -> float:
    """The share of neighbours that are as close as the true ones; equal ones are as good."""
    farthest = np.where(np.isfinite(true), true, np.inf).min(axis=1)
    right = (found >= farthest[:, None] - np.float32(1e-6)).sum()
    return float(right / max(np.isfinite(true).sum(), 1))


def _answered(
    take: Take,
    owners: NDArray[np.int32],
    tasks: tuple[int, Callable[[int], Task]],
    told: Told,
) -> Neighbours:
    """The answers to all tasks, so many of them; as many are at work at a time as there are cores.

    While one chooses the best of its products, another has the cores for products.
    """
    num_rows, done = len(owners), 0
    places = np.full((num_rows, WIDTH), -1, np.int32)
    scores = np.full((num_rows, WIDTH), -np.inf, np.float32)

    num_tasks, task = tasks

    def answer(one: int) -> int:
        queries, candidates = task(one)
        places[queries], scores[queries] = closest(take, queries, candidates, owners, WIDTH)
        return len(queries)

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as threads:
        try:
            for count in threads.map(answer, range(num_tasks)):
                done += count
                told(done, num_rows)
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    return Neighbours(places, scores)
