"""Proposals: the best of each group stays, the others go, and all of it can be taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from curated_collections import collection_of, kinds
from made_collections import commit, draw_video

import vidx
from vidx import applying
from vidx.errors import UsageError, VidxError
from vidx.store.layout import Layout
from vidx.views import extend_index

SIZE, VERSION = 1000, 42  # of drawn videos' files


def library(folder: Path, copies: int = 3, groups: int = 2) -> vidx.Collection:
    """A collection of files: groups of equal videos, the longest stored first, and some others."""
    random = np.random.default_rng(2)
    layout, videos = Layout(folder / "collection"), []
    for group in range(groups):
        vectors = random.standard_normal((copies + 4, 8)).astype(np.float32)
        for copy in (copies - 1, *range(copies - 1)):
            path = folder / f"lib/{group}/c{copy}.mp4"
            length = 4 + copy
            videos.append(draw_video(path.name + str(group), length, vectors=vectors[:length],
                                     paths=(str(path),)))  # fmt: skip
    for name, vectors in kinds(10, spread=2.0).items():
        path = folder / f"lib/{name}.mp4"
        videos.append(draw_video(name, len(vectors), vectors=vectors, paths=(str(path),)))
    for video in videos:
        path = Path(video.sources[0].path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path.name.encode().ljust(SIZE, b"."))
        os.utime(path, ns=(VERSION, VERSION))
    commit(layout, *videos)
    collection = vidx.open(layout.root)
    extend_index(collection._catalogue())
    return collection


def proposed(collection: vidx.Collection, keep: str = "longest") -> vidx.Proposal:
    return collection.propose(collection.duplicates(0.999, by="video"), keep)


def files_in(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files below a folder, with what they hold and when they were changed."""
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def state_of(collection: vidx.Collection) -> list[pa.Table]:
    return [collection.clips(), collection.videos(), *map(pa.array, collection.vectors()[:1])]


def names(proposal: vidx.Proposal, action: str) -> list[str]:
    rows = proposal.table.to_pylist()
    return ["/".join(Path(row["path"]).parts[-2:]) for row in rows if row["action"] == action]


@pytest.fixture
def collection(tmp_path: Path) -> vidx.Collection:
    return library(tmp_path)


def test_the_best_of_each_group_is_kept_and_why_is_told(collection) -> None:
    proposal = proposed(collection)
    assert names(proposal, "keep") == ["0/c2.mp4", "1/c2.mp4"]
    assert names(proposal, "drop") == ["0/c0.mp4", "0/c1.mp4", "1/c0.mp4", "1/c1.mp4"]
    rows = proposal.table.to_pylist()
    assert proposal.table.column_names == [
        *("group", "action", "path", "beside", "why", "score", "share", "video_id"),
        *("duration_seconds", "width", "height", "size_bytes", "version"),
    ]
    assert rows[0]["why"] == "longest: 12.0 s, 64x48, 1000 bytes"
    assert rows[1]["why"] == "8.0 s, 64x48, 1000 bytes, beside 12.0 s, 64x48, 1000 bytes"
    assert {row["beside"] for row in rows[1:3]} == {rows[0]["path"]}
    first = proposed(collection, "first").table.to_pylist()
    groups = collection.duplicates(0.999, by="video").to_pylist()
    assert [row["path"] for row in first if row["action"] == "keep"] == [
        row["path"] for row in groups if row["rank"] == 0
    ]
    paths = [row["path"] for row in rows]
    collection.set_metadata({"path": paths[1:], "stars": [3, 1, None, 4, 9]})
    # Those that are longer than what is kept stay beside it.
    assert names(proposed(collection, "stars"), "keep") == [
        *("0/c0.mp4", "0/c1.mp4", "0/c2.mp4", "1/c1.mp4", "1/c2.mp4")
    ]


@pytest.mark.parametrize(("share", "action"), [(0.97, "drop"), (0.95, "keep"), (0.51, "keep")])
def test_a_file_goes_only_where_the_kept_one_shows_it_but_half_a_second(
    collection, share: float, action: str
) -> None:
    lengths = {row["path"]: row for row in collection.videos().to_pylist()}
    [long] = [path for path in lengths if path.endswith("0/c2.mp4")]  # 12 s
    [short] = [path for path in lengths if path.endswith("0/c0.mp4")]
    groups = pa.table(
        {
            "group": [0, 0],
            "path": [short, long],
            "video_id": [lengths[short]["video_id"], lengths[long]["video_id"]],
            "start_seconds": [0.0, 0.0],
            "end_seconds": [8.0, 8.0],
            "offset_seconds": [0.0, 0.0],
            "share": [1.0, share],
        }
    )
    kept, other = collection.propose(groups, "first").table.to_pylist()
    assert (kept["action"], kept["path"]) == ("keep", short)
    assert (other["action"], other["path"]) == (action, long)
    told = f", of which {12 * (1 - share):.1f} s are not seen in 8.0 s, 64x48, 1000 bytes"
    assert other["why"].endswith(told) == (action == "keep")


