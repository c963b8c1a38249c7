"""Selections as folders for other tools: what is in them, and what is lacking is told."""

from __future__ import annotations

import csv
import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import av
import pyarrow.csv
import pytest
from click.testing import CliRunner

import vidx
from vidx.cli import cli
from vidx.errors import UsageError, VidxError
from vidx.exports import folder, webdataset
from vidx.exports.cuts import quoted
from vidx.exports.fiftyone import _fields
from vidx.exports.material import file_name

DIRECT = 'it\'s "a" näme\n.avi'


@pytest.fixture(scope="module")
def films(tmp_path_factory, make_video, tiny_checkpoint) -> Path:
    """A folder of three videos with a collection of them; never write to it."""
    folder = tmp_path_factory.mktemp("films")
    make_video(folder / "bowl.mp4", seed=1, seconds=4.0, gop=16)
    make_video(folder / DIRECT, seed=2, seconds=1.0, codec="mjpeg")
    make_video(folder / "turned.mp4", seed=3, seconds=1.0, rotation=90)
    with vidx.open(folder / ".vidx", create=True) as collection:
        collection.embed(folder, vidx.EmbedOptions(model=tiny_checkpoint, workers=0))
        paths = [str(folder / "bowl.mp4"), str(folder / DIRECT)]
        collection.set_metadata({"path": paths, "split": ["train", "test"]})
    return folder


@pytest.fixture(scope="module")
def exported(films: Path, tmp_path_factory) -> dict[str, tuple[Path, vidx.ExportReport]]:
    """Each format, of all clips."""
    root = tmp_path_factory.mktemp("exported")
    with vidx.open(films / ".vidx") as collection:
        whole = collection.where("true")
        return {
            kind: (root / kind, whole.export_folder(root / kind, kind))
            for kind in ("files", "webdataset", "cuts", "fiftyone")
        }


@pytest.fixture
def rows(films: Path) -> dict[int, dict]:
    with vidx.open(films / ".vidx") as collection:
        return {row["clip_id"]: row for row in collection.clips().to_pylist()}


def seconds_of(video: object) -> float:
    with av.open(video) as container:
        frames = list(container.decode(video=0))
        assert frames[0].pts == 0
        return float((frames[-1].pts + frames[-1].duration) * frames[-1].time_base)


def assert_is_clip(video: object, row: dict) -> None:
    length = row["end_seconds"] - row["start_seconds"]
    assert seconds_of(video) == pytest.approx(length, abs=2e-3)


