"""A collection that changes, breaks or goes away while it is served."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_collections import commit, draw_video

from vidx.store.layout import Layout


@pytest.fixture
def copied(drawn: Path, tmp_path: Path) -> Path:
    return shutil.copytree(drawn, tmp_path / "collection")


def test_what_a_writer_commits_is_there_at_once(serving, copied: Path) -> None:
    with serving(copied) as service:
        before = service.ask("/v1/info").json["num_clips"]
        assert service.ask(f"/v1/clips/{before}").status == 404
        commit(Layout(copied), draw_video("later", clips=2))
        assert service.ask("/v1/info").json["num_clips"] == before + 2
        hits = service.ask("/v1/search", {"query": {"clip_id": before}, "k": 1}).json["hits"]
        assert hits[0]["clip_id"] == before


def test_a_collection_that_is_gone_is_told_and_one_in_its_place_is_served(
    serving, copied: Path, tmp_path: Path
) -> None:
    with serving(copied) as service:
        cursor = service.ask("/v1/clips?limit=1").json["next_cursor"]
        copied.rename(tmp_path / "away")
        for path in ("/v1/clips", "/v1/clips/1/similar", "/v1/info", "/readyz"):
            got = service.ask(path)
            assert (got.status, got.headers["content-type"]) == (503, "application/problem+json")
        assert service.ask("/healthz").status == 200
        commit(Layout(copied), draw_video("another", clips=4))
        assert service.ask("/v1/info").json["num_clips"] == 4
        assert len(service.ask("/v1/clips/1/similar").json["hits"]) == 4
        assert service.ask(f"/v1/clips?cursor={cursor}").status == 410


@pytest.mark.parametrize("part", ["catalogue.sqlite", "collection.json"])
def test_a_damaged_collection_is_told(serving, copied: Path, part: str) -> None:
    with serving(copied) as service:
        assert service.ask("/v1/clips/1/similar").status == 200
        (copied / part).unlink()
        (copied / part).write_bytes(b"rubbish" * 1000)
        for path in ("/v1/clips", "/v1/clips/1/similar", "/v1/info"):
            got = service.ask(path)
            assert (got.status, got.headers["content-type"]) == (503, "application/problem+json")
        assert service.ask("/healthz").status == 200
