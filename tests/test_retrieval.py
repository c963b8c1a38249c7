"""Searches over drawn vectors, held against a brute-force answer."""

from __future__ import annotations

import fnmatch
import random
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from made_collections import DIM, commit, draw_video, path_of, video_id
from numpy.typing import NDArray

import vidx
from vidx.errors import UsageError
from vidx.options import SearchOptions
from vidx.queries import Query, query_file, stored_query
from vidx.records import Clip, Hit, Label, Problem, Segment
from vidx.retrieval import search
from vidx.store.catalogue import Catalogue
from vidx.store.compact import compact, purge
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.rebuild import rebuild
from vidx.store.vectors import live_vectors, stored_vectors
from vidx.store.writer import open_writer
from vidx.views import Views, extend_index, open_index

NUM_VIDEOS = 60
ANY = SearchOptions()


@dataclass
class Drawn:
    """A collection, and all its live clips as plain values."""

    views: Views
    catalogue: Catalogue
    ids: NDArray[np.int64]
    vectors: NDArray[np.float64]
    owners: list[str]
    labels: list[set[str]]
    paths: list[tuple[str, ...]]


def path_in(folder: str, number: int) -> str:
    return f"/data/{folder}/{number}.mp4"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Four shards, a third of the clips newer than the index, some videos removed or replaced."""
    layout = Layout(tmp_path_factory.mktemp("drawn") / "collection")
    draw = random.Random(5)

    def videos(start: int, end: int, plan: str = "plan") -> None:
        paths = [(path_in("cats", n), path_in("dogs", n))[: 1 + n % 2] for n in range(start, end)]
        drawn = [
            draw_video(f"v{n}", draw.randint(1, 9), plan=plan, paths=paths[n - start])
            for n in range(start, end)
        ]
        commit(layout, *drawn)

    videos(0, 20)
    videos(20, 40)
    videos(5, 10, plan="finer")
    with open_writer(layout) as writer:
        writer.remove([path_in("cats", 2), path_in("cats", 3)])
    views = Views(layout)
    extend_index(views.catalogue())
    videos(40, NUM_VIDEOS)
    with open_writer(layout) as writer:
        writer.remove([path_in("cats", 4), path_in("cats", 50)])
    return described(views)


def described(views: Views) -> Drawn:
    catalogue = views.catalogue()
    parts = list(live_vectors(catalogue))
    ids = np.concatenate([ids for ids, _ in parts])
    rows = catalogue.clip_rows(ids.tolist())
    return Drawn(
        views,
        catalogue,
        ids,
        np.concatenate([vectors for _, vectors in parts]).astype(np.float64),
        [rows[clip_id].video_id for clip_id in ids.tolist()],
        [{item.name for item in rows[clip_id].labels} for clip_id in ids.tolist()],
        [rows[clip_id].locations for clip_id in ids.tolist()],
    )


def ask(
    views: Views, query: Query, k: int, options: SearchOptions = ANY, *, by_video: bool = False
) -> list[Hit]:
    with views.now() as (catalogue, view):
        wanted = replace(options, by="video" if by_video else "clip")
        return search(catalogue, view, query, k, wanted)


def path_matcher(glob: str) -> Callable[[str], bool]:
    """Says whether a path matches, as `--path` is documented."""
    anchored = glob if glob.startswith(("/", "*")) else f"*/{glob}"
    pattern = re.compile(fnmatch.translate(anchored))
    return lambda path: pattern.match(path) is not None


def query_of(vectors: NDArray[np.float32], owner: str | None = None) -> Query:
    clips = tuple(Clip(float(row), row + 1.0) for row in range(len(vectors)))
    return Query(clips, vectors, () if owner is None else (owner,))


def brute_force(
    drawn: Drawn, queries: NDArray[np.float32], k: int, allowed: list[bool], by_video: bool
) -> list[tuple[int, int]]:
    """Pairs of clip_id and row of the query, by a full sort of all pairs."""
    asked = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    stored = drawn.vectors / np.linalg.norm(drawn.vectors, axis=1, keepdims=True)
    scores = asked @ stored.T
    best, rows = scores.max(axis=0), scores.argmax(axis=0)
    found, seen = [], set()
    for place in np.argsort(-best, kind="stable"):
        owner = drawn.owners[place]
        if allowed[place] and not (by_video and owner in seen):
            seen.add(owner)
            found.append((int(drawn.ids[place]), int(rows[place])))
    return found[:k]


def pairs(hits: list[Hit]) -> list[tuple[int, int]]:
    return [(hit.clip_id, int(hit.query_start_seconds)) for hit in hits]


@pytest.mark.parametrize("by_video", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_hits_are_those_of_a_brute_force_search(drawn: Drawn, seed: int, by_video: bool) -> None:
    draw = random.Random(seed)
    vectors = np.random.default_rng(seed).standard_normal((draw.choice([1, 1, 2, 7]), DIM))
    queries = vectors.astype(np.float32)
    k = draw.choice([1, 3, 10, 60, 1000])
    labels = tuple(draw.sample(["run", "walk", "sit", "eat"], draw.choice([0, 0, 1, 2])))
    glob = draw.choice([None, None, "cats/*", "dogs/*", "*/1?.mp4", "/data/cats/2.mp4", "/none"])
    without = draw.choice([None, drawn.owners[0], "not there"])
    allowed = [
        (not labels or bool(own.intersection(labels)))
        and (glob is None or any(map(path_matcher(glob), paths)))
        and owner != without
        for own, paths, owner in zip(drawn.labels, drawn.paths, drawn.owners, strict=True)
    ]
    options = SearchOptions(labels=labels, path_glob=glob, exclude_self=without is not None)
    hits = ask(drawn.views, query_of(queries, without), k, options, by_video=by_video)
    assert pairs(hits) == brute_force(drawn, queries, k, allowed, by_video)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)


def test_a_stored_clip_finds_itself_first(drawn: Drawn) -> None:
    for clip_id in drawn.ids[[0, 50, -1]].tolist():
        with drawn.views.now() as (catalogue, view):
            query = stored_query(catalogue, view, clip_id)
        hit = ask(drawn.views, query, 1)[0]
        assert hit.clip_id == clip_id
        assert hit.score == pytest.approx(1, abs=1e-6)
        assert (hit.start_seconds, hit.end_seconds) == (
            hit.query_start_seconds,
            hit.query_end_seconds,
        )
        row = drawn.catalogue.clip_rows([clip_id])[clip_id]
        assert (hit.video_id, hit.locations, hit.labels) == (
            row.video_id,
            row.locations,
            row.labels,
        )
        assert hit.path == min(hit.locations)


def test_leaving_out_its_own_content_leaves_out_all_of_it(drawn: Drawn) -> None:
    with drawn.views.now() as (catalogue, view):
        query = stored_query(catalogue, view, int(drawn.ids[0]))
    hits = ask(drawn.views, query, 1000, SearchOptions(exclude_self=True))
    assert len(hits) == len(drawn.ids) - drawn.owners.count(query.video_ids[0])


@pytest.mark.parametrize("by_video", [False, True])
def test_removed_and_replaced_clips_are_no_hits(drawn: Drawn, by_video: bool) -> None:
    query = query_of(np.ones((1, DIM), np.float32))
    hits = ask(drawn.views, query, 1000, by_video=by_video)
    with drawn.views.now() as (_, view):
        assert len(view.index) > len(drawn.ids), "the index holds some that are gone"
        assert 0 < len(view.index.newer.ids) < len(view.index.indexed.ids)
    found = [hit.video_id if by_video else hit.clip_id for hit in hits]
    assert sorted(found) == sorted(set(drawn.owners) if by_video else drawn.ids.tolist())


@pytest.mark.parametrize("by_video", [False, True])
def test_what_was_removed_takes_no_hit_away(drawn: Drawn, by_video: bool) -> None:
    with drawn.views.now() as (_, view):
        gone = np.setdiff1d(view.index.indexed.ids, drawn.ids)[:1]
        query = query_of(view.index.vectors_of(view.index.rows_of(gone)))
    hits = ask(drawn.views, query, 5, by_video=by_video)
    assert [hit.clip_id in drawn.ids for hit in hits] == [True] * 5


@pytest.mark.parametrize("name", ["v2", "v50"])
def test_a_removed_clip_is_no_query(drawn: Drawn, name: str) -> None:
    assert drawn.catalogue.content(video_id(name)).take is None
    gone = next(n for n in range(10_000) if n not in set(drawn.ids.tolist()))
    with (
        drawn.views.now() as (catalogue, view),
        pytest.raises(UsageError, match=f"no clip {gone}"),
    ):
        stored_query(catalogue, view, gone)


def test_an_unknown_label_is_told_with_what_was_meant(drawn: Drawn) -> None:
    query = query_of(np.ones((1, DIM), np.float32))
    with pytest.raises(UsageError, match="Did you mean 'walk'"):
        ask(drawn.views, query, 1, SearchOptions(labels=["wlak"]), by_video=False)


def test_a_search_sees_one_state_whatever_is_committed_meanwhile(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "collection")
    commit(layout, draw_video("a"), draw_video("b"))
    query = query_of(draw_video("a").embedded.embeddings)
    views = Views(layout)
    for by_video in (False, True):
        with views.now() as (catalogue, view):
            with open_writer(layout) as writer:
                removal = writer.remove([path_of("a")]).commit
            by = SearchOptions(by="video" if by_video else "clip")
            hits = search(catalogue, view, query, 10, by)
            assert {hit.video_id for hit in hits} == {video_id("a"), video_id("b")}
            assert all(hit.path for hit in hits)
        hits = ask(views, query, 10, by_video=by_video)
        assert {hit.video_id for hit in hits} == {video_id("b")}
        with open_writer(layout) as writer:
            writer.restore(removal)
        hits = ask(views, query, 10, by_video=by_video)
        assert {hit.video_id for hit in hits} == {video_id("a"), video_id("b")}


def test_a_view_is_kept_until_something_is_committed(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "collection")
    commit(layout, draw_video("a"))
    views = Views(layout)
    with views.now() as (_, one), views.now() as (_, same):
        assert one is same
    commit(layout, draw_video("b"))
    with views.now() as (_, other):
        assert (other is not one, len(one.index), len(other.index)) == (True, 3, 6)


def test_an_index_that_lacks_a_shard_put_back_is_not_trusted(tmp_path: Path) -> None:
    """As many clips were put back as were removed: counting them would tell nothing."""
    layout = Layout(tmp_path / "collection")
    commit(layout, draw_video("a"))
    commit(layout, draw_video("b"))
    commit(layout, draw_video("c"))
    first = layout.shards / "clips-000000000000.parquet"
    first.rename(tmp_path / "away")
    with writing(layout):
        rebuild(layout, read_manifest(layout), 0)
    views = Views(layout)
    extend_index(views.catalogue())
    (tmp_path / "away").rename(first)
    with writing(layout):
        rebuild(layout, read_manifest(layout), 0)
    with open_writer(layout) as writer:
        writer.remove([path_of("b")])
    query = query_of(draw_video("a").embedded.embeddings)
    assert {hit.video_id for hit in ask(views, query, 10)} == {video_id("a"), video_id("c")}
    extend_index(views.catalogue())
    assert {hit.video_id for hit in ask(Views(layout), query, 10)} == {video_id("a"), video_id("c")}


def test_an_index_of_another_numbering_of_videos_is_not_trusted(tmp_path: Path) -> None:
    """A catalogue made anew numbers videos by what is left; a kill came before its new index."""
    layout = Layout(tmp_path / "collection")
    commit(layout, draw_video("gone"))
    commit(layout, draw_video("a"))
    commit(layout, draw_video("b"))
    with open_writer(layout) as writer:
        writer.remove([path_of("gone")])
    extend_index(Views(layout).catalogue())
    with open_writer(layout) as writer:
        for _ in compact(writer, Catalogue(layout, writer.manifest)):
            pass
        purge(writer)
    for part in layout.root.glob("catalogue.sqlite*"):
        part.unlink()
    with writing(layout):
        rebuild(layout, read_manifest(layout), 0)
    query = query_of(draw_video("a").embedded.embeddings)
    for name in "ab":
        options = SearchOptions(path_glob=path_of(name))
        assert {hit.video_id for hit in ask(Views(layout), query, 9, options)} == {video_id(name)}


def test_an_empty_collection_has_no_hits(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "collection")
    commit(layout)
    query = query_of(np.ones((2, DIM), np.float32))
    for by_video in (False, True):
        assert ask(Views(layout), query, 10, by_video=by_video) == []


@pytest.mark.parametrize("kind", ["exact", "ivf"])
def test_a_long_still_scene_hides_no_other_video_that_shows_it(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0)
    scene = random.standard_normal(DIM).astype(np.float32)
    other = random.standard_normal((5, DIM)).astype(np.float32)
    other[1:4] = scene
    layout = Layout(tmp_path / "collection")
    commit(
        layout,
        draw_video("still", 150, vectors=np.repeat(scene[None], 150, 0)),
        draw_video("other", 5, vectors=other),
        draw_video("third", 3, vectors=other[1:4]),
        *(draw_video(f"r{number}", 6) for number in range(300)),
    )
    collection = vidx.open(layout.root)
    collection.index(vidx.IndexOptions(kind=kind, target_recall=0.9))
    options = SearchOptions(by="segment")
    for clip_id in (0, 152, 156):
        found = {Path(hit.path).name for hit in collection.search_by_id(clip_id, 10, options)}
        assert {path_of(name).split("/")[-1] for name in ("still", "other", "third")} <= found
    away = replace(options, exclude_self=True)
    assert path_of("third") in {hit.path for hit in collection.search_by_id(152, 10, away)}


@pytest.mark.parametrize("num_clips", [1, 3])
@pytest.mark.parametrize("is_indexed", [False, True])
def test_equal_clips_of_many_videos_come_in_the_order_of_their_ids(
    tmp_path: Path, num_clips: int, is_indexed: bool
) -> None:
    layout = Layout(tmp_path / "collection")
    videos = [draw_video(f"v{number}", 4) for number in range(30)]
    for video in videos:
        video.embedded.embeddings[:] = 1
    commit(layout, *videos)
    views = Views(layout)
    if is_indexed:
        extend_index(views.catalogue())
    query = query_of(np.ones((num_clips, DIM), np.float32))
    clips = ask(views, query, 7)
    assert pairs(clips) == [(clip_id, 0) for clip_id in range(7)]
    found = ask(views, query, 7, by_video=True)
    assert pairs(found) == [(4 * number, 0) for number in range(7)]


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("*.mp4", "/a/b/c.mp4", True),
        ("*.mp4", "/a/b/c.mkv", False),
        ("b/*", "/a/b/c.mp4", True),
        ("b/*", "/a/bb/c.mp4", False),
        ("c.mp4", "/a/b/c.mp4", True),
        ("/a/*", "/a/b/c.mp4", True),
        ("/b/*", "/a/b/c.mp4", False),
        ("[ab].mp4", "/x/b.mp4", True),
        ("?.mp4", "/x/new\nline.mp4", False),
        ("new*", "/x/new\nline.mp4", True),
        ("C.MP4", "/a/c.mp4", False),
        ("[!ab].mp4", "/x/b.mp4", False),
        ("[!ab].mp4", "/x/c.mp4", True),
        ("[^ab].mp4", "/x/^.mp4", True),
        ("[^].mp4", "/x/^.mp4", True),
        ("[.mp4", "/x/[.mp4", True),
        ("[]-x].mp4", "/x/].mp4", True),
        ("it's.mp4", "/x/it's.mp4", True),
    ],
)
def test_globs_match_as_described(tmp_path: Path, glob: str, path: str, matches: bool) -> None:
    layout = Layout(tmp_path / "collection")
    commit(layout, draw_video("a", paths=(path,)))
    query = query_of(np.ones((1, DIM), np.float32))
    hits = ask(Views(layout), query, 1, SearchOptions(path_glob=glob))
    assert [hit.path for hit in hits] == [path] * matches


def test_a_query_that_is_no_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.mp4"):
        with pytest.raises(UsageError, match="is no file"):
            query_file(path)


def test_five_thousand_clips_are_all_found_again(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "collection")
    for start in range(0, 100, 20):
        commit(layout, *(draw_video(f"v{n}", 50) for n in range(start, start + 20)))
    catalogue = Catalogue(layout, read_manifest(layout))
    extend_index(catalogue)
    index = open_index(catalogue)
    assert len(index) == 5000
    everything = np.concatenate([vectors for _, vectors in live_vectors(catalogue)])
    assert index.search(everything, 1)[1].ravel().tolist() == list(range(5000))
    assert index.disagreements(stored_vectors(catalogue)) == []


@pytest.mark.parametrize("problem", [None, Problem("truncated", "it ends early")])
@pytest.mark.parametrize("kind", [Hit, partial(Segment, num_clips=3)])
def test_a_hit_as_a_dictionary_is_what_dataclasses_make_of_it(
    kind: Callable[..., Hit], problem: Problem | None
) -> None:
    hit = kind(
        rank=1,
        clip_id=7,
        video_id="0" * 64,
        score=0.5,
        path="a.mp4",
        locations=("a.mp4", "b.mp4"),
        start_seconds=0.0,
        end_seconds=2.0,
        query_start_seconds=None,
        query_end_seconds=None,
        labels=(Label("walks", 0.9), Label("runs", 0.1)),
        query_problem=problem,
    )
    assert hit.as_dict() == asdict(hit)
