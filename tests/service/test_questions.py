"""Questions of curation: answered beside searches, once a state, page by page."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from curated_collections import collection_of, kinds
from made_collections import commit, draw_video

import vidx
from vidx.service import answers, questions
from vidx.service.question_messages import Asked
from vidx.service.settings import Limits, Settings
from vidx.store.layout import Layout


@pytest.fixture(scope="module")
def asked(serving: Callable, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server of 30 videos of five kinds."""
    folder = tmp_path_factory.mktemp("asked")
    with serving(collection_of(folder, kinds(30)).path) as service:
        yield service


def patiently(service: Any, path: str) -> Any:
    """An answer, asked for until it is there."""
    until = time.monotonic() + 120
    while (got := service.ask(path)).status == 202:
        assert time.monotonic() < until
        assert set(got.json) == {"stage", "done", "total"}
    return got


def rows(service: Any, path: str) -> list[dict]:
    found, following = [], ""
    while following is not None:
        told = patiently(service, path + (following and f"&cursor={following}")).json
        found += told["rows"]
        following = told["next_cursor"]
    return found


def process_of(service: Any) -> Any:
    return service.server._core.answers._process.process


def test_the_pages_of_an_answer_are_the_whole_and_found_once(asked: Any) -> None:
    whole = rows(asked, "/v1/clusters?k=4&limit=1000")
    known = len(asked.server._core.answers._answers)
    assert rows(asked, "/v1/clusters?k=4&limit=50") == whole
    assert len(asked.server._core.answers._answers) == known
    assert [row["clip_id"] for row in whole if row["group"] == 0]
    assert len(whole) == 120


def test_a_sample_is_told_as_clips_page_by_page(asked: Any) -> None:
    whole = rows(asked, "/v1/sample?n=7&strategy=random&seed=2&where=clip_id%20%3E%209")
    paged = rows(asked, "/v1/sample?n=7&strategy=random&seed=2&where=clip_id%20%3E%209&limit=3")
    assert len(whole) == 7
    assert whole == paged
    assert all(row == asked.ask(f"/v1/clips/{row['clip_id']}").json for row in whole)
    assert min(row["clip_id"] for row in whole) > 9


def test_a_comparison_tells_its_figures_with_each_page(asked: Any) -> None:
    assert asked.ask("/v1/snapshots", {"name": "early", "where": "clip_id < 40"}).status == 201
    path = "/v1/compare?other=early&k=5&where=clip_id%20%3E%3D%2020"
    whole = patiently(asked, path).json
    assert 0 < whole["coverage"] <= 1
    assert 0 < whole["drift"] <= 1
    assert sum(row["num_clips"] for row in whole["rows"]) == 100
    assert sum(row["num_other_clips"] for row in whole["rows"]) == 40
    part = patiently(asked, f"{path}&limit=2").json
    later = patiently(asked, f"{path}&limit=2&cursor={part['next_cursor']}").json
    assert part["rows"] + later["rows"] == whole["rows"][:4]
    assert {**later, "rows": 0, "next_cursor": 0} == {**whole, "rows": 0, "next_cursor": 0}


def test_a_split_that_cannot_be_is_refused_and_writes_nothing(asked: Any) -> None:
    for fractions in ({}, {"a": 0.5}, {"a": 0.5, "b": 0.6}, {"a": "x", "b": 0.5}):
        got = asked.ask("/v1/split", {"fractions": fractions, "write": "side"})
        assert (got.status, got.headers["content-type"]) == (422, "application/problem+json")
    many = {str(number): 1 / 40 for number in range(40)}
    got = asked.ask("/v1/split", {"fractions": many, "write": "side"})
    assert (got.status, got.json["type"]) == (422, "urn:vidx:VidxError")
    assert "too few for 40 splits" in got.json["detail"]
    assert asked.ask("/v1/metadata").json["columns"] == []


