"""`vidx propose`, `apply` and `undo`: what Python does, told to people and programs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from curated_collections import collection_of, kinds

import vidx as library


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    videos = kinds(12, spread=2.0)
    for name in ("copy", "other"):
        videos[name] = videos["v000"] * 1.001
    paths = {name: (str(tmp_path / f"lib/{name}.mp4"),) for name in videos}
    made = collection_of(tmp_path, videos, **paths)
    (tmp_path / "lib").mkdir()
    for name in videos:
        path = tmp_path / f"lib/{name}.mp4"
        path.write_bytes(b"." * 1000)
        os.utime(path, ns=(42, 42))
    monkeypatch.setenv("VIDX_COLLECTION", str(made.path))
    return made


def test_a_proposal_is_made_applied_and_undone(vidx, collection, tmp_path: Path) -> None:
    before = collection.clips()
    code, out, _ = vidx("propose", "p.parquet", "--threshold", "0.999", "--keep", "first")
    assert code == 0
    assert "2 files to drop, 1 to keep: vidx apply p.parquet" in out
    table = library.Proposal.load("p.parquet", collection).table
    groups = collection.duplicates(0.999, by="video")
    assert table.equals(collection.propose(groups, "first").table)
    _, told, _ = vidx("propose", "q.parquet", "--threshold", "0.999", "--keep", "first", "--json")
    assert json.loads(told) == table.to_pylist()
    code, out, _ = vidx("apply", "p.parquet", "--files", "move:gone")
    assert code == 0
    assert "Dropped 2 paths, 2 files touched." in out
    assert len(list((tmp_path / "gone").iterdir())) == 2
    [last] = collection.commits(1)["number"].to_pylist()
    code, out, _ = vidx("undo", last)
    assert (code, out) == (0, "2 paths restored, 2 videos. 2 files moved back.\n")
    assert collection.clips().equals(before)


def test_how_many_stay_beside_a_better_one_is_told_and_what_that_lacks(
    vidx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    videos = kinds(12, spread=2.0)
    videos |= {"copy": videos["v000"] * 1.001, "part": videos["v000"][:3]}
    made = collection_of(tmp_path, videos, part=("/lib/part.mp4",))
    made.set_metadata({"path": ["/lib/part.mp4"], "stars": [1]})
    asked = ("propose", "p.parquet", "--threshold", "0.999", "--collection", made.path)
    code, out, _ = vidx(*asked, "--keep", "stars")
    assert code == 0
    assert ", of which 2.0 s are not seen in stars 1, 6.0 s, 64x48" in out
    assert "1 file to drop, 2 to keep, 1 beside a better one that lacks some of it: vidx" in out
    assert "2 files to drop, 1 to keep: vidx" in vidx(*asked)[1]


def test_where_nothing_is_to_be_dropped_no_older_commit_is_offered(vidx, collection) -> None:
    collection.remove(["lib/copy.mp4", "lib/other.mp4"])
    _, out, _ = vidx("propose", "p.parquet", "--threshold", "0.9999", "--keep", "first")
    assert "0 files to drop" in out
    assert vidx("apply", "p.parquet") == (0, "Dropped 0 paths.\n", "")


def test_what_is_passed_over_or_lost_ends_with_three(vidx, collection, tmp_path: Path) -> None:
    vidx("propose", "p.parquet", "--threshold", "0.999", "--keep", "first", "--quiet")
    table = library.Proposal.load("p.parquet", collection).table.to_pylist()
    drops = [row["path"] for row in table if row["action"] == "drop"]
    Path(drops[0]).unlink()
    code, out, err = vidx("apply", "p.parquet", "--files", "delete", "--json")
    report = json.loads(out)
    assert (code, report["paths"], report["num_files"]) == (3, [drops[1]], 1)
    code, _, err = vidx("undo", report["commit"])
    assert code == 3
    assert "not there: gone" in err


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ([], "takes it back, until"),
        (["--files", "link"], "takes it back, but not the files, until"),
        (["--files", "delete"], "takes it back, but not the files, until"),
    ],
)
def test_it_is_told_what_can_be_taken_back(vidx, collection, files: list[str], told: str) -> None:
    vidx("propose", "p.parquet", "--threshold", "0.999", "--keep", "first", "--quiet")
    assert told in vidx("apply", "p.parquet", *files)[1]


def test_what_is_wrong_is_told(vidx, collection) -> None:
    for arguments, problem in (
        (["propose", "p.csv"], "does not end with .parquet"),
        (["propose", "p.parquet", "--threshold", "0.999", "--keep", "best"], "choose one of"),
        (["apply", "none.parquet"], "'none.parquet' is no file"),
        (["undo", "1"], "applied no proposal"),
    ):
        code, out, err = vidx(*arguments)
        assert (code, out) == (2, "")
        assert problem in err
