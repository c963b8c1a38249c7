"""Lists and single rows are those of the collection, a page at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_collections import video_id

import vidx
from vidx.store.wire import plain_rows


def pages(service, path: str, name: str) -> list[dict]:
    """All rows of a list, by its cursors."""
    rows, following = [], ""
    while following is not None:
        told = service.ask(f"{path}{following}").json
        rows += told[name]
        cursor = told["next_cursor"]
        following = None if cursor is None else f"&cursor={cursor}"
    return rows


@pytest.mark.parametrize("name", ["clips", "videos", "failures"])
def test_the_pages_of_a_list_are_the_whole_list(service, name: str) -> None:
    with vidx.open(service.collection) as collection:
        expected = plain_rows(getattr(collection, name)())
    assert pages(service, f"/v1/{name}?limit=3", name) == expected
    assert pages(service, f"/v1/{name}?limit=1", name) == expected


@pytest.mark.parametrize("name", ["clips", "videos"])
def test_an_expression_leaves_a_part_of_a_list(service, name: str) -> None:
    with vidx.open(service.collection) as collection:
        expected = plain_rows(getattr(collection.where("start_seconds >= 8"), name)())
    assert expected
    assert pages(service, f"/v1/{name}?limit=3&where=start_seconds%20%3E%3D%208", name) == expected


def test_one_clip_and_one_video_are_those_of_the_lists(service) -> None:
    clip = service.ask("/v1/clips/7").json
    assert clip == service.ask("/v1/clips?limit=8").json["clips"][7]
    video = service.ask(f"/v1/videos/{clip['video_id']}").json
    assert (video["video_id"], video["num_clips"]) == (clip["video_id"], 5)
    ids = [
        one["clip_id"]
        for one in pages(service, f"/v1/videos/{video_id('v1')}/clips?limit=2", "clips")
    ]
    assert ids == [5, 6, 7, 8, 9]


def test_only_partial_videos_are_remarked(service) -> None:
    told = service.ask("/v1/videos?remarked=true").json["videos"]
    assert [one["path"] for one in told] == ["/videos/v9.mp4"]


def test_info_and_labels_are_those_of_the_collection(service) -> None:
    told = service.ask("/v1/info").json
    assert (told["num_clips"], told["num_partial"], told["num_failures"]) == (50, 1, 2)
    assert service.ask("/v1/labels").json["labels"][:2] == ["run", "walk"]


@pytest.mark.parametrize(
    "path", ["/v1/clips/50", f"/v1/clips/{(1 << 63) - 1}", f"/v1/videos/{'0' * 64}"]
)
def test_what_is_not_there_is_not_found(service, path: str) -> None:
    assert service.ask(path).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/v1/clips?limit=0",
        "/v1/clips?limit=1001",
        "/v1/clips?cursor=nonsense",
        "/v1/clips?cursor=%ff",
        "/v1/clips?cursor=bnVsbA",
        "/v1/clips?wherever=1",
        "/v1/clips?where=",
        "/v1/clips?where=1%3B%20DROP%20TABLE%20clips",
        "/v1/clips?where=(SELECT%20path%20FROM%20locations)%20IS%20NOT%20NULL",
        "/v1/clips?where=path%20%3D%20%27%00%27",
        "/v1/clips?where=" + "(" * 5000,
        "/v1/clips/-1",
        "/v1/clips/99999999999999999999",
        "/v1/clips/..%2f..%2fetc",
        "/v1/videos/..%2f..%2fetc%2fpasswd",
        "/v1/videos/%00",
    ],
)
def test_what_no_list_takes_is_refused(service, path: str) -> None:
    got = service.ask(path)
    assert 400 <= got.status < 500, got.body
    assert got.headers["content-type"] == "application/problem+json"


def test_a_cursor_of_another_list_or_collection_is_refused(
    service, serving, tmp_path: Path
) -> None:
    from made_collections import commit, draw_video

    from vidx.store.layout import Layout

    cursor = service.ask("/v1/clips?limit=1").json["next_cursor"]
    assert service.ask(f"/v1/videos?cursor={cursor}").status == 422
    other = tmp_path / "other"
    commit(Layout(other), draw_video("x"))
    with serving(other) as another:
        assert another.ask(f"/v1/clips?cursor={cursor}").status == 410