def test_searches_do_not_wait_for_a_question(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    patiently(asked, "/v1/labels/counts")
    monkeypatch.setattr(questions, "WAIT_SECONDS", 0.1)
    process_of(asked).send_signal(signal.SIGSTOP)
    try:
        got = asked.ask("/v1/outliers?top=3")
        assert got.status == 202
        assert got.headers["retry-after"] == "1"
        assert asked.ask("/v1/clips/3/similar").status == 200
        assert asked.ask("/v1/clips?limit=3").status == 200
    finally:
        process_of(asked).send_signal(signal.SIGCONT)
    assert len(rows(asked, "/v1/outliers?top=3")) == 3


def test_a_process_that_dies_is_told_and_followed_by_another(asked: Any) -> None:
    patiently(asked, "/v1/labels/counts")
    first = process_of(asked)
    first.send_signal(signal.SIGSTOP)
    answer = asked.server._core.answers
    from vidx.service.question_messages import Asked

    lost = answer.to(Asked("quality", ()), "a state")
    os.kill(first.pid, signal.SIGKILL)
    assert "ended by SIGKILL" in str(lost.content.exception(60))
    assert patiently(asked, "/v1/labels/counts?where=clip_id%20%3E%203").status == 200
    assert process_of(asked).pid != first.pid


def test_a_question_that_gets_on_for_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would keep all others waiting."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    monkeypatch.setattr(answers, "MODULE", "made_endless")
    asked = answers.Answers(tmp_path, Limits(question_seconds=1.0))
    try:
        answer = asked.to(Asked("clusters", ()), "a state")
        with pytest.raises(vidx.VidxError, match="no answer within 1 s"):
            answer.content.result(timeout=20)
        assert answer.progress
        assert answer.progress.done > 2
    finally:
        asked.close()


def test_too_many_questions_are_refused_and_the_oldest_answers_give_way(
    asked: Any, serving: Callable
) -> None:
    limits = Limits(questions_waiting=1, answer_bytes=1)
    with serving(asked.collection, Settings(port=0, limits=limits)) as service:
        patiently(service, "/v1/labels/counts")
        cursor = patiently(service, "/v1/map?limit=1").json["next_cursor"]
        patiently(service, "/v1/quality")
        assert service.ask(f"/v1/map?limit=1&cursor={cursor}").status == 410
        process_of(service).send_signal(signal.SIGSTOP)
        answers = service.server._core.answers
        from vidx.service.question_messages import Asked

        for top in (1, 2):
            answers.to(Asked("outliers", (("limit", top),)), "a state")
        assert service.ask("/v1/outliers?top=3").status == 503


def test_what_is_committed_is_asked_anew_and_a_cursor_keeps_to_its_answer(
    asked: Any, serving: Callable, tmp_path: Path
) -> None:
    folder = shutil.copytree(asked.collection, tmp_path / "collection")
    with serving(folder) as service:
        before = patiently(service, "/v1/map?limit=100").json
        commit(Layout(folder), draw_video("later", clips=2))
        behind = service.ask(f"/v1/map?limit=100&cursor={before['next_cursor']}").json
        assert len(before["rows"]) + len(behind["rows"]) == 120
        assert len(rows(service, "/v1/map?limit=1000")) == 122


@pytest.mark.parametrize("colour", ["label", "cluster"])
def test_points_are_the_map_in_binary(asked: Any, colour: str) -> None:
    got = patiently(asked, f"/v1/map/points?colour={colour}")
    assert got.headers["content-type"] == "application/octet-stream"
    (length,) = struct.unpack_from("<I", got.body)
    head, place = json.loads(got.body[4 : 4 + length]), 4 + length
    assert place % 8 == 0
    count = head["num_clips"]
    ids = np.frombuffer(got.body, "<i8", count, place)
    places = np.frombuffer(got.body, "<f4", 2 * count, place + 8 * count).reshape(-1, 2)
    colours = np.frombuffer(got.body, "<u2", count, place + 16 * count)
    assert len(got.body) == place + 18 * count
    with vidx.open(asked.collection) as collection:
        table = collection.map()
    assert ids.tolist() == table["clip_id"].to_pylist()
    assert places[:, 0].tolist() == table["x"].to_numpy().astype(np.float32).tolist()
    assert colours.max() < len(head["names"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/duplicates?threshold=2", 422),
        ("/v1/duplicates?threshold=nan", 422),
        ("/v1/duplicates?by=day", 422),
        ("/v1/duplicates?cursor=nonsense", 422),
        ("/v1/clusters?k=0", 422),
        ("/v1/clusters?k=121", 422),
        ("/v1/clusters?k=99999999", 422),
        ("/v1/clusters?limit=1001", 422),
        ("/v1/clusters?progress=1", 422),
        ("/v1/outliers?top=0", 422),
        ("/v1/sample", 422),
        ("/v1/sample?n=0", 422),
        ("/v1/sample?n=121", 422),
        ("/v1/sample?n=1000001", 422),
        ("/v1/sample?n=3&strategy=nonsense", 422),
        ("/v1/compare", 422),
        ("/v1/compare?other=none", 422),
        ("/v1/compare?other=none&k=0", 422),
        ("/v1/compare?other=none&k=10001", 422),
        ("/v1/quality?black=-1", 422),
        ("/v1/leakage?column=none", 422),
        ("/v1/leakage?other=none", 422),
        ("/v1/concepts/suggest", 422),
        ("/v1/concepts/suggest?name=none", 422),
        ("/v1/concepts/suggest?name=none&n=1001", 422),
        ("/v1/concepts/evaluate?name=none", 422),
        ("/v1/leakage?others=/etc", 422),
        ("/v1/map?method=tsne", 422),
        ("/v1/map/points?colour=none", 422),
        ("/v1/labels/counts?selection=none", 422),
        ("/v1/labels/counts?where=clip_id%20%3C%200", 422),
        ("/v1/labels/counts?where=1%3B%20DROP%20TABLE%20clips", 422),
        ("/v1/proposals/" + "0" * 32, 404),
        ("/v1/proposals/..%2f..%2fetc", 404),
        ("/v1/snapshots/diff?before=a&after=b", 422),
    ],
)
def test_what_no_question_takes_is_refused(asked: Any, path: str, status: int) -> None:
    got = patiently(asked, path)
    assert got.status == status, got.body
    assert got.headers["content-type"] == "application/problem+json"
