from __future__ import annotations

from collections.abc import Callable

import pytest
from made_collections import (
    PROVENANCE,
    SPACE,
    commit,
    draw_video,
    lose_catalogue,
    path_of,
    video_id,
)

from vidx.records import Problem, Source
from vidx.store import writer as writer_module
from vidx.store.catalogue import Catalogue, KnownTake
from vidx.store.compact import compact
from vidx.store.export import commits_table, failures_table
from vidx.store.journal import Failed
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.rebuild import rebuild
from vidx.store.writer import Batch, Writer, open_writer

A, B, C = video_id("a"), video_id("b"), video_id("c")
BROKEN = Problem("decode_error", "no frames")


def at(path: str) -> Source:
    return Source(path, 1000, "42")


@pytest.fixture
def places(open_catalogue: Callable[[], Catalogue]) -> Callable[[], dict[str, list[str]]]:
    """Each video with its paths, as the clips' own answers have them."""

    def look() -> dict[str, list[str]]:
        catalogue = open_catalogue()
        rows = catalogue.clip_rows(catalogue.live_clip_ids().tolist()).values()
        assert catalogue.counts()["videos"] == len({row.video_id for row in rows})
        return {row.video_id: list(row.locations) for row in rows}

    return look


Places = Callable[[], dict[str, list[str]]]


def failures(catalogue: Catalogue, *paths: str) -> dict[str, str | None]:
    return {path: known.failure for path, known in catalogue.known(paths).items()}


def test_equal_content_at_two_paths_is_one_video(layout: Layout, places: Places) -> None:
    commit(layout, draw_video("a", paths=("/1", "/2")))
    commit(layout, places=[(A, at("/0"))])
    assert places() == {A: ["/0", "/1", "/2"]}


def test_a_moved_file_takes_its_video_along(layout: Layout, places: Places) -> None:
    commit(layout, draw_video("a", paths=("/1",)))
    commit(layout, places=[(A, at("/2"))], gone=["/1"])
    assert places() == {A: ["/2"]}


def test_a_changed_file_takes_its_old_video_out(layout: Layout, places: Places) -> None:
    commit(layout, draw_video("a", paths=("/1",)))
    commit(layout, draw_video("b", paths=("/1",)))
    assert places() == {B: ["/1"]}


def test_an_old_video_stays_while_it_has_another_path(layout: Layout, places: Places) -> None:
    commit(layout, draw_video("a", paths=("/1", "/2")))
    commit(layout, draw_video("b", paths=("/1",)))
    assert places() == {A: ["/2"], B: ["/1"]}


def test_removing_one_of_two_paths_keeps_the_video(layout: Layout, places: Places) -> None:
    commit(layout, draw_video("a", paths=("/1", "/2")))
    with open_writer(layout) as writer:
        assert writer.remove(["/1", "/never seen"]).videos == 0
        assert places() == {A: ["/2"]}
        assert writer.remove(["/2"]).videos == 1
    assert places() == {}


def test_two_files_that_swap_names_keep_their_videos(layout: Layout, places: Places) -> None:
    commit(layout, draw_video("a", paths=("/1",)), draw_video("b", paths=("/2",)))
    commit(layout, places=[(B, at("/1")), (A, at("/2"))])
    assert places() == {A: ["/2"], B: ["/1"]}


@pytest.mark.parametrize("new_is_embedded", [False, True])
def test_a_video_that_loses_one_path_and_gains_another_stays(
    layout: Layout, places: Places, new_is_embedded: bool
) -> None:
    commit(layout, draw_video("a", paths=("/1",)), draw_video("b", paths=("/2",)))
    if new_is_embedded:
        commit(layout, draw_video("c", paths=("/1",)), places=[(A, at("/3"))])
        assert places() == {A: ["/3"], B: ["/2"], C: ["/1"]}
    else:
        commit(layout, places=[(B, at("/1")), (A, at("/3"))], gone=["/2"])
        assert places() == {A: ["/3"], B: ["/1"]}


def test_a_video_that_loses_its_path_to_a_failure_and_gains_another_stays(
    layout: Layout, places: Places
) -> None:
    commit(layout, draw_video("a", paths=("/1",)))
    commit(layout, places=[(A, at("/2"))], failed=[Failed(at("/1"), B, BROKEN)])
    assert places() == {A: ["/2"]}


def test_a_new_plan_replaces_the_clips_and_keeps_the_paths(
    layout: Layout, places: Places, open_catalogue: Callable[[], Catalogue]
) -> None:
    commit(layout, draw_video("a", 3, paths=("/1", "/2")), draw_video("b", 2))
    commit(layout, draw_video("a", 4, plan="finer", paths=("/2",)))
    catalogue = open_catalogue()
    assert places() == {A: ["/1", "/2"], B: [path_of("b")]}
    assert catalogue.live_clip_ids().tolist() == [3, 4, 5, 6, 7, 8]
    assert catalogue.content(A).take == KnownTake("finer", None)
    assert {row.video_id for row in catalogue.clip_rows([5, 6, 7, 8]).values()} == {A}
    assert all(row.labels for row in catalogue.clip_rows(range(9)).values())


def test_a_file_that_cannot_be_read_now_keeps_its_video(
    layout: Layout, places: Places, open_catalogue: Callable[[], Catalogue]
) -> None:
    commit(layout, draw_video("a", paths=("/1",)))
    commit(layout, failed=[Failed(at("/1"), None, Problem("unreadable", "Permission denied"))])
    assert places() == {A: ["/1"]}
    assert failures(open_catalogue(), "/1") == {"/1": "unreadable"}
    commit(layout, places=[(A, at("/1"))])
    assert failures(open_catalogue(), "/1") == {"/1": None}
    assert open_catalogue().counts()["failures"] == 0


