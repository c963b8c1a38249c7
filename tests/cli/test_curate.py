"""`vidx duplicates`, `clusters`, `outliers` and `sample`: what Python answers, as it is wanted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from curated_collections import collection_of, kinds
from made_collections import path_of


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    videos = kinds(12)
    videos["copy"] = videos["v000"] + np.float32(1e-3)
    made = collection_of(tmp_path, videos)
    paths = [path_of(name) for name in videos]
    made.set_metadata({"path": paths, "split": ["a", "b", "b"] * 4 + ["b"]})
    monkeypatch.setenv("VIDX_COLLECTION", str(made.path))
    return made


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["duplicates", "--threshold", "0.99"], lambda part: part.duplicates(0.99)),
        (["duplicates", "--by", "video"], lambda part: part.duplicates(by="video")),
        (["duplicates", "--within-videos"], lambda part: part.duplicates(within_videos=True)),
        (["clusters", "-k", "3", "--seed", "2"], lambda part: part.clusters(3, seed=2)),
        (["outliers", "--limit", "4"], lambda part: part.outliers(4)),
        (["leakage", "--threshold", "0.9"], lambda part: part.leakage(threshold=0.9)),
        (["sample", "5"], lambda part: part.sample(5).clips()),
        (
            ["sample", "5", "--strategy", "random", "--seed", "3"],
            lambda part: part.sample(5, "random", seed=3).clips(),
        ),
    ],
)
def test_json_is_what_python_answers_of_all_and_of_a_part(
    vidx, collection, arguments, answer
) -> None:
    code, out, _ = vidx(*arguments, "--json")
    assert (code, json.loads(out)) == (0, answer(collection).to_pylist())
    where = "clip_id < 20"
    _, out, _ = vidx(*arguments, "--where", where, "--json")
    assert json.loads(out) == answer(collection.where(where)).to_pylist()


def test_people_see_a_table(vidx, collection) -> None:
    code, out, _ = vidx("duplicates", "--threshold", "0.9999")
    assert code == 0
    assert "copy.mp4" in out
    assert "near" in out
    _, out, err = vidx("duplicates", "--threshold", "1", "--where", "clip_id < 4")
    assert (out, err.splitlines()) == ("", ["4/4 graph for 'copy'", "No duplicates."])
    assert vidx("duplicates", "--quiet")[1:] == ("", "")
    _, out, err = vidx("clusters", "-k", "1")
    assert "2 more rows: --output FILE or --json give all." in err
    assert "52" in out


def test_people_see_which_videos_leak(vidx, collection) -> None:
    code, out, _ = vidx("leakage", "--threshold", "0.9999")
    assert code == 0
    assert "is like" in out
    assert out.count("copy.mp4") == 1
    assert vidx("leakage", "--other", collection.path, "--json", "--threshold", "1")[0] == 0
    assert vidx("leakage", "--where", "split = 'a'")[2].endswith("No leakage.\n")


def test_a_split_is_what_python_gives_with_its_proof(vidx, collection, tmp_path: Path) -> None:
    fractions = ["train=.5", "test=.5"]
    asked = ["--threshold", "0.95", "--group", "split", "--stratify", "label", "--seed", "3"]
    _, out, _ = vidx("split", *fractions, "--threshold", "0.999", "--json")
    report = collection.split({"train": 0.5, "test": 0.5}, threshold=0.999)
    assert json.loads(out) == {
        "videos": report.table.to_pylist(),
        "proof": report.proof.to_pylist(),
        "num_groups": report.num_groups,
    }
    assert vidx("split", *fractions, *asked)[0] == 4  # all is one group
    code, out, _ = vidx("split", *fractions, "--threshold", "0.999", "--save", "fold",
                        "--output", "s.csv")  # fmt: skip
    assert code == 0
    assert "13 rows in s.csv\nThe column fold is set.\n" in out
    assert collection.videos()["fold"].null_count == 0
    for wrong, problem in (
        (["train"], "write such as train=.8"),
        (["a=.5", "a=.5"], "twice"),
        (["a=.5", "b=.6"], "add up to 1.1"),
    ):
        code, out, err = vidx("split", *wrong)
        assert (code, out) == (2, "")
        assert problem in err


def test_a_file_holds_all_rows(vidx, collection, tmp_path: Path) -> None:
    table = collection.clusters(3)
    for name in ("a.parquet", "a.csv", "a.jsonl"):
        code, out, _ = vidx("clusters", "-k", "3", "--output", name)
        assert (code, out) == (0, f"52 rows in {name}\n")
    assert pq.read_table(tmp_path / "a.parquet").equals(table)
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == table.to_pylist()
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["clip_id"]) for row in rows] == table["clip_id"].to_pylist()
    assert json.loads(rows[0]["labels"]) == table["labels"][0].as_py()
    told = json.loads(vidx("sample", "3", "--output", "b.csv", "--json")[1])
    assert told == {"num_rows": 3, "output": "b.csv"}


def test_what_is_wrong_ends_with_two_before_anything_is_computed(vidx, collection) -> None:
    for arguments, problem in (
        (["duplicates", "--threshold", "2"], "-1<=x<=1"),
        (["leakage", "spilt"], "no column of metadata 'spilt'"),
        (["duplicates", "--output", "a.txt"], ".parquet, .csv or .jsonl"),
        (["sample", "100"], "between 1 and 52"),
        (["sample", "5", "--strategy", "best"], "diverse, balanced"),
        (["clusters", "-k", "100"], "between 1 and 52"),
        (["outliers", "--where", "clip_id < 0"], "no clips"),
    ):
        code, out, err = vidx(*arguments)
        assert (code, out) == (2, "")
        assert problem in err
