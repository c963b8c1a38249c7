"""How well neighbours are found, by queries of the collection's own, and the settings for it.

A query is a stored clip; clips of its own video are no answers, as they would be too easy to find.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidx.index.codes import BLOCK_ROWS
from vidx.index.exact import merge
from vidx.index.header import Measured, Settings
from vidx.index.parted import Parted
from vidx.index.space import Space, products

DEPTHS = (1, 10, 100)
MOST_REFINED = 256
NUM_TUNED = 384  # queries for the settings
NUM_MEASURED = 256  # and others to say how good they are
NUM_TIMED = 64
MARGIN = 0.0075  # above the target, as queries from outside fare a little worse
MARGIN_SHARE = 0.75  # of what may be missed, where that is less
SAME_SCORE = 1e-6  # two ways of adding up the same products differ by less


@dataclass(frozen=True, slots=True)
class Questions:
    """Queries and the scores of their true neighbours.

    Attributes:
        rows: Which rows ask, int64 (n,).
        true_scores: float32 (n, 100), best first, -inf where there are no more.
    """

    rows: NDArray[np.int64]
    true_scores: NDArray[np.float32]

    def part(self, which: slice) -> Questions:
        """Some of them."""
        return Questions(self.rows[which], self.true_scores[which])


def ask(
    vectors: NDArray[np.float32],
    videos: NDArray[np.int32],
    count: int,
    live: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> Questions:
    """Draw rows and compare them with every vector, a block at a time.

    Args:
        vectors: Shape (rows, d), of length 1.
        videos: Whose clip each is.
        count: How many to draw.
        live: Which rows may ask and answer; None: all.
        seed: Of the draw.
    """
    there = len(vectors) if live is None else int(np.count_nonzero(live))
    places = np.random.default_rng(seed).permutation(there)[:count]
    rows = places if live is None else np.flatnonzero(live)[places]
    queries, own = vectors[rows], videos[rows]
    found = (np.full((len(rows), 0), -np.inf, np.float32), np.empty((len(rows), 0), np.int64))
    for start in range(0, len(vectors), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        scores = queries @ vectors[block].T
        scores[own[:, None] == videos[block]] = -np.inf
        if live is not None:
            scores[:, ~live[block]] = -np.inf
        best = np.argpartition(-scores, min(DEPTHS[-1], scores.shape[1]) - 1, axis=1)
        best = best[:, : DEPTHS[-1]]
        found = merge(DEPTHS[-1], found, (np.take_along_axis(scores, best, 1), best + start))
    short = max(0, DEPTHS[-1] - found[0].shape[1])
    scores = np.pad(found[0], ((0, 0), (0, short)), constant_values=-np.inf)
    return Questions(rows.astype(np.int64), scores)


def measure(
    space: Parted,
    videos: NDArray[np.int32],
    questions: Questions,
    live: NDArray[np.bool_] | None = None,
) -> Measured:
    """Ask, and compare with the truth.

    Args:
        space: To search.
        videos: Whose clip each row is.
        questions: What to ask, and what is true.
        live: Which rows may be answers; None: all.
    """
    recalls = (_recall_at(depth, space, videos, questions, live) for depth in DEPTHS)
    at_1, at_10, at_100 = recalls
    return Measured(at_1, at_10, at_100, *milliseconds(space, questions.rows, live))


def milliseconds(
    space: Parted,
    rows: NDArray[np.int64] | None = None,
    live: NDArray[np.bool_] | None = None,
) -> tuple[float | None, float | None]:
    """The median time of a query for ten neighbours and the 99th percentile; None without rows.

    Args:
        space: To search.
        rows: Which ask. None: some from all over.
        live: Which rows may be answers; None: all.
    """
    if rows is None:
        rows = np.linspace(0, len(space.vectors) - 1, min(NUM_TIMED, len(space.vectors)), dtype=int)
    times = 1000 * np.array(_seconds(space, rows, live))
    p50, p99 = np.percentile(times, [50, 99]).tolist() if len(times) else (None, None)
    return p50, p99


def _recall_at(
    depth: int,
    space: Parted,
    videos: NDArray[np.int32],
    questions: Questions,
    live: NDArray[np.bool_] | None,
) -> float:
    """The recall of searches for so many neighbours."""
    found = [
        space.search(
            space.vectors[row : row + 1],
            depth,
            _others(videos, videos[row], live),
            widen=live is not None,  # else it is to be like a query from outside
        )[0]
        for row in questions.rows
    ]
    scores = np.concatenate([np.empty((0, depth), np.float32), *found])
    return recall(scores, questions.true_scores, depth)


def checked(
    space: Parted, videos: NDArray[np.int32], live: NDArray[np.bool_] | None = None
) -> Measured:
    """Measure with rows drawn for this alone; arguments as for `measure`."""
    questions = ask(space.vectors, videos, NUM_MEASURED, live, seed=1)
    return measure(space, videos, questions, live)


def recall(found: NDArray[np.float32], true_scores: NDArray[np.float32], depth: int) -> float:
    """The share of true neighbours that were found; one that is as close as the last counts."""
    true = true_scores[:, :depth]
    there = np.count_nonzero(np.isfinite(true), axis=1)
    asked = there > 0
    if not asked.any():
        return 1.0
    true, there = true[asked], there[asked]
    last = true[np.arange(len(true)), there - 1]
    good = np.count_nonzero(found[asked] >= last[:, None] - SAME_SCORE, axis=1)
    return float(np.mean(np.minimum(good, there) / there))


def tuned(
    space: Parted, videos: NDArray[np.int32], questions: Questions, target: float
) -> Settings | float:
    """The quickest settings with which the first ten neighbours are found as often as asked.

    Args:
        space: Vectors with their codes.
        videos: Whose clip each is.
        questions: To judge by.
        target: Recall among the first ten.

    Returns:
        The settings, or the best recall there is where none find as many.
    """
    best: tuple[float, Settings] | None = None
    aim = target + min(MARGIN, MARGIN_SHARE * (1 - target))
    for num_probes in _numbers_of_lists(space):
        settings = _least_refined(space, videos, questions, aim, num_probes)
        if isinstance(settings, float):
            reached = settings
            continue
        seconds = float(np.median(_seconds(space.set(settings), questions.rows)))
        if best and seconds >= best[0]:
            break
        best = seconds, settings
    return best[1] if best else reached


def _least_refined(
    space: Parted,
    videos: NDArray[np.int32],
    questions: Questions,
    target: float,
    num_probes: int,
) -> Settings | float:
    """The fewest candidates that reach the target with so many lists, or the recall of the most.

    Candidates come best first, so that those of fewer are the first of those of many.
    """
    queries, own = space.vectors[questions.rows], videos[questions.rows]
    found, start = [], 0
    for part in space.parts:
        inside = videos[start : start + len(part.vectors)]
        others = (inside != video for video in own)
        found.append(_candidate_scores(part, queries, num_probes, others))
        start += len(part.vectors)
    for refine in _doubled(MOST_REFINED):
        scores = np.concatenate([one[:, : 10 * refine] for one in found], axis=1)
        reached = recall(scores, questions.true_scores, 10)
        if reached >= target:
            return Settings(space.num_lists, num_probes, refine)
    return reached


def _candidate_scores(
    part: Space,
    queries: NDArray[np.float32],
    num_probes: int,
    allowed: Iterable[NDArray[np.bool_]],
) -> NDArray[np.float32]:
    """The scores of the most candidates of a part, those first that seem to be the closest."""
    codes = part.codes
    assert codes  # noqa: S101 - there is nothing to tune without
    found = [
        codes.candidates(query[None], MOST_REFINED * 10, num_probes, mask)
        for query, mask in zip(queries, allowed, strict=True)
    ]
    return products(part.vectors, queries, np.concatenate(found))


def _seconds(
    space: Parted, rows: NDArray[np.int64], live: NDArray[np.bool_] | None = None
) -> list[float]:
    """The time of each of some queries for ten neighbours."""
    times = []
    for row in rows[:NUM_TIMED]:
        began = time.perf_counter()
        space.search(space.vectors[row : row + 1], 10, live)
        times.append(time.perf_counter() - began)
    return times


def _others(
    videos: NDArray[np.int32], video: int, live: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """The rows of other videos."""
    others: NDArray[np.bool_] = videos != video
    return others if live is None else others & live


def _numbers_of_lists(space: Parted) -> Iterator[int]:
    """How many lists to try: twice as many each time, and between these while all is compared."""
    for number in _doubled(space.num_lists):
        yield number
        between = number + number // 2
        if number < between < space.num_lists and space.takes_lists(between):
            yield between


def _doubled(most: int) -> Iterator[int]:
    """1, 2, 4 and so on, and at last the most."""
    number = 1
    while number < most:
        yield number
        number *= 2
    yield most
