"""Selections saved by name: what they hold, and that nothing loses them."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from made_collections import DIM, commit, draw_video, path_of

import vidx
from vidx.cli import cli
from vidx.errors import CollectionDamaged, UsageError, VidxError
from vidx.options import SearchOptions
from vidx.store import journal
from vidx.store.layout import Layout
from vidx.store.snapshots import files


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "collection")
    commit(layout, *(draw_video(name, 4) for name in "abcd"))
    return layout


@pytest.fixture
def collection(layout: Layout) -> vidx.Collection:
    return vidx.open(layout.root)


def ids(selection: vidx.Selection) -> list[int]:
    return selection.clip_ids().tolist()


def test_a_snapshot_has_the_clips_of_the_moment_it_was_saved(collection, layout) -> None:
    part = collection.where("clip_id % 2 = 0")
    before = ids(part)
    report = part.save("v1")
    assert report == vidx.SnapshotReport("v1", len(before), 1, 2)
    commit(layout, draw_video("e", 4))
    assert ids(collection.selection("v1")) == before != ids(part)
    row = {"name": "v1", "num_clips": 8, "num_missing": 0, "state": 1}
    [told] = collection.snapshots().to_pylist()
    assert {name: told[name] for name in row} == row
    assert told["rule"] == "where('clip_id % 2 = 0')"


def test_it_is_a_selection_as_any_other(collection) -> None:
    collection.where("clip_id < 6").save("small")
    saved, even = collection.selection("small"), collection.where("clip_id % 2 = 0")
    assert ids(saved & even) == [0, 2, 4]
    assert ids(saved - even) == [1, 3, 5]
    assert ids(even - saved) == [6, 8, 10, 12, 14]
    assert set(ids(saved | even)) == {*range(6), *range(6, 16, 2)}
    hits = saved.search_by_vector(np.ones(DIM), 100)
    assert {hit.clip_id for hit in hits} == set(range(6))
    assert saved.clips().column("clip_id").to_pylist() == list(range(6))


def test_an_expression_can_ask_for_it(collection) -> None:
    collection.where("clip_id < 6").save("it's small")
    text = "snapshot('it''s small') and clip_id % 2 = 0"
    assert ids(collection.where(text)) == [0, 2, 4]
    assert ids(collection.where("not snapshot('it''s small') and clip_id < 9")) == [6, 7, 8]
    hits = collection.search_by_vector(np.ones(DIM), 100, SearchOptions(where=text))
    assert {hit.clip_id for hit in hits} == {0, 2, 4}
    with pytest.raises(UsageError, match="Did you mean"):
        collection.where("snapshot('it''s smal')")
    with pytest.raises(UsageError, match=r"no value"):
        collection.where("snapshot('it''s small') > 1")
    with pytest.raises(UsageError, match="takes one name"):
        collection.where("snapshot(1)")


def test_clips_that_go_are_told_as_missing_and_come_back(collection) -> None:
    collection.where("true").save("all")
    removal = collection.remove(path_of("b"))
    assert collection.snapshots().column("num_missing").to_pylist() == [4]
    assert ids(collection.selection("all")) == [0, 1, 2, 3, *range(8, 16)]
    collection.restore(removal.commit)
    assert collection.snapshots().column("num_missing").to_pylist() == [0]


def test_the_difference_of_two_says_what_came_and_went(collection) -> None:
    collection.where("clip_id < 6").save("a")
    collection.where("clip_id between 4 and 8").save("b")
    collection.remove(path_of("c"))
    rows = collection.diff("a", "b").to_pylist()
    assert [(row["clip_id"], row["change"]) for row in rows] == [
        *((number, "removed") for number in range(4)),
        *((number, "added") for number in (6, 7, 8)),
    ]
    assert [row["clip_id"] for row in rows if row["is_missing"]] == [8]
    assert collection.diff("a", "a").num_rows == 0


@pytest.mark.parametrize("compacted", [False, True])
def test_a_lost_catalogue_loses_no_snapshot(collection, layout, compacted: bool) -> None:
    collection.where("clip_id < 6").save("kept")
    collection.where("clip_id > 6").save("dropped")
    collection.delete_snapshot("dropped")
    collection.where("clip_id > 2").save("dropped")
    collection.remove(path_of("a"))
    if compacted:
        collection.compact()
    collection.where("clip_id > 9").save("late")
    collection.delete_snapshot("dropped")
    before = [collection.snapshots().to_pylist(), ids(collection.selection("kept"))]
    assert [row["name"] for row in before[0]] == ["kept", "late"]
    assert before[1] == [4, 5]
    collection.close()
    layout.catalogue.unlink()
    report = collection.rebuild()
    assert (report.lost, report.ignored) == ((), ())
    assert [collection.snapshots().to_pylist(), ids(collection.selection("kept"))] == before
    assert collection.verify() == []


@pytest.mark.parametrize("told", [False, True])
def test_a_snapshot_whose_commit_was_cut_short_is_there_or_not(
    collection, layout, told: bool
) -> None:
    """Killed before the entry of the journal, nothing is there; after it, all is."""
    before = layout.catalogue.read_bytes()
    saved = collection.where("clip_id < 6").save("v1")
    collection.close()
    layout.catalogue.write_bytes(before)
    if not told:
        (layout.journal / journal.file_name(saved.commit)).unlink()
    commit(layout, draw_video("next"))
    assert collection.snapshots().column("name").to_pylist() == (["v1"] if told else [])
    collection.where("clip_id < 3").save("v2")
    assert ids(collection.selection("v2")) == [0, 1, 2]
    assert collection.verify() == []


def test_ten_million_ids_take_little_room(tmp_path: Path) -> None:
    """Here a hundredth of them, one of two drawn: two bytes each at the most."""
    drawn = np.random.default_rng(0).random(200_000) < 0.5
    some = np.flatnonzero(drawn).astype(np.int64)
    snapshot = files.Snapshot("v1", 1, "2026-01-01T00:00:00+00:00", "where('true')")
    path = files.write(tmp_path, "uuid", snapshot, some)
    assert path.stat().st_size < len(some)
    assert np.array_equal(files.read(path, "uuid"), some)
    assert pq.read_schema(path).names == ["clip_id"]


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201, "\x1b[31m"])
def test_a_name_that_cannot_be_seen_is_refused(collection, name: str) -> None:
    with pytest.raises(UsageError, match="no name of a snapshot"):
        collection.where("true").save(name)


def test_what_cannot_be_saved_or_found_is_told(collection) -> None:
    collection.where("true").save("v1")
    with pytest.raises(UsageError, match="already"):
        collection.where("true").save("v1")
    with pytest.raises(VidxError, match="nothing to save"):
        collection.where("clip_id < 0").save("v2")
    for ask in (collection.selection, collection.delete_snapshot):
        with pytest.raises(UsageError, match="There are: 'v1'"):
            ask("v2")
    with pytest.raises(UsageError, match="no snapshot 'v2'"):
        collection.diff("v1", "v2")
    selection = collection.selection("v1")
    collection.delete_snapshot("v1")
    with pytest.raises(UsageError, match="no snapshot 'v1'"):
        selection.count()


def test_a_broken_file_is_told_by_the_snapshot_and_by_verify(collection, layout) -> None:
    commit_number = collection.where("true").save("v1").commit
    path = layout.journal / files.file_name(commit_number)
    data = bytearray(path.read_bytes())
    data[20] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CollectionDamaged, match="cannot be read"):
        collection.selection("v1").count()
    assert any(path.name in finding for finding in collection.verify())
    path.unlink()
    assert any("it is missing" in finding for finding in collection.verify())


def test_a_full_disk_saves_nothing_and_says_so(collection) -> None:
    collection.where("true").save("v1")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(VidxError):
            collection.where("true").save("v2")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert collection.snapshots().column("name").to_pylist() == ["v1"]
    collection.where("true").save("v2")
    assert collection.verify() == []


def run(layout: Layout, *arguments: str) -> str:
    done = CliRunner().invoke(cli, ["snapshot", *arguments, "--collection", str(layout.root)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0
    return done.output


def test_the_command_line_says_what_python_does(collection, layout) -> None:
    saved = json.loads(run(layout, "save", "v1", "--where", "clip_id < 6", "--json"))
    assert saved == {"name": "v1", "num_clips": 6, "state": 1, "commit": 2}
    assert run(layout, "save", "all") == "16 clips saved as all.\n"
    assert json.loads(run(layout, "list", "--json")) == collection.snapshots().to_pylist()
    assert "where('clip_id < 6')" in run(layout, "list")
    told = json.loads(run(layout, "diff", "v1", "all", "--json"))
    assert told["clips"] == collection.diff("v1", "all").to_pylist()
    assert (told["added"], told["removed"]) == (10, 0)
    assert run(layout, "diff", "v1", "all") == "10 clips added, 0 removed.\n"
    assert json.loads(run(layout, "delete", "all", "--json")) == {"name": "all", "commit": 4}
    assert run(layout, "delete", "v1") == "v1 is deleted.\n"
    assert json.loads(run(layout, "list", "--json")) == []
