"""`show`: answers with pictures, for a notebook."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from curated_collections import collection_of, kinds
from made_collections import path_of

import vidx
from vidx.errors import UsageError
from vidx.reporting import pictures

PICTURE = '<img src="data:image/webp;base64,'


@pytest.fixture(scope="module")
def collection(embedded_once: Path, tmp_path_factory: pytest.TempPathFactory) -> vidx.Collection:
    folder = tmp_path_factory.mktemp("shown") / "collection"
    return vidx.open(shutil.copytree(embedded_once, folder))


@pytest.fixture
def drawn(tmp_path: Path) -> vidx.Collection:
    """Drawn videos, whose files are not there."""
    return collection_of(tmp_path, kinds(12))


def clips_of(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'alt="Clip (\d+)"', page)]


def test_rows_about_clips_have_their_pictures(collection: vidx.Collection) -> None:
    answer = collection.outliers()
    page = collection.show(answer, limit=3)._repr_html_()
    rows = answer.slice(0, 3).to_pylist()
    beside = [row[name] for row in rows for name in ("clip_id", "nearest_clip_id")]
    assert clips_of(page) == beside
    assert page.count(PICTURE) == 6
    assert f"{rows[0]['factor']:.4f}" in page
    assert f"3 of {answer.num_rows} rows" in page


def test_rows_about_videos_and_hits_have_pictures_too(collection: vidx.Collection) -> None:
    videos = collection.videos().to_pylist()
    clips = {row["clip_id"]: row["video_id"] for row in collection.clips().to_pylist()}
    shown = clips_of(collection.show(collection.videos())._repr_html_())
    assert [clips[one] for one in shown] == [row["video_id"] for row in videos]
    groups = collection.duplicates(by="video")
    assert clips_of(collection.show(groups)._repr_html_())
    hits = collection.search_by_id(0, k=2)
    page = collection.where("clip_id > 99").show(hits)._repr_html_()
    assert clips_of(page) == [hit.clip_id for hit in hits]
    assert f"{hits[0].labels[0].name} {hits[0].labels[0].score:.2f}" in page


def test_the_clip_of_a_span_is_the_one_in_its_middle(drawn: vidx.Collection) -> None:
    [video] = drawn.videos(1).to_pylist()
    row = {"video_id": [video["video_id"]], "path": ["x"], "start_seconds": [4.0]}
    table = drawn.videos(1).from_pydict({**row, "end_seconds": [5.0]})
    shown = drawn.show(table)
    own = drawn.where(f"video_id = '{video['video_id']}'").clips().to_pylist()
    assert shown._clip_ids == {"": [own[2]["clip_id"]]}
    assert "0:04.0-0:05.0" in shown._repr_html_()


def test_what_has_no_picture_says_why_or_is_a_table_alone(drawn: vidx.Collection) -> None:
    page = drawn.show(drawn.clips(2))._repr_html_()
    assert page.count("no file of this video is as it was") == 2
    page = drawn.show(drawn.commits())._repr_html_()
    assert "no picture" not in page
    assert "embed" in page
    assert "0 of 0 rows" in drawn.show(drawn.failures())._repr_html_()


def test_clips_of_another_collection_or_gone_are_not_taken_for_others(drawn, tmp_path) -> None:
    other = collection_of(tmp_path / "other", {f"o{n}": v for n, v in enumerate(kinds(3).values())})
    pairs = drawn.leakage(other=other, threshold=0.0)
    assert pairs.num_rows
    assert list(drawn.show(pairs)._clip_ids) == [""]
    answer = drawn.clips(2)
    drawn.remove(path_of("v000"))
    assert drawn.show(answer)._clip_ids == {}


def test_names_are_text_whatever_is_in_them(drawn: vidx.Collection) -> None:
    table = drawn.videos(1).from_pydict({"path": ["<script>alert(1)</script>"]})
    page = drawn.show(table)._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_nothing_is_made_before_it_is_seen(collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "Viewers", None)
    assert repr(collection.show(collection.clips(1))) == (
        "Shown(1 of 1 rows, with pictures in a notebook)"
    )


@pytest.mark.parametrize("wrong", [7, "clips", [1, 2], {"clip_id": [0]}])
def test_what_is_no_answer_is_refused(drawn: vidx.Collection, wrong: object) -> None:
    with pytest.raises(UsageError, match="is no answer to be shown"):
        drawn.show(wrong)
    with pytest.raises(UsageError, match="1 is the least"):
        drawn.show(drawn.clips(1), limit=0)
