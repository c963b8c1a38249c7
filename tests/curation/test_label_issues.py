"""Label issues: planted wrong labels are found, and little else."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow.compute as pc
import pytest
from curated_collections import collection_of, kinds
from made_collections import path_of

from vidx.curation.labels import Votes, suspects
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


def test_predicted_labels_are_asked_about_without_a_column(collection) -> None:
    best = {row["clip_id"]: row["labels"][0]["name"] for row in collection.clips().to_pylist()}
    rows = collection.label_issues().to_pylist()
    assert rows
    assert all(row["given"] == best[row["clip_id"]] != row["suggested"] for row in rows)


def test_clips_of_the_own_video_say_nothing() -> None:
    places = np.array([[2], [2], [3], [2]], np.int32)
    votes = Votes(
        places, np.ones((4, 1), np.float32), np.array([0, 0, 1, 2]), np.array([0, 1, -1]), 2
    )
    shares = np.concatenate([shares for _, shares in votes.blocks()])
    assert shares[0].tolist() == pytest.approx([0.0005, 0.9995], abs=1e-3)
    assert shares[1].tolist() == [0.5, 0.5]  # its neighbour has no label
    assert 1 not in suspects(votes).units  # and neither has it


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
