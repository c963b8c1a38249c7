"""The questions that people ask: spans of videos, several examples, many queries, diverse hits."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import vidx

SEGMENTS = vidx.SearchOptions(by="segment")


@pytest.fixture
def collection(embedded_once: Path) -> vidx.Collection:
    return vidx.open(embedded_once)


def test_a_whole_file_is_one_segment_of_itself(collection, library) -> None:
    hits = collection.search(library / "bowl.mp4", 3, SEGMENTS)
    first = hits[0]
    assert isinstance(first, vidx.Segment)
    assert first.path == str(library / "bowl.mp4")
    assert (first.start_seconds, first.end_seconds) == pytest.approx((0, 5), abs=0.6)
    assert (first.query_start_seconds, first.query_end_seconds) == pytest.approx((0, 5), abs=0.6)
    assert first.score > 0.95
    assert first.likeness == "copy"
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))


def test_a_segment_of_a_span_has_the_times_of_the_whole_file(collection, library) -> None:
    options = vidx.SearchOptions(by="segment", start_seconds=2.5)
    first = collection.search(library / "bowl.mp4", 1, options)[0]
    assert first.query_start_seconds == pytest.approx(2.5, abs=0.6)
    assert first.start_seconds == pytest.approx(2.5, abs=0.6)
    assert first.end_seconds == pytest.approx(5, abs=0.6)


def test_segments_are_of_what_may_be_a_hit(collection, library) -> None:
    own = vidx.SearchOptions(by="segment", exclude_self=True)
    assert all(
        str(library / "bowl.mp4") not in hit.locations
        for hit in collection.search(library / "bowl.mp4", 9, own)
    )
    others = vidx.SearchOptions(by="segment", path_glob="*.MKV")
    assert {Path(hit.path).name for hit in collection.search(library / "bowl.mp4", 9, others)} <= {
        "Dance.MKV"
    }


def test_a_stored_clip_is_a_segment_of_its_video(collection) -> None:
    first = collection.search_by_id(0, 1, SEGMENTS)[0]
    whole = collection.search_by_id(0, 1)[0]
    assert (first.clip_id, first.start_seconds, first.end_seconds) == pytest.approx(
        (0, whole.start_seconds, whole.end_seconds), abs=0.3
    )


def test_segments_of_what_has_no_times_are_refused(collection) -> None:
    vectors = collection.vectors()[1]
    for ask in (
        lambda: collection.search_by_vector(vectors[0], 1, SEGMENTS),
        lambda: collection.search_like(0, k=1, options=SEGMENTS),
        lambda: collection.search_many(vectors, 1, SEGMENTS),
    ):
        with pytest.raises(vidx.UsageError, match="no times"):
            ask()


def test_one_example_is_searched_for_as_it_is(collection, library) -> None:
    assert [hit.clip_id for hit in collection.search_like(3, k=4)] == [
        hit.clip_id for hit in collection.search_by_id(3, 4)
    ]
    vector = collection.vectors()[1][3]
    assert collection.search_like([vector], k=1)[0].clip_id == 3
    by_file = collection.search_like(str(library / "sub/bowl.mp4"), k=1)[0]
    assert by_file.path == str(library / "sub/bowl.mp4")
    assert (by_file.query_start_seconds, by_file.query_problem) == (None, None)


def test_ids_of_numpy_are_clips_wherever_something_is_searched_for(collection) -> None:
    clip_id, expected = np.int64(3), collection.search_by_id(3, 4)
    asked = [vidx.together.Question((one,), k=4) for one in (clip_id, np.array(3), [1.0] * 8, 3)]
    first, second, wrong, third = collection.search_together(asked)
    assert first == second == third == expected
    assert isinstance(wrong, vidx.UsageError)
    assert collection.search_like(clip_id, k=4) == collection.search_like(3, k=4)


def test_what_is_unlike_falls_behind(collection) -> None:
    clips = collection.info().num_clips
    alone = [hit.clip_id for hit in collection.search_like([0, 1], k=clips)]
    unlike = alone[2]
    away = [hit.clip_id for hit in collection.search_like([0, 1], [unlike], k=clips)]
    assert away.index(unlike) > alone.index(unlike)


def test_examples_and_their_content_can_be_left_out(collection, library) -> None:
    options = vidx.SearchOptions(exclude_self=True)
    mixed = [0, library / "Dance.MKV"]
    hits = collection.search_like(mixed, [library / "sub/bowl.mp4"], 99, options)
    gone = {collection.search_by_id(0, 1)[0].path, str(library / "Dance.MKV")}
    gone.add(str(library / "sub/bowl.mp4"))
    assert hits
    assert not gone & {hit.path for hit in hits}


@pytest.mark.parametrize("likeness", ["similar", "copy"])
def test_enough_examples_of_both_kinds_are_learned_from(collection, likeness) -> None:
    options = vidx.SearchOptions(likeness=likeness)
    ids = collection.vectors()[0].tolist()
    half = len(ids) // 2
    hits = collection.search_like(ids[:half], ids[half:], len(ids), options)
    assert len(hits) == len(ids)
    first = [hit.clip_id < ids[half] for hit in hits[:half]]
    assert np.mean(first) > 0.6


@pytest.mark.parametrize(
    ("like", "said"),
    [
        ([], "nothing to be like"),
        ([99_999], "no clip 99999"),
        (["nowhere.mp4"], "is no file"),
        ([np.ones(3, np.float32)], "shape"),
        ([np.full(64, np.nan, np.float32)], "undefined"),
        ([2.5], "no example"),
    ],
)
def test_wrong_examples_are_refused(collection, like, said) -> None:
    with pytest.raises(vidx.UsageError, match=said):
        collection.search_like(like)


def test_an_example_that_is_no_video_is_told(collection, library) -> None:
    with pytest.raises(vidx.VideoError, match=r"broken\.mp4"):
        collection.search_like([0, library / "broken.mp4"])


@pytest.mark.parametrize(
    "by",
    ["segment", *(pytest.param(by, marks=pytest.mark.long) for by in ("clip", "video"))],
)
@pytest.mark.parametrize("exclude_self", [False, pytest.param(True, marks=pytest.mark.long)])
def test_many_queries_find_what_each_finds_alone(collection, library, by, exclude_self) -> None:
    options = vidx.SearchOptions(by=by, exclude_self=exclude_self)
    seen = []
    report = collection.search_many(library, 3, options, progress=seen.append)
    rows = report.hits.to_pylist()
    assert (report.num_queries, len(report.failed)) == (6, 1)
    assert report.failed[0].path == str(library / "broken.mp4")
    assert report.failed[0].problem.reason
    assert (seen[-1].num_files_done, seen[-1].num_files, seen[-1].num_failed) == (6, 6, 1)
    for path in {row["query_path"] for row in rows}:
        alone = collection.search(path, 3, options)
        together = [row for row in rows if row["query_path"] == path]
        assert [row["clip_id"] for row in together] == [hit.clip_id for hit in alone]
        assert [row["rank"] for row in together] == [hit.rank for hit in alone]
        assert [row["score"] for row in together] == pytest.approx(
            [hit.score for hit in alone], abs=1e-5
        )
        assert together[0]["query_end_seconds"] == pytest.approx(alone[0].query_end_seconds)
    assert [row["query"] for row in rows] == sorted(row["query"] for row in rows)


def test_many_ids_and_many_vectors_are_queries(collection) -> None:
    ids, vectors = collection.vectors()
    by_id = collection.search_many(ids[:4].tolist(), 2).hits.to_pylist()
    by_vector = collection.search_many(vectors[:4], 2).hits.to_pylist()
    assert [row["clip_id"] for row in by_id] == [row["clip_id"] for row in by_vector]
    assert [row["query_clip_id"] for row in by_id[::2]] == ids[:4].tolist()
    assert [row["query"] for row in by_vector] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert all(row["query_path"] is None for row in by_id + by_vector)


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_hits_are_written_as_their_files_name_says(collection, tmp_path, ending) -> None:
    place = tmp_path / f"hits{ending}"
    report = collection.search_many([0, 1], 3, output=place)
    if ending == ".parquet":
        assert pq.read_table(place).equals(report.hits)
        return
    text = place.read_text()
    rows = (
        list(csv.DictReader(text.splitlines()))
        if ending == ".csv"
        else [json.loads(line) for line in text.splitlines()]
    )
    assert [int(row["clip_id"]) for row in rows] == report.hits["clip_id"].to_pylist()
    labels = rows[0]["labels"] if ending == ".jsonl" else json.loads(rows[0]["labels"])
    assert labels == report.hits["labels"][0].as_py()


def test_wrong_queries_are_refused_before_anything_is_done(collection, library, tmp_path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(vidx.VidxError, match="no video files"):
        collection.search_many(empty)
    for queries, said in (
        ([], "no queries"),
        (["nowhere.mp4"], "does not exist"),
        ([0, "a.mp4"], "something else"),
        ([99_999], "no clip 99999"),
        (np.ones((2, 3)), "shape"),
        (np.array([[np.nan] * 64]), "undefined"),
        ([[1.0], [1.0, 2.0]], "neither"),
    ):
        with pytest.raises(vidx.UsageError, match=said):
            collection.search_many(queries)
    with pytest.raises(vidx.UsageError, match=r"\.jsonl"):
        collection.search_many(library, output=tmp_path / "hits.txt")
    with pytest.raises(vidx.UsageError, match="span"):
        collection.search_many(library, options=vidx.SearchOptions(end_seconds=1))
    with pytest.raises(vidx.UsageError, match="exclude_self"):
        collection.search_many(np.ones((1, 32)), options=vidx.SearchOptions(exclude_self=True))


def test_only_broken_queries_give_an_empty_table(collection, library, tmp_path) -> None:
    shutil.copy(library / "broken.mp4", tmp_path / "broken.mp4")
    report = collection.search_many(tmp_path, output=tmp_path / "hits.parquet")
    assert (report.num_queries, len(report.failed), report.hits.num_rows) == (1, 1, 0)
    assert pq.read_table(tmp_path / "hits.parquet").num_rows == 0


@pytest.mark.parametrize("by", ["clip", "video", "segment"])
def test_diverse_hits_begin_with_the_best_and_are_other_clips(collection, library, by) -> None:
    usual, diverse = (
        collection.search(library / "bowl.mp4", 3, vidx.SearchOptions(by=by, diverse=is_diverse))
        for is_diverse in (False, True)
    )
    assert diverse[0].clip_id == usual[0].clip_id
    assert len(diverse) == len(usual)
    assert [hit.rank for hit in diverse] == list(range(1, len(diverse) + 1))
    assert len({hit.clip_id for hit in diverse}) == len(diverse)


def test_hits_say_how_unusual_their_score_is(make_video, tiny_checkpoint, tmp_path) -> None:
    for seed in range(16):
        make_video(tmp_path / f"{seed}.mp4", seed=seed, seconds=1.0)
    collection = vidx.open(tmp_path / "collection", create=True)
    collection.embed(tmp_path, vidx.EmbedOptions(model=tiny_checkpoint, workers=0))
    vectors = collection.vectors()[1]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[np.triu_indices(16, 1)]
    for hit in collection.search_by_id(0, 16):
        assert hit.background_share == pytest.approx(np.mean(pairs > hit.score), abs=0.02)


def test_a_file_with_a_name_that_is_not_utf8_costs_itself_alone(
    embedded, library, tmp_path
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    shutil.copy(library / "bowl.mp4", folder)
    shutil.copy(library / "bowl.mp4", os.fsencode(folder) + b"/\xff.mp4")
    with vidx.open(embedded) as collection:
        report = collection.search_many([folder], 1, output=tmp_path / "hits.jsonl")
    assert set(report.hits["query_path"].to_pylist()) == {f"{folder}/bowl.mp4"}
    [failed] = report.failed
    assert (failed.path, failed.problem.reason) == (f"{folder}/\\xff.mp4", "path_not_utf8")
    json.dumps(failed.path).encode()
