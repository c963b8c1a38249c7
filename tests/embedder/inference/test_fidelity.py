"""On real clips, half precision stays close to float32."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def cosines(benchmark, media) -> dict[str, dict[str, float]]:
    """Least and median cosine of each way with eager float32, over twenty clips of real videos."""
    fidelity = benchmark("fidelity")
    names, frames = fidelity.make(media / "good", "builtin:tiny", 20)
    assert len(names) == len(frames) >= 18
    found: dict[str, dict[str, float]] = fidelity.compare(frames, "builtin:tiny", "cpu")[
        "cosine_with_float32"
    ]
    return found


@pytest.mark.parametrize(("way", "least"), [("float16", 0.9999), ("bfloat16", 0.9999)])
def test_embeddings_of_real_clips_are_close_to_float32(cosines, way, least) -> None:
    assert cosines[way]["least"] >= least
