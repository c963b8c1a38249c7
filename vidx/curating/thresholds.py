"""How similar two clips must be to show the same footage."""

from __future__ import annotations

from vidx.errors import UsageError

# Of copies and other pairs of real videos, by `benchmarks/duplicates.py`.
COPY_THRESHOLD = 0.5


def copy_threshold() -> float:
    """The similarity from which on two clips count as the same footage, unless told otherwise."""
    return COPY_THRESHOLD


def checked(threshold: float | None) -> float:
    """A threshold that was asked for, or else the default.

    Raises:
        UsageError: It is no similarity.
    """
    if threshold is None:
        return copy_threshold()
    if not -1 <= threshold <= 1:  # NaN too
        raise UsageError(
            f"threshold={threshold!r}: a similarity is between -1 and 1.",
            f"The default is {copy_threshold():g}.",
        )
    return float(threshold)