def test_a_file_that_turned_into_a_broken_one_loses_its_video(
    layout: Layout, places: Places, open_catalogue: Callable[[], Catalogue]
) -> None:
    commit(layout, draw_video("a", paths=("/1", "/2")), draw_video("b", paths=("/3",)))
    broken = [Failed(at("/1"), C, BROKEN), Failed(at("/3"), C, BROKEN)]
    commit(layout, failed=broken)
    commit(layout, failed=broken)
    assert places() == {A: ["/2"]}
    assert open_catalogue().counts()["failures"] == 2


def test_a_mended_file_is_no_failure_any_more(
    layout: Layout, open_catalogue: Callable[[], Catalogue]
) -> None:
    commit(layout, failed=[Failed(at("/1"), B, BROKEN)])
    commit(layout, draw_video("a", paths=("/1",)))
    assert open_catalogue().counts()["failures"] == 0


def test_removing_a_failure_forgets_it(layout: Layout) -> None:
    commit(layout, failed=[Failed(at("/1"), B, BROKEN)])
    with open_writer(layout) as writer:
        writer.remove(["/1"])
        assert Catalogue(layout, writer.manifest).counts()["failures"] == 0


def test_random_histories_end_as_a_simple_model_says(layout: Layout, places: Places) -> None:
    """Files change, move and vanish at random; the model is one dict from path to content."""
    import random

    draw = random.Random(7)
    paths, names = [f"/{number}" for number in range(6)], "abcdef"
    now: dict[str, str] = {}
    with open_writer(layout, SPACE) as writer:
        for _ in range(60):
            batch, now = _random_batch(draw, paths, names, now)
            _commit(writer, batch)
            expected: dict[str, list[str]] = {}
            for path, name in sorted(now.items()):
                expected.setdefault(video_id(name), []).append(path)
            assert places() == expected


def _random_batch(
    draw: object, paths: list[str], names: str, now: dict[str, str]
) -> tuple[Batch, dict[str, str]]:
    changes = {path: draw.choice(names) for path in draw.sample(paths, 3)}
    gone = [path for path in draw.sample(paths, 2) if path in now and path not in changes]
    there = {path: name for path, name in now.items() if path not in gone} | changes
    new = {name for name in changes.values() if name not in now.values()}
    videos = [
        draw_video(name, 1, paths=tuple(path for path in changes if changes[path] == name))
        for name in sorted(new)
    ]
    placed = [(video_id(n), at(path)) for path, n in changes.items() if n not in new]
    return Batch(videos=videos, places=placed, gone=gone), there


def _commit(writer: Writer, batch: Batch) -> None:
    if not batch.is_empty():
        writer.commit(batch, PROVENANCE)


def attempts(catalogue: Catalogue) -> dict[str, tuple[int, str]]:
    """Of each failure how often the file was tried, and when last."""
    rows = failures_table(catalogue).to_pylist()
    return {row["path"]: (row["attempts"], row["last_attempt"]) for row in rows}


def times(catalogue: Catalogue) -> list[str]:
    """When the commits were, the first one first."""
    return commits_table(catalogue)["time"].to_pylist()[::-1]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit has a second of its own."""
    seconds = iter(range(60))
    told = lambda: f"2026-01-01T00:00:{next(seconds):02}+00:00"  # noqa: E731
    monkeypatch.setattr(writer_module, "now", told)


def test_failures_tell_how_often_a_content_was_tried_at_a_path_and_when_last(
    layout: Layout, open_catalogue: Callable[[], Catalogue], clock: None
) -> None:
    for _ in range(3):
        commit(layout, failed=[Failed(at("/1"), B, BROKEN)])
    commit(layout, failed=[Failed(at("/2"), B, BROKEN)])
    when = times(open_catalogue())
    assert attempts(open_catalogue()) == {"/1": (3, when[2]), "/2": (1, when[3])}
    commit(layout, failed=[Failed(at("/1"), C, BROKEN)])
    assert attempts(open_catalogue())["/1"][0] == 1, "another content"


def test_attempts_are_counted_where_a_file_could_not_be_read(
    layout: Layout, open_catalogue: Callable[[], Catalogue]
) -> None:
    unreadable = Problem("unreadable", "Permission denied")
    for path, video_id_, problem in [
        ("/1", None, unreadable), ("/1", None, unreadable), ("/1", B, BROKEN), ("/1", B, BROKEN)
    ]:  # fmt: skip
        commit(layout, failed=[Failed(at(path), video_id_, problem)])
    assert attempts(open_catalogue())["/1"][0] == 4
    commit(layout, failed=[Failed(Source("/1", 7, "8"), None, unreadable)])
    assert attempts(open_catalogue())["/1"][0] == 1, "it has changed"


@pytest.mark.parametrize("compacted", [False, True])
def test_attempts_come_back_from_the_journal(
    layout: Layout,
    open_catalogue: Callable[[], Catalogue],
    clock: None,
    compacted: bool,
) -> None:
    commit(layout, draw_video("a"))
    for _ in range(2):
        commit(layout, draw_video("c"), failed=[Failed(at("/1"), B, BROKEN)])
    if compacted:
        with open_writer(layout) as writer:
            assert list(compact(writer, open_catalogue()))
        commit(layout, failed=[Failed(at("/1"), B, BROKEN)])
    before = attempts(open_catalogue())
    assert before["/1"][0] == (3 if compacted else 2)
    lose_catalogue(layout)
    with writing(layout):
        assert rebuild(layout, read_manifest(layout), 0).ignored == ()
    assert attempts(open_catalogue()) == before
    assert open_catalogue().content(B).failed_at == ("/1",)
