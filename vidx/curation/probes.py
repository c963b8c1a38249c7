"""What tells some vectors from others, learned from few examples: a plane, and probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

RIDGE = 1.0  # beside the mean square of the examples: few of them need much
UNLIKE = 0.5  # of the mean of what is not like, taken from the mean of what is
ENOUGH = 30  # examples, for the ridge regression to weigh half of what the means do
FOLDS = 10
STEPS = 50
LEAST_SLOPE = 1e-3  # a concept that examples contradict still ranks as they say

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Probe:
    """A plane between two kinds of vectors.

    Attributes:
        normal: Shape (dim,), towards what is like.
        offset: What is added to a product with it.
        slope: Of the probability over that sum.
        shift: Likewise.
    """

    normal: Floats
    offset: float
    slope: float
    shift: float

    def scores(self, vectors: NDArray[np.floating]) -> Floats:
        """How probable it is that vectors, (n, dim), are like; shape (n,)."""
        return _sigmoid(self.slope * (vectors @ self.normal + self.offset) + self.shift)


class Examples(NamedTuple):
    """Examples of a concept.

    Attributes:
        vectors: Of length 1, shape (m, dim).
        is_like: Which are like it, bool, shape (m,); one or more are, and are not.
        owners: Numbers of their videos, shape (m,).
    """

    vectors: NDArray[np.float32]
    is_like: NDArray[np.bool_]
    owners: NDArray[np.int32]


class Judged(NamedTuple):
    """How well examples that were left out are told: average precisions, from 0 to 1.

    Attributes:
        average_precision: By the plane.
        nearest: By the similarity to the nearest example that is like.
        chance: By nothing: the share of those that are like.
    """

    average_precision: float
    nearest: float
    chance: float


def learn(examples: Examples) -> Probe:
    """Learn to tell what is like from what is not.

    The plane's normal is what the means of both kinds say, which few examples tell best, and that
    of a ridge regression, which counts for more the more there are. Probabilities come from the
    sums of examples that were left out (Platt, "Probabilistic outputs for support vector machines",
    1999), as if both kinds were equally frequent.
    """
    normal, offset = _plane(examples.vectors, examples.is_like)
    slope, shift = _calibrated(_left_out(examples)[0], examples.is_like)
    return Probe(normal, offset, slope, shift)


def judge(examples: Examples) -> Judged:
    """Cross-validate: all clips of a video are left out together, where there are enough videos."""
    sums, nearest = _left_out(examples)
    is_like = examples.is_like
    return Judged(
        average_precision(sums, is_like), average_precision(nearest, is_like), float(is_like.mean())
    )


def average_precision(scores: Floats, is_like: NDArray[np.bool_]) -> float:
    """The mean precision at each that is like, from the highest score on; of equal ones the worst.

    >>> average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
    0.8333333333333333
    """
    hit = is_like[np.lexsort((is_like, -scores))]
    return float((np.cumsum(hit) / np.arange(1, len(hit) + 1))[hit].mean())


def _plane(vectors: NDArray[np.floating], is_like: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Its normal and offset; the regression is solved within the examples' own span."""
    wide = vectors.astype(np.float64)
    middle = (wide[is_like].mean(axis=0) + wide[~is_like].mean(axis=0)) / 2
    moved = wide - middle
    products = moved @ moved.T
    ridge = RIDGE * max(float(np.trace(products)) / len(products), 1e-12)
    signs = np.where(is_like, 1.0, -1.0)
    weights = np.linalg.solve(products + ridge * np.eye(len(products)), signs)
    normal = _unit(wide[is_like].mean(axis=0) - UNLIKE * wide[~is_like].mean(axis=0))
    normal += _unit(moved.T @ weights) * len(wide) / (len(wide) + ENOUGH)
    return normal, -float(middle @ normal)


def _unit(vector: Floats) -> Floats:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _left_out(examples: Examples) -> tuple[Floats, Floats]:
    """Of each example the sum, and the nearest that is like, by the examples of other folds."""
    vectors, is_like, _ = examples
    folds = _folds(examples)
    sums, nearest = np.zeros(len(is_like)), np.zeros(len(is_like))
    for fold in np.unique(folds):
        out = folds == fold
        left = is_like[~out]
        if left.any() and not left.all():
            normal, offset = _plane(vectors[~out], left)
            sums[out] = vectors[out] @ normal + offset
            nearest[out] = (vectors[out] @ vectors[~out][left].T).max(axis=1)
    return sums, nearest


def _folds(examples: Examples) -> NDArray[np.int64]:
    """The fold of each example: by videos, or by clips where one kind is of one video alone."""
    _, is_like, owners = examples
    apart = min(len(np.unique(owners[is_like])), len(np.unique(owners[~is_like]))) > 1
    units = owners if apart else np.arange(len(owners))
    # Both kinds are dealt out evenly, each by its units.
    folds = np.full(len(units), -1, np.int64)
    for number, unit in enumerate(dict.fromkeys(units[np.argsort(~is_like, kind="stable")])):
        folds[units == unit] = number % FOLDS
    return folds


def _calibrated(sums: Floats, is_like: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and shift by Newton's method, both kinds weighing the same.

    Platt's targets, which are short of 0 and 1 by how few examples there are.
    """
    likes, others = int(is_like.sum()), int((~is_like).sum())
    targets = np.where(is_like, (likes + 1) / (likes + 2), 1 / (others + 2))
    weights = np.where(is_like, 0.5 / likes, 0.5 / others)
    points = np.stack([sums, np.ones(len(sums))], axis=1)
    found = np.array([1.0, 0.0])
    for _ in range(STEPS):
        guess = _sigmoid(points @ found)
        slope = points.T @ (weights * (guess - targets)) + 1e-4 * found
        curve = (points.T * (weights * guess * (1 - guess))) @ points + 1e-4 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        found = found - np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    return max(float(found[0]), LEAST_SLOPE), float(found[1])


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -500, 500))))
