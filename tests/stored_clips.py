"""What a collection holds, ids aside, to compare one with another."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import vidx

Key = tuple[str, float, float]  # path and times


class Stored(NamedTuple):
    """One clip's vector, and its labels' probabilities."""

    vector: np.ndarray
    labels: dict[str, float]


def stored_clips(folder: Path | str) -> dict[Key, Stored]:
    """All clips of a collection; vectors and clips are checked to be in one order."""
    with vidx.open(folder) as collection:
        ids, vectors = collection.vectors()
        clips = collection.clips().to_pylist()
    assert [clip["clip_id"] for clip in clips] == ids.tolist()
    return {
        (clip["path"], clip["start_seconds"], clip["end_seconds"]): Stored(
            vector, {label["name"]: label["score"] for label in clip["labels"]}
        )
        for clip, vector in zip(clips, vectors, strict=True)
    }


def check_same_clips(folder: Path | str, expected: dict[Key, Stored]) -> None:
    """A collection has these clips, with these vectors and labels, by whatever devices."""
    rows = stored_clips(folder)
    assert rows.keys() == expected.keys()
    for key, (vector, labels) in rows.items():
        other = expected[key].vector
        cosine = vector @ other / np.linalg.norm(vector) / np.linalg.norm(other)
        assert cosine >= 0.99999, key
        assert labels == pytest.approx(expected[key].labels, abs=1e-3)