@pytest.mark.parametrize("keep", ["longest", "first"])
def test_a_file_of_which_a_part_alone_was_compared_stays(collection, keep: str) -> None:
    beginnings = collection.where("start_seconds < 8")
    groups = beginnings.duplicates(0.999, by="video")
    assert set(groups["compared_seconds"].to_pylist()) == {8.0}
    asked = collection if keep == "first" else beginnings
    proposal = asked.propose(groups, keep)
    assert not set(names(proposal, "drop")) - {"0/c0.mp4", "1/c0.mp4"}  # 8 s long
    assert {"0/c1.mp4", "0/c2.mp4"} <= set(names(proposal, "keep"))


def test_files_of_one_content_go_whatever_was_compared(tmp_path: Path) -> None:
    vectors = np.random.default_rng(3).standard_normal((4, 8)).astype(np.float32)
    paths = {"film": ("/lib/a.mp4", "/lib/b.mp4")}
    collection = collection_of(tmp_path, {"film": vectors, **kinds(10, spread=2.0)}, **paths)
    part = collection.where("start_seconds < 4")
    proposal = part.propose(part.duplicates(0.999, by="video"))
    assert names(proposal, "drop") == ["lib/b.mp4"]


def test_of_a_film_and_its_trimmed_copy_both_stay_where_the_copy_is_chosen(tmp_path: Path) -> None:
    film = np.random.default_rng(5).standard_normal((8, 8)).astype(np.float32)
    videos = {"film": film, "again": film * np.float32(1.001), "trimmed": film[1:7]}
    paths = {name: (f"/lib/{name}.mp4",) for name in videos}
    collection = collection_of(tmp_path, {**videos, **kinds(10, spread=2.0)}, **paths)
    collection.set_metadata({"path": ["/lib/trimmed.mp4", "/lib/again.mp4"], "stars": [2, 1]})
    groups = collection.duplicates(0.99, by="video")
    rows = collection.propose(groups, "stars").table.to_pylist()
    assert [(row["action"], Path(row["path"]).stem) for row in rows] == [
        ("keep", "trimmed"), ("keep", "again"), ("drop", "film")
    ]  # fmt: skip
    assert rows[1]["why"].endswith(", of which 4.0 s are not seen in stars 2, 12.0 s, 64x48")
    longest = collection.propose(groups, "longest").table.to_pylist()
    assert [row["action"] for row in longest] == ["keep", "drop", "drop"]


@pytest.mark.parametrize("best", ["one", "two", "three", "joined"])
def test_nothing_goes_that_what_is_kept_does_not_show(tmp_path: Path, best: str) -> None:
    random = np.random.default_rng(5)
    parts = {name: random.standard_normal((6, 8)).astype(np.float32) for name in ("X", "Y", "Z")}
    shown = {"one": "X", "two": "Y", "three": "Z", "joined": "XYZ"}
    videos = {name: np.concatenate([parts[part] for part in own]) for name, own in shown.items()}
    paths = {name: (f"/lib/{name}.mp4",) for name in videos}
    collection = collection_of(tmp_path, {**videos, **kinds(10, spread=2.0)}, **paths)
    collection.set_metadata({"path": [f"/lib/{best}.mp4"], "stars": [1]})
    groups = collection.duplicates(0.99, by="video")
    assert {row["group"] for row in groups.to_pylist()} == {0}
    proposal = collection.propose(groups, "stars")
    rows = [
        (row["action"], Path(row["path"]).stem, row["beside"]) for row in proposal.table.to_pylist()
    ]
    assert rows[0] == ("keep", best, None)
    for action, name, beside in rows:
        if action == "drop":
            assert set(shown[name]) <= set(shown[Path(beside).stem])
    kept = {part for action, name, _ in rows if action == "keep" for part in shown[name]}
    assert kept == {"X", "Y", "Z"}
    dropped = {name for action, name, _ in rows if action == "drop"}
    assert dropped == {"one", "two", "three"} - {best}


