"""The labels that the catalogue keeps of a clip."""

from __future__ import annotations

import numpy as np

from vidx.store.labels import top_labels


def test_of_equally_probable_labels_the_first_ones_are_kept() -> None:
    logits = np.random.default_rng(0).integers(0, 4, (50, 30)).astype(np.float16)
    best = top_labels(logits, [f"label {number}" for number in range(30)])
    expected = np.argsort(-logits.astype(np.float64), axis=1, kind="stable")[:, :5]
    assert best.columns.tolist() == expected.tolist()
    assert (np.diff(best.scores, axis=1) <= 0).all()