def test_a_column_of_metadata_hides_no_file_s_name(films: Path, tmp_path: Path) -> None:
    own = {"vidx_file_name": ["mine"], "file_name": ["original.mp4"], "vidx_file_name_": ["too"]}
    shutil.copytree(films, tmp_path / "films", symlinks=True)
    with vidx.open(tmp_path / "films/.vidx") as collection:
        collection.set_metadata({"path": [str(films / "bowl.mp4")], **own})
        collection.where("file_name = 'original.mp4'").export_folder(tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out/metadata.jsonl").open()]
    assert len(lines) == 2
    assert all((tmp_path / "out" / line["file_name"]).is_file() for line in lines)
    names = [f"vidx_file_name{end}" for end in ("", "_", "__")]
    assert [{line[name] for line in lines} for name in names] == [
        {"mine"}, {"too"}, {"original.mp4"},
    ]  # fmt: skip


def test_files_are_a_video_folder_with_a_line_about_each_clip(exported, rows) -> None:
    folder, report = exported["files"]
    lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert {one["clip_id"] for one in found} == set(rows)
    assert report.num_clips == len(rows) == len(found)
    assert (report.num_skipped, report.skipped) == (0, ())
    assert report.num_copied >= 1, "the first clip begins with a key frame and ends with a group"
    for one in found:
        assert_is_clip(str(folder / one.pop("file_name")), one)
        assert one == rows[one["clip_id"]]
    assert len(list((folder / "clips").iterdir())) == len(rows)
    assert {one["split"] for one in found} == {"train", "test", None}


def test_tars_hold_a_file_and_its_facts_beside_each_other(exported, rows) -> None:
    folder, _ = exported["webdataset"]
    assert [path.name for path in folder.iterdir()] == ["000000.tar"]
    with tarfile.open(folder / "000000.tar") as tar:
        names = tar.getnames()
        assert len(names) == 2 * len(rows)
        for video, about in zip(names[::2], names[1::2], strict=True):
            key, _, ending = video.partition(".")
            assert (ending, about) == ("mp4", f"{key}.json")
            row = json.load(tar.extractfile(about))
            assert row == rows[row["clip_id"]]
            assert_is_clip(tar.extractfile(video), row)


def test_tars_are_of_bounded_size_and_lose_nothing() -> None:
    samples = [({"n": n}, bytes(40)) for n in range(10)]
    parts = [list(part) for part in webdataset._parted(iter(samples), 100)]
    assert [len(part) for part in parts] == [2] * 5
    assert [sample for part in parts for sample in part] == samples
    large = [list(part) for part in webdataset._parted(iter(samples), 1)]
    assert [len(part) for part in large] == [1] * 10
    assert list(webdataset._parted(iter([]), 1)) == []


def test_a_cut_list_says_where_clips_lie(exported, rows, films) -> None:
    folder, report = exported["cuts"]
    with (folder / "cuts.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert [int(one["clip_id"]) for one in found] == sorted(rows) and report.num_copied == 0
    for one in found:
        row = rows[int(one["clip_id"])]
        assert (one["path"], float(one["start_seconds"])) == (row["path"], row["start_seconds"])
        assert float(one["end_seconds"]) == row["end_seconds"]
        assert json.loads(one["labels"]) == row["labels"]


def test_a_cut_list_is_read_back_by_all_whatever_is_in_its_values(films, tmp_path: Path) -> None:
    odd = {"bowl.mp4": "x\ry", DIRECT: '\r\n",\n', "turned.mp4": "\r"}
    texts = {str(films / name): text for name, text in odd.items()}
    with vidx.open(shutil.copytree(films / ".vidx", tmp_path / ".vidx")) as collection:
        collection.set_metadata({"path": list(texts), "odd": list(texts.values())})
        collection.where("true").export_folder(tmp_path / "out", "cuts")
        wanted = [(path, texts[path]) for path in collection.clips()["path"].to_pylist()]
    file = tmp_path / "out/cuts.csv"
    with file.open(newline="", encoding="utf-8") as lines:
        by_csv = list(csv.DictReader(lines))
    newlines = pyarrow.csv.ParseOptions(newlines_in_values=True)
    by_arrow = pyarrow.csv.read_csv(file, parse_options=newlines).to_pylist()
    for found in (by_csv, by_arrow):
        assert [(row["path"], row["odd"]) for row in found] == wanted
    assert file.read_bytes().count(b"\r\n") == 1, "the value's own"


def test_its_script_asks_ffmpeg_for_each_clip_whatever_its_video_is_called(
    exported, rows, films, tmp_path: Path
) -> None:
    """A program that takes FFmpeg's place writes down what it is asked for."""
    program = tmp_path / "ffmpeg"
    program.write_text('#!/bin/sh\nprintf "%s\\0" "$@"\nprintf "\\0"\n')
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    command = ["sh", str(exported["cuts"][0] / "cuts.sh")]
    asked = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path}
    ).stdout.split("\0\0")[:-1]
    assert len(asked) == len(rows)
    for call, row in zip(asked, rows.values(), strict=True):
        arguments = call.split("\0")
        told = dict(pairwise(arguments))
        assert told["-i"] == row["path"]
        assert float(told["-ss"]) == pytest.approx(row["start_seconds"], abs=1e-6)
        length = row["end_seconds"] - row["start_seconds"]
        assert float(told["-t"]) == pytest.approx(length, abs=1e-6)
        assert told["-an"] == f"{file_name(row)}.mp4"


def test_samples_name_files_and_have_fields_that_fiftyone_takes(exported, rows) -> None:
    folder, _ = exported["fiftyone"]
    assert "version" not in json.loads((folder / "metadata.json").read_text())
    samples = json.loads((folder / "samples.json").read_text(encoding="utf-8"))["samples"]
    assert {one["clip_id"] for one in samples} == set(rows)
    for one in samples:
        row = rows[one["clip_id"]]
        assert_is_clip(str(folder / one["filepath"]), row)
        found = one.get("predictions", {"classifications": []})["classifications"]
        assert [(label["label"], label["confidence"]) for label in found] == [
            (label["name"], label["score"]) for label in row["labels"]
        ]
        assert one.get("split") == row["split"]
        assert one["video_id"] == row["video_id"]