def test_applied_and_undone_is_as_if_nothing_had_been(collection, tmp_path: Path) -> None:
    before, files = state_of(collection), files_in(tmp_path / "lib")
    report = proposed(collection).apply()
    assert (len(report.paths), report.num_videos, report.num_files) == (4, 4, 0)
    assert report.left_alone == ()
    assert files_in(tmp_path / "lib") == files
    assert collection.duplicates(0.999, by="video").num_rows == 0
    undone = collection.undo(report.commit)
    assert (undone.num_locations, undone.num_videos, undone.lost) == (4, 4, ())
    assert state_of(collection) == before
    with pytest.raises(UsageError, match="taken back already"):
        collection.undo(report.commit)
    with pytest.raises(UsageError, match="applied no proposal"):
        collection.undo(undone.commit)


def test_files_are_moved_and_moved_back(collection, tmp_path: Path) -> None:
    before, files = state_of(collection), files_in(tmp_path / "lib")
    proposal = proposed(collection)
    report = proposal.apply(files=f"move:{tmp_path}/out")
    assert report.num_files == 4
    moved = files_in(tmp_path / "out")
    assert sorted(moved) == [str(tmp_path / f"out/{g}/c{c}.mp4") for g in (0, 1) for c in (0, 1)]
    assert len(files_in(tmp_path / "lib")) == len(files) - 4
    with pytest.raises(UsageError, match=f"vidx undo {report.commit}"):
        proposal.apply(files=f"move:{tmp_path}/out")
    undone = collection.undo(report.commit)
    assert (undone.num_files, undone.lost) == (4, ())
    assert files_in(tmp_path / "lib") == files
    assert list((tmp_path / "out").iterdir()) == []
    assert state_of(collection) == before
    again = proposal.apply(files=f"move:{tmp_path}/out")
    assert again.num_files == 4
    assert collection.verify() == []
    collection.rebuild()
    assert collection.undo(again.commit).num_files == 4


def test_files_become_links_or_are_deleted_for_good(collection, tmp_path: Path) -> None:
    report = proposed(collection).apply(files="link")
    link = tmp_path / "lib/0/c0.mp4"
    assert link.is_symlink()
    assert link.samefile(tmp_path / "lib/0/c2.mp4")
    undone = collection.undo(report.commit)
    assert (undone.num_locations, undone.num_files) == (4, 0)
    other = library(tmp_path / "other")
    report = proposed(other).apply(files="delete")
    assert report.num_files == 4
    assert not (tmp_path / "other/lib/0/c0.mp4").exists()
    undone = other.undo(report.commit)
    assert {(Path(one.path).name, one.problem.reason) for one in undone.lost} == {
        ("c0.mp4", "gone"), ("c1.mp4", "gone")
    }  # fmt: skip


def test_what_vanished_or_changed_is_passed_over_with_its_group(collection, tmp_path) -> None:
    proposal = proposed(collection)
    (tmp_path / "lib/0/c0.mp4").unlink()
    (tmp_path / "lib/1/c2.mp4").write_bytes(b"new")  # the one to keep
    report = proposal.apply(files="delete")
    assert [Path(path).name for path in report.paths] == ["c1.mp4"]
    assert [(Path(one.path).parts[-2:], one.problem.reason) for one in report.left_alone] == [
        (("0", "c0.mp4"), "gone"),
        (("1", "c0.mp4"), "kept_changed"),
        (("1", "c1.mp4"), "kept_changed"),
    ]
    assert (tmp_path / "lib/1/c1.mp4").exists()
    (tmp_path / "lib/0/c2.mp4").unlink()
    nothing = library(tmp_path / "other", groups=1)
    proposal = proposed(nothing)
    (tmp_path / "other/lib/0/c2.mp4").unlink()
    assert proposal.apply().paths == ()


def test_a_file_is_never_deleted_for_itself_by_another_name(tmp_path: Path) -> None:
    collection = library(tmp_path)
    (tmp_path / "lib/also").symlink_to(tmp_path / "lib/0")
    rows = proposed(collection).table.to_pylist()
    also = str(tmp_path / "lib/also/c2.mp4")
    layout = Layout(collection.path)
    commit(layout, draw_video("also", paths=(also,)))
    known = collection.videos().to_pylist()
    [own] = [row["video_id"] for row in known if row["path"] == also]
    groups = pa.table({"group": [0, 0], "path": [rows[0]["path"], also],
                       "video_id": [rows[0]["video_id"], own]})  # fmt: skip
    report = collection.propose(groups, "first").apply(files="delete")
    assert [one.problem.reason for one in report.left_alone] == ["same_file"]
    assert Path(also).exists()


