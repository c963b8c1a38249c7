"""Tables of metadata from files: what they say is what is kept, and what is broken is told."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_collections import commit, draw_video, path_of, video_id

import vidx
from vidx.errors import UsageError, VidxError
from vidx.store.layout import Layout

MAY = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.fixture
def collection(filled: Layout) -> vidx.Collection:
    with vidx.open(filled.root) as opened:
        yield opened


def told(collection: vidx.Collection) -> dict[str, tuple[str, Any]]:
    """The type of each column, and its value of the video a."""
    [row] = [row for row in collection.videos().to_pylist() if row["path"] == path_of("a")]
    return {one.name: (one.type, row[one.name]) for one in collection.info().metadata}


def test_csv_tells_types_by_how_all_values_look(
    collection: vidx.Collection, tmp_path: Path
) -> None:
    table = tmp_path / "Table.CSV"
    table.write_text(
        "path,split,frames,share,good,day,at,mixed,country,quoted,none\n"
        f'{path_of("a")},train,3,.5,true,2024-05-01,12:30,1,NA,"a, ""b""\nc",\n'
        f"{path_of('b')},,,,,,,x,,,\n",
        encoding="utf-8-sig",
    )
    report = collection.set_metadata(table)
    assert told(collection) == {
        "split": ("text", "train"),
        "frames": ("integer", 3),
        "share": ("real", 0.5),
        "good": ("boolean", True),
        "day": ("timestamp", MAY),
        "at": ("text", "12:30"),
        "mixed": ("text", "1"),
        "country": ("text", "NA"),
        "quoted": ("text", 'a, "b"\nc'),
    }
    assert report.left_out == ("none",)
    assert report.num_values == 10


@pytest.mark.parametrize(
    ("written", "value"), [('5" screen', '5" screen'), ('"two\nlines, ""so"""', 'two\nlines, "so"')]
)
def test_quotes_that_are_closed_and_those_within_a_word_are_no_fault(
    collection: vidx.Collection, tmp_path: Path, written: str, value: str
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"path,note\n{path_of('a')},{written}\n")
    collection.set_metadata(table)
    assert told(collection) == {"note": ("text", value)}
    table.write_text(f'path,note\n{path_of("a")},x\n{path_of("b")},"y\n{path_of("a")},z\n')
    with pytest.raises(VidxError, match="the quotes of line 3 are not closed"):
        collection.set_metadata(table)


def test_the_numbers_of_rows_that_pandas_writes_are_no_column(
    collection: vidx.Collection, tmp_path: Path
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f",path,split\n0,{path_of('a')},train\n1,{path_of('b')},test\n")
    collection.set_metadata(table)
    assert told(collection) == {"split": ("text", "train")}


def test_text_stays_text_whatever_a_later_file_holds(
    collection: vidx.Collection, tmp_path: Path
) -> None:
    collection.set_metadata({"path": [path_of("a")], "code": ["x"], "n": [1]})
    (tmp_path / "t.csv").write_text(f"path,code\n{path_of('a')},007\n")
    collection.set_metadata(tmp_path / "t.csv")
    assert told(collection)["code"] == ("text", "007")
    (tmp_path / "t.jsonl").write_text(f'{{"path": "{path_of("a")}", "code": "2024-05-01"}}\n')
    collection.set_metadata(str(tmp_path / "t.jsonl"))
    assert told(collection)["code"] == ("text", "2024-05-01")
    (tmp_path / "t.csv").write_text(f"path,n\n{path_of('a')},one\n")
    with pytest.raises(VidxError, match="'n' holds text, but is integer in the collection"):
        collection.set_metadata(tmp_path / "t.csv")


