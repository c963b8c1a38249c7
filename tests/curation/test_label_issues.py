"""Label issues: planted wrong labels are found, and little else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow.compute as pc
import pytest
from curated_collections import collection_of, kinds
from made_collections import path_of

from vidx.curation.heads import Heads
from vidx.curation.labels import suspects
from vidx.curation.members import Members
from vidx.curation.votes import Votes
from vidx.errors import UsageError

NAMES = np.array(["run", "walk", "jump", "sit", "wave"])
COLUMNS = ["rank", "clip_id", "video_id", "path", "start_seconds", "end_seconds"]
COLUMNS += ["given", "suggested", "score", "given_score"]


def flips(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A tenth of some things, and how far on the wrong label of each is."""
    random = np.random.default_rng(seed)
    return random.choice(count, count // 10, replace=False), random.integers(1, 5, count // 10)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """200 videos of five kinds that overlap, with a label each, and one of each clip."""
    made = collection_of(tmp_path_factory.mktemp("labels"), kinds(200, 3, spread=0.4))
    right = np.arange(200) % 5
    wrong, by = flips(200, 1)
    of_videos = right.copy()
    of_videos[wrong] = (right[wrong] + by) % 5
    paths = [path_of(f"v{number:03}") for number in range(200)]
    made.set_metadata({"path": paths, "action": NAMES[of_videos].tolist(), "size": [1.5] * 200})
    wrong, by = flips(600, 2)
    of_clips = np.repeat(right, 3)
    of_clips[wrong] = (of_clips[wrong] + by) % 5
    made.set_metadata(
        {"clip_id": np.arange(600).tolist(), "act": NAMES[of_clips].tolist()}, on="clip_id"
    )
    made.set_metadata({"clip_id": [0], "once": [7]}, on="clip_id")
    return made


@pytest.mark.parametrize("column", ["action", "act"])
def test_planted_flips_are_found_and_little_else(collection, column: str) -> None:
    table = collection.label_issues(column)
    assert table.column_names == COLUMNS
    truth = np.repeat(NAMES[np.arange(200) % 5], 3)
    given = np.array(collection.clips()[column].to_pylist())
    planted = np.flatnonzero(truth != given)
    found = table["clip_id"].to_numpy()
    right = np.intersect1d(found, planted)
    assert len(right) >= 0.8 * len(planted)
    assert len(right) >= 0.7 * len(found)
    both = np.isin(found, planted)
    assert np.mean(table["suggested"].to_numpy()[both] == truth[found[both]]) > 0.9
    assert table["given"].to_pylist() == given[found].tolist()


def test_the_surest_come_first_and_clips_of_a_video_together(collection) -> None:
    rows = collection.label_issues("action").to_pylist()
    margins = [row["score"] - row["given_score"] for row in rows]
    assert margins == sorted(margins, reverse=True)
    assert margins[-1] > 0
    assert [row["rank"] for row in rows] == [place // 3 for place in range(len(rows))]
    assert all(row["clip_id"] // 3 == rows[3 * row["rank"]]["clip_id"] // 3 for row in rows)


def test_scores_are_about_as_often_right_as_they_say(collection) -> None:
    table = collection.label_issues("act")
    truth = NAMES[table["clip_id"].to_numpy() // 3 % 5]
    right = np.mean(table["suggested"].to_numpy() == truth)
    assert abs(right - pc.mean(table["score"]).as_py()) < 0.2


def test_predicted_labels_that_vectors_say_nothing_of_are_hardly_doubted(collection) -> None:
    best = {row["clip_id"]: row["labels"][0]["name"] for row in collection.clips().to_pylist()}
    rows = collection.label_issues().to_pylist()
    assert len(rows) < 0.1 * len(best)
    assert all(row["given"] == best[row["clip_id"]] != row["suggested"] for row in rows)


def test_a_label_of_one_video_alone_is_not_doubted(collection) -> None:
    acts = ["run"] * 3 + ["walk"] * 3 + ["unique"]
    collection.set_metadata({"clip_id": [0, 15, 30, 3, 18, 33, 6], "rare": acts}, on="clip_id")
    assert "unique" not in collection.label_issues("rare")["given"].to_pylist()


def doubted(vectors: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Which given labels are doubted, each clip of a video of its own."""
    products = vectors @ vectors.T
    np.fill_diagonal(products, -np.inf)
    places = np.argsort(-products, axis=1)[:, :20]
    scores = np.take_along_axis(products, places, axis=1)
    every = np.arange(len(given))
    heads = Heads(lambda block: vectors[block], every.astype(np.int32), given, given.max() + 1)
    votes = Votes(places.astype(np.int32), scores, every, given, given.max() + 1)
    return suspects(heads, votes, Members(every), given).units


def told(vectors: np.ndarray, labels: np.ndarray, given: np.ndarray) -> tuple[float, float]:
    """Of the given labels that are wrong the share that is found, and of what is told the right."""
    found = doubted(vectors, given)
    right = np.isin(found, np.flatnonzero(given != labels)).sum()
    return right / max((given != labels).sum(), 1), right / max(len(found), 1)


def drawn(labels: np.ndarray, centres: np.ndarray, spread: float) -> np.ndarray:
    """A vector of length 1 around the centre of each."""
    noise = np.random.default_rng(7).standard_normal((len(labels), centres.shape[1]))
    vectors = (centres[labels] + spread * noise).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("kinds_a_label", [1, 6])
def test_flips_are_found_whether_a_plane_or_neighbours_tell_labels(kinds_a_label: int) -> None:
    random = np.random.default_rng(3)
    dim, spread = (60, 1.5) if kinds_a_label == 1 else (12, 0.6)
    which = np.arange(400) % (5 * kinds_a_label)
    centres = random.standard_normal((5 * kinds_a_label, dim))
    vectors, labels = drawn(which, centres, spread), which % 5
    wrong, by = flips(400, 4)
    given = labels.copy()
    given[wrong] = (labels[wrong] + by) % 5
    found, right = told(vectors, labels, given)
    assert found >= 0.8
    assert right >= 0.8


def test_flips_to_one_other_label_each_are_found_too() -> None:
    labels = np.arange(600) % 5
    vectors = drawn(labels, np.random.default_rng(3).standard_normal((5, 16)), 0.8)
    wrong, _ = flips(600, 4)
    given = labels.copy()
    given[wrong] = (labels[wrong] + 1) % 5
    found, right = told(vectors, labels, given)
    assert found >= 0.8
    assert right >= 0.7


def test_where_vectors_say_nothing_next_to_nothing_is_told() -> None:
    given = np.random.default_rng(5).integers(0, 5, 400)
    vectors = drawn(np.zeros(400, np.int64), np.random.default_rng(3).standard_normal((1, 16)), 1.0)
    assert len(doubted(vectors, given)) < 40


def test_a_head_is_not_asked_about_videos_that_it_learned_from() -> None:
    random = np.random.default_rng(0)
    owners, labels = np.repeat(np.arange(40), 3).astype(np.int32), np.repeat(np.arange(40) % 2, 3)
    vectors = np.repeat(random.standard_normal((40, 60)), 3, axis=0).astype(np.float32)
    heads = Heads(lambda block: vectors[block], owners, labels, 2)
    heads.learn([np.arange(120)], np.ones(120))
    heads.shrink(0.1)
    right = heads.logs(np.arange(120)).argmax(axis=1) == labels
    assert right.mean() < 0.75  # there is nothing to learn, and each video is there three times


def test_clips_of_the_own_video_say_nothing() -> None:
    places = np.array([[2], [2], [3], [2]], np.int32)
    labels = np.array([0, 1, -1])
    votes = Votes(places, np.ones((4, 1), np.float32), np.array([0, 0, 1, 2]), labels, 2)
    shares = np.exp(votes.logs(np.arange(3)))
    assert shares[0].tolist() == pytest.approx([0.0005, 0.9995], abs=1e-3)
    assert shares[1].tolist() == [0.5, 0.5]  # its neighbour has no label


def test_what_is_wrong_is_told(collection) -> None:
    for column, problem in (
        ("acts", "There are: 'action', 'size', 'act', 'once'"),
        ("size", "real, which is no label"),
        ("once", "there are not two"),
    ):
        with pytest.raises(UsageError, match=problem):
            collection.label_issues(column)
    with pytest.raises(UsageError, match="there is one video"):
        collection.where("clip_id in (23, 22, 21)").label_issues("act")
    with pytest.raises(UsageError, match="no clips"):
        collection.where("clip_id < 0").label_issues("act")


def test_labels_are_counted_by_column_and_by_the_model(collection) -> None:
    rows = collection.clips().to_pylist()
    for column, labels in {
        "act": [row["act"] for row in rows],
        None: [row["labels"][0]["name"] for row in rows],
    }.items():
        table = collection.label_counts(column)
        assert table.column_names == ["label", "num_clips"]
        counts = table["num_clips"].to_pylist()
        assert counts == sorted(counts, reverse=True)
        assert dict(zip(table["label"].to_pylist(), counts, strict=True)) == Counter(labels)
    once = collection.where("clip_id < 9").label_counts("once")
    assert once.to_pylist() == [{"label": "7", "num_clips": 1}]
    with pytest.raises(UsageError, match="no column"):
        collection.label_counts("no such")
