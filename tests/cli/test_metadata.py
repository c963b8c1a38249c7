"""`vidx metadata`, and the commands that show what it set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_collections import commit, draw_video, path_of, video_id

from vidx.store.layout import Layout

KEYS = [
    "of", "columns", "new_columns", "left_out", "num_rows", "num_keys", "num_values",
    "num_unknown", "unknown", "commit",
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a collection and a table for it."""
    commit(Layout(tmp_path / ".vidx"), draw_video("a", 2), draw_video("b", 1))
    rows = [f"{path_of('a')},train,2024-05-01", f"{path_of('b')},test,", "lost.mp4,x,", "\x1b[m,x,"]
    (tmp_path / "table.csv").write_text("\n".join(["path,split,day", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_is_set_and_what_is_unknown_is_told(vidx, place: Path) -> None:
    code, out, err = vidx("metadata", "table.csv")
    assert code == 0
    assert out == "3 values set, of 2 videos.\nNew columns: split (text), day (timestamp).\n"
    assert err == "2 rows about nothing in the collection, passed over: lost.mp4, \\x1b[m.\n"
    assert vidx("metadata", "table.csv", "--quiet") == (0, "", "")


def test_json_prints_the_report(vidx, place: Path) -> None:
    code, out, err = vidx("metadata", "table.csv", "--json")
    report = json.loads(out)
    assert (code, err, list(report)) == (0, "", KEYS)
    assert report["columns"] == ["split", "day"]
    assert report["new_columns"][0] == {
        "name": "split",
        "of": "video",
        "type": "text",
        "num_values": 2,
    }
    assert (report["num_unknown"], report["unknown"]) == (2, ["lost.mp4", "\x1b[m"])


def test_what_was_set_is_shown(vidx, place: Path) -> None:
    vidx("metadata", "table.csv")
    (place / "clips.jsonl").write_text('{"clip_id": 1, "good": true}\n')
    assert vidx("metadata", "clips.jsonl", "--on", "clip_id")[0] == 0
    _, out, _ = vidx("info")
    assert "split: text, of 2 videos" in out
    assert "good: boolean, of 1 clip " in out
    told = json.loads(vidx("info", "--json")[1])["metadata"]
    assert {one["name"]: one["num_values"] for one in told} == {"split": 2, "day": 1, "good": 1}
    first = json.loads(vidx("videos", "--json")[1])[0]
    assert (first["split"], first["day"]) == ("train", "2024-05-01T00:00:00+00:00")
    assert '"verb": "metadata"' in vidx("commits", "--json")[1]


def test_empty_values_clear_when_asked(vidx, place: Path) -> None:
    vidx("metadata", "table.csv")
    (place / "second.csv").write_text(f"video_id,split\n{video_id('a')},\n{video_id('b')},val\n")
    vidx("metadata", "second.csv", "--on", "video_id")
    splits = lambda: [row["split"] for row in json.loads(vidx("videos", "--json")[1])]  # noqa: E731
    assert splits() == ["train", "val"]
    vidx("metadata", "second.csv", "--on", "video_id", "--clear-empty")
    assert splits() == [None, "val"]


def test_columns_without_a_value_are_told(vidx, place: Path) -> None:
    (place / "t.csv").write_text(f"path,a,b\n{path_of('a')},1,\n")
    _, _, err = vidx("metadata", "t.csv")
    assert err == "Left out, for they have no value at all: b.\n"


@pytest.mark.parametrize(
    ("content", "options", "code", "said"),
    [
        ("file_path,n\n/a,1\n", (), 4, "there is 'file_path'"),
        ("path,n\n/a,1\n", (), 4, "none of the 1 rows"),
        ("path,width\n/a,1\n", (), 4, "'width' has the name of something that vidx says itself"),
        ("", (), 4, "Empty CSV file"),
        ("path,n\n/a,1\n", ("--on", "name"), 2, "'name' is not one of"),
        (None, (), 2, "t.csv' is no file"),
    ],
)
def test_what_is_wrong_ends_with_its_code(
    vidx, place: Path, content: str | None, options: tuple[str, ...], code: int, said: str
) -> None:
    vidx("metadata", "table.csv")
    if content is not None:
        (place / "t.csv").write_text(content)
    ended, out, err = vidx("metadata", "t.csv", *options)
    assert (ended, out) == (code, "")
    assert said in err
