"""Several examples come to one direction."""

from __future__ import annotations

import numpy as np
import pytest

from vidx.examples import ENOUGH, direction, middle

NONE = np.empty((0, 8), np.float32)


def drawn(seed: int, count: int, centre: int | None = None) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    if centre is not None:
        vectors[:, centre] += 4
    return vectors


def test_likes_alone_give_their_mean_direction() -> None:
    like = drawn(1, 3)
    assert direction(like, NONE) == pytest.approx(middle(like), abs=1e-6)
    assert direction(like * 1000, NONE) == pytest.approx(direction(like, NONE), abs=1e-6)


def test_a_direction_has_length_1_and_leads_away_from_what_is_unlike() -> None:
    like, unlike = drawn(1, 2), drawn(2, 2)
    found = direction(like, unlike)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    assert found @ middle(unlike) < middle(like) @ middle(unlike)
    assert found @ middle(like) > 0


def test_vectors_that_take_each_other_away_have_no_middle() -> None:
    like = drawn(1, 1)
    assert not middle(np.concatenate([like, -like])).any()


def test_enough_examples_tell_what_matters_from_what_is_common() -> None:
    """All share a strong direction, 0; what they differ by is 1 against 2."""
    like, unlike = drawn(3, 12, centre=1), drawn(4, 12, centre=2)
    for vectors in (like, unlike):
        vectors[:, 0] += 20
    learned, mean = direction(like, unlike), direction(like, unlike, learns=False)
    assert abs(learned[0]) < 0.3 < mean[0]
    new_like, new_unlike = drawn(5, 200, centre=1), drawn(6, 200, centre=2)
    for vectors in (new_like, new_unlike):
        vectors[:, 0] += 20
    ranked = np.argsort(-(np.concatenate([new_like, new_unlike]) @ learned))[:100]
    assert (ranked < 200).mean() > 0.95


def test_the_probe_is_the_same_whenever_it_is_asked_and_in_whatever_order() -> None:
    like, unlike = drawn(3, ENOUGH, centre=1), drawn(4, ENOUGH, centre=2)
    once = direction(like, unlike)
    assert (direction(like, unlike) == once).all()
    assert direction(like[::-1], unlike[::-1]) == pytest.approx(once, abs=1e-5)


def test_many_of_one_kind_do_not_outweigh_few_of_the_other() -> None:
    like, unlike = drawn(3, ENOUGH, centre=1), drawn(4, 200, centre=2)
    found = direction(like, unlike)
    assert found[1] > 0.3 > -0.3 > found[2]
