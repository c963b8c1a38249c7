"""Snapshots and proposals by the service: what changes the collection, and who may."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_collections import commit, draw_video

import vidx
from vidx.store.layout import Layout
from vidx.store.writer import open_writer

SIZE, VERSION = 1000, 42  # of drawn videos' files


@pytest.fixture
def curated(serving: Callable, tmp_path: Path) -> Iterator[Any]:
    """A server of six videos that are files, two of them of one length."""
    layout, videos = Layout(tmp_path / "collection"), []
    for number in range(6):
        path = tmp_path / f"v{number}.mp4"
        path.write_bytes(b"." * SIZE)
        os.utime(path, ns=(VERSION, VERSION))
        videos.append(draw_video(f"v{number}", 3 + number, paths=(str(path),)))
    commit(layout, *videos)
    with serving(layout.root) as service:
        yield service


def groups_of(service: Any, *names: str) -> dict[str, list]:
    """One group, of the videos of these names."""
    videos = {Path(one["path"]).stem: one for one in service.ask("/v1/videos").json["videos"]}
    told = [videos[name] for name in names]
    return {
        "group": [0] * len(told),
        "path": [one["path"] for one in told],
        "video_id": [one["video_id"] for one in told],
    }


def test_a_proposal_is_made_looked_at_applied_and_undone(curated: Any) -> None:
    body = {"groups": groups_of(curated, "v2", "v4"), "keep": "first"}
    made = curated.ask("/v1/proposals", body)
    assert made.status == 201
    told = made.json
    assert (told["num_keep"], told["num_drop"], told["applied"]) == (1, 1, None)
    path = f"/v1/proposals/{told['proposal_id']}"
    rows = curated.ask(f"{path}/rows?limit=1").json
    assert (rows["rows"][0]["action"], Path(rows["rows"][0]["path"]).stem) == ("keep", "v2")
    behind = curated.ask(f"{path}/rows?cursor={rows['next_cursor']}").json["rows"]
    assert [(row["action"], Path(row["path"]).stem) for row in behind] == [("drop", "v4")]
    assert len(curated.ask("/v1/videos").json["videos"]) == 6, "nothing is done yet"

    done = curated.ask(f"{path}/apply", method="POST").json
    assert [Path(one).stem for one in done["paths"]] == ["v4"]
    assert curated.ask(path).json["applied"] == done["commit"]
    assert len(curated.ask("/v1/videos").json["videos"]) == 5
    assert Path(done["paths"][0]).exists(), "files stay"
    assert curated.ask(f"{path}/apply", method="POST").status == 422

    back = curated.ask(f"/v1/commits/{done['commit']}/undo", method="POST").json
    assert (back["num_videos"], back["lost"]) == (1, [])
    assert curated.ask("/v1/proposals").json["proposals"][0]["applied"] is None
    assert len(curated.ask("/v1/videos").json["videos"]) == 6
    assert curated.ask(path, method="DELETE").status == 204
    assert curated.ask(path).status == 404


def test_a_proposal_of_what_has_changed_is_refused(curated: Any) -> None:
    body = {"groups": groups_of(curated, "v1", "v3"), "keep": "longest"}
    told = curated.ask("/v1/proposals", body).json
    with vidx.open(curated.collection) as collection:
        collection.remove(body["groups"]["path"][:1])
    late = curated.ask("/v1/proposals", body)
    assert (late.status, late.json["type"]) == (409, "urn:vidx:VidxError")
    got = curated.ask(f"/v1/proposals/{told['proposal_id']}/apply", method="POST")
    assert got.status == 409
    assert "has changed" in got.json["detail"]


def test_some_clips_are_kept_by_a_name(curated: Any) -> None:
    saved = curated.ask("/v1/snapshots", {"name": "mine", "clip_ids": [4, 2]})
    assert (saved.status, saved.json["num_clips"]) == (201, 2)
    listed = curated.ask("/v1/clips?selection=mine").json["clips"]
    assert [one["clip_id"] for one in listed] == [2, 4]
    assert len(curated.ask("/v1/videos?selection=mine").json["videos"]) == 2 - (
        listed[0]["video_id"] == listed[1]["video_id"]
    )
    hits = curated.ask("/v1/search", {"query": {"clip_id": 0}, "selection": "mine"}).json["hits"]
    assert {hit["clip_id"] for hit in hits} == {2, 4}
    hits = curated.ask("/v1/clips/0/similar?selection=mine&where=clip_id%20%3E%202").json["hits"]
    assert [hit["clip_id"] for hit in hits] == [4]
    again = {"name": "less", "selection": "mine", "where": "clip_id > 2"}
    assert curated.ask("/v1/snapshots", again).json["num_clips"] == 1
    told = curated.ask("/v1/snapshots?limit=1").json
    assert told["rows"][0]["name"] == "mine"
    behind = curated.ask(f"/v1/snapshots?cursor={told['next_cursor']}").json
    assert [row["name"] for row in behind["rows"]] == ["less"]
    diff = curated.ask("/v1/snapshots/diff?before=mine&after=less").json["rows"]
    assert diff == [{"clip_id": 2, "change": "removed", "is_missing": False}]
    assert curated.ask("/v1/snapshots?name=mine", method="DELETE").status == 200
    assert curated.ask("/v1/clips?selection=mine").status == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x"}, 422),
        ({"name": "x", "clip_ids": []}, 422),
        ({"name": "x", "clip_ids": [1], "where": "clip_id > 0"}, 422),
        ({"name": "x", "clip_ids": [999]}, 404),
        ({"name": "x", "clip_ids": [1.5]}, 422),
        ({"name": "", "clip_ids": [1]}, 422),
        ({"name": "\0", "clip_ids": [1]}, 422),
        ({"name": "x", "where": "clip_id < 0"}, 422),
        ({"name": "x", "where": "nothing = 1"}, 422),
    ],
)
def test_what_cannot_be_saved_is_refused(curated: Any, body: dict, status: int) -> None:
    assert curated.ask("/v1/snapshots", body).status == status


CHANGES = [
    ("POST", "/v1/snapshots"),
    ("DELETE", "/v1/snapshots?name=v1"),
    ("POST", "/v1/proposals"),
    ("POST", f"/v1/proposals/{'0' * 32}/apply"),
    ("POST", "/v1/commits/1/undo"),
]


def test_no_foreign_page_changes_anything(curated: Any) -> None:
    for method, path in CHANGES:
        for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
            got = curated.ask(path, {}, method=method, headers=headers)
            assert (got.status, got.json["type"]) == (403, "urn:vidx:foreign_origin")


def test_a_lock_is_told(curated: Any) -> None:
    body = {"groups": groups_of(curated, "v0", "v5"), "keep": "first"}
    made = curated.ask("/v1/proposals", body).json
    with open_writer(Layout(curated.collection)):
        for path, sent in (
            ("/v1/snapshots", {"name": "x", "clip_ids": [1]}),
            (f"/v1/proposals/{made['proposal_id']}/apply", {}),
        ):
            got = curated.ask(path, sent)
            assert (got.status, got.json["type"]) == (409, "urn:vidx:CollectionLocked")
