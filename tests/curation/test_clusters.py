"""Clusters: what is in them, in which order, and what they are called."""

from __future__ import annotations

import numpy as np
import pytest
from curated_collections import collection_of, compared, kinds

from vidx.curation.clusters import by_size, dominant
from vidx.errors import UsageError

COLUMNS = ["group", "rank", "clip_id", "video_id", "path", "start_seconds", "end_seconds", "score"]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return collection_of(tmp_path_factory.mktemp("clusters"), kinds(40, spread=0.1))


def test_kinds_that_lie_apart_are_clusters(collection) -> None:
    found = collection.clusters(5)
    kind = {row["clip_id"]: row["clip_id"] // 4 % 5 for row in found.to_pylist()}
    groups = {(row["group"], kind[row["clip_id"]]) for row in found.to_pylist()}
    assert len(groups) == 5
    assert sorted(found["clip_id"].to_pylist()) == list(range(160))
    assert found.column_names == [*COLUMNS, "size", "tightness", "name", "labels"]


def test_a_cluster_tells_its_most_typical_clips_first(collection) -> None:
    _, vectors, _ = compared(collection, "similar")
    rows = collection.clusters(5).to_pylist()
    sizes = [row["size"] for row in rows if row["rank"] == 0]
    assert sizes == sorted(sizes, reverse=True)
    for group in range(5):
        own = [row for row in rows if row["group"] == group]
        assert [row["rank"] for row in own] == list(range(own[0]["size"]))
        scores = [row["score"] for row in own]
        assert scores == sorted(scores, reverse=True)
        centre = vectors[[row["clip_id"] for row in own]].sum(axis=0)
        products = vectors[[row["clip_id"] for row in own]] @ (centre / np.linalg.norm(centre))
        assert np.allclose(scores, products, atol=1e-3)
        assert own[0]["tightness"] == pytest.approx(np.mean(scores))


def test_it_is_the_same_by_seed_and_as_many_as_suit_by_default(collection) -> None:
    first, second = collection.clusters(seed=3), collection.clusters(seed=3)
    assert first.equals(second)
    assert max(first["group"].to_pylist()) + 1 <= 8  # the square root of 80
    assert not first.equals(collection.clusters(seed=4))


def test_a_cluster_is_called_by_its_labels(collection) -> None:
    best = {row["clip_id"]: row["labels"][0]["name"] for row in collection.clips().to_pylist()}
    rows = collection.clusters(5).to_pylist()
    own = [best[row["clip_id"]] for row in rows if row["group"] == 0]
    [first] = [row for row in rows if (row["group"], row["rank"]) == (0, 0)]
    names = [label["name"] for label in first["labels"]]
    assert first["name"] == ", ".join(names)
    shares = [own.count(name) / len(own) for name in names]
    assert [label["score"] for label in first["labels"]] == pytest.approx(shares)
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == max(own.count(name) for name in set(own)) / len(own)


def test_without_labels_there_are_none_to_tell() -> None:
    assert dominant(np.array([0, 0, 1]), np.array([-1, -1, -1]), []) == [[], []]


def test_clusters_are_numbered_by_size() -> None:
    assert by_size(np.array([2, 0, 0, 3, 3], np.int32), 4).tolist() == [2, 0, 0, 1, 1]


def test_what_is_wrong_is_told(collection) -> None:
    for k in (0, 161):
        with pytest.raises(UsageError, match="between 1 and 160"):
            collection.clusters(k)
    with pytest.raises(UsageError, match="no clips"):
        collection.where("clip_id < 0").clusters()
    assert collection.where("clip_id = 3").clusters().num_rows == 1


def test_equal_vectors_are_clusters_too(tmp_path) -> None:
    same = collection_of(tmp_path, {"a": np.ones((30, 8), np.float32)})
    rows = same.clusters(3).to_pylist()
    assert len(rows) == 30
    assert [row["score"] for row in rows] == pytest.approx([1] * 30)


def test_any_seed_is_taken(collection) -> None:
    assert collection.clusters(2, seed=(1 << 31) - 1).num_rows == collection.clips().num_rows
