"""How similar two clips must be to show the same footage."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from vidx.durable import replacing
from vidx.errors import CollectionDamaged, UsageError, VidxError

# Of copies and other pairs of real videos, by `benchmarks/duplicates.py`.
COPY_THRESHOLD = 0.5
FILE = "thresholds.json"  # in the collection's folder


@dataclass(frozen=True, slots=True)
class Kept:
    """A threshold that was found for a collection.

    Attributes:
        copy: The similarity, as copies.
        num_videos: By copies of how many videos.
        precision: Of what was found at it.
    """

    copy: float
    num_videos: int
    precision: float


def copy_threshold(folder: Path | None = None) -> float:
    """The similarity from which on two clips count as the same footage, unless told otherwise.

    Args:
        folder: The collection's. None: of no collection; where none was found, it is the same.

    Raises:
        CollectionDamaged: What was kept cannot be read.
    """
    if folder is None or not (path := folder / FILE).exists():
        return COPY_THRESHOLD
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["copy"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CollectionDamaged(
            f"{path} cannot be read: {error}", "Make it anew: vidx threshold-report, or delete it."
        ) from error


def keep(folder: Path, found: Kept) -> None:
    """Let a threshold be the collection's own.

    Raises:
        VidxError: It cannot be written.
    """
    try:
        with replacing(folder / FILE) as file:
            file.write(json.dumps(asdict(found), indent=2).encode() + b"\n")
    except OSError as error:
        raise VidxError(
            f"{folder / FILE} cannot be written: {error}",
            "See to the disk and the folder's rights.",
        ) from error


def checked(threshold: float | None, folder: Path | None = None) -> float:
    """A threshold that was asked for, or else the default.

    Args:
        threshold: As asked for.
        folder: The collection's, whose default it is.

    Raises:
        UsageError: It is no similarity.
        CollectionDamaged: As for `copy_threshold`.
    """
    if threshold is None:
        return copy_threshold(folder)
    if not -1 <= threshold <= 1:  # NaN too
        raise UsageError(
            f"threshold={threshold!r}: a similarity is between -1 and 1.",
            f"The default is {copy_threshold(folder):g}.",
        )
    return float(threshold)
