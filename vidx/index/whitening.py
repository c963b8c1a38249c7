"""The linear map that makes the same footage stand out: whitening by a collection's own PCA.

A few directions rule the cosine of mean-pooled vectors. They tell what is shown, and drown what
tells one take from another; after whitening each direction counts the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vidx.index.exact import normalized

MAX_COMPONENTS = 256
LEAST_SHARE = 1e-6  # of the largest variance: what is less is rounding
PRIOR_ROWS = 10  # how many vectors around zero a mean of few is moved by


@dataclass(frozen=True, slots=True)
class Whitening:
    """Move vectors to their mean, turn them to their principal axes, and scale these alike.

    Attributes:
        mean: float32, shape (dim,).
        components: float32, shape (dim, d): one column an axis, divided by its deviation.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    @classmethod
    def fit(cls, vectors: NDArray[np.float32]) -> Self:
        """Learn the map from some vectors; the fewer there are, the more it leaves as it was.

        Args:
            vectors: Shape (n, dim), of length 1.
        """
        rows, dim = vectors.shape
        mean = vectors.sum(axis=0, dtype=np.float64) / (rows + PRIOR_ROWS)
        centred = vectors - mean
        variances, axes = np.linalg.eigh(_covariance(centred))
        best = np.argsort(-variances)[: min(dim, MAX_COMPONENTS)]
        deviations = np.sqrt(np.maximum(variances[best], LEAST_SHARE * variances[best[0]]))
        components = axes[:, best] / deviations
        return cls(mean.astype(np.float32), components.astype(np.float32))

    @classmethod
    def from_array(cls, stored: NDArray[np.float32]) -> Self:
        """The map that `to_array` gave."""
        return cls(stored[0], np.ascontiguousarray(stored[1:].T))

    def to_array(self) -> NDArray[np.float32]:
        """The mean and then the axes as rows: float32, shape (1 + d, dim)."""
        return np.concatenate([self.mean[None], self.components.T])

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map vectors.

        Args:
            vectors: Shape (n, dim), of length 1.

        Returns:
            Float32, shape (n, d), of length 1.
        """
        return normalized(((vectors - self.mean) @ self.components).astype(np.float32, copy=False))


def _covariance(centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """The covariance, shrunk towards that of a ball by what few vectors cannot tell.

    The optimal share of Ledoit and Wolf, "A well-conditioned estimator for large-dimensional
    covariance matrices" (2004), section 3.
    """
    rows, dim = centred.shape
    sample = centred.T @ centred / rows
    ball = np.trace(sample) / dim * np.eye(dim)
    spread = np.sum((sample - ball) ** 2)
    noise = np.sum(np.sum(centred**2, axis=1) ** 2) / rows**2 - np.sum(sample**2) / rows
    share = min(1.0, noise / spread) if spread > 0 else 1.0
    shrunk = share * ball + (1 - share) * sample
    return shrunk if np.trace(shrunk) > 0 else np.eye(dim)
