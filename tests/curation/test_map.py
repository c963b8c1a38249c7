"""The map: principal components beside a plain form of them, and UMAP where it is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from curated_collections import collection_of, compared, kinds

from vidx.curating.points import points
from vidx.curation import projections
from vidx.errors import UsageError

COLUMNS = ["clip_id", "video_id", "path", "start_seconds", "end_seconds", "x", "y"]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return collection_of(tmp_path_factory.mktemp("map"), kinds(40, spread=0.1))


def coordinates(table) -> np.ndarray:
    return np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1)


def test_coordinates_are_principal_components(collection) -> None:
    ids, vectors, _ = compared(collection, "similar")
    table = collection.map()
    assert table.column_names == COLUMNS
    assert table["clip_id"].to_pylist() == ids.tolist()
    moved = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    axes = np.linalg.svd(moved, full_matrices=False)[2][:2]
    found = coordinates(table)
    assert np.allclose(np.abs(found), np.abs(moved @ axes.T), atol=1e-5)
    assert found[:, 0].var() > found[:, 1].var()


def test_signs_are_those_of_the_largest_components_whatever_the_order(monkeypatch) -> None:
    vectors = np.random.default_rng(3).standard_normal((50, 6)).astype(np.float32)
    found = projections.principal(lambda places: vectors[places], 50)
    monkeypatch.setattr(projections, "BLOCK_ROWS", 7)
    turned = vectors[::-1]
    again = projections.principal(lambda places: turned[places], 50)
    assert np.allclose(found, again[::-1], atol=1e-5)
    moved = vectors - vectors.mean(axis=0)
    axes = np.linalg.lstsq(moved, found, rcond=None)[0]
    assert (axes[np.abs(axes).argmax(axis=0), [0, 1]] > 0).all()


def test_a_part_is_mapped_by_itself_and_equal_or_single_clips_lie_at_nought(collection) -> None:
    part = collection.where("clip_id < 8").map()
    assert part.num_rows == 8
    assert np.allclose(coordinates(part).mean(axis=0), 0, atol=1e-6)
    assert coordinates(collection.where("clip_id = 3").map()).tolist() == [[0, 0]]


def test_points_are_the_map_with_colours_by_label_cluster_and_metadata(collection) -> None:
    table, names = (
        collection.map(),
        [row["labels"][0]["name"] for row in collection.clips().to_pylist()],
    )
    with collection._part() as part:
        by_label = points(part, "pca", "label", 0)
        by_cluster = points(part, "pca", "cluster", 0)
    assert by_label.clip_ids.tolist() == table["clip_id"].to_pylist()
    assert np.array_equal(by_label.places, coordinates(table).astype(np.float32))
    assert [by_label.names[colour] for colour in by_label.colours] == names
    counts = np.bincount(by_label.colours)
    assert (np.diff(counts) <= 0).all()
    groups = dict(
        zip(
            *(collection.clusters(8)[name].to_pylist() for name in ("clip_id", "group")),
            strict=True,
        )
    )
    assert by_cluster.colours.tolist() == [groups[one] for one in by_cluster.clip_ids.tolist()]
    collection.set_metadata({"clip_id": [3, 4, 5], "kind": ["b", "a", "b"]}, on="clip_id")
    with collection._part() as part:
        by_column = points(part, "pca", "kind", 0)
        with pytest.raises(UsageError, match="no column"):
            points(part, "pca", "no such", 0)
    assert by_column.names == ["b", "a"]
    assert by_column.colours[2:7].tolist() == [2, 0, 1, 0, 2]


@pytest.mark.long
def test_umap_parts_what_lies_apart_and_is_the_same_by_seed(collection) -> None:
    found = coordinates(collection.map("umap", seed=1))
    assert np.array_equal(found, coordinates(collection.map("umap", seed=1)))
    kind = np.arange(160) // 4 % 5
    centres = np.stack([found[kind == number].mean(axis=0) for number in range(5)])
    near = np.linalg.norm(found[:, None] - centres, axis=2).argmin(axis=1)
    assert np.mean(near == kind) > 0.95
    assert collection.where("clip_id < 5").map("umap").num_rows == 5


def test_what_is_wrong_is_told(collection, monkeypatch) -> None:
    with pytest.raises(UsageError, match="method='tsne': there is none, but pca, umap"):
        collection.map("tsne")
    with pytest.raises(UsageError, match="seed=-1"):
        collection.map(seed=-1)
    with pytest.raises(UsageError, match="takes 4 clips"):
        collection.where("clip_id < 3").map("umap")
    with pytest.raises(UsageError, match="no clips"):
        collection.where("clip_id < 0").map()
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match="needs the library umap-learn") as caught:
        collection.map("umap")
    assert "vidx[umap]" in str(caught.value)
