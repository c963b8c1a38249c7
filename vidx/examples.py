"""Several examples, and what shall be unlike the answers, as one direction. Pure computing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

UNLIKE_SHARE = 0.5  # of the mean of what is unlike, taken from the mean of what is like
ENOUGH = 5  # examples of each kind, from which on the direction is learned
PENALTY = 1.0  # on the squared length of what is learned, for each example
STEPS = 50


def middle(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean direction of some vectors of any length: float32, shape (dim,), of length 1.

    >>> middle(np.array([[3.0, 0.0], [0.0, 7.0]], np.float32)).tolist()
    [0.7071067690849304, 0.7071067690849304]
    """
    return _unit(_unit(vectors.astype(np.float64)).mean(axis=0))


def direction(
    like: NDArray[np.float32], unlike: NDArray[np.float32], *, learns: bool = True
) -> NDArray[np.float32]:
    """The vector that is searched for.

    With few examples it is the mean of those that are like, less half the mean of those that are
    unlike (Rocchio, "Relevance feedback in information retrieval", 1971). With `ENOUGH` of each it
    is the normal of the plane that tells the ones from the others, by logistic regression.

    Args:
        like: Shape (n, dim), n at least 1; need not be normalised.
        unlike: Shape (m, dim).
        learns: Whether the plane is learned where there is enough; it is of these vectors' space.

    Returns:
        Float32, shape (dim,), of length 1; zeros where the examples take each other away.
    """
    liked, unliked = (_unit(vectors.astype(np.float64)) for vectors in (like, unlike))
    if learns and min(len(liked), len(unliked)) >= ENOUGH:
        return _unit(_probe(liked, unliked))
    found = liked.mean(axis=0)
    if len(unliked):
        found = found - UNLIKE_SHARE * unliked.mean(axis=0)
    return _unit(found)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.where(lengths > 1e-6, lengths, np.inf)).astype(np.float32)


def _probe(like: NDArray[np.float32], unlike: NDArray[np.float32]) -> NDArray[np.float64]:
    """The normal of the plane between two kinds, both of which weigh the same.

    Newton's method on the examples' own span, so that its cost goes by their number.
    """
    vectors = np.concatenate([like, unlike]).astype(np.float64)
    centred = vectors - (like.mean(axis=0) + unlike.mean(axis=0)) / 2
    centred /= np.sqrt((centred**2).sum(axis=1).mean())
    signs = np.repeat([1.0, -1.0], [len(like), len(unlike)])
    weights = np.repeat([0.5 / len(like), 0.5 / len(unlike)], [len(like), len(unlike)])
    left, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    points = left * sizes  # (n + m, r)
    found = np.zeros(points.shape[1])
    penalty = PENALTY / len(vectors)
    for _ in range(STEPS):
        wrong = 1 / (1 + np.exp(np.clip(signs * (points @ found), -500, 500)))
        slope = penalty * found - points.T @ (weights * signs * wrong)
        curve = (points.T * (weights * wrong * (1 - wrong))) @ points
        step = np.linalg.solve(curve + penalty * np.eye(len(found)), slope)
        found -= step
        if np.abs(step).max() < 1e-9:
            break
    return np.asarray(found @ axes)