def test_a_proposal_for_another_state_is_refused(collection, tmp_path: Path) -> None:
    proposal = proposed(collection)
    proposal.save(tmp_path / "p.parquet")
    gone = tmp_path / "lib/0/c1.mp4"
    collection.set_metadata({"path": [str(gone)], "stars": [1]})  # that changes nothing
    removed = collection.remove(gone)
    before = state_of(collection)
    with pytest.raises(VidxError, match=r"changed since .* '.*/0/c1.mp4'"):
        proposal.apply()
    assert state_of(collection) == before
    collection.restore(removed.commit)
    loaded = vidx.Proposal.load(tmp_path / "p.parquet", collection)
    assert loaded.table.equals(proposal.table)
    assert len(loaded.apply().paths) == 4
    other = library(tmp_path / "other")
    with pytest.raises(UsageError, match="another collection"):
        vidx.Proposal.load(tmp_path / "p.parquet", other)


def test_what_is_wrong_is_told(collection, tmp_path: Path) -> None:
    groups = collection.duplicates(0.999, by="video")
    for by in ("clip", "segment"):
        with pytest.raises(UsageError, match="clips or spans"):
            collection.propose(collection.duplicates(0.999, by=by))
    with pytest.raises(UsageError, match=r"keep='best': choose one of longest, .* codec"):
        collection.propose(groups, "best")
    with pytest.raises(UsageError, match="without the column 'video_id'"):
        collection.propose(pa.table({"group": [0], "path": ["/x"]}))
    with pytest.raises(UsageError, match="in the groups twice"):
        collection.propose(pa.concat_tables([groups, groups]))
    proposal = proposed(collection)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    before = state_of(collection)
    for files, told in (("burn", "choose link, delete or move"), ("move:", "choose link"),
                        (f"move:{tmp_path}/full", "not an empty folder")):  # fmt: skip
        with pytest.raises(UsageError, match=told):
            proposal.apply(files=files)
    assert state_of(collection) == before
    (tmp_path / "p.parquet").write_bytes(b"no")
    for name, told in (("p.parquet", "no proposal"), ("none.parquet", "is no file")):
        with pytest.raises(UsageError, match=told):
            vidx.Proposal.load(tmp_path / name, collection)
    collection.remove(proposal.table["path"][0].as_py())
    with pytest.raises(VidxError, match="no longer in the collection"):
        collection.propose(groups)


def test_a_move_that_fails_goes_on_or_is_undone(collection, tmp_path: Path, monkeypatch) -> None:
    before, files = state_of(collection), files_in(tmp_path / "lib")
    proposal, move, calls = proposed(collection), applying._move, []

    def full(path: Path, target: Path) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        move(path, target)

    monkeypatch.setattr(applying, "_move", full)
    with pytest.raises(VidxError, match="No space left"):
        proposal.apply(files=f"move:{tmp_path}/out")
    report = proposal.apply(files=f"move:{tmp_path}/out")
    assert report.num_files == 2
    assert len(files_in(tmp_path / "out")) == 4
    collection.undo(report.commit)
    assert (state_of(collection), files_in(tmp_path / "lib")) == (before, files)


@pytest.mark.parametrize("files", ["delete", "link"])
def test_who_goes_on_loses_nothing_whose_kept_file_is_gone_since(
    collection, tmp_path: Path, monkeypatch, files: str
) -> None:
    touch, calls = applying._touch_one, []

    def stopped(row, files) -> None:
        calls.append(row)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        touch(row, files)

    proposal = proposed(collection)
    monkeypatch.setattr(applying, "_touch_one", stopped)
    with pytest.raises(VidxError, match="No space left"):
        proposal.apply(files=files)
    (tmp_path / "lib/0/c2.mp4").unlink()  # kept, of the first group
    (tmp_path / "lib/1/c2.mp4").write_bytes(b"something else")
    report = proposal.apply(files=files)
    assert report.num_files == 0
    left = [(Path(one.path).parts[-2:], one.problem.reason) for one in report.left_alone]
    assert left == [
        (("0", "c1.mp4"), "kept_gone"),
        (("1", "c0.mp4"), "kept_changed"),
        (("1", "c1.mp4"), "kept_changed"),
    ]
    for path in ("lib/0/c1.mp4", "lib/1/c0.mp4", "lib/1/c1.mp4"):
        assert (tmp_path / path).is_file()
        assert not (tmp_path / path).is_symlink()


