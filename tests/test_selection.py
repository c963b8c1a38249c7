"""Parts of a collection: what is in them, and that each verb keeps to it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_collections import DIM, commit, draw_video, path_of
from sqlalchemy import event

import vidx
from vidx.errors import UnknownId, UsageError
from vidx.options import SearchOptions
from vidx.records import Problem
from vidx.store.layout import Layout
from vidx.store.writer import open_writer
from vidx.views import extend_index


def fill(layout: Layout) -> vidx.Collection:
    """Eight videos in three shards, one removed, the last two newer than the index."""
    commit(layout, draw_video("a", 3), draw_video("b", 2, problem=Problem("truncated", "cut")))
    commit(layout, *(draw_video(name, 4) for name in "cdef"))
    with open_writer(layout) as writer:
        writer.remove([path_of("d")])
    with vidx.open(layout.root) as collection:
        extend_index(collection._catalogue())
    commit(layout, draw_video("g", 1), draw_video("h", 5))
    return vidx.open(layout.root)


@pytest.fixture
def collection(tmp_path: Path) -> vidx.Collection:
    return fill(Layout(tmp_path / "collection"))


def ids(selection: vidx.Selection) -> list[int]:
    return selection.clip_ids().tolist()


EXPRESSIONS = [
    "start_seconds >= 2 and clip_id <> 4",
    "label('run') > .1 or path like '%/h.mp4'",
    "clip_id in (1, 22)",
    "width = 1",
    "not label('run') > .1",
]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_verb_keeps_to_the_same_clips(collection, tmp_path: Path, text: str) -> None:
    part = collection.where(text)
    wanted = part.clip_ids()
    assert wanted.dtype == np.int64
    assert part.count() == len(wanted)
    everything = collection.clips()
    rows = [row for row in everything.to_pylist() if row["clip_id"] in wanted]
    assert [row["clip_id"] for row in rows] == wanted.tolist()
    assert part.clips().to_pylist() == rows
    assert part.clips(limit=2).to_pylist() == rows[:2]
    assert [row for table in part.iter_clips() for row in table.to_pylist()] == rows
    all_ids, all_vectors = collection.vectors()
    found_ids, found = part.vectors()
    assert found_ids.tolist() == wanted.tolist()
    assert np.array_equal(found, all_vectors[np.isin(all_ids, wanted)])
    assert [n for some, _ in part.iter_vectors() for n in some.tolist()] == wanted.tolist()
    videos = {row["video_id"] for row in rows}
    assert part.videos().to_pylist() == [
        row for row in collection.videos().to_pylist() if row["video_id"] in videos
    ]
    assert part.export(tmp_path / "part.parquet") == len(wanted)
    exported = pq.read_table(tmp_path / "part.parquet")
    assert exported.drop_columns("embedding").to_pylist() == rows
    assert np.array_equal(np.array(exported["embedding"].to_pylist()).reshape(-1, DIM), found)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_search_of_a_part_finds_its_clips_alone_and_all_of_them(collection, text: str) -> None:
    part = collection.where(text)
    vector = np.ones(DIM, np.float32)
    everything = collection.search_by_vector(vector, 100)
    wanted = [hit.clip_id for hit in everything if hit.clip_id in part.clip_ids()]
    assert [hit.clip_id for hit in part.search_by_vector(vector, 100)] == wanted
    assert [hit.clip_id for hit in part.search_by_vector(vector, 2)] == wanted[:2]
    by_option = collection.search_by_vector(vector, 100, SearchOptions(where=text))
    assert [hit.clip_id for hit in by_option] == wanted
    by_id = part.search_by_id(0, 100)
    assert sorted(hit.clip_id for hit in by_id) == sorted(wanted)
    best = {}
    for hit in everything:
        if hit.clip_id in wanted:
            best.setdefault(hit.video_id, hit.clip_id)
    by_video = part.search_by_vector(vector, 100, SearchOptions(by="video"))
    assert [hit.clip_id for hit in by_video] == list(best.values())


def test_a_file_is_searched_for_within_a_part(embedded, library) -> None:
    with vidx.open(embedded) as collection:
        part = collection.where("path like '%.MKV'")
        hits = part.search(library / "bowl.mp4", 50, SearchOptions(device="cpu"))
        assert sorted(hit.clip_id for hit in hits) == ids(part) != []


def test_what_is_wrong_with_an_expression_is_told_before_the_model_is_loaded(
    embedded, library, monkeypatch
) -> None:
    with vidx.open(embedded) as collection:
        monkeypatch.setattr(collection, "_encoder", lambda *_: pytest.fail("loaded the model"))
        for options in (SearchOptions(where="widht > 1"), SearchOptions(labels="archry")):
            with pytest.raises(UsageError, match="Did you mean"):
                collection.search(library / "bowl.mp4", options=options)


def test_options_narrow_a_part_further(collection) -> None:
    part = collection.where("start_seconds >= 2")
    vector = np.ones(DIM, np.float32)
    text = SearchOptions(where="clip_id < 9", path_glob="[ac].mp4", labels=["run", "walk"])
    has_one = collection.where("label('run') > 0 or label('walk') > 0")
    expected = part & has_one & collection.where("clip_id < 9 and path glob '*/[ac].mp4'")
    assert {hit.clip_id for hit in part.search_by_vector(vector, 99, text)} == set(ids(expected))
    other = SearchOptions(where=collection.where("clip_id < 9"))
    both = part.search_by_vector(vector, 99, other)
    assert {hit.clip_id for hit in both} == set(ids(part.where("clip_id < 9")))
    assert len(both) > len(ids(expected)) > 0


def test_selections_join_as_sets_do(collection) -> None:
    one, other = collection.where("start_seconds >= 2"), collection.where("label('run') > .1")
    first, second = set(ids(one)), set(ids(other))
    assert first - second
    assert first & second
    assert second - first
    assert ids(one & other) == sorted(first & second)
    assert ids(one | other) == sorted(first | second)
    assert ids(one - other) == sorted(first - second)
    assert ids(one - (other - one)) == sorted(first)
    assert ids(one.where("label('run') > .1")) == sorted(first & second)
    everything = collection.where("true")
    assert ids(everything) == collection.clips()["clip_id"].to_pylist()
    assert ids(everything - one - other) == sorted(set(ids(everything)) - first - second)


def test_a_thousand_selections_join(collection) -> None:
    joined = collection.where("clip_id = 0")
    for number in range(1, 1200):
        joined |= collection.where(f"clip_id = {number % 30}")
    assert ids(joined) == ids(collection.where("true"))


def test_joins_are_flat_whatever_side_they_grow_on_and_refused_when_too_deep(collection) -> None:
    one, other = collection.where("clip_id = 0"), collection.where("clip_id = 1")
    grown = one
    for _ in range(1200):
        grown = other | (one | grown)
    assert ids(grown) == ids(one | other)
    doubled = one | other
    for _ in range(60):
        doubled |= doubled
    assert ids(doubled) == ids(one | other)
    with pytest.raises(vidx.UsageError, match="50 is the most"):
        for number in range(60):
            grown = (grown | collection.where(f"clip_id = {number}")) & collection.where(
                f"clip_id < {number + 90}"
            )


def test_a_selection_says_how_it_was_made(collection) -> None:
    one, other = collection.where("width > 1"), collection.where("codec = 'it''s'")
    assert repr(one) == f"Selection({collection!r}: where('width > 1'))"
    told = f"Selection({collection!r}: where('width > 1') & (where(\"codec = 'it''s'\") - where("
    assert repr(one & (other - one)) == told + "'width > 1')))"


def test_selections_of_two_collections_do_not_mix(collection, tmp_path: Path) -> None:
    other = fill(Layout(tmp_path / "other"))
    mine, theirs = collection.where("width > 1"), other.where("width > 1")
    for join in (lambda: mine & theirs, lambda: mine | theirs, lambda: mine - theirs):
        with pytest.raises(UsageError, match="of two collections"):
            join()
    with pytest.raises(UsageError, match="of another collection"):
        collection.search_by_id(0, options=SearchOptions(where=theirs))
    with pytest.raises(TypeError):
        _ = mine & "width > 1"
    same = vidx.open(collection.path).where("clip_id < 3")
    assert ids(mine & same) == [0, 1, 2]


def test_a_selection_sees_what_is_committed_later(collection) -> None:
    part = collection.where("path like '/videos/%' and start_seconds = 0")
    before = part.count()
    commit(Layout(collection.path), draw_video("new", 2))
    assert part.count() == before + 1
    with open_writer(Layout(collection.path)) as writer:
        writer.remove([path_of("a"), path_of("new")])
    assert part.count() == before - 1


def test_what_is_read_is_of_one_state(collection) -> None:
    part = collection.where("true")
    tables, vectors = part.iter_clips(), part.iter_vectors()
    first = next(vectors)[0].tolist()
    clips = next(tables)["clip_id"].to_pylist()
    with open_writer(Layout(collection.path)) as writer:
        writer.remove([path_of("h")])
    rest = [n for some, _ in vectors for n in some.tolist()]
    assert first + rest == clips
    assert part.count() == len(clips) - 5


def test_a_warm_search_with_an_expression_asks_no_sql_for_it(collection) -> None:
    text = "label('run') > .1 and start_seconds >= 2 and not codec = 'vp9'"
    plain, asked = collection.search_by_id(0), []
    collection.search_by_id(0, options=SearchOptions(where=text))
    engine = collection._catalogue().engine
    listen = lambda *call: asked.append(call[2])  # noqa: E731
    event.listen(engine, "before_cursor_execute", listen)
    collection.search_by_id(0)
    unfiltered = len(asked)
    asked.clear()
    collection.search_by_id(0, options=SearchOptions(where=text))
    assert len(asked) == unfiltered
    asked.clear()
    collection.search_by_id(0, options=SearchOptions(where=text, path_glob="*"))
    assert len(asked) > unfiltered, "another filter is asked for"
    event.remove(engine, "before_cursor_execute", listen)
    assert plain


def test_tests_that_expressions_share_are_asked_once(collection) -> None:
    engine, asked = collection._catalogue().engine, []
    collection.where("label('run') > .1 and start_seconds >= 2").count()
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    collection.where("start_seconds  >=  2 or (LABEL('run') > .1)").count()
    assert not [statement for statement in asked if "score" in statement]
    assert not [statement for statement in asked if "start_seconds" in statement]


def test_chosen_clips_are_the_same_ones_whatever_is_added(collection, tmp_path: Path) -> None:
    chosen = collection.choose(np.array([21, 0, 3, 3]))
    assert ids(chosen) == [0, 3, 21]
    commit(Layout(collection.path), draw_video("later", 4))
    assert ids(chosen) == [0, 3, 21]
    assert ids(chosen - collection.where("clip_id = 3")) == [0, 21]
    assert chosen.save("mine").num_clips == 3
    assert collection.snapshots()["rule"].to_pylist() == ["choose(3 clips)"]
    assert ids(collection.choose([])) == []
    for gone in (9, 999, -1):  # 9 is of a video that was removed
        with pytest.raises(UnknownId, match=f"no clip {gone}"):
            collection.choose([0, gone])
    for wrong in ([0.5], 3, ["a"]):
        with pytest.raises(UsageError, match="whole numbers"):
            collection.choose(wrong)


def test_an_empty_collection_has_empty_parts(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "collection")
    commit(layout)
    part = vidx.open(layout.root).where("label('run') < .5 or width > 1")
    assert (part.count(), ids(part), part.clips().num_rows, part.videos().num_rows) == (0, [], 0, 0)
    assert part.vectors()[1].shape == (0, DIM)
    assert part.search_by_vector(np.ones(DIM)) == []
    assert part.export(tmp_path / "part.parquet") == 0


def test_few_clips_of_many_are_read_as_those_of_all(tmp_path: Path, monkeypatch) -> None:
    """Where few of a stretch of ids are wanted they are asked for by id, else all are looked at."""
    layout = Layout(tmp_path / "collection")
    for first in range(0, 40, 10):
        commit(layout, *(draw_video(f"v{n}", 50) for n in range(first, first + 10)))
    collection = vidx.open(layout.root)
    everything = collection.clips().to_pylist()
    monkeypatch.setattr("vidx.store.export.ROWS", 700)
    for text in ("clip_id % 333 = 5", "clip_id % 3 = 0", "clip_id in (1999)", "clip_id > 1200"):
        part = collection.where(text)
        wanted = set(ids(part))
        expected = [row for row in everything if row["clip_id"] in wanted]
        assert part.clips().to_pylist() == expected
        assert part.export(tmp_path / "part.parquet") == len(expected)
        exported = pq.read_table(tmp_path / "part.parquet").drop_columns("embedding")
        assert exported.to_pylist() == expected
