"""Duplicates: who is in whose group, by clip, by span and by video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from curated_collections import collection_of, compared, kinds

from vidx.curating.thresholds import copy_threshold
from vidx.curation.groups import Edges, Farther, grouped
from vidx.errors import UsageError
from vidx.index.graph import NEIGHBOURS

COLUMNS = ["group", "rank", "clip_id", "video_id", "path", "start_seconds", "end_seconds", "score"]


def stars(products: np.ndarray, threshold: float) -> dict[int, list[int]]:
    """Groups by looking at all pairs: the one that is like most others takes them, and so on."""
    alike = products >= threshold
    np.fill_diagonal(alike, False)
    order = sorted(range(len(alike)), key=lambda place: (-alike[place].sum(), place))
    taken: set[int] = set()
    groups = {}
    for place in order:
        members = [other for other in np.flatnonzero(alike[place]).tolist() if other not in taken]
        if place not in taken and members:
            groups[place] = members
            taken |= {place, *members}
    return groups


def near_groups(table) -> dict[int, set[int]]:
    """By the first of each group the others, of groups that are not of one content."""
    rows = table.to_pylist()
    firsts = {row["group"]: row["clip_id"] for row in rows if row["rank"] == 0}
    groups: dict[int, set[int]] = {first: set() for first in firsts.values()}
    for row in rows:
        if row["match"] == "near":
            groups[firsts[row["group"]]].add(row["clip_id"])
    return {first: others for first, others in groups.items() if others}


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("threshold", [0.85, 0.95])
def test_groups_are_those_of_comparing_all_pairs(tmp_path: Path, within, threshold) -> None:
    videos = kinds(30, 3, spread=0.5)
    videos["copy"] = videos["v000"] + np.float32(0.01)
    collection = collection_of(tmp_path, videos)
    ids, vectors, owners = compared(collection, "copy")
    products = vectors @ vectors.T
    if not within:
        products[owners[:, None] == owners] = -1
    assert (products >= threshold).sum(axis=1).max() <= NEIGHBOURS
    wanted = {ids[a]: set(ids[b].tolist()) for a, b in stars(products, threshold).items()}
    found = collection.duplicates(threshold, within_videos=within)
    assert near_groups(found) == wanted != {}
    assert found.column_names == [*COLUMNS, "match"]
    for row in found.to_pylist():
        first = found.to_pylist()[[*found["group"].to_pylist()].index(row["group"])]
        if row["rank"]:
            places = np.searchsorted(ids, [first["clip_id"], row["clip_id"]])
            assert row["score"] == pytest.approx(products[tuple(places)], abs=1e-5)
            assert row["score"] >= threshold


def test_friends_of_friends_are_in_no_group() -> None:
    products = np.eye(5)
    for one, other in ((0, 1), (1, 2), (2, 3), (3, 4)):
        products[one, other] = products[other, one] = 0.9
    firsts, seconds = np.nonzero(products == 0.9)
    edges = Edges.of(5, firsts, seconds, np.full(len(firsts), 0.9, np.float32))
    assert grouped(edges).firsts.tolist() == [1, 1, 1, 3, 3]


def test_more_copies_than_a_graph_has_neighbours_are_one_group(tmp_path: Path) -> None:
    videos = kinds(30)
    random = np.random.default_rng(5)
    copies = {
        f"c{number:03}": videos["v003"][:1] + random.normal(0, 1e-3, (1, 8)).astype(np.float32)
        for number in range(70)
    }
    collection = collection_of(tmp_path, videos | copies)
    [(_, others)] = near_groups(collection.duplicates(0.99)).items()
    assert len(others) == 70
    same = collection_of(tmp_path / "same", {"a": np.ones((90, 8), np.float32)})
    assert same.duplicates(0.9).num_rows == 0
    assert same.duplicates(0.9, within_videos=True)["group"].to_pylist() == [0] * 90


def test_clips_of_the_same_video_are_not_taken_up_on_the_way() -> None:
    edges = Edges.of(3, np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1]), np.ones(4, np.float32))
    full, owners = np.ones(3, bool), np.array([7, 8, 7], np.int32)
    more = Farther(
        edges, full, owners, 0.5, lambda _place, others: np.ones(len(others), np.float32)
    )
    assert more(0, np.array([1]))[0].tolist() == []
    assert grouped(edges, more).firsts.tolist() == [1, 1, 1]


def test_equal_content_comes_first_and_at_each_of_its_paths(tmp_path: Path) -> None:
    videos = kinds(12)
    videos["copy"] = videos["v000"] + np.float32(1e-3)
    places = {"v003": ("/a/x.mp4", "/b/y.mp4"), "copy": ("/c/1.mp4", "/c/2.mp4")}
    collection = collection_of(tmp_path, videos, **places)
    rows = collection.duplicates(0.999).to_pylist()
    assert [row["path"] for row in rows[:8]] == ["/a/x.mp4", "/b/y.mp4"] * 4
    assert {row["match"] for row in rows[:8]} == {"exact"}
    assert [row["rank"] for row in rows[:4]] == [0, 1, 0, 1]
    rest = [(row["path"], row["match"]) for row in rows[8:11]]
    assert rest == [("/videos/v000.mp4", "exact"), ("/c/1.mp4", "near"), ("/c/2.mp4", "near")]
    by_video = collection.duplicates(0.999, by="video").to_pylist()
    assert [row["path"] for row in by_video[:2]] == ["/a/x.mp4", "/b/y.mp4"]
    assert {row["path"] for row in by_video[2:]} == {"/videos/v000.mp4", "/c/1.mp4", "/c/2.mp4"}
    assert all(row["clip_id"] is None for row in by_video)


def different(num_videos: int, clips: int) -> dict[str, np.ndarray]:
    """Videos of which no clip is like another."""
    random = np.random.default_rng(3)
    return {
        f"v{number:03}": random.standard_normal((clips, 8)).astype(np.float32)
        for number in range(num_videos)
    }


def test_a_span_is_told_with_where_it_lies_in_the_other(tmp_path: Path) -> None:
    videos = different(20, 12)
    videos["trim"] = videos["v004"][5:11]
    videos["spliced"] = np.concatenate([videos["v007"][:5], videos["v009"][3:9]])
    collection = collection_of(tmp_path, videos)
    rows = collection.duplicates(0.97, by="segment").to_pylist()
    spans = {
        (Path(rows[n + 1]["path"]).stem, Path(rows[n]["path"]).stem): rows[n : n + 2]
        for n in range(0, len(rows), 2)
    }
    holder, held = spans["trim", "v004"]
    assert (held["start_seconds"], held["end_seconds"]) == (0, 12)
    assert (held["share"], held["offset_seconds"]) == (1, 10)
    assert (holder["start_seconds"], holder["end_seconds"], holder["share"]) == (10, 22, 0.5)
    assert ("spliced", "v007") in spans
    assert ("spliced", "v009") in spans
    assert spans["spliced", "v009"][1]["offset_seconds"] == -4
    videos_found = collection.duplicates(0.97, by="video").to_pylist()
    members = {Path(row["path"]).stem: row for row in videos_found}
    assert members["v004"]["rank"] == 0
    assert (members["trim"]["rank"], members["trim"]["share"]) == (1, 1)
    assert members["trim"]["offset_seconds"] == 10
    assert "v007" not in members  # no more than half of it is anywhere


def test_a_long_video_is_no_duplicate_of_what_it_holds(tmp_path: Path) -> None:
    videos = different(20, 12)
    videos["intro"] = videos["v001"][:3]
    videos["v002"][:3] = videos["v003"][:3] = videos["intro"]
    collection = collection_of(tmp_path, videos)
    rows = collection.duplicates(0.97, by="video").to_pylist()
    assert sorted(row["rank"] for row in rows) == [0, 1]
    assert Path(rows[1]["path"]).stem == "intro"


def test_copies_of_a_video_are_a_group_though_a_film_shows_it_and_others(tmp_path: Path) -> None:
    videos = different(20, 6)
    for number in (1, 2):
        videos[f"again{number}"] = videos[f"v00{number}"] + np.float32(1e-3)
    # The film does not show the end, by which the shorter copy is found.
    videos["film"] = np.concatenate([videos["v001"][:5], videos["v002"][:5], videos["v003"]])
    videos["late"] = videos["v001"][4:]
    rows = collection_of(tmp_path, videos).duplicates(0.97, by="video").to_pylist()
    groups: dict[int, set[str]] = {}
    for row in rows:
        groups.setdefault(row["group"], set()).add(Path(row["path"]).stem)
    assert sorted(map(sorted, groups.values())) == [
        ["again1", "late", "v001"],
        ["again2", "v002"],
        ["film", "v003"],
    ]


def test_a_part_knows_its_own_duplicates_alone(tmp_path: Path) -> None:
    videos = kinds(12)
    videos["copy"] = videos["v000"] + np.float32(1e-3)
    collection = collection_of(tmp_path, videos)
    part = collection.where("path like '%/copy.mp4' or path like '%/v000.mp4'")
    assert part.duplicates(0.999).num_rows == 8
    assert collection.where("path like '%/v0%'").duplicates(0.999).num_rows == 0


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    collection = collection_of(tmp_path, kinds(3))
    for threshold in (1.01, -2, float("nan")):
        with pytest.raises(UsageError, match="between -1 and 1"):
            collection.duplicates(threshold)
    with pytest.raises(UsageError, match="clip, segment or video"):
        collection.duplicates(by="frame")
    with pytest.raises(UsageError, match="about clips"):
        collection.duplicates(by="video", within_videos=True)
    with pytest.raises(UsageError, match="no clips"):
        collection.where("clip_id < 0").duplicates()
    for by in ("clip", "segment", "video"):
        assert collection.where("clip_id = 0").duplicates(by=by).num_rows == 0
    assert -1 < copy_threshold() < 1


def test_a_small_library_of_hardly_anything_but_copies_has_its_groups(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    originals = {f"v{number}": random.standard_normal((4, 8)) for number in range(12)}
    videos = {
        f"{name}-{copy}": (own + 0.02 * random.standard_normal(own.shape)).astype(np.float32)
        for name, own in originals.items()
        for copy in range(4)
    }
    table = collection_of(tmp_path, videos).duplicates(0.95, by="video")
    groups: dict[int, set[str]] = {}
    for row in table.to_pylist():
        groups.setdefault(row["group"], set()).add(Path(row["path"]).stem)
        assert row["share"] == pytest.approx(1.0)
    wanted = [{f"{name}-{copy}" for copy in range(4)} for name in originals]
    assert sorted(map(sorted, groups.values())) == sorted(map(sorted, wanted))
