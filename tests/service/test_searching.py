"""Searches give what the collection gives, and refuse what is none."""

from __future__ import annotations

import threading
from dataclasses import asdict

import numpy as np
import pytest
from made_collections import DIM

import vidx
from vidx.together import Question


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"k": 3, "by": "video"},
        {"k": 2, "exclude_self": True},
        {"where": "start_seconds > 2"},
        {"labels": ["run", "walk"], "likeness": "copy"},
        {"path_glob": "*v[12].mp4", "diverse": True},
    ],
)
def test_a_search_by_id_is_that_of_the_collection(service, filters: dict) -> None:
    with vidx.open(service.collection) as collection:
        options = {name: value for name, value in filters.items() if name != "k"}
        hits = collection.search_by_id(4, filters.get("k", 10), vidx.SearchOptions(**options))
    assert hits
    expected = [asdict(hit) for hit in hits]
    told = service.ask("/v1/search", {"query": {"clip_id": 4}, **filters}).json["hits"]
    assert [
        {**one, "locations": tuple(one["locations"]), "labels": tuple(one["labels"])}
        for one in told
    ] == [{**one, "labels": tuple(one["labels"])} for one in expected]


def test_a_clip_has_its_similar_ones(service) -> None:
    told = service.ask(
        "/v1/clips/4/similar?k=3&exclude_self=true&labels=run&labels=walk&labels=sit"
    )
    body = {"query": {"clip_id": 4}, "k": 3, "exclude_self": True, "labels": ["run", "walk", "sit"]}
    assert told.json == service.ask("/v1/search", body).json
    assert service.ask("/v1/clips/999/similar").status == 404


VECTOR = [0.5] * DIM


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": {}},
        {"query": {"clip_id": 1, "vectors": [VECTOR]}},
        {"query": {"clip_id": 1}, "like": [{"clip_id": 2}]},
        {"query": {"clip_id": 1}, "unlike": [{"clip_id": 2}]},
        {"query": {"clip_id": -1}},
        {"query": {"clip_id": 1 << 70}},
        {"query": {"clip_id": "1"}},
        {"query": {"clip_id": 99}},
        {"query": {"clip_id": True}},
        {"query": {"upload": "../../etc/passwd"}},
        {"query": {"upload": "0" * 32}},
        {"query": {"path": "/etc/passwd"}},
        {"query": "/etc/passwd"},
        {"query": {"vectors": [VECTOR[:-1]]}},
        {"query": {"vectors": [VECTOR, VECTOR[:-1]]}},
        {"query": {"vectors": []}},
        {"query": {"vectors": [[float("nan")] * DIM]}},
        {"query": {"vectors": [[float("inf")] * DIM]}},
        {"query": {"vectors": [[1e300] * DIM]}},
        {"query": {"vectors": [VECTOR] * 300}},
        {"query": {"vectors": [VECTOR]}, "by": "segment"},
        {"query": {"vectors": [VECTOR]}, "exclude_self": True},
        {"like": []},
        {"like": [{"clip_id": 1}], "unlike": [{"clip_id": 1}] * 500},
        {"like": [{"clip_id": 1}], "by": "segment"},
        {"query": {"clip_id": 1}, "k": 0},
        {"query": {"clip_id": 1}, "k": 10**9},
        {"query": {"clip_id": 1}, "k": 1.5},
        {"query": {"clip_id": 1}, "k": float("nan")},
        {"query": {"clip_id": 1}, "by": "fire"},
        {"query": {"clip_id": 1}, "where": "1; DROP TABLE clips"},
        {"query": {"clip_id": 1}, "where": "load_extension('x')"},
        {"query": {"clip_id": 1}, "where": "nothing = 1"},
        {"query": {"clip_id": 1}, "where": "path = '\ud800'"},
        {"query": {"clip_id": 1}, "where": "(" * 10_000},
        {"query": {"clip_id": 1}, "where": "x" * 20_000},
        {"query": {"clip_id": 1}, "labels": ["no such label"]},
        {"query": {"clip_id": 1}, "labels": ["\ud800"]},
        {"query": {"clip_id": 1}, "path_glob": ""},
        {"query": {"clip_id": 1}, "start_seconds": 1.0},
        {"query": {"clip_id": 1}, "model": "/tmp/evil"},
        {"query": {"clip_id": 1}, "device": "cuda"},
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
    ],
)
def test_what_is_no_search_is_refused_and_the_service_stays(service, body) -> None:
    headers = {"content-type": "application/json"}
    got = service.ask("/v1/search", body, method="POST", headers=headers)
    assert 400 <= got.status < 500, got.body
    assert got.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= got.json.keys()
    assert b"Traceback" not in got.body
    assert service.ask("/v1/clips/1/similar").status == 200


def test_searches_that_come_together_are_answered_as_each_alone(service) -> None:
    with vidx.open(service.collection) as collection:
        alone = {number: collection.search_by_id(number, 5) for number in range(50)}
    got: dict[int, list] = {}
    client = vidx.Client(service.url)

    def ask(number: int) -> None:
        got[number] = client.search_by_id(number, 5)

    threads = [threading.Thread(target=ask, args=(number,)) for number in alone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == alone


def test_one_wrong_question_costs_no_other(drawn) -> None:
    with vidx.open(drawn) as collection:
        where = vidx.SearchOptions(where="nothing = 1")
        questions = [
            Question((4,)), Question((99,)), Question((4,), k=3), Question((4,), options=where),
            Question((np.ones(DIM),)), Question((np.ones(DIM + 1),)), Question((5,)),
        ]  # fmt: skip
        got = collection.search_together(questions)
        assert got[0] == collection.search_by_id(4)
        assert got[2] == collection.search_by_id(4, 3)
        assert got[4] == collection.search_by_vector(np.ones(DIM))
        assert got[6] == collection.search_by_id(5)
    assert [type(got[number]) for number in (1, 3, 5)] == [
        vidx.UnknownId, vidx.UsageError, vidx.UsageError
    ]  # fmt: skip