def test_no_field_has_a_name_that_fiftyone_uses_itself() -> None:
    row = {"tags": 1, "taken at": 2, "taken_at": 3, "predictions": 4, "7": 5, "_x": 6, "labels": []}
    assert _fields(row) == {
        "vidx_tags": 1,
        "taken_at": 2,
        "taken_at_": 3,
        "predictions_": 4,
        "vidx_7": 5,
        "x": 6,
    }


def test_a_path_is_quoted_as_a_shell_reads_it() -> None:
    for path in ("/a b/it's.mp4", '/$(rm)`x`"\n.mp4', "/-'''"):
        done = subprocess.run(
            ["sh", "-c", f"printf %s {quoted(path)}"], capture_output=True, text=True, check=True
        )
        assert done.stdout == path


def test_names_of_files_are_plain_whatever_the_video_is_called() -> None:
    assert file_name({"path": "/x/../ä b'c.mp4", "clip_id": 7}) == "__b_c-000000000007"
    assert file_name({"path": "https://host/", "clip_id": 8}) == "host-000000000008"
    assert len(file_name({"path": f"/{'x' * 300}.mp4", "clip_id": 9})) < 80


@pytest.fixture
def own(films: Path, tmp_path: Path, make_video, tiny_checkpoint) -> vidx.Collection:
    """A collection of two videos that may be moved and changed."""
    (tmp_path / "own").mkdir()
    for name in ("bowl.mp4", "turned.mp4"):
        shutil.copy2(films / name, tmp_path / "own" / name)
    with vidx.open(tmp_path / "own/.vidx", create=True) as collection:
        collection.embed(tmp_path / "own", vidx.EmbedOptions(model=tiny_checkpoint, workers=0))
        yield collection


def test_files_that_are_gone_or_changed_are_passed_over_and_told(own, tmp_path: Path) -> None:
    (tmp_path / "own/bowl.mp4").unlink()
    arguments = ["export", str(tmp_path / "out"), "--collection", str(own.path)]
    done = CliRunner().invoke(cli, [*arguments, "--format", "files", "--json"])
    assert done.exit_code == 3
    report = json.loads(done.stdout)
    [skipped] = report["skipped"]
    assert skipped["path"].endswith("bowl.mp4") and skipped["problem"]["reason"] == "unreadable"
    assert (report["num_clips"], report["num_skipped"]) == (1, skipped["num_clips"])
    assert len(list((tmp_path / "out/clips").iterdir())) == 1
    os.utime(tmp_path / "own/turned.mp4", ns=(1, 1))
    for kind in ("files", "cuts"):
        with pytest.raises(VidxError, match="none of 3 clips"):
            own.where("true").export_folder(tmp_path / kind, kind)
        assert not (tmp_path / kind).exists()
    done = CliRunner().invoke(cli, [*arguments[:1], str(tmp_path / "x"), *arguments[2:],
                                    "--format", "cuts"])  # fmt: skip
    assert isinstance(done.exception, VidxError)