def of_one_content(folder: Path, *names: str) -> vidx.Collection:
    """A collection of one video at some paths of a folder, whose files are there."""
    paths = tuple(str(folder / name) for name in names)
    collection = collection_of(
        folder, {"film": np.eye(4, 8, dtype=np.float32), **kinds(10, spread=2.0)}, film=paths
    )
    for name in names:
        (folder / name).write_bytes(b".".ljust(SIZE, b"."))
        os.utime(folder / name, ns=(VERSION, VERSION))
    return collection


def test_a_file_by_two_names_goes_once_and_comes_back(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "other").symlink_to(tmp_path / "real")
    collection = of_one_content(tmp_path, "a.mp4", "other/b.mp4", "real/b.mp4")
    proposal = collection.propose(collection.duplicates(by="video"))
    report = proposal.apply(files=f"move:{tmp_path}/out")
    assert (len(report.paths), report.num_files) == (2, 1)
    assert not (tmp_path / "real/b.mp4").exists()
    assert collection.undo(report.commit).lost == ()
    assert (tmp_path / "real/b.mp4").is_file()


def test_no_file_goes_to_which_a_link_leads_that_stays(tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    collection = of_one_content(tmp_path, "a.mp4", "b.mp4", "links/c.mp4")
    (tmp_path / "links/c.mp4").unlink()
    (tmp_path / "links/c.mp4").symlink_to(tmp_path / "b.mp4")
    report = collection.propose(collection.duplicates(by="video")).apply(files="delete")
    assert {(Path(one.path).name, one.problem.reason) for one in report.left_alone} == {
        ("b.mp4", "same_file"), ("c.mp4", "link")
    }  # fmt: skip
    assert (tmp_path / "links/c.mp4").is_file()


def test_an_older_undoing_leaves_a_newer_applying_alone(
    collection, tmp_path: Path, monkeypatch
) -> None:
    proposal = proposed(collection)
    monkeypatch.chdir(tmp_path)
    first = proposal.apply(files="move:one")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert collection.undo(first.commit).num_files == 4
    assert list((tmp_path / "one").iterdir()) == []
    second = proposal.apply(files="move:two")
    with pytest.raises(UsageError, match="taken back already"):
        collection.undo(first.commit)
    assert len(files_in(tmp_path / "elsewhere/two")) == 4
    assert collection.undo(second.commit).num_files == 4


COMMAND = """
import os, signal, sys, vidx
from vidx import applying
proposal = vidx.Proposal.load(sys.argv[2], vidx.open(sys.argv[1]))
step = int(sys.argv[4])
move = applying._touch_one
def dying(row, files):
    global step
    if step == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    step -= 1
    move(row, files)
applying._touch_one = dying
if sys.argv[3] == "apply":
    proposal.apply(files=f"move:{sys.argv[5]}")
else:
    proposal.collection.undo(int(sys.argv[6]))
"""


def killed(*arguments: object) -> None:
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


@pytest.mark.parametrize("step", [0, 3])
def test_killed_in_the_middle_it_is_undone_whole(tmp_path: Path, step: int) -> None:
    collection = library(tmp_path)
    before, files = state_of(collection), files_in(tmp_path / "lib")
    proposed(collection).save(tmp_path / "p.parquet")
    out = tmp_path / "out"
    killed(collection.path, tmp_path / "p.parquet", "apply", step, out)
    assert len(files_in(out)) == step
    [last] = collection.commits(1).to_pylist()
    if step:
        killed(collection.path, tmp_path / "p.parquet", "undo", 1, out, last["number"])
    collection.undo(last["number"])
    assert (state_of(collection), files_in(tmp_path / "lib")) == (before, files)
    assert files_in(out) == {}


@pytest.mark.long
@pytest.mark.parametrize("seed", range(6))
def test_killed_at_any_moment_it_is_undone_or_was_never_done(tmp_path: Path, seed: int) -> None:
    collection = library(tmp_path, copies=5, groups=12)
    before, files = state_of(collection), files_in(tmp_path / "lib")
    proposal = proposed(collection)
    proposal.save(tmp_path / "p.parquet")
    command = [sys.executable, "-c", COMMAND, str(collection.path), str(tmp_path / "p.parquet"),
               "apply", "1000", str(tmp_path / "out")]  # fmt: skip
    process = subprocess.Popen(command)
    time.sleep(float(np.random.default_rng(seed).uniform(0.3, 1.5)))
    process.kill()
    process.wait()
    [last] = collection.commits(1).to_pylist()
    if "proposal" in last["provenance"]:
        collection.undo(last["number"])
    assert (state_of(collection), files_in(tmp_path / "lib")) == (before, files)
