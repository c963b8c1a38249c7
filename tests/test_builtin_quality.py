"""What the model card of `builtin:tiny` promises: it finds motions and copies that it never saw."""

from __future__ import annotations

from pathlib import Path

import pytest

MODEL = "builtin:tiny"

pytestmark = pytest.mark.long


def test_it_tells_motions_apart_in_looks_it_was_not_trained_on(benchmark) -> None:
    result = benchmark("procedural").measure(MODEL, 6, "cpu")
    assert result["scores"]["model"]["accuracy"]["value"] >= 0.65
    assert result["times_untrained"] >= 4


def test_it_beats_untrained_and_colour_on_real_videos(benchmark, media: Path) -> None:
    folders = sorted(path for path in (media / "labelled").iterdir() if path.is_dir())
    result = benchmark("retrieval").evaluate(MODEL, folders, "cpu")
    for baseline in ("untrained", "colour"):
        assert result["model_minus"][baseline]["mean_average_precision"]["low"] > 0, baseline


def test_most_copies_find_their_source(benchmark, media: Path) -> None:
    result = benchmark("copies").measure(MODEL, [media / "good"], "cpu")
    found = {likeness: result["overall"][likeness]["found"] for likeness in result["missed"]}
    assert found["similar"] >= 0.9, result["missed"]
    assert found["copy"] >= 0.95, result["missed"]
