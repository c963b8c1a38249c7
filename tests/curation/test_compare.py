"""Compare: what one set of clips has that another lacks, and how far apart they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from curated_collections import collection_of, kinds
from made_collections import SPACE, commit, draw_video

import vidx
from vidx.curation.comparing import drift
from vidx.errors import FingerprintMismatch, UsageError
from vidx.store.layout import Layout

COLUMNS = ["rank", "change", "num_clips", "num_other_clips", "share", "other_share", "is_of_other"]
COLUMNS += ["clip_id", "video_id", "path", "start_seconds", "end_seconds"]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Clip n is of kind n // 4 % 5."""
    return collection_of(tmp_path_factory.mktemp("compare"), kinds(60, spread=0.1))


def of_kinds(collection, *wanted: int):
    numbers = ", ".join(
        str(4 * video + clip) for video in range(60) if video % 5 in wanted for clip in range(4)
    )
    return collection.where(f"clip_id in ({numbers})")


def test_what_is_new_and_what_vanished_is_told(collection) -> None:
    found = of_kinds(collection, 0, 1, 2).compare(of_kinds(collection, 1, 2, 3), k=4)
    assert found.regions.column_names == COLUMNS
    rows = found.regions.to_pylist()
    assert [row["rank"] for row in rows] == [0, 1, 2, 3]
    assert {row["change"]: row["clip_id"] // 4 % 5 for row in rows[:2]} == {"vanished": 0, "new": 3}
    assert {row["change"]: row["is_of_other"] for row in rows[:2]} == {
        "vanished": False,
        "new": True,
    }
    assert [row["change"] for row in rows[2:]] == ["common", "common"]
    assert all(row["num_clips"] == row["num_other_clips"] == 48 for row in rows[2:])
    assert (found.coverage, found.other_coverage) == pytest.approx((2 / 3, 2 / 3))
    assert found.drift == pytest.approx(1 / 3)
    assert found.chance_drift < 0.1


def test_halves_of_one_kind_of_footage_are_alike(collection) -> None:
    found = collection.where("clip_id < 120").compare(collection.where("clip_id >= 120"), seed=1)
    again = collection.where("clip_id < 120").compare(collection.where("clip_id >= 120"), seed=1)
    assert found == again
    assert found.drift < 2 * found.chance_drift + 0.05


def test_two_collections_of_one_model_are_compared(collection, tmp_path) -> None:
    videos = {name: vectors for name, vectors in kinds(60, spread=0.1).items() if int(name[1:]) % 5}
    other = collection_of(tmp_path, videos)
    found = collection.compare(other, k=12)
    gone = [row for row in found.regions.to_pylist() if row["change"] != "common"]
    assert {(row["change"], row["clip_id"] // 4 % 5) for row in gone} == {("vanished", 0)}
    assert all(row["path"] == f"/videos/v{row['clip_id'] // 4:03}.mp4" for row in gone)
    assert (found.coverage, found.other_coverage) == pytest.approx((1, 0.8))
    back = other.compare(collection, k=12)
    assert back.regions.to_pylist()[0]["is_of_other"]
    assert back.coverage == pytest.approx(0.8)


def test_the_same_is_the_same(collection) -> None:
    found = collection.compare(collection)
    assert (found.coverage, found.other_coverage, found.drift) == (1, 1, 0)
    assert drift(np.array([[1, 3], [0, 5]])) > 0


def test_what_is_wrong_is_told(collection, tmp_path) -> None:
    layout = Layout(tmp_path / "collection")
    commit(layout, draw_video("a"), space=replace(SPACE, fingerprint="e" * 64))
    with pytest.raises(FingerprintMismatch, match="cannot be compared"):
        collection.compare(vidx.open(layout.root))
    with pytest.raises(UsageError, match="k=0: between 1 and 480"):
        collection.compare(collection, k=0)
    with pytest.raises(UsageError, match="no clips"):
        collection.compare(collection.where("clip_id < 0"))
    with pytest.raises(UsageError, match="neither a collection nor a selection"):
        collection.compare("v1")
