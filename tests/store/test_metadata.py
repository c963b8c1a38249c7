"""Metadata is typed, kept whole, and comes back from a lost catalogue."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_collections import commit, draw_video, keep_catalogue, lose_catalogue, path_of, video_id
from sqlalchemy import select

import vidx
from vidx.errors import CollectionDamaged, UsageError, VidxError
from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout
from vidx.store.metadata import sql_columns
from vidx.store.metadata.files import ARROW_TYPES
from vidx.store.metadata.given import MAX_COLUMNS, RESERVED
from vidx.store.writer import Batch, open_writer

A, B, C = map(video_id, "abc")
AT_NOON = datetime(2024, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def collection(filled: Layout) -> vidx.Collection:
    """Videos a, b and c, with clips 0 to 2, 3 and 4, and 5 to 7."""
    with vidx.open(filled.root) as opened:
        yield opened


def of_videos(collection: vidx.Collection, *names: str) -> dict[str, Any]:
    """What is told of each video: one value, or a tuple."""
    return _told(collection.videos(), "video_id", names)


def of_clips(collection: vidx.Collection, *names: str) -> dict[int, Any]:
    return _told(collection.clips(), "clip_id", names)


def _told(table: pa.Table, key: str, names: tuple[str, ...]) -> dict[Any, Any]:
    columns = [table.column(name).to_pylist() for name in names]
    values = columns[0] if len(names) == 1 else list(zip(*columns, strict=True))
    return dict(zip(table.column(key).to_pylist(), values, strict=True))


def lose_and_rebuild(collection: vidx.Collection) -> None:
    collection.close()
    lose_catalogue(Layout(collection.path))
    report = collection.rebuild()
    assert (report.lost, report.ignored) == ((), ())


def test_values_of_videos_are_told_of_videos_and_of_their_clips(
    collection: vidx.Collection,
) -> None:
    report = collection.set_metadata(
        {"video_id": [A, C], "split": ["train", "test"]}, on="video_id"
    )
    assert (report.of, report.columns) == ("video", ("split",))
    assert (report.num_keys, report.num_values) == (2, 2)
    assert of_videos(collection, "split") == {A: "train", B: None, C: "test"}
    assert list(of_clips(collection, "split").values()) == ["train"] * 3 + [None] * 2 + ["test"] * 3


def test_values_of_clips_are_told_of_clips_alone(collection: vidx.Collection) -> None:
    collection.set_metadata({"clip_id": [1, 7], "good": [True, False]}, on="clip_id")
    assert of_clips(collection, "good") == dict.fromkeys(range(8)) | {1: True, 7: False}
    assert "good" not in collection.videos().column_names


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        (["x", ""], "text", ["x", ""]),
        (pa.array(["x", "y"]).dictionary_encode(), "text", ["x", "y"]),
        (pa.array(["x", "y"], pa.large_string()), "text", ["x", "y"]),
        (pa.array([1, 255], pa.uint8()), "integer", [1, 255]),
        ([-(2**63), 2**63 - 1], "integer", [-(2**63), 2**63 - 1]),
        ([0.1, -0.0], "real", [0.1, -0.0]),
        (pa.array([0.5, 2], pa.float16()), "real", [0.5, 2.0]),
        ([True, False], "boolean", [True, False]),
        ([date(2024, 5, 1), date(1, 1, 1)], "timestamp", None),
        ([AT_NOON, None], "timestamp", [AT_NOON, None]),
        ([AT_NOON.replace(tzinfo=None), None], "timestamp", [AT_NOON, None]),
        (pa.array([1], pa.timestamp("ns")).take(pa.array([0, None])), "timestamp", None),
        (pa.array([AT_NOON, None], pa.timestamp("us", "Asia/Tokyo")), "timestamp", [AT_NOON, None]),
    ],
)
def test_each_type_comes_back_as_it_was_given_also_from_a_lost_catalogue(
    collection: vidx.Collection, values: Any, kind: str, kept: list[Any] | None
) -> None:
    table = {"clip_id": [0, 1], "x": values}
    collection.set_metadata(table, on="clip_id")
    before = collection.clips()
    assert [one.type for one in collection.info().metadata] == [kind]
    if kept is not None:
        assert before.column("x").to_pylist()[:2] == kept
    lose_and_rebuild(collection)
    assert collection.clips().equals(before)
    assert collection.verify() == []


def test_an_empty_value_says_nothing_unless_it_is_asked_to(collection: vidx.Collection) -> None:
    collection.set_metadata({"clip_id": [0, 1], "q": [1.0, 2.0], "t": ["a", "b"]}, on="clip_id")
    second = {"clip_id": [0, 1], "q": [np.nan, 3.0], "t": [None, None]}
    report = collection.set_metadata(second, on="clip_id")
    assert (report.columns, report.left_out, report.num_values) == (("q",), ("t",), 1)
    assert [of_clips(collection, "q", "t")[n] for n in (0, 1)] == [(1.0, "a"), (3.0, "b")]
    collection.set_metadata(second, on="clip_id", clear_empty=True)
    assert [of_clips(collection, "q", "t")[n] for n in (0, 1)] == [(None, None), (3.0, None)]
    lose_and_rebuild(collection)
    assert [of_clips(collection, "q", "t")[n] for n in (0, 1)] == [(None, None), (3.0, None)]
    assert [one.num_values for one in collection.info().metadata] == [1, 0]


def test_the_places_that_pandas_keeps_of_rows_are_no_metadata(
    collection: vidx.Collection, tmp_path: Path
) -> None:
    path = collection.videos()["path"][0].as_py()
    table = pa.table({"path": [path], "kind": ["cat"], "__index_level_0__": [4]})
    pq.write_table(table, tmp_path / "table.parquet")
    assert collection.set_metadata(table).columns == ("kind",)
    assert collection.set_metadata(tmp_path / "table.parquet").columns == ("kind",)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string()])
@pytest.mark.parametrize("is_file", [False, True])
def test_text_may_be_of_any_type_of_arrow(
    collection: vidx.Collection, tmp_path: Path, kind: pa.DataType, is_file: bool
) -> None:
    ids = pa.array([A, B, "none", A], kind)
    table = pa.table({"video_id": ids, "kind": pa.array(["cat", None, "dog", "cat"], kind)})
    pq.write_table(table, tmp_path / "t.parquet")
    given = tmp_path / "t.parquet" if is_file else table
    assert collection.set_metadata(given, on="video_id").unknown == ("none",)
    assert of_videos(collection, "kind") == {A: "cat", B: None, C: None}


def test_categories_may_be_views_of_text(collection: vidx.Collection) -> None:
    views = pa.array(["cat", "dog"], pa.string_view())
    kinds = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.uint32()), views)
    collection.set_metadata(pa.table({"video_id": [A, B, C], "kind": kinds}), on="video_id")
    assert of_videos(collection, "kind") == {A: "dog", B: None, C: "cat"}


def test_unknown_keys_are_counted_and_told(collection: vidx.Collection) -> None:
    keys = [A, *(f"none {n}" for n in range(20)), None, "none 0"]
    report = collection.set_metadata({"video_id": keys, "n": list(range(23))}, on="video_id")
    assert (report.num_rows, report.num_keys, report.num_unknown) == (23, 1, 22)
    assert report.unknown == tuple(f"none {n}" for n in range(10))
    assert of_videos(collection, "n") == {A: 0, B: None, C: None}


def test_a_table_about_nothing_here_changes_nothing(collection: vidx.Collection) -> None:
    before = collection.commits()
    for table in ({"video_id": ["zz"], "n": [1]}, {"video_id": pa.array([], pa.string()), "n": []}):
        with pytest.raises(VidxError):
            collection.set_metadata(table, on="video_id")
    assert collection.commits().equals(before)
    assert collection.info().metadata == ()
    assert list((collection.path / "staging").iterdir()) == []


def test_removed_videos_are_unknown_and_keep_their_values_until_they_return(
    collection: vidx.Collection,
) -> None:
    collection.set_metadata({"path": [path_of("a"), path_of("b")], "n": [1, 2]})
    collection.set_metadata({"clip_id": [0, 3], "m": [1, 2]}, on="clip_id")
    removal = collection.remove(path_of("a"))
    with pytest.raises(VidxError, match="none of the 1 rows"):
        collection.set_metadata({"path": [path_of("a")], "n": [5]})
    report = collection.set_metadata({"clip_id": [0, 3], "m": [5, 6]}, on="clip_id")
    assert (report.num_keys, report.unknown) == (1, ("0",))
    for _ in range(2):
        collection.restore(removal.commit)
        assert of_videos(collection, "n") == {A: 1, B: 2, C: None}
        assert of_clips(collection, "m") == dict.fromkeys(range(8)) | {0: 1, 3: 6}
        removal = collection.remove(path_of("a"))
        lose_and_rebuild(collection)


def test_a_path_may_be_any_location_relative_or_absolute(
    filled: Layout, collection: vidx.Collection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here, other = tmp_path / "x.mp4", tmp_path / "more" / "x.mp4"
    url = "https://host/video.mp4"
    commit(filled, draw_video("x", paths=(str(here), str(other), url)))
    monkeypatch.chdir(tmp_path)
    for number, path in enumerate(["x.mp4", "./more/../x.mp4", str(other), url]):
        collection.set_metadata({"path": [path], "n": [number]})
        assert of_videos(collection, "n")[video_id("x")] == number


def test_rows_of_one_video_agree_or_are_refused(filled: Layout, collection) -> None:
    commit(filled, draw_video("x", paths=("/one", "/two")))
    table = {"path": ["/one", "/two"], "n": [1, None], "t": [None, "t"], "same": ["s", "s"]}
    report = collection.set_metadata(table)
    assert (report.num_keys, report.num_values) == (1, 3)
    assert of_videos(collection, "n", "t", "same")[video_id("x")] == (1, "t", "s")
    with pytest.raises(VidxError, match=r"'n' has two.*: '/one' has 1, and '/two' has 2"):
        collection.set_metadata({"path": ["/one", "/two"], "n": [1, 2]})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"clip": [0], "n": [1]}, "no column 'clip_id'.*there is 'clip'"),
        ({"clip_id": [0]}, "no column beside 'clip_id'"),
        ({"clip_id": [0], "n": pa.nulls(1)}, "not one value"),
        ({"clip_id": [0], "path": ["x"]}, "'path' has the name of something that vidx says"),
        ({"clip_id": [0], "Width": [1]}, "'Width' has the name of something"),
        ({"clip_id": [0], "": [1]}, "'' is no name"),
        ({"clip_id": [0], "a ": [1]}, "'a ' is no name"),
        ({"clip_id": [0], "a\nb": [1]}, r"'a\\nb' is no name"),
        ({"clip_id": [0], "a\0": [1]}, r"'a\\x00' is no name"),
        ({"clip_id": [0], "n" * 201: [1]}, "201 characters"),
        ({"clip_id": [0], "n" * 1_000_000: [1]}, "1000000 characters"),
        ({"clip_id": [0], "n": [1], "N": [2]}, "upper and lower case alone"),
        ({"clip_id": [0], "SPLIT": ["x"]}, "'SPLIT' and 'split' differ in upper"),
        ({"clip_id": [0], "split": ["x"]}, "'split' is of videos, and cannot be of clips"),
        ({"clip_id": [0], "good": ["yes"]}, "'good' holds text, but is boolean"),
        ({"clip_id": [0], "size": [2.5]}, "'size' is integer, and some values are not"),
        ({"clip_id": [0], "q": [2**60 + 1]}, "'q' is real, and some values are not"),
        ({"clip_id": [0], "l": [[1]]}, "'l' holds list<.*metadata is text, integer"),
        ({"clip_id": [0], "l": [{"a": 1}]}, "'l' holds struct<"),
        ({"clip_id": [0], "l": [b"x"]}, "'l' holds binary"),
        ({"clip_id": [0], "t": ["a\0b"]}, "'t' has text with a NUL character, first in row 1"),
        ({"clip_id": [0, 1], "q": [1, np.inf]}, "'q' has an infinite number, first in row 2"),
        ({"clip_id": [0], "n": pa.array([2**64 - 1], pa.uint64())}, "'n' is integer, and some"),
        ({"clip_id": ["x"], "n": [1]}, "a clip_id is whole numbers"),
        ({"clip_id": [0, 0], "n": [1, 2]}, "'n' has two different values.*0 has 1, and 0 has 2"),
        ({"clip_id": [0], **{f"c{n}": [n] for n in range(MAX_COLUMNS)}}, "more than 1000 columns"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    collection: vidx.Collection, table: dict[str, Any], said: str
) -> None:
    collection.set_metadata({"video_id": [A], "split": ["x"]}, on="video_id")
    known = {"clip_id": [0], "good": [True], "size": [2], "q": [0.5]}
    collection.set_metadata(known, on="clip_id")
    before = collection.clips(), collection.commits(), collection.info()
    with pytest.raises(VidxError, match=f"(?s){said}"):
        collection.set_metadata(table, on="clip_id")
    assert (collection.clips(), collection.commits(), collection.info()) == before


def test_a_wrong_use_is_told(collection: vidx.Collection) -> None:
    with pytest.raises(UsageError, match="'file' is no kind of key"):
        collection.set_metadata({"file": ["x"], "n": [1]}, on="file")
    with pytest.raises(UsageError, match="no table"):
        collection.set_metadata(5)
    with pytest.raises(UsageError, match="no file"):
        collection.set_metadata("none.csv")


def test_whole_numbers_and_others_meet_where_nothing_is_lost(collection: vidx.Collection) -> None:
    collection.set_metadata({"clip_id": [0], "n": [1], "q": [0.5]}, on="clip_id")
    collection.set_metadata({"clip_id": [1], "n": [2.0], "q": [3]}, on="clip_id")
    assert of_clips(collection, "n", "q")[1] == (2, 3.0)
    assert [one.type for one in collection.info().metadata] == ["integer", "real"]


def test_each_reserved_name_is_one_that_tables_show(collection: vidx.Collection) -> None:
    shown = {*collection.videos().column_names, *collection.clips().column_names}
    assert shown <= RESERVED


HOSTILE = [
    "'; DROP TABLE clips; --",
    '"); DELETE FROM videos; /*',
    "`x` = 1 OR 1=1",
    "a.b.c[0]",
    "%s ? :name {0} $1",
    "SELECT",
    "c1",
    "video",
    "名前 🎬",
    "\\",
    "' || load_extension('x') || '",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_plain_names(collection: vidx.Collection, name: str) -> None:
    for on, keys, column in (("clip_id", [0, 1], f"{name}?"), ("video_id", [A, B], name)):
        collection.set_metadata({on: keys, column: ["x", "y"]}, on=on)
    collection.compact()
    lose_and_rebuild(collection)
    assert of_videos(collection, name) == {A: "x", B: "y", C: None}
    assert list(of_clips(collection, f"{name}?").values())[:3] == ["x", "y", None]
    export = collection.path / "all.parquet"
    assert collection.export(export) == 8
    assert pq.read_table(export).column(name).to_pylist()[0] == "x"
    assert collection.verify() == []


@pytest.mark.parametrize(
    "value", [*HOSTILE, "line\nline\r\n\ttab", "x" * 1_000_000, "[" * 100_000, "\u202e\x1b[31m", ""]
)
def test_hostile_values_are_plain_text(collection: vidx.Collection, value: str) -> None:
    collection.set_metadata({"clip_id": [0], "t": [value]}, on="clip_id")
    lose_and_rebuild(collection)
    assert of_clips(collection, "t")[0] == value
    assert collection.verify() == []


def test_statements_find_columns_by_the_names_of_users(
    collection: vidx.Collection, open_catalogue: Callable[[], Catalogue]
) -> None:
    collection.set_metadata({"video_id": [A, B], "split": ["x", "y"], "n": [1, 2]}, on="video_id")
    collection.set_metadata({"clip_id": [0], "at": [AT_NOON]}, on="clip_id")
    with open_catalogue().reading() as connection:
        known = sql_columns(connection)
        assert [(name, one.of, one.type) for name, one in known.items()] == [
            ("split", "video", "text"),
            ("n", "video", "integer"),
            ("at", "clip", "timestamp"),
        ]
        assert known["split"].table is known["n"].table
        where = (known["split"].column >= "y") & (known["n"].column < 5)
        assert connection.execute(select(known["n"].table.c.video).where(where)).all() == [(2,)]
        [[micros]] = connection.execute(select(known["at"].column)).all()
        assert micros == AT_NOON.timestamp() * 1e6


def test_compacting_keeps_the_values_of_what_lives_and_forgets_the_others(
    collection: vidx.Collection,
) -> None:
    collection.set_metadata({"video_id": [A, B, C], "n": [1, 2, 3]}, on="video_id")
    of_them = {"clip_id": [0, 3, 7], "m": [1, 2, 3], "gone": ["x", "", None]}
    collection.set_metadata(of_them, on="clip_id")
    collection.remove([path_of("a"), path_of("b")])
    assert [one.num_values for one in collection.info().metadata] == [3, 3, 2], "until compact"
    collection.compact()
    for _ in range(2):
        assert [one.num_values for one in collection.info().metadata] == [1, 1, 0]
        assert of_videos(collection, "n") == {C: 3}
        assert of_clips(collection, "m", "gone") == {5: (None, None), 6: (None, None), 7: (3, None)}
        assert collection.verify() == []
        lose_and_rebuild(collection)
    commit(Layout(collection.path), draw_video("a"))
    assert of_videos(collection, "n") == {A: None, C: 3}, "it begins anew"
    lose_and_rebuild(collection)
    assert of_videos(collection, "n") == {A: None, C: 3}


def test_a_shard_put_back_has_its_values_again(collection: vidx.Collection) -> None:
    collection.set_metadata({"video_id": [A, C], "n": [1, 3]}, on="video_id")
    collection.set_metadata({"clip_id": [0, 5], "m": [1, 5], "q": [1, 2]}, on="clip_id")
    collection.set_metadata({"clip_id": [0], "q": pa.nulls(1)}, on="clip_id", clear_empty=True)
    before = collection.clips()
    first = min((collection.path / "shards").iterdir())
    for lose in (collection.rebuild, lambda: lose_and_rebuild(collection)):
        first.rename(collection.path / "away")
        lose()
        assert collection.clips().equals(before.slice(5))
        (collection.path / "away").rename(first)
        collection.rebuild()
        assert collection.clips().equals(before)
        assert collection.verify() == []


def test_an_older_catalogue_put_back_learns_what_was_set_since(
    filled: Layout, collection: vidx.Collection
) -> None:
    with open_writer(filled) as writer:  # a shard that compacting leaves alone
        writer.commit(Batch(videos=[draw_video("d")]), {"model": "another"})
    paths = [path_of("a"), path_of("d")]
    collection.set_metadata({"path": paths, "n": [1, 2], "m": [3, 4]})
    collection.close()
    put_back = keep_catalogue(Layout(collection.path))
    collection.set_metadata({"path": paths, "n": [None, None], "m": [5, 6]}, clear_empty=True)
    for step in (lambda: None, lambda: collection.remove(path_of("c")), collection.compact):
        step()
        before = collection.clips()
        collection.close()
        put_back()
        collection.rebuild()
        assert collection.clips().equals(before)
        assert collection.verify() == []


def test_a_damaged_or_missing_file_of_values_is_told_and_nothing_else_is_lost(
    collection: vidx.Collection,
) -> None:
    collection.set_metadata({"video_id": [A], "n": [1]}, on="video_id")
    collection.set_metadata({"video_id": [A], "m": [2]}, on="video_id")
    first, second = sorted((collection.path / "journal").glob("metadata-*.parquet"))
    content = first.read_bytes()
    first.write_bytes(content[:100] + bytes(20) + content[120:])
    second.unlink()
    findings = collection.verify()
    assert len(findings) == 2
    assert first.name in findings[0]
    assert second.name in findings[1]
    assert "missing" in findings[1]
    collection.close()
    lose_catalogue(Layout(collection.path))
    report = collection.rebuild()
    assert [line.split(":")[0] for line in report.ignored] == [
        "commit-000000000003.parquet",
        "commit-000000000004.parquet",
    ]
    assert len(collection.clips()) == 8


def test_values_of_another_collection_are_not_taken(
    collection: vidx.Collection, tmp_path: Path
) -> None:
    other = Layout(tmp_path / "other")
    commit(other, draw_video("a"))
    with vidx.open(other.root) as opened:
        opened.set_metadata({"clip_id": [0], "n": [1]}, on="clip_id")
    collection.set_metadata({"clip_id": [0], "n": [1]}, on="clip_id")
    [ours] = (collection.path / "journal").glob("metadata-*")
    [theirs] = (other.root / "journal").glob("metadata-*")
    shutil.copy(theirs, ours)
    assert "another collection" in collection.verify()[0]


@pytest.mark.parametrize("where", ["journal.write", "changes.apply_after"])
def test_a_killed_set_is_done_or_not_never_half(
    filled: Layout, child: Callable[[str], Any], findings: Callable[[], list[str]], where: str
) -> None:
    killed = child(
        f"""
