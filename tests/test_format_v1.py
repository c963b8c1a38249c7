"""A collection that version 1 of the formats wrote is read by every later vidx, and goes on."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_collections import commit, draw_video, path_of

import vidx
from vidx.store.layout import Layout

V1 = Path(__file__).parent / "formats" / "v1"


@pytest.fixture
def expected() -> dict[str, Any]:
    """What it was made of, as formats/make_v1.py noted it."""
    return json.loads((V1 / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(V1 / "collection", tmp_path / "collection")


def as_json(table: Any) -> list[dict[str, Any]]:
    """The rows of a table as the file of what is expected has them."""
    return json.loads(json.dumps(table.to_pylist(), default=datetime.isoformat))


def assert_holds(collection: vidx.Collection, expected: dict[str, Any]) -> None:
    """Clips, vectors, videos and failures are as expected, to the last bit."""
    ids, vectors = collection.vectors()
    assert as_json(collection.clips()) == expected["clips"]
    assert ids.tolist() == expected["vectors"]["ids"]
    assert np.array_equal(vectors, np.array(expected["vectors"]["vectors"], np.float32))
    assert as_json(collection.videos()) == expected["videos"]
    assert [asdict(column) for column in collection.info().metadata] == expected["metadata"]
    assert collection.failures().to_pylist() == expected["failures"]
    assert collection.verify() == []


def assert_finds(collection: vidx.Collection, expected: dict[str, Any]) -> None:
    """Searches by a stored clip give the same clips, with the same scores within rounding."""
    for clip_id, hits in expected["hits"].items():
        found = collection.search_by_id(int(clip_id), k=5)
        assert [hit.clip_id for hit in found] == [clip for clip, _ in hits]
        assert [hit.score for hit in found] == pytest.approx([score for _, score in hits], abs=1e-6)


def test_it_holds_each_thing_that_a_collection_can(folder: Path, expected: dict[str, Any]) -> None:
    """Else this file would promise less than it says."""
    parts = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert parts == {"catalogue.sqlite", "collection.json", "index", "journal", "shards"}
    assert any(path.name.count("-") == 2 for path in (folder / "shards").iterdir()), "compacted"
    verbs = {commit["verb"] for commit in expected["commits"]}
    assert verbs == {"embed", "remove", "restore", "metadata", "compact"}
    kinds = {(column["of"], column["type"]) for column in expected["metadata"]}
    assert {kind for _, kind in kinds} == {"text", "integer", "real", "boolean", "timestamp"}
    assert {of for of, _ in kinds} == {"video", "clip"}
    assert all(column["num_values"] for column in expected["metadata"])
    assert {video["status"] for video in expected["videos"]} == {"whole", "partial"}
    assert {video["is_mirrored"] for video in expected["videos"]} == {True, False}
    assert {len(video["notes"]) for video in expected["videos"]} == {0, 2}
    assert max(len(video["locations"]) for video in expected["videos"]) == 2
    assert len(expected["failures"]) == 1
    assert len(expected["clips"]) > 5
    with closing(sqlite3.connect(folder / "catalogue.sqlite")) as database:
        [[unfinished]] = database.execute("SELECT count(*) FROM takes WHERE NOT complete")
    assert unfinished == 1


def test_it_is_read_as_it_was_written(folder: Path, expected: dict[str, Any]) -> None:
    with vidx.open(folder) as collection:
        assert_finds(collection, expected)
        assert_holds(collection, expected)
        assert collection.commits().to_pylist() == expected["commits"]
        assert collection.info().num_indexed_clips > 0, "its index is of use"


def test_it_has_no_snapshots_before_a_writer_brings_it_up_to_date(
    folder: Path, expected: dict[str, Any]
) -> None:
    """Its catalogue lacks their table: who may not write reads it all the same."""
    with vidx.open(folder) as collection:
        assert collection.snapshots().num_rows == 0
        assert collection.where("clip_id >= 0").count() == len(expected["clips"])
        collection.where("clip_id >= 0").save("all")
        assert collection.selection("all").count() == len(expected["clips"])
        assert_holds(collection, expected)


def test_a_lost_catalogue_of_it_is_made_anew(folder: Path, expected: dict[str, Any]) -> None:
    (folder / "catalogue.sqlite").unlink()
    with vidx.open(folder) as collection:
        report = collection.rebuild()
        assert (report.lost, report.ignored) == ((), ())
        assert_holds(collection, expected)
        assert_finds(collection, expected)


def test_a_lost_index_of_it_is_made_anew(folder: Path, expected: dict[str, Any]) -> None:
    shutil.rmtree(folder / "index")
    with vidx.open(folder) as collection:
        assert_finds(collection, expected)
        collection.rebuild()
        assert_finds(collection, expected)


def test_its_removals_can_be_taken_back_and_work_on_it_goes_on(
    folder: Path, expected: dict[str, Any]
) -> None:
    with vidx.open(folder) as collection:
        removal = next(one for one in expected["commits"] if one["verb"] == "remove")
        collection.restore(removal["number"])
        assert collection.info().num_clips == len(expected["clips"]) + 2
        commit(Layout(folder), draw_video("new"))
        collection.remove([path_of("new"), path_of("orbit")])
        collection.compact()
        assert_holds(collection, expected)
        assert_finds(collection, expected)
