"""A score is judged by what random pairs of clips have."""

from __future__ import annotations

import numpy as np
import pytest

from vidx.background import LEAST_PAIRS, SAMPLE, Background, draw_rows


def drawn(count: int) -> np.ndarray:
    vectors = np.random.default_rng(1).standard_normal((count, 32)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_shares_are_those_of_all_pairs_of_two_videos() -> None:
    vectors, videos = drawn(60), np.repeat(np.arange(20, dtype=np.int32), 3)
    pairs = [
        float(vectors[i] @ vectors[j])
        for i in range(60)
        for j in range(i + 1, 60)
        if videos[i] != videos[j]
    ]
    asked = np.array([-1.0, 0.0, 0.2, 1.0], np.float32)
    shares = Background(vectors, videos).share_above(asked)
    assert shares == pytest.approx([np.mean(np.array(pairs) > score) for score in asked])
    assert (shares[0], shares[-1]) == (1, 0)


def test_the_score_of_a_share_is_where_that_share_is_above() -> None:
    found = Background(drawn(100), np.arange(100, dtype=np.int32))
    score = found.score_of(0.05, otherwise=7.0)
    assert found.share_above(np.array([score], np.float32))[0] == pytest.approx(0.05, abs=0.001)


def test_few_pairs_say_nothing() -> None:
    few = Background(drawn(10), np.arange(10, dtype=np.int32))
    assert len(few.scores) < LEAST_PAIRS
    assert few.share_above(np.array([0.5], np.float32)) == [None]
    assert few.score_of(0.01, otherwise=0.25) == 0.25
    one_video = Background(drawn(50), np.zeros(50, np.int32))
    assert one_video.share_above(np.array([0.5], np.float32)) == [None]


def test_rows_are_drawn_from_those_that_live_and_always_the_same() -> None:
    live = np.arange(10_000) % 3 == 0
    rows = draw_rows(10_000, live)
    assert len(rows) == len(set(rows.tolist())) == SAMPLE
    assert live[rows].all()
    assert (rows == draw_rows(10_000, live)).all()
    assert draw_rows(5, None).tolist() == [0, 1, 2, 3, 4]


def test_copies_of_every_video_do_not_pass_for_chance() -> None:
    vectors = np.tile(drawn(25), (8, 1))
    found = Background(vectors, np.arange(200, dtype=np.int32))
    assert found.share_above(np.array([0.999], np.float32))[0] > 0.02
    alone = Background(drawn(25), np.arange(25, dtype=np.int32))
    assert found.score_of(0.01, otherwise=7.0) < alone.scores[-1] + 0.2