import vidx
{where} = die
vidx.open(sys.argv[1]).set_metadata({{"clip_id": [0, 1], "n": [1, 2]}}, on="clip_id")
"""
    )
    assert killed.wait() < 0
    with vidx.open(filled.root) as collection:
        collection.set_metadata({"clip_id": [7], "m": [1]}, on="clip_id")
        done = where == "changes.apply_after"
        assert ("n" in collection.clips().column_names) is done
        if done:
            assert list(of_clips(collection, "n").values())[:3] == [1, 2, None]
        assert of_clips(collection, "m")[7] == 1
        assert findings() == []
        before = collection.clips()
        lose_and_rebuild(collection)
        assert collection.clips().equals(before)


def test_a_reader_sees_one_state_while_columns_are_added(collection: vidx.Collection) -> None:
    tables = collection.iter_clips()
    collection.set_metadata({"clip_id": [0], "n": [1]}, on="clip_id")
    assert "n" in next(tables).column_names, "a generator begins when it is asked"
    commits = collection.commits(1).to_pylist()
    assert commits[0]["verb"] == "metadata"


def test_a_part_that_is_damaged_stops_writers_until_it_is_mended(
    collection: vidx.Collection,
) -> None:
    collection.set_metadata({"clip_id": [0], "n": [1]}, on="clip_id")
    collection.close()
    put_back = keep_catalogue(Layout(collection.path))
    collection.set_metadata({"clip_id": [1], "n": [2]}, on="clip_id")
    collection.close()
    put_back()
    values = max((collection.path / "journal").glob("metadata-*"))
    values.rename(collection.path / "away")
    with pytest.raises(CollectionDamaged, match=values.name):
        collection.remove(path_of("a"))
    (collection.path / "away").rename(values)
    collection.remove(path_of("a"))
    collection.restore(collection.commits(1)["number"][0].as_py())
    assert list(of_clips(collection, "n").values())[:2] == [1, 2]


TEXTS = st.text(max_size=20) | st.sampled_from(HOSTILE)
VALUES = {
    "text": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "timestamp": st.datetimes(timezones=st.just(UTC)),
}


@given(data=st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_name_and_any_values_are_kept_or_refused(filled: Layout, data: st.DataObject) -> None:
    """And what is kept comes back from a lost catalogue; what is refused changes nothing."""
    drawn = st.dictionaries(TEXTS, st.sampled_from([*VALUES]), min_size=1, max_size=3)
    kinds = data.draw(drawn)
    ids = data.draw(st.lists(st.integers(0, 9), unique=True, min_size=1))
    table = {"clip_id": ids} | {
        name: pa.array(
            data.draw(st.lists(st.none() | VALUES[kind], min_size=len(ids), max_size=len(ids))),
            ARROW_TYPES[kind],
        )
        for name, kind in kinds.items()
    }
    with vidx.open(filled.root) as collection:
        before = collection.clips()
        try:
            report = collection.set_metadata(table, on="clip_id")
        except VidxError:
            assert collection.clips().equals(before)
            return
        assert {*report.columns, *report.left_out} == kinds.keys() - {"clip_id"}
        lose_and_rebuild(collection)
        rows = {row["clip_id"]: row for row in collection.clips().to_pylist()}
        for name in report.columns:
            for clip_id, value in zip(ids, table[name].to_pylist(), strict=True):
                if clip_id in rows and value is not None:
                    assert rows[clip_id][name] == value
        assert collection.verify() == []
