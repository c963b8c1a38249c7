"""`vidx quality` and other questions about clips: what Python answers, as it is wanted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from curated_collections import collection_of, kinds


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    made = collection_of(tmp_path, kinds(30))
    kind = [f"k{number // 4 % 5 if number % 11 else 0}" for number in range(120)]
    made.set_metadata({"clip_id": list(range(120)), "kind": kind}, on="clip_id")
    monkeypatch.setenv("VIDX_COLLECTION", str(made.path))
    return made


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["quality"], lambda part: part.quality()),
        (["quality", "--black", ".9"], lambda part: part.quality(black=0.9)),
        (["map"], lambda part: part.map()),
        (["label-issues"], lambda part: part.label_issues()),
        (["label-issues", "kind"], lambda part: part.label_issues("kind")),
    ],
)
def test_json_is_what_python_answers_of_all_and_of_a_part(
    vidx, collection, arguments, answer
) -> None:
    code, out, _ = vidx(*arguments, "--json")
    assert (code, json.loads(out)) == (0, answer(collection).to_pylist())
    where = "clip_id < 100"
    _, out, _ = vidx(*arguments, "--where", where, "--json")
    assert json.loads(out) == answer(collection.where(where)).to_pylist()


def test_people_see_a_table(vidx, collection) -> None:
    code, out, _ = vidx("quality", "--blurred", ".5")
    assert code == 0
    assert "black" in out
    assert "suggested" in vidx("label-issues", "kind")[1]
    arguments = ("--black", "2", "--frozen", "2", "--blurred", "0", "--static", "0")
    assert vidx("quality", *arguments)[2] == "No poor clips.\n"


def test_two_sets_are_compared(vidx, collection) -> None:
    few, more = "clip_id < 40", "clip_id >= 40"
    arguments = ("compare", "--where", few, "--other-where", more, "-k", "4")
    told = json.loads(vidx(*arguments, "--json")[1])
    found = collection.where(few).compare(collection.where(more), k=4)
    assert told["regions"] == found.regions.to_pylist()
    assert (told["coverage"], told["drift"]) == (found.coverage, found.drift)
    assert "coverage 1.000" in vidx("compare", "--other", collection.path)[1]
    assert vidx(*arguments, "--output", "a.csv")[1].endswith("4 rows in a.csv\n")
    assert "--other-where" in vidx("compare")[2]


def test_what_is_wrong_ends_with_two(vidx, collection) -> None:
    for arguments, problem in (
        (["quality", "--black", "-1"], "x>=0"),
        (["quality", "--where", "clip_id < 0"], "no clips"),
        (["map", "--method", "tsne"], "pca, umap"),
        (["label-issues", "sort"], "There are: 'kind'"),
    ):
        code, out, err = vidx(*arguments)
        assert (code, out) == (2, "")
        assert problem in err
