"""The graph of the closest clips: what is in it, and where it is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from curated_collections import collection_of, kinds
from made_collections import commit, draw_video, path_of

from vidx.index import graph as graphs
from vidx.index import graphs as graph_files_module
from vidx.index.graph import NEIGHBOURS, neighbours
from vidx.index.graphs import graph_of
from vidx.store.layout import Layout
from vidx.store.writer import open_writer
from vidx.views import extend_index


def brute(vectors: np.ndarray, owners: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The closest others, by sorting all products."""
    products = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    products[owners[:, None] == owners] = -np.inf
    places = np.argsort(-products, axis=1, kind="stable")[:, :k]
    scores = np.take_along_axis(products, places, axis=1)
    return np.where(np.isfinite(scores), places, -1), scores


def drawn(count: int, dim: int = 24, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    centres = random.standard_normal((40, dim))
    vectors = centres[random.integers(40, size=count)] + random.standard_normal((count, dim)) / 2
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def agrees(found, places: np.ndarray, scores: np.ndarray) -> bool:
    width = scores.shape[1]
    same = found.places[:, :width] == places
    near = np.isclose(found.scores[:, :width], scores, atol=1e-6)  # of equal ones either
    return bool(same.mean() > 0.999 and near.all())


@pytest.mark.parametrize("apart", [False, True])
def test_the_graph_of_few_is_what_comparing_all_gives(apart: bool) -> None:
    vectors = drawn(3000)
    owners = (np.arange(3000) // (7 if apart else 1)).astype(np.int32)
    told: list[tuple[int, int]] = []
    found = neighbours(lambda places: vectors[places], owners, lambda *step: told.append(step))
    assert agrees(found, *brute(vectors, owners, NEIGHBOURS))
    assert told[-1] == (3000, 3000)


@pytest.mark.parametrize("apart", [False, True])
def test_the_graph_of_many_has_nearly_all_and_the_rest_is_close(monkeypatch, apart) -> None:
    monkeypatch.setattr(graphs, "FEW_ROWS", 1000)
    vectors = drawn(5000)
    owners = (np.arange(5000) // (7 if apart else 1)).astype(np.int32)
    found = neighbours(lambda places: vectors[places], owners)
    _, scores = brute(vectors, owners, NEIGHBOURS)
    right = found.scores[:, :NEIGHBOURS] >= scores.min(axis=1, keepdims=True) - 1e-6
    assert right.mean() > 0.95
    again = neighbours(lambda places: vectors[places], owners)
    assert np.array_equal(found.places, again.places)
    products = np.einsum("nd,nkd->nk", vectors, vectors[found.places[:, :NEIGHBOURS]])
    assert np.allclose(products, found.scores[:, :NEIGHBOURS], atol=1e-5)
    own = owners[:, None] == owners[found.places[:, :NEIGHBOURS]]
    assert not own.any()


def test_fewer_than_there_are_neighbours_are_told_as_such() -> None:
    vectors = drawn(3)
    found = neighbours(lambda places: vectors[places], np.arange(3, dtype=np.int32))
    assert (found.places[:, :2] >= 0).all()
    assert (found.places[:, 2:] == -1).all()
    assert np.isneginf(found.scores[:, 2:]).all()
    empty = neighbours(lambda places: vectors[places], np.empty(0, np.int32))
    assert len(empty.places) == 0


def graph_files(collection) -> set[str]:
    return {path.name for path in (collection.path / "index").glob("graph-*")}


def asked(collection, mask=None, likeness="copy", apart=True):
    steps = []
    with collection._look() as (_, view):
        live = np.ones(len(view.index), bool) if view.live is None else view.live
        rows = np.flatnonzero(live if mask is None else live & mask(view.index))
        found = graph_of(view.index, rows, likeness, apart=apart, progress=steps.append)
        vectors, owners = view.index.vectors_of(rows, likeness), view.index.of_rows(rows).videos
    return found, steps, brute(vectors, owners if apart else np.arange(len(rows)), NEIGHBOURS)


def test_it_is_made_once_and_goes_with_the_vectors_it_is_of(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, kinds(30))
    found, steps, true = asked(collection)
    assert agrees(found, *true)
    assert [step.stage for step in steps] == ["graph"]
    assert graph_files(collection) == {"graph-copy-apart-1-120.npy"}
    again, steps, _ = asked(collection)
    assert steps == []
    assert np.array_equal(found.places, again.places)
    asked(collection, likeness="similar", apart=False)
    assert len(graph_files(collection)) == 2
    commit(Layout(collection.path), draw_video("new", 3))
    found, steps, true = asked(collection)  # newer than the index on disk
    assert agrees(found, *true)
    assert len(found.places) == 123
    extend_index(collection._catalogue())
    assert graph_files(collection) == set()
    assert agrees(*[(one := asked(collection))[0]], *one[2])


@pytest.mark.parametrize("removed", [1, 12])
def test_what_is_removed_is_no_neighbour_and_others_take_its_place(tmp_path, removed) -> None:
    collection = collection_of(tmp_path, kinds(60))
    asked(collection)
    with open_writer(Layout(collection.path)) as writer:
        writer.remove([path_of(f"v{number:03}") for number in range(removed)])
    found, _, true = asked(collection)
    assert agrees(found, *true)


def test_the_few_that_lose_too_many_neighbours_are_compared_with_all(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("vidx.index.graphs.MOST_MENDED", 1.0)
    mended = []
    plain = graph_files_module.closest
    monkeypatch.setattr(
        graph_files_module, "closest", lambda *of: mended.append(len(of[1])) or plain(*of)
    )
    collection = collection_of(tmp_path, kinds(60))
    asked(collection)
    with open_writer(Layout(collection.path)) as writer:
        writer.remove([path_of(f"v{number:03}") for number in range(29)])
    found, _, true = asked(collection)
    assert agrees(found, *true)
    assert 0 < mended[0] < 124


def test_a_part_has_its_own_neighbours(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, kinds(60))
    found, _, true = asked(collection, lambda index: index.videos() % 3 == 0)
    assert agrees(found, *true)
    assert graph_files(collection) == set()
    found, _, true = asked(collection, lambda index: index.videos() % 5 != 0)
    assert agrees(found, *true)


def test_a_broken_file_is_told_and_made_anew(tmp_path: Path, caplog) -> None:
    collection = collection_of(tmp_path, kinds(30))
    asked(collection)
    [name] = graph_files(collection)
    path = collection.path / "index" / name
    for content in (b"", b"nonsense", path.read_bytes()[:500]):
        path.write_bytes(content)
        caplog.clear()
        found, steps, true = asked(collection)
        assert agrees(found, *true)
        assert steps
        assert "made anew" in caplog.text


def test_without_a_place_to_keep_it_the_answer_is_the_same(tmp_path, caplog, monkeypatch) -> None:
    collection = collection_of(tmp_path, kinds(30))

    def full(_path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vidx.index.graphs.replacing", full)
    found, _, true = asked(collection)
    assert agrees(found, *true)
    assert "cannot be written" in caplog.text
