from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_collections import DIM, commit, draw_video, path_of, video_id

import vidx
from vidx.errors import UsageError, VidxError
from vidx.records import FACTS, Problem, Source
from vidx.store.catalogue import Catalogue
from vidx.store.export import clips_table, export, failures_table, videos_table
from vidx.store.journal import Failed
from vidx.store.layout import Layout
from vidx.store.writer import open_writer

Open = Callable[[], Catalogue]


@pytest.fixture
def lived_in(filled: Layout) -> Layout:
    """a was removed, b is in three places, d is partial, and two files failed."""
    with open_writer(filled) as writer:
        writer.remove([path_of("a")])
    places = [(video_id("b"), Source(path, 1000, "42")) for path in ("/z", "/1")]
    commit(filled, draw_video("d", 1, problem=Problem("truncated", "cut")), places=places)
    commit(filled, failed=[Failed(Source("/f2", 1, "1"), None, Problem("x", "y"))])
    commit(filled, failed=[Failed(Source("/f1", 1, "1"), None, Problem("x", "y\n'"))])
    return filled


def test_an_export_holds_all_live_clips(
    lived_in: Layout, open_catalogue: Open, tmp_path: Path
) -> None:
    path = tmp_path / "out.parquet"
    path.write_text("to be replaced")
    assert export(open_catalogue(), DIM, path) == 6
    table = pq.read_table(path)
    assert table.column_names == [
        "clip_id", "video_id", "path", "start_seconds", "end_seconds", *FACTS,
        "repeats", "labels", "embedding",
    ]  # fmt: skip
    assert table["clip_id"].to_pylist() == [3, 4, 5, 6, 7, 8]
    assert table["path"].to_pylist() == ["/1"] * 2 + [path_of("c")] * 3 + [path_of("d")]
    clips = {"b": 2, "c": 3, "d": 1}
    drawn = [draw_video(name, count).embedded.embeddings for name, count in clips.items()]
    assert np.array_equal(np.array(table["embedding"].to_pylist(), "f4"), np.concatenate(drawn))
    assert table.drop_columns(["embedding"]).equals(clips_table(open_catalogue()))
    facts = [one for name, count in clips.items() for one in draw_video(name, count).embedded.facts]
    for name in FACTS:
        assert table[name].to_pylist() == [getattr(one, name) for one in facts]
    assert table["repeats"].to_pylist() == [False, False, False, False, True, False]
    for row in table["labels"].to_pylist():
        scores = [label["score"] for label in row]
        assert len(scores) == 5
        assert scores == sorted(scores, reverse=True)
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["out.parquet"]


def test_an_empty_collection_exports_an_empty_table(
    layout: Layout, open_catalogue: Open, tmp_path: Path
) -> None:
    commit(layout)
    path = tmp_path / "out.parquet"
    assert export(open_catalogue(), DIM, path) == 0
    schema = pq.read_schema(path)
    assert schema.field("embedding").type == pa.list_(pa.field("element", pa.float32()), DIM)
    for table in (clips_table, videos_table, failures_table):
        assert table(open_catalogue()).num_rows == 0


@pytest.mark.parametrize("place", ["missing/out.parquet", "file/out.parquet", "n" * 300])
def test_an_export_that_cannot_be_written_is_told(
    lived_in: Layout, open_catalogue: Open, tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VidxError, match="cannot be written"):
        export(open_catalogue(), DIM, tmp_path / place)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"file", lived_in.root.name}


def test_videos_are_told_by_path(lived_in: Layout, open_catalogue: Open) -> None:
    rows = videos_table(open_catalogue()).to_pylist()
    told = [(row["path"], row["locations"], row["num_clips"], row["status"]) for row in rows]
    assert told == [
        ("/1", ["/1", path_of("b"), "/z"], 2, "whole"),
        (path_of("c"), [path_of("c")], 3, "whole"),
        (path_of("d"), [path_of("d")], 1, "partial"),
    ]
    assert (rows[2]["video_id"], rows[2]["problem_reason"]) == (video_id("d"), "truncated")


def test_videos_with_remarks_can_be_told_alone(lived_in: Layout, open_catalogue: Open) -> None:
    assert videos_table(open_catalogue(), remarked=True).to_pylist() == [
        row for row in videos_table(open_catalogue()).to_pylist() if row["path"] == path_of("d")
    ]
    commit(lived_in, draw_video("bb", notes=("One.", "Two.")))
    rows = videos_table(open_catalogue(), remarked=True).to_pylist()
    assert [(row["path"], row["notes"]) for row in rows] == [
        (path_of("bb"), ["One.", "Two."]),
        (path_of("d"), []),
    ]
    first = videos_table(open_catalogue(), 1, remarked=True)
    assert first["path"].to_pylist() == [path_of("bb")]


def test_failures_are_told_by_path(lived_in: Layout, open_catalogue: Open) -> None:
    found = failures_table(open_catalogue()).select(["path", "reason", "message", "attempts"])
    assert found.to_pylist() == [
        {"path": "/f1", "reason": "x", "message": "y\n'", "attempts": 1},
        {"path": "/f2", "reason": "x", "message": "y", "attempts": 1},
    ]


def test_an_export_takes_the_place_of_no_file_of_another_kind(
    filled: Layout, tmp_path: Path
) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"a video")
    with vidx.open(filled.root) as collection:
        for whole in (collection, collection.where("true")):
            with pytest.raises(UsageError, match="by its name no Parquet file"):
                whole.export(video)
        assert video.read_bytes() == b"a video"
        assert collection.export(tmp_path / "a.out") == collection.export(tmp_path / "a.parquet")
        assert collection.export(tmp_path / "a.parquet") > 0


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_an_export_takes_the_place_of_nothing_that_is_no_regular_file(
    filled: Layout, open_catalogue: Open, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").symlink_to("a.parquet")
    before = (tmp_path / "a.parquet").lstat()
    for name in ("a.parquet", "b.parquet"):
        with pytest.raises(UsageError, match="is there, and no regular file\nChoose another name"):
            export(open_catalogue(), DIM, tmp_path / name)
    after = (tmp_path / "a.parquet").lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert (tmp_path / "b.parquet").is_symlink()


def test_an_export_is_written_where_a_link_points_to(
    filled: Layout, open_catalogue: Open, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far/old.parquet").write_text("to be replaced")
    (tmp_path / "far/a.mp4").write_text("a video")
    links = {"old": "far/old.parquet", "new": "far/new.parquet", "bad.parquet": "far/a.mp4"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    for name in ("old", "new"):
        rows = export(open_catalogue(), DIM, tmp_path / name)
        assert pq.read_table(tmp_path / links[name]).num_rows == rows
    with pytest.raises(UsageError, match=r"a\.mp4' is there, and by its name no Parquet file"):
        export(open_catalogue(), DIM, tmp_path / "bad.parquet")
    assert (tmp_path / "far/a.mp4").read_text() == "a video"
    assert {name: str((tmp_path / name).readlink()) for name in links} == links
