"""Splits: nothing alike in two of them, fractions and labels as wanted, and a proof of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from curated_collections import collection_of, compared, kinds
from made_collections import path_of

from vidx.curation.balance import Weights, shared_out
from vidx.errors import UsageError, VidxError

WANTED = {"train": 0.8, "val": 0.1, "test": 0.1}


def different(num_videos: int, clips: int = 2) -> dict[str, np.ndarray]:
    """Videos of which hardly any two are alike."""
    random = np.random.default_rng(4)
    shape = (num_videos, clips, 8)
    drawn = random.standard_normal(shape).astype(np.float32)
    return {f"v{number:03}": vectors for number, vectors in enumerate(drawn)}


def split_of(report) -> dict[str, str]:
    """By path."""
    return dict(zip(*(report.table[name].to_pylist() for name in ("path", "split")), strict=True))


def test_no_pair_is_across_splits_also_over_others_in_between(tmp_path: Path) -> None:
    videos = different(200)
    collection = collection_of(tmp_path, videos)
    report = collection.split(WANTED, threshold=0.9)
    splits = split_of(report)
    clips = collection.clips()
    of_clip = np.array([splits[path] for path in clips["path"].to_pylist()])
    _, vectors, owners = compared(collection, "copy")
    near = (vectors @ vectors.T >= 0.9) & (owners[:, None] != owners)
    assert near.sum() > 50
    assert not (near & (of_clip[:, None] != of_clip)).any()
    pairs = [row for row in report.proof.to_pylist() if row["check"] == "pairs"]
    assert [(row["split"], row["value"], row["count"], row["met"]) for row in pairs] == [
        ("train", "val", 0, True), ("train", "test", 0, True), ("val", "test", 0, True)
    ]  # fmt: skip
    groups = report.table["group"].to_pylist()
    assert report.num_groups == len(set(groups)) == max(groups) + 1 < 200


def test_more_than_a_graph_has_neighbours_stay_together(tmp_path: Path) -> None:
    videos = different(60)
    for number in range(40):
        videos[f"v{number:03}"][0] = videos["v000"][0] + np.float32(number * 1e-4)
    report = collection_of(tmp_path, videos).split({"a": 0.6, "b": 0.4}, threshold=0.99)
    splits = split_of(report)
    assert len({splits[path_of(f"v{number:03}")] for number in range(40)}) == 1


def test_fractions_and_labels_are_met_within_two_percent(tmp_path: Path) -> None:
    videos = different(300)
    collection = collection_of(tmp_path, videos)
    labels = ["run" if n % 3 else "sit" for n in range(300)]
    source = [f"s{n // 4}" for n in range(300)]
    paths = [path_of(name) for name in videos]
    collection.set_metadata({"path": paths, "what": labels, "source": source})
    report = collection.split(WANTED, "source", "what", threshold=0.995)
    splits = split_of(report)
    for value in set(source):
        theirs = [splits[path] for path, own in zip(paths, source, strict=True) if own == value]
        assert len(set(theirs)) == 1
    for value in ("run", "sit", None):
        theirs = [
            splits[path] for path, own in zip(paths, labels, strict=True) if value in (own, None)
        ]
        for name, fraction in WANTED.items():
            got = theirs.count(name) / len(theirs)
            assert got == pytest.approx(fraction, abs=0.02)
            [row] = [
                row
                for row in report.proof.to_pylist()
                if (row["split"], row["value"]) == (name, value) and row["check"] != "pairs"
            ]
            assert row["got"] == pytest.approx(got)
            assert (row["wanted"], row["met"], row["reason"]) == (fraction, True, None)
    by_model = collection.split(WANTED, stratify="label", threshold=0.995).proof.to_pylist()
    assert all(row["met"] for row in by_model)
    assert {row["value"] for row in by_model if row["check"] == "label"} >= {"run", "eat"}


def test_where_groups_do_not_allow_it_it_says_so(tmp_path: Path) -> None:
    videos = different(10)
    collection = collection_of(tmp_path, videos)
    paths = [path_of(name) for name in videos]
    collection.set_metadata({"path": paths, "camera": ["big"] * 7 + ["x", "y", "z"]})
    report = collection.split({"a": 0.5, "b": 0.5}, "camera", threshold=1)
    rows = [row for row in report.proof.to_pylist() if row["check"] == "clips"]
    assert sorted(row["got"] for row in rows) == [pytest.approx(0.3), pytest.approx(0.7)]
    assert {row["met"] for row in rows} == {False}
    assert rows[0]["reason"] == "there are 4 groups, and the largest holds 70.0%"
    with pytest.raises(VidxError, match=r"10 videos are 4 groups .* too few for 5 splits"):
        collection.split(dict.fromkeys("abcde", 0.2), "camera", threshold=1)


def test_no_split_is_empty_and_the_same_seed_gives_the_same(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, different(12))
    fractions = {"a": 0.98, "b": 0.01, "c": 0.01}
    report = collection.split(fractions, threshold=1)
    assert set(report.table["split"].to_pylist()) == {"a", "b", "c"}
    assert report.table.equals(collection.split(fractions, threshold=1).table)
    halves = [collection.split({"a": 0.5, "b": 0.5}, threshold=1, seed=seed) for seed in range(6)]
    assert not all(halves[0].table.equals(other.table) for other in halves)


def test_groups_that_fit_exactly_are_found() -> None:
    sizes = [7, 6, 5, 5, 4, 3]  # 15 and 15, which the largest first alone misses
    groups = np.repeat(np.arange(6), sizes)
    weights = Weights.of(groups, np.full(len(groups), -1))
    parts = shared_out(weights, np.array([0.5, 0.5]), np.random.default_rng(0))
    assert np.bincount(parts, weights.sizes).tolist() == [15, 15]


def test_it_is_written_as_metadata_on_request(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, different(20))
    assert collection.split(WANTED, threshold=0.99).written is None
    assert collection.info().metadata == ()
    part = collection.where("clip_id < 20")
    report = part.split({"a": 0.5, "b": 0.5}, threshold=0.99, write="fold")
    assert report.table.num_rows == report.written.num_keys == 10
    assert report.table.column_names == ["video_id", "path", "split", "group", "num_clips"]
    told = collection.videos()
    by_path = dict(zip(told["path"].to_pylist(), told["fold"].to_pylist(), strict=True))
    assert {path: split for path, split in by_path.items() if split} == split_of(report)
    assert collection.leakage("fold", threshold=0.99).num_rows == 0


@pytest.mark.parametrize(
    ("fractions", "told"),
    [
        ({"a": 0.8, "b": 0.3}, "add up to 1.1"),
        ({"a": 1.0}, "two are the least"),
        ({}, "none at all"),
        ({"a": 1.2, "b": -0.2}, "above 0"),
        ({"a": float("nan"), "b": 0.5}, "above 0"),
        ({"a": "much", "b": 0.5}, "above 0"),
        ({" ": 0.5, "b": 0.5}, "no name"),
    ],
)
def test_fractions_that_cannot_be_are_told(tmp_path: Path, fractions, told) -> None:
    collection = collection_of(tmp_path, kinds(3))
    with pytest.raises(UsageError, match=told):
        collection.split(fractions)


def test_what_else_is_wrong_is_told(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, kinds(3))
    for wrong, told in (
        ({"group": "camera"}, "no column of metadata 'camera'"),
        ({"stratify": "what"}, "no column of metadata 'what'"),
        ({"seed": -1}, "0 is the least"),
        ({"threshold": 3}, "between -1 and 1"),
    ):
        with pytest.raises(UsageError, match=told):
            collection.split({"a": 0.5, "b": 0.5}, **wrong)
    one = collection.where("clip_id = 0")
    with pytest.raises(VidxError, match="1 group"):
        one.split({"a": 0.5, "b": 0.5})