def test_lines_of_json_may_say_something_each(collection: vidx.Collection, tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    name = path_of("a")
    table.write_text(
        f'{{"path": "{name}", "split": "train", "n": 1, "day": "2024-05-01"}}\n\n'
        f'{{"path": "{name}", "good": true, "q": NaN, "at": "2024-05-01T02:00:00+02:00"}}\n'
        f'{{"path": "{path_of("b")}", "q": 1, "n": null, "text": "2024-05"}}\n'
    )
    collection.set_metadata(table)
    assert told(collection) == {
        "split": ("text", "train"),
        "n": ("integer", 1),
        "day": ("timestamp", MAY),
        "good": ("boolean", True),
        "q": ("real", None),
        "at": ("timestamp", MAY),
        "text": ("text", None),
    }


def test_parquet_says_types_itself(collection: vidx.Collection, tmp_path: Path) -> None:
    table = pa.table({"video_id": [video_id("a")], "n": pa.array([1], pa.float64()), "t": ["1"]})
    pq.write_table(table, tmp_path / "t.parquet")
    collection.set_metadata(tmp_path / "t.parquet", on="video_id")
    assert told(collection) == {"n": ("real", 1.0), "t": ("text", "1")}


def test_relative_paths_start_from_the_files_folder_then_from_the_working_folder(
    filled: Layout, collection: vidx.Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, here = tmp_path / "data", tmp_path / "here"
    beside.mkdir()
    here.mkdir()
    places = {"x": beside / "clip.mp4", "y": here / "clip.mp4", "z": here / "only.mp4"}
    for name, place in places.items():
        commit(filled, draw_video(name, paths=(str(place),)))
    (beside / "t.csv").write_text("path,n\nclip.mp4,1\nonly.mp4,2\n")
    monkeypatch.chdir(here)
    collection.set_metadata(os.path.join("..", "data", "t.csv"))
    values = {row["path"]: row["n"] for row in collection.videos().to_pylist()}
    assert [values[str(place)] for place in places.values()] == [1, None, 2]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "Empty CSV file"),
        ("t.csv", b"path,n\n/a\n", "Expected 2 columns, got 1"),
        ("t.csv", b"path,n,n\n/a,1,2\n", "'n' is there twice"),
        ("t.csv", b"path,n\n/a,\xff\n", "'n' is not UTF-8"),
        ("t.csv", b"path,\xff\n/a,1\n", "cannot be read as .csv"),
        ("t.csv", b"path;n\n/a;1\n", "no column 'path', .*there is 'path;n'"),
        ("t.csv", b"file_path,n\n/a,1\n", "no column 'path', .*there is 'file_path'"),
        ("t.csv", b"path,n\n/nowhere,1\n", "none of the 1 rows .*'/nowhere'"),
        ("t.csv", b"path,n\n/a\0b,1\n", "none of the 1 rows"),
        ("t.jsonl", b"", "it has no rows"),
        ("t.jsonl", b"{}\n", "no column 'path'"),
        ("t.jsonl", b'{"path": "/a"\n', "line 1 is no JSON"),
        ("t.jsonl", b'\n[{"path": "/a"}]\n', "line 2 is no JSON object"),
        ("t.jsonl", b'{"path": "/a", "n": [1]}\n', "line 1 has a list or object in 'n'"),
        ("t.jsonl", b'{"path": "/a", "n": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "line 1"),
        ("t.jsonl", b'{"path": "/a", "n": 1}\n{"path": "/a", "n": "x"}\n', "'n' are of different"),
        ("t.jsonl", b'{"path": "/a", "n": %d}\n' % 2**70, "'n' are of different types|too large"),
        ("t.jsonl", b'{"path": "/a", "n": "\\ud800"}\n', "surrogate"),
        ("t.jsonl", b"\xff\xfe\n", "cannot be read as .jsonl"),
        ("t.parquet", b"PAR1", "cannot be read as .parquet"),
        ("t.parquet", b"", "cannot be read as .parquet"),
    ],
)
def test_a_broken_file_is_told_and_changes_nothing(
    collection: vidx.Collection, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VidxError, match=f"(?s){said}"):
        collection.set_metadata(tmp_path / name)
    assert collection.info().metadata == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12345678901234567890", "12345678901234567891"),
        ("1", " -9223372036854775809"),
        ("0.5", "9007199254740993"),
        ("", "1" + 400 * "0"),
    ],
)
def test_whole_numbers_of_csv_are_never_rounded(
    collection: vidx.Collection, tmp_path: Path, one: str, other: str
) -> None:
    rows = (
        f"path,share,n\n{path_of('a')},2e30,{one}\n{path_of('b')},12345678901234567890.0,{other}\n"
    )
    (tmp_path / "t.csv").write_text(rows)
    with pytest.raises(VidxError, match=r"(?s)t\.csv: the column 'n' is real.* would be rounded"):
        collection.set_metadata(tmp_path / "t.csv")
    assert collection.info().metadata == ()
    (tmp_path / "t.csv").write_text(rows.replace(f",{one}\n", ",x1\n"))
    collection.set_metadata(tmp_path / "t.csv")
    assert told(collection) == {"share": ("real", 2e30), "n": ("text", "x1")}


@pytest.mark.parametrize("name", ["none.csv", "folder.csv", "t.txt", "t", "t.csv.gz"])
def test_what_is_no_file_of_these_kinds_is_wrong_use(
    collection: vidx.Collection, tmp_path: Path, name: str
) -> None:
    if name.startswith("t"):
        (tmp_path / name).write_bytes(b"path,n\n")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(UsageError, match=name):
        collection.set_metadata(tmp_path / name)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_long_value_fits(collection: vidx.Collection, tmp_path: Path, ending: str) -> None:
    table, value = tmp_path / f"t.{ending}", "x" * 3_000_000
    row = f'{{"path": "{path_of("a")}", "t": "{value}"}}\n'
    table.write_text(row if ending == "jsonl" else f"path,t\n{path_of('a')},{value}\n")
    collection.set_metadata(table)
    assert told(collection)["t"] == ("text", value)
