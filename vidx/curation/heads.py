"""Linear heads that tell labels by vectors, none of them asked about what it learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from vidx.curation.members import Numbers

FOLDS = 10

Floats = NDArray[np.float64]
Take = Callable[[Numbers], NDArray[np.float32]]


class Heads:
    """A linear head for each fold of some things, learned from the others.

    Linear discriminant analysis: each label has a mean, and all have one covariance, drawn towards
    a multiple of the identity (Friedman, "Regularized discriminant analysis", JASA 1989). It takes
    sums over vectors alone, so one pass over them teaches all heads.

    Args:
        take: Gives the vectors of some things, shape (m, dim).
        owners: The video of each thing, shape (n,): those of one video are in one fold.
        labels: Of each thing, from 0; -1 where none was given.
        num_labels: How many there are.
    """

    def __init__(
        self, take: Take, owners: NDArray[np.int32], labels: Numbers, num_labels: int
    ) -> None:
        self._take, self._labels, self._num_labels = take, labels, num_labels
        videos, back = np.unique(owners, return_inverse=True)
        self._num_folds = min(FOLDS, len(videos))
        self._folds = np.random.default_rng(0).permutation(len(videos))[back] % self._num_folds

    def learn(self, blocks: Iterable[Numbers], trust: Floats) -> None:
        """Take in what heads are made of.

        Args:
            blocks: Things that have labels, some at a time.
            trust: How much each counts, of all things, from 0 to 1.
        """
        dim = self._take(np.zeros(1, np.int64)).shape[1]
        self._counts = np.zeros((self._num_folds, self._num_labels))
        self._sums = np.zeros((self._num_folds, self._num_labels, dim))
        self._products = np.zeros((self._num_folds, dim, dim))
        for block in blocks:
            vectors, folds = self._take(block), self._folds[block]
            for fold in np.unique(folds):
                mine = folds == fold
                self._add(int(fold), vectors[mine], self._labels[block[mine]], trust[block[mine]])

    def _add(self, fold: int, vectors: NDArray[np.float32], labels: Numbers, trust: Floats) -> None:
        weighed = vectors * trust[:, None].astype(np.float32)
        order = np.argsort(labels, kind="stable")
        there, first = np.unique(labels[order], return_index=True)
        self._counts[fold] += np.bincount(labels, trust, self._num_labels)
        self._sums[fold, there] += np.add.reduceat(weighed[order], first, axis=0)
        self._products[fold] += weighed.T @ vectors

    def shrink(self, share: float) -> None:
        """Make the heads, with so large a share of the identity in the covariance."""
        whole = self._counts.sum(axis=0), self._sums.sum(axis=0), self._products.sum(axis=0)
        parts = zip(self._counts, self._sums, self._products, strict=True)
        heads = [
            _head(whole[0] - counts, whole[1] - sums, whole[2] - products, share)
            for counts, sums, products in parts
        ]
        self._normals = np.stack([normal for normal, _ in heads]).astype(np.float32)
        self._offsets = np.stack([offset for _, offset in heads])

    def logs(self, block: Numbers) -> Floats:
        """How probable each label is, as a logarithm but for a constant, shape (m, labels)."""
        vectors, folds = self._take(block), self._folds[block]
        found = np.empty((len(block), self._num_labels))
        for fold in np.unique(folds):
            mine = folds == fold
            found[mine] = vectors[mine] @ self._normals[fold] + self._offsets[fold]
        return found


def _head(counts: Floats, sums: Floats, products: Floats, share: float) -> tuple[Floats, Floats]:
    """Normals, (dim, labels), and offsets, (labels,), by what was added up.

    The mean of all counts as one more thing of each label: some have none in a fold.
    """
    total = max(float(counts.sum()), 1e-9)
    means = (sums + sums.sum(axis=0) / total) / (counts + 1)[:, None]
    crossed = sums.T @ means
    spread = (products - crossed - crossed.T + (means.T * counts) @ means) / total
    even = max(float(np.trace(spread)) / len(spread), 1e-12)
    mixed = (1 - share) * spread + share * even * np.eye(len(spread))
    normals = np.linalg.solve(mixed, means.T)
    often = np.log((counts + 1) / (total + len(counts)))
    return normals, often - np.einsum("cd,dc->c", means, normals) / 2
