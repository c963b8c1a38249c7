"""Leakage: the same footage across splits and collections, by video, and how much it touches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from curated_collections import collection_of, compared, kinds
from made_collections import SPACE, commit, draw_video, path_of

import vidx
from vidx.errors import FingerprintMismatch, UsageError
from vidx.store.layout import Layout

COLUMNS = [
    *("split", "clip_id", "video_id", "path", "start_seconds", "end_seconds"),
    *("other_split", "other_clip_id", "other_video_id", "other_path"),
    *("other_start_seconds", "other_end_seconds", "score", "match"),
    *("num_clips", "other_num_clips", "share", "other_share"),
]
SPLITS = ("train", "val", "test")


def tell(collection, videos: dict, splits: list) -> None:
    """Set the column `split` of videos."""
    paths = [path_of(name) for name in videos]
    collection.set_metadata({"path": paths, "split": splits})


def all_pairs(collection, split_of: dict, threshold: float) -> dict:
    """By looking at all pairs: of each pair of videos the best score and the clips that are met."""
    ids, vectors, _ = compared(collection, "copy")
    products = vectors @ vectors.T
    paths = dict(
        zip(*(collection.clips()[name].to_pylist() for name in ("clip_id", "path")), strict=True)
    )
    found: dict = {}
    for a, b in zip(*np.nonzero(products >= threshold), strict=True):
        one, two = paths[ids[a]], paths[ids[b]]
        if split_of.get(one) and split_of.get(two) and split_of[one] < split_of[two]:
            score, mine, theirs = found.get((one, two), (-1, set(), set()))
            found[one, two] = (max(score, products[a, b]), mine | {a}, theirs | {b})
    return found


@pytest.mark.parametrize(("threshold", "spread"), [(0.9, 0.5), (0.6, 0.3)])
def test_pairs_and_shares_are_those_of_comparing_all_clips(tmp_path: Path, threshold, spread):
    videos = kinds(40, 3, spread=spread)
    collection = collection_of(tmp_path, videos)
    splits = [(*SPLITS, None)[n % 4] for n in range(40)]
    tell(collection, videos, splits)
    split_of = dict(zip(map(path_of, videos), splits, strict=True))
    wanted = all_pairs(collection, split_of, threshold)
    table = collection.leakage(threshold=threshold)
    assert table.column_names == COLUMNS
    rows = {(row["path"], row["other_path"]): row for row in table.to_pylist()}
    assert rows.keys() == wanted.keys() != set()
    assert len(rows) == table.num_rows
    for key, (score, mine, theirs) in wanted.items():
        row = rows[key]
        assert row["score"] == pytest.approx(score, abs=1e-5)
        assert (row["num_clips"], row["other_num_clips"]) == (len(mine), len(theirs))
        assert (row["split"], row["other_split"]) == tuple(split_of[path] for path in key)
        pair = (row["split"], row["other_split"])
        met = [set().union(*(one[side] for both, one in wanted.items()
               if tuple(split_of[p] for p in both) == pair)) for side in (1, 2)]  # fmt: skip
        assert row["share"] == pytest.approx(len(met[0]) / 30)
        assert row["other_share"] == pytest.approx(len(met[1]) / 30)
    scores = table["score"].to_pylist()
    assert scores == sorted(scores, reverse=True)


def test_more_pairs_than_a_graph_has_neighbours_are_all_found(tmp_path: Path) -> None:
    videos = kinds(20, spread=1.5)
    random = np.random.default_rng(5)
    copies = {
        f"c{number:03}": videos["v003"][:1] + random.normal(0, 1e-3, (1, 8)).astype(np.float32)
        for number in range(60)
    }
    collection = collection_of(tmp_path, videos | copies)
    tell(collection, copies, ["test", "train"] * 30)
    table = collection.leakage(threshold=0.99)
    assert table.num_rows == 30 * 30
    assert set(table["share"].to_pylist()) == set(table["other_share"].to_pylist()) == {1}


def test_what_is_in_no_split_or_in_one_alone_leaks_nowhere(tmp_path: Path) -> None:
    videos = kinds(10)
    videos["copy"] = videos["v000"] + np.float32(1e-3)
    collection = collection_of(tmp_path, videos)
    tell(collection, videos, ["a"] * 10 + [None])
    assert collection.leakage(threshold=0.9).num_rows == 0
    tell(collection, videos, [None] * 10 + ["b"])
    [row] = collection.leakage(threshold=0.9999).to_pylist()
    assert (row["path"], row["other_path"]) == (path_of("v000"), path_of("copy"))
    assert (row["share"], row["other_share"], row["match"]) == (0.1, 1, "near")


def test_clips_of_one_video_in_two_splits_leak(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, kinds(6, spread=2.0))
    collection.set_metadata({"clip_id": [0, 1, 2, 4], "part": ["x", "y", "y", "x"]}, on="clip_id")
    rows = collection.leakage("part", threshold=1).to_pylist()
    [exact] = [row for row in rows if row["match"] == "exact"]
    assert (exact["split"], exact["other_split"], exact["score"]) == ("x", "y", 1)
    assert (exact["num_clips"], exact["other_num_clips"]) == (1, 2)
    assert (exact["share"], exact["other_share"]) == (0.5, 1)


def test_another_collection_is_looked_through(tmp_path: Path) -> None:
    videos = kinds(20, spread=1.5)
    collection = collection_of(tmp_path / "one", videos)
    theirs = kinds(8, seed=7, spread=1.5)
    theirs["copy"] = videos["v003"] * np.float32(1.001)
    theirs["v019"] = videos["v019"]
    other = collection_of(tmp_path / "two", theirs, v019=("/elsewhere/x.mp4",))
    rows = collection.leakage(other=other, threshold=0.999).to_pylist()
    found = {(row["path"], row["other_path"]): row["match"] for row in rows}
    assert found[path_of("v003"), path_of("copy")] == "near"
    assert found[path_of("v019"), "/elsewhere/x.mp4"] == "exact"
    # v000 to v007 are known by the same content, whatever their vectors are
    assert sum(match == "exact" for match in found.values()) == 9
    assert {(row["split"], row["other_split"]) for row in rows} == {("this", "other")}
    part = collection.where("path like '%v003%'")
    [exact, row] = part.leakage(other=other, threshold=0.999).to_pylist()
    assert exact["other_path"] == path_of("v003")
    assert (row["num_clips"], row["other_num_clips"], row["share"]) == (4, 4, 1)
    assert row["other_share"] == pytest.approx((4 + 4) / 40)  # that copy, and its own v003


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, kinds(3))
    with pytest.raises(UsageError, match="no column of metadata 'split'; there is none"):
        collection.leakage()
    tell(collection, kinds(3), ["a", "a", "b"])
    with pytest.raises(UsageError, match="'spilt'; there is 'split'"):
        collection.leakage("spilt")
    with pytest.raises(UsageError, match="between -1 and 1"):
        collection.leakage(threshold=2)
    with pytest.raises(UsageError, match="not both"):
        collection.leakage("split", other=collection)
    with pytest.raises(UsageError, match="no clips"):
        collection.where("clip_id < 0").leakage()
    layout = Layout(tmp_path / "other")
    commit(layout, draw_video("a"), space=replace(SPACE, fingerprint="e" * 64))
    with pytest.raises(FingerprintMismatch, match="cannot be compared"):
        collection.leakage(other=vidx.open(layout.root))
