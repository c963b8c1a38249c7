"""Near-identical answers do not fill the page."""

from __future__ import annotations

import numpy as np

from vidx.diversity import CANDIDATES, MOST_CANDIDATES, RELEVANCE, num_candidates, spread


def drawn(seed: int, count: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def brute_force(scores: np.ndarray, vectors: np.ndarray, k: int) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < min(k, len(scores)):
        left = [place for place in range(len(scores)) if place not in chosen]
        worth = [
            RELEVANCE * scores[place]
            - (1 - RELEVANCE) * max((vectors[place] @ vectors[one] for one in chosen), default=0)
            for place in left
        ]
        chosen.append(left[int(np.argmax(worth))])
    return chosen


def test_the_choice_is_that_of_the_definition() -> None:
    for seed in range(10):
        vectors = drawn(seed, 40)
        scores = np.sort(vectors @ drawn(100 + seed, 1)[0])[::-1]
        assert spread(scores, vectors, 12) == brute_force(scores, vectors, 12)


def test_forty_copies_leave_room_for_others() -> None:
    copies, others = np.repeat(drawn(1, 1), 40, axis=0), drawn(2, 10)
    scores = np.concatenate([np.full(40, 0.9), np.linspace(0.5, 0.4, 10)]).astype(np.float32)
    chosen = spread(scores, np.concatenate([copies, others]), 5)
    assert chosen[0] == 0
    assert sum(place < 40 for place in chosen) == 1


def test_all_are_chosen_once_where_all_are_wanted() -> None:
    vectors = drawn(3, 7)
    assert sorted(spread(np.ones(7, np.float32), vectors, 100)) == list(range(7))
    assert spread(np.empty(0, np.float32), np.empty((0, 16), np.float32), 3) == []


def test_as_many_candidates_as_hits_are_looked_at_and_more() -> None:
    assert num_candidates(10) == 10 * CANDIDATES
    assert num_candidates(1000) == MOST_CANDIDATES
    assert num_candidates(100_000) == 100_000