@contextmanager
def little_room(num_bytes: int):
    """No file may be larger, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("kind", ["files", "webdataset", "cuts", "fiftyone"])
def test_a_full_disk_leaves_nothing_and_is_told(films, tmp_path: Path, kind: str) -> None:
    with vidx.open(films / ".vidx") as collection:
        part = collection.where("true")
        assert part.count()
        with little_room(300), pytest.raises(VidxError, match="cannot be written: File too large"):
            part.export_folder(tmp_path / "out", kind)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_is_refused_before_anything_is_written(films, tmp_path: Path) -> None:
    with vidx.open(films / ".vidx") as collection:
        part = collection.where("true")
        with pytest.raises(UsageError, match="Choose one of: files, webdataset, cuts, fiftyone"):
            part.export_folder(tmp_path / "out", "avi")
        with pytest.raises(VidxError, match="nothing to export"):
            collection.where("clip_id < 0").export_folder(tmp_path / "out")
        (tmp_path / "full").mkdir()
        (tmp_path / "full/mine").write_text("kept")
        with pytest.raises(UsageError, match="is not empty"):
            part.export_folder(tmp_path / "full", "cuts")
        with pytest.raises(UsageError, match="no folder"):
            part.export_folder(tmp_path / "full/mine", "cuts")
        assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine"]
        (tmp_path / "empty").mkdir()
        assert part.export_folder(tmp_path / "empty", "cuts").num_clips == part.count()


def test_a_folder_that_is_there_stays_itself_and_so_does_a_link_to_it(
    films, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "real").mkdir(mode=0o710)
    (tmp_path / "link").symlink_to("real")
    before = (tmp_path / "real").stat()
    with vidx.open(films / ".vidx") as collection:
        part = collection.where("true")
        part.export_folder(tmp_path / "link", "files")
        after = (tmp_path / "real").stat()
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
        assert (tmp_path / "link").readlink() == Path("real")
        assert {one.name for one in (tmp_path / "real").iterdir()} == {"clips", "metadata.jsonl"}
        with pytest.raises(UsageError, match="is not empty"):
            part.export_folder(tmp_path / "link", "files")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    done = CliRunner().invoke(cli, ["export", ".", "--format", "cuts", "--collection",
                                    str(films / ".vidx")])  # fmt: skip
    assert done.exit_code == 0
    assert sorted(os.listdir()) == ["cuts.csv", "cuts.sh"]


def test_a_mount_point_is_a_folder_like_any_other(films, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "none", str(tmp_path / "disk")]
    if not shutil.which("mount") or subprocess.call(mount):
        pytest.skip("mounting takes root")
    try:
        with vidx.open(films / ".vidx") as collection:
            collection.where("true").export_folder(tmp_path / "disk", "files")
        assert sorted(os.listdir(tmp_path / "disk")) == ["clips", "metadata.jsonl"]
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "disk")], check=True)


@pytest.mark.parametrize(
    ("kind", "last", "num_moved"),
    [
        ("files", "metadata.jsonl", 2),
        ("webdataset", "000000.tar", 4),
        ("fiftyone", "metadata.json", 3),
        ("cuts", "cuts.csv", 2),
    ],
)
def test_a_kill_while_a_folder_is_filled_leaves_nothing_that_looks_whole(
    films, tmp_path: Path, monkeypatch, kind: str, last: str, num_moved: int
) -> None:
    """After each move all that was there is what a kill would have left."""
    left: list[set[str]] = []
    monkeypatch.setattr(folder, "sync_folder", lambda path: left.append(set(os.listdir(path))))
    monkeypatch.setattr(webdataset, "TAR_BYTES", 1)
    with vidx.open(films / ".vidx") as collection:
        collection.where("true").export_folder(tmp_path, kind)
    assert len(left) == num_moved
    assert all(any(name.endswith(".partial") for name in names) for names in left)
    assert [last in names for names in left] == [False] * (num_moved - 1) + [True]
    assert last in os.listdir(tmp_path)


def test_an_error_while_a_folder_is_filled_leaves_it_empty(
    films, tmp_path: Path, monkeypatch
) -> None:
    def fail(path: Path) -> None:
        assert "clips" in os.listdir(path)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(folder, "sync_folder", fail)
    with vidx.open(films / ".vidx") as collection, pytest.raises(VidxError, match="output error"):
        collection.where("true").export_folder(tmp_path, "files")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_export_left_in_a_folder_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / f".{tmp_path.name}.0123.partial").mkdir()
    with folder.new_folder(tmp_path) as partial:
        (partial / "mine").write_text("new")
    assert (tmp_path / "mine").read_text() == "new"


def test_what_others_put_into_a_folder_meanwhile_stays(tmp_path: Path) -> None:
    with pytest.raises(VidxError, match="not empty"), folder.new_folder(tmp_path) as partial:
        (partial / "mine").write_text("new")
        (tmp_path / "mine").write_text("kept")
    assert os.listdir(tmp_path) == ["mine"] and (tmp_path / "mine").read_text() == "kept"


def test_the_command_line_says_what_python_does(films, exported, tmp_path: Path) -> None:
    arguments = ["export", str(tmp_path / "out"), "--collection", str(films / ".vidx")]
    done = CliRunner().invoke(cli, [*arguments, "--format", "cuts"])
    assert (done.exit_code, done.output.startswith("4 clips in ")) == (0, True)
    folder, _ = exported["cuts"]
    for name in ("cuts.csv", "cuts.sh"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()
    part = [*arguments[:1], str(tmp_path / "part"), *arguments[2:], "--where", "split = 'test'"]
    done = CliRunner().invoke(cli, [*part, "--format", "cuts", "--json"])
    assert json.loads(done.stdout)["num_clips"] == 1


def test_exporting_brings_no_torch() -> None:
    code = "import sys, vidx.exports; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
