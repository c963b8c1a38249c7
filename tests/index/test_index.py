from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidx import index as indexes
from vidx.index import Index, exact

DIM = 12
Part = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int32]]


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


def part_of(ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> Part:
    """Clips, of which two in a row are of one video."""
    return ids, vectors, (ids // 2).astype(np.int32)


def parts_of(ids: NDArray[np.int64], vectors: NDArray[np.float32], size: int = 700) -> list[Part]:
    return [part_of(ids[i : i + size], vectors[i : i + size]) for i in range(0, len(ids), size)]


def draw(random: np.random.Generator, rows: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Ids with gaps and vectors of very different lengths."""
    ids = np.sort(random.choice(3 * rows, rows, replace=False)).astype(np.int64)
    lengths = 10 ** random.uniform(-3, 3, (rows, 1))
    return ids, (random.standard_normal((rows, DIM)) * lengths).astype(np.float32)


def oracle(
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The same answer by float64 and a full sort."""
    wide, asked = vectors.astype(np.float64), queries.astype(np.float64)
    scores = asked @ wide.T
    scores /= np.linalg.norm(asked, axis=1)[:, None] * np.linalg.norm(wide, axis=1)
    if allowed is not None:
        scores[:, ~allowed] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(scores, order, axis=1)
    return best, np.where(np.isinf(best), -1, order)


@pytest.mark.parametrize("num_queries", [1, 3, 40])
@pytest.mark.parametrize("k", [1, 10, 150])
@pytest.mark.parametrize("share", [None, 0.99, 0.5, 0.02, 0.0])
def test_search_is_exact(
    tmp_path: Path,
    random: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    num_queries: int,
    k: int,
    share: float | None,
) -> None:
    ids, vectors = draw(random, 2000)
    queries = random.standard_normal((num_queries, DIM)).astype(np.float32)
    allowed = None if share is None else random.random(len(ids)) < share
    indexed = 1500
    parts, end = parts_of(ids[:indexed], vectors[:indexed]), int(ids[indexed])
    indexes.build(tmp_path, "u", DIM, parts, end_clip_id=end, commit=1, numbering="n")
    index = Index(tmp_path, "u", DIM)
    index.add_newer(parts_of(ids[indexed:], vectors[indexed:], 100))
    assert len(index) == 2000

    scores, found = index.search(queries, k, allowed)
    wanted_scores, wanted = oracle(vectors, queries, k, allowed)
    assert (scores.dtype, found.dtype) == (np.float32, np.int64)
    assert np.array_equal(found, wanted)
    assert np.allclose(scores, wanted_scores, atol=1e-6)
    assert np.array_equal(scores, -np.sort(-scores, axis=1))


def test_more_neighbours_than_there_are_leave_the_rest_empty(tmp_path: Path) -> None:
    index = Index(tmp_path, "u", 2)
    index.add_newer([part_of(np.array([4]), np.array([[3, 4]], np.float32))])
    scores, found = index.search(np.array([[3, 4], [-3, -4]], np.float32), 3)
    assert found.tolist() == [[0, -1, -1]] * 2
    assert scores.tolist() == [[1, -np.inf, -np.inf], [-1, -np.inf, -np.inf]]


def test_an_empty_index_gives_no_neighbours(tmp_path: Path) -> None:
    index = Index(tmp_path, "u", 2)
    scores, found = index.search(np.ones((2, 2), np.float32), 3)
    assert found.tolist() == [[-1] * 3] * 2
    assert np.all(np.isneginf(scores))
    assert len(index) == index.end_clip_id == 0
    assert index.vectors_of(np.empty(0, np.int64)).shape == (0, 2)
    assert index.rows_of(np.array([3])).tolist() == []


@pytest.mark.parametrize("k", [1, 5, 25, 130])
@pytest.mark.parametrize("num_queries", [1, 30])
def test_equal_vectors_come_in_the_order_of_their_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, k: int, num_queries: int
) -> None:
    vectors = np.tile(np.array([[1, 2, 3, 4]], np.float32), (300, 1))
    index = Index(tmp_path, "u", 4)
    parts = [part_of(np.arange(200), vectors[:200])]
    indexes.build(tmp_path, "u", 4, parts, end_clip_id=200, commit=1, numbering="n")
    index = Index(tmp_path, "u", 4)
    index.add_newer([part_of(np.arange(200, 300), vectors[200:])])
    scores, found = index.search(vectors[:num_queries], k)
    assert found.tolist() == [list(range(k))] * num_queries
    assert scores == pytest.approx(1)


def test_scores_stay_within_one(tmp_path: Path, random: np.random.Generator) -> None:
    index = Index(tmp_path, "u", 768)
    vectors = random.standard_normal((500, 768)).astype(np.float32)
    index.add_newer([part_of(np.arange(500), np.concatenate([vectors[:250], -vectors[:250]]))])
    scores, _ = index.search(vectors[:250], 500)
    assert scores.max() == 1
    assert scores.min() >= -1


def test_a_vector_of_zeros_is_like_nothing(tmp_path: Path) -> None:
    index = Index(tmp_path, "u", 3)
    index.add_newer([part_of(np.arange(2), np.array([[0, 0, 0], [1, 0, 0]], np.float32))])
    scores, found = index.search(np.array([[1, 0, 0], [0, 0, 0]], np.float32), 2)
    assert (scores.tolist(), found.tolist()) == ([[1, 0], [0, 0]], [[1, 0], [0, 1]])


def test_vectors_of_any_length_keep_their_direction() -> None:
    vectors = np.array([[1e30, 1e30], [1e-30, 0], [0, 0]], np.float32)
    normal = exact.normalized(vectors)
    assert normal.dtype == np.float32
    assert normal.tolist() == [[np.float32(0.5**0.5)] * 2, [1, 0], [0, 0]]


def test_rows_tell_what_they_are(tmp_path: Path, random: np.random.Generator) -> None:
    ids, vectors = draw(random, 50)
    indexes.build(
        tmp_path,
        "u",
        DIM,
        parts_of(ids[:30], vectors[:30]),
        end_clip_id=int(ids[30]),
        commit=1,
        numbering="n",
    )
    index = Index(tmp_path, "u", DIM)
    index.add_newer(parts_of(ids[30:], vectors[30:]))
    rows = np.array([40, 3, 3, 29, 30])
    found = index.of_rows(rows)
    assert np.array_equal(found.ids, ids[rows])
    assert np.array_equal(index.vectors_of(rows), exact.normalized(vectors[rows]))
    assert np.array_equal(found.videos, ids[rows] // 2)
    assert np.array_equal(index.videos(), ids // 2)
    asked = np.append(ids[[40, 3, 29]], ids.max() + 1)
    assert index.rows_of(asked).tolist() == [3, 29, 40]


def test_planted_faults_are_found(tmp_path: Path, random: np.random.Generator) -> None:
    ids, vectors = draw(random, 40)
    end = int(ids[-1]) + 1
    indexes.build(
        tmp_path, "u", DIM, parts_of(ids, vectors), end_clip_id=end, commit=1, numbering="n"
    )
    assert Index(tmp_path, "u", DIM).disagreements(parts_of(ids, vectors, 7)) == []
    assert Index(tmp_path, "u", DIM).disagreements(parts_of(ids[::2], vectors[::2])) == []

    whitened = tmp_path / "copy-1.f32"
    sound = whitened.read_bytes()
    whitened.write_bytes(sound[:40] + bytes(40) + sound[80:])
    said = Index(tmp_path, "u", DIM).disagreements(parts_of(ids, vectors, 7))
    assert said == [f"index: 2 clips have other vectors, first {ids[0]}"]
    whitened.write_bytes(sound)

    other = vectors.copy()
    other[5, 0] += 100
    said = Index(tmp_path, "u", DIM).disagreements(parts_of(ids, other, 7))
    assert said == [f"index: 1 clips have other vectors, first {ids[5]}"]

    indexes.build(
        tmp_path,
        "u",
        DIM,
        parts_of(np.delete(ids, 3), np.delete(vectors, 3, 0)),
        end_clip_id=end,
        commit=1,
        numbering="n",
    )
    said = Index(tmp_path, "u", DIM).disagreements(parts_of(ids, vectors, 7))
    assert said == [f"index: 1 clips are missing, first {ids[3]}"]

    indexes.build(tmp_path, "u", DIM, [], end_clip_id=end, commit=1, numbering="n")
    said = Index(tmp_path, "u", DIM).disagreements(parts_of(ids, vectors, 7))
    assert said == [f"index: 40 clips are missing, first {ids[0]}"]
