"""Samples: each strategy beside a plain form of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from curated_collections import collection_of, compared, kinds

from vidx.curation import samples
from vidx.errors import UsageError

STRATEGIES = ("diverse", "balanced", "representative", "uncertain", "random")


def plain_centres(vectors: np.ndarray, count: int, seed: int) -> list[int]:
    """The farthest from all that are chosen, one after the other."""
    chosen = [int(np.random.default_rng(seed).integers(len(vectors)))]
    while len(chosen) < count:
        nearest = (vectors @ vectors[chosen].T).max(axis=1)
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
    return chosen


@pytest.mark.parametrize("candidates", [7, 64, 1024])
@pytest.mark.parametrize("count", [1, 2, 60, 200])
def test_the_farthest_are_those_of_a_pass_for_each(monkeypatch, candidates, count) -> None:
    monkeypatch.setattr(samples, "CANDIDATES", candidates)
    vectors = np.random.default_rng(1).standard_normal((200, 12)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = samples.farthest(lambda places: vectors[places], 200, count, seed=3)
    if count == 200:
        assert sorted(found.tolist()) == list(range(200))
    assert found.tolist() == plain_centres(vectors, count, 3)


def test_of_equal_vectors_each_is_chosen_once() -> None:
    vectors = np.ones((300, 4), np.float32) / 2
    found = samples.farthest(lambda places: vectors[places], 300, 250, seed=0)
    assert len(set(found.tolist())) == 250


@pytest.mark.parametrize(("kinds", "most"), [(1, 2), (30, 32)])
def test_many_equal_vectors_take_few_passes(kinds: int, most: int) -> None:
    random = np.random.default_rng(2)
    vectors = random.standard_normal((kinds, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    kind, passes = random.integers(kinds, size=20_000), []
    rounding = 1 + 1e-7 * random.standard_normal((20_000, 1))  # as some products would have it

    def take(places: np.ndarray) -> np.ndarray:
        if len(places) == samples.BLOCK_ROWS:  # the first of a pass over all
            passes.append(places)
        return (vectors[kind[places]] * rounding[places]).astype(np.float32)

    found = samples.farthest(take, len(kind), 2000, seed=0)
    assert len(set(found.tolist())) == 2000
    assert len(set(kind[found[:kinds]].tolist())) == kinds  # each before any comes again
    assert len(passes) <= most


def test_balanced_by_a_column_has_as_many_of_each_value(collection) -> None:
    ids = np.arange(160)
    cameras = np.where(ids % 4 > 0, np.where(ids % 8 > 3, "a", "b"), "c").tolist()
    collection.set_metadata({"clip_id": ids.tolist(), "camera": cameras}, on="clip_id")
    chosen = collection.sample(60, "balanced", column="camera")
    assert sorted(cameras[one] for one in chosen.clip_ids()) == ["a"] * 20 + ["b"] * 20 + ["c"] * 20
    assert str(chosen.rule) == "sample(60, 'balanced', column='camera', seed=0)"
    with pytest.raises(UsageError, match="'diverse' has no column"):
        collection.sample(5, column="camera")
    with pytest.raises(UsageError, match="there is no column of metadata 'lens'"):
        collection.sample(5, "balanced", column="lens")


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return collection_of(tmp_path_factory.mktemp("samples"), kinds(40, spread=0.6))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_sample_is_a_selection_the_same_by_seed(collection, strategy: str) -> None:
    chosen = collection.sample(20, strategy, seed=4)
    ids = chosen.clip_ids().tolist()
    assert chosen.count() == len(set(ids)) == 20
    assert collection.sample(20, strategy, seed=4).clip_ids().tolist() == ids
    assert chosen.clips()["clip_id"].to_pylist() == ids
    assert str(chosen.rule) == f"sample(20, '{strategy}', seed=4)"
    assert (collection.where("clip_id >= 0") - chosen).count() == 140
    if strategy != "uncertain":
        assert collection.sample(20, strategy, seed=5).clip_ids().tolist() != ids
    part = collection.where("clip_id < 60")
    assert set(part.sample(9, strategy).clip_ids().tolist()) <= set(range(60))


def test_diverse_is_k_centre_in_the_similar_space(collection) -> None:
    ids, vectors, _ = compared(collection, "similar")
    wanted = np.sort(ids[plain_centres(vectors, 25, 0)])
    assert collection.sample(25).clip_ids().tolist() == wanted.tolist()


def test_balanced_has_as_many_of_each_label_as_there_are(collection) -> None:
    best = {row["clip_id"]: row["labels"][0]["name"] for row in collection.clips().to_pylist()}
    names, sizes = np.unique(list(best.values()), return_counts=True)
    found = [best[one] for one in collection.sample(60, "balanced").clip_ids().tolist()]
    counts = [found.count(name) for name in names]
    full = [count for count, size in zip(counts, sizes, strict=True) if count < size]
    assert max(full) - min(full) <= 1
    assert all(count <= max(full) for count in counts)


def test_uncertain_has_the_largest_entropy() -> None:
    logits = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    powers = np.exp(logits.astype(np.float64))
    shares = powers / powers.sum(axis=1, keepdims=True)
    assert np.allclose(samples.entropies(logits), -(shares * np.log(shares)).sum(axis=1), atol=1e-5)
    sure = np.array([[1000.0, 0, 0], [0, 0, 0]], np.float32)
    assert np.allclose(samples.entropies(sure), [0, np.log(3)])


def test_uncertain_reads_the_logits_of_its_clips(collection) -> None:
    chosen = set(collection.sample(40, "uncertain").clip_ids().tolist())
    best = {row["clip_id"]: row["labels"][0]["score"] for row in collection.clips().to_pylist()}
    inside = [score for one, score in best.items() if one in chosen]
    outside = [score for one, score in best.items() if one not in chosen]
    assert np.mean(inside) < np.mean(outside) - 0.1


def test_what_is_wrong_is_told(collection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="diverse, balanced, representative, uncertain, random"):
        collection.sample(3, "best")
    for n in (0, -1, 161):
        with pytest.raises(UsageError, match="between 1 and 160"):
            collection.sample(n)
    with pytest.raises(UsageError, match="seed=-1"):
        collection.sample(3, seed=-1)
    with pytest.raises(UsageError, match="no clips"):
        collection.where("clip_id < 0").sample(1)
    assert collection.where("clip_id = 7").sample(1).clip_ids().tolist() == [7]
