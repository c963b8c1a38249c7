"""Planted copies of videos are found, the best of each group is kept, and all is undone.

The short form of `benchmarks/planted.py`, which tells how many of 300 copies of real videos are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def result(tmp_path_factory, make_video: Callable[..., Path], benchmark):
    """What is told of a few videos made on the spot."""
    folder = tmp_path_factory.mktemp("planted")
    for number in range(5):
        make_video(folder / f"{number}.mp4", seed=number, seconds=3.0, size=(160, 128))
    planted = benchmark("planted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planted, "KINDS", ("resized", "trimmed"))
        return planted.measure("builtin:tiny", [folder], None)


@pytest.mark.long
def test_copies_are_found_and_nothing_else(result) -> None:
    assert (result["videos"], result["copies"]) == (5, 15)
    assert result["clip"]["precision"] >= 0.95
    assert result["clip"]["recall"]["resized"] == 1
    assert result["clip"]["recall"]["trimmed"] >= 0.8


@pytest.mark.long
def test_joined_videos_are_found_by_the_clips_of_both_halves(result) -> None:
    assert result["clip"]["recall"]["joined"] >= 0.9


@pytest.mark.long
def test_the_best_is_kept_and_undone_all_is_as_before(result) -> None:
    assert result["kept_best"] == 1
    assert result["dropped"] >= 5
    assert result["undone"]
