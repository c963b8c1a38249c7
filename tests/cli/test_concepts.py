"""`vidx concept`: what Python does, on the command line."""

from __future__ import annotations

import json

from curated_collections import collection_of, kinds

LIKE = [0, 20, 40, 60, 80]  # a clip of five videos of one kind
UNLIKE = [4, 28, 52, 76, 84]


def test_the_commands_do_the_same(vidx, tmp_path, monkeypatch) -> None:
    collection = collection_of(tmp_path, kinds(60, spread=0.5))
    monkeypatch.setenv("VIDX_COLLECTION", str(collection.path))
    like, unlike = (",".join(map(str, ids)) for ids in (LIKE, UNLIKE))
    code, out, _ = vidx("concept", "teach", "first", "--like", like, "--unlike", unlike, "--json")
    assert (code, json.loads(out)) == (
        0,
        {"name": "first", "num_positives": 5, "num_negatives": 5},
    )
    assert json.loads(vidx("concept", "list", "--json")[1]) == collection.concepts().to_pylist()
    assert "first" in vidx("concept", "list")[1]
    wanted = collection.suggest("first", 3).to_pylist()
    assert json.loads(vidx("concept", "suggest", "first", "3", "--json")[1]) == wanted
    assert "score" in vidx("concept", "suggest", "first")[1]
    judged = collection.evaluate("first")._asdict()
    assert json.loads(vidx("concept", "evaluate", "first", "--json")[1]) == judged
    assert "average precision" in vidx("concept", "evaluate", "first")[1]
    assert vidx("concept", "teach", "first", "--like", "1,x")[0] == 2
    done = json.loads(vidx("concept", "delete", "first", "--json")[1])
    assert done == {"name": "first", "commit": collection.commits(1)["number"].to_pylist()[0]}
    assert json.loads(vidx("concept", "list", "--json")[1]) == []
    assert vidx("concept", "delete", "first")[0] == 2
