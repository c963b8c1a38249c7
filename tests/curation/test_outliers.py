"""Outliers: the local outlier factor, beside a plain form of it."""

from __future__ import annotations

import numpy as np
import pytest
from curated_collections import collection_of, compared, kinds

from vidx.errors import UsageError

K = 20
COLUMNS = ["rank", "clip_id", "video_id", "path", "start_seconds", "end_seconds"]
COLUMNS += ["factor", "distance", "score"]
COLUMNS += ["nearest_clip_id", "nearest_path", "nearest_start_seconds", "nearest_end_seconds"]


def plain_factors(vectors: np.ndarray) -> np.ndarray:
    """LOF as its paper defines it, clip by clip, with the cosine distance."""
    distances = 1 - vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    np.fill_diagonal(distances, np.inf)
    around = np.argsort(distances, axis=1, kind="stable")[:, :K]
    reach = [distances[place, around[place, -1]] for place in range(len(vectors))]
    density = []
    for place in range(len(vectors)):
        to = [max(reach[other], distances[place, other]) for other in around[place]]
        density.append(1 / (np.mean(to) + 1e-10))
    return np.array(
        [np.mean([density[other] for other in around[n]]) / density[n] for n in range(len(vectors))]
    )


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    videos = kinds(40, spread=0.4)
    videos["odd"] = -np.ones((1, 8), np.float32) * videos["v000"].mean(axis=0)
    return collection_of(tmp_path_factory.mktemp("outliers"), videos)


def test_factors_are_those_of_the_papers_definition(collection) -> None:
    ids, vectors, _ = compared(collection, "similar")
    factors = plain_factors(vectors)
    found = collection.outliers()
    assert found.column_names == COLUMNS
    places = np.searchsorted(ids, found["clip_id"].to_numpy())
    assert np.allclose(found["factor"].to_numpy(), factors[places], rtol=1e-3)
    assert sorted(found["factor"].to_pylist(), reverse=True) == found["factor"].to_pylist()
    products = vectors @ vectors.T
    np.fill_diagonal(products, -1)
    distances = 1 - np.sort(products, axis=1)[:, -K:].mean(axis=1)
    assert np.allclose(found["distance"].to_numpy(), distances[places], atol=1e-5)
    nearest = np.searchsorted(ids, found["nearest_clip_id"].to_numpy())
    assert np.allclose(found["score"].to_numpy(), products.max(axis=1)[places], atol=1e-5)
    assert np.allclose(found["score"].to_numpy(), products[places, nearest], atol=1e-5)


def test_the_loneliest_comes_first_and_says_beside_what(collection) -> None:
    whole = collection.outliers()
    [first] = collection.outliers(1).to_pylist()
    assert first == whole.to_pylist()[0]
    assert first["path"] == "/videos/odd.mp4"
    told = {row["clip_id"]: row for row in collection.clips().to_pylist()}
    near = told[first["nearest_clip_id"]]
    assert (
        first["nearest_path"],
        first["nearest_start_seconds"],
        first["nearest_end_seconds"],
    ) == (
        near["path"],
        near["start_seconds"],
        near["end_seconds"],
    )


def test_a_part_is_compared_with_itself_alone(collection) -> None:
    part = collection.where("clip_id < 60")
    found = part.outliers()
    assert set(found["nearest_clip_id"].to_pylist()) <= set(range(60))
    ids, vectors, _ = compared(collection, "similar")
    places = np.searchsorted(ids, found["clip_id"].to_numpy())
    assert np.allclose(found["factor"].to_numpy(), plain_factors(vectors[:60])[places], rtol=1e-3)


def test_fewer_clips_than_neighbours_and_equal_ones_have_factors(collection, tmp_path) -> None:
    two = collection.where("clip_id < 2").outliers().to_pylist()
    assert [row["factor"] for row in two] == pytest.approx([1, 1])
    same = collection_of(tmp_path, {"a": np.ones((30, 8), np.float32)})
    assert np.allclose(same.outliers()["factor"].to_numpy(), 1)


def test_what_is_wrong_is_told(collection) -> None:
    with pytest.raises(UsageError, match="one clip"):
        collection.where("clip_id = 1").outliers()
    with pytest.raises(UsageError, match="no clips"):
        collection.where("clip_id < 0").outliers()
    with pytest.raises(UsageError, match="limit=0"):
        collection.outliers(0)
