"""`Collection.index`: what is asked is made and told, and who searches meanwhile is right."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from made_collections import DIM, commit, draw_video, path_of
from numpy.typing import NDArray

import vidx
from vidx.index import normalized
from vidx.store.layout import Layout
from vidx.views import extend_index

IVF = vidx.IndexOptions(kind="ivf", target_recall=0.9)
TESTS = Path(__file__).parent


def fill(layout: Layout, first: int, count: int, clips: int = 6) -> None:
    """Commit some videos, and bring the index up to date as `embed` does."""
    commit(layout, *(draw_video(f"v{number}", clips) for number in range(first, first + count)))
    with vidx.open(layout.root) as collection:
        extend_index(collection._views.catalogue())


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "collection")
    fill(layout, 0, 100)
    return layout


@pytest.fixture
def collection(layout: Layout) -> Iterator[vidx.Collection]:
    with vidx.open(layout.root) as collection:
        yield collection


def own_vectors(collection: vidx.Collection) -> dict[int, NDArray[np.float32]]:
    ids, vectors = collection.vectors()
    return dict(zip(ids.tolist(), vectors, strict=True))


def test_what_is_asked_is_made_and_told(collection: vidx.Collection) -> None:
    assert collection.info().index.kind == "exact"
    report = collection.index(IVF)
    assert report.kind == report.copy.kind == "ivf"
    assert report.target_recall == 0.9
    assert report.clips == 600
    assert report.parameters.keys() == {"num_lists", "num_probes", "refine"}
    assert 0 < report.recall_at_100 <= 1
    assert report.bytes_per_vector > 0
    assert collection.info().index == report
    checked = collection.check_index()
    assert checked.parameters == report.parameters
    assert checked.recall_at_10 >= 0.8


def test_an_open_collection_searches_the_new_index_at_once(
    layout: Layout, collection: vidx.Collection
) -> None:
    collection.search_by_id(0)
    with vidx.open(layout.root) as other:
        other.index(IVF)
    with collection._look() as (_, view):
        assert view.index.report().kind == "ivf"
        assert collection.search_by_id(7, k=1)[0].clip_id == 7


def test_searches_through_codes_leave_out_what_was_removed_and_have_what_is_new(
    layout: Layout, collection: vidx.Collection
) -> None:
    collection.index(IVF)
    collection.remove([path_of(f"v{number}") for number in range(0, 100, 3)])
    commit(layout, *(draw_video(f"new{number}", 6) for number in range(20)))
    live = own_vectors(collection)
    for likeness in ("similar", "copy"):
        options = vidx.SearchOptions(likeness=likeness)
        for clip_id, vector in list(live.items())[::40]:
            hits = collection.search_by_vector(vector, 50, options)
            assert hits[0].clip_id == clip_id
            assert hits[0].likeness == likeness
            assert len(hits) == 50
            assert {hit.clip_id for hit in hits} <= live.keys()


@pytest.mark.long
def test_an_index_in_parts_finds_what_comparing_all_finds_after_removals_and_additions(
    layout: Layout, collection: vidx.Collection
) -> None:
    report = collection.index(vidx.IndexOptions(kind="ivf", target_recall=0.9, num_parts=4))
    assert report.parameters["num_parts"] == report.copy.parameters["num_parts"] == 4
    sides = ["odd" if number % 2 else "even" for number in range(100)]
    collection.set_metadata({"path": [path_of(f"v{i}") for i in range(100)], "side": sides})
    collection.remove([path_of(f"v{number}") for number in range(0, 100, 10)])
    fill(layout, 100, 30)
    commit(layout, *(draw_video(f"v{number}", 6) for number in range(130, 140)))  # not indexed
    odd = vidx.SearchOptions(where="side = 'odd'")
    for options in (vidx.SearchOptions(), odd):
        asked = collection.where(options.where) if options.where else collection
        ids, vectors = asked.vectors()
        truth = normalized(vectors) @ normalized(vectors).T
        right = 0
        for row in range(0, len(ids), 20):
            hits = collection.search_by_vector(vectors[row], 10, options)
            assert {hit.clip_id for hit in hits} <= set(ids.tolist())
            right += sum(hit.score >= np.sort(truth[row])[-10] - 1e-5 for hit in hits)
        assert right >= 0.88 * 10 * len(range(0, len(ids), 20))
    assert collection.check_index().recall_at_10 >= 0.88
    assert collection.verify() == []


def test_codes_survive_compact_and_rebuild_as_what_was_asked_for(
    collection: vidx.Collection,
) -> None:
    collection.index(IVF)
    collection.remove([path_of(f"v{number}") for number in range(40)])
    collection.compact()
    assert (collection.info().index.kind, collection.info().index.clips) == ("ivf", 360)
    collection.rebuild()
    assert collection.info().index.target_recall == 0.9
    assert collection.verify() == []


@pytest.mark.parametrize(
    "moment",
    [0.2, *(pytest.param(seconds, marks=pytest.mark.long) for seconds in (0.0, 0.05, 0.5))],
)
def test_a_kill_while_indexing_costs_nothing(
    layout: Layout, collection: vidx.Collection, moment: float
) -> None:
    before = collection.search_by_id(5, k=20)
    code = (
        "import sys, vidx\n"
        "collection = vidx.open(sys.argv[1])\n"
        "collection.index(vidx.IndexOptions(kind='ivf', target_recall=.9, num_parts=3),\n"
        "                 progress=lambda step: print(step, flush=True))"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(layout.root)], stdout=subprocess.PIPE)
    assert child.stdout.readline()
    time.sleep(moment)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert collection.search_by_id(5, k=20) == before
    report = collection.index(IVF)
    assert report.kind == "ivf"
    header = collection._views.catalogue().layout.index
    with collection._look() as (_, view):
        assert {path.name for path in header.iterdir()} == view.index.header.names() | {
            "index.json"
        }


@pytest.mark.parametrize("turns", [2, pytest.param(12, marks=pytest.mark.long)])
def test_a_searcher_is_right_while_another_process_adds_removes_indexes_and_switches(
    layout: Layout, collection: vidx.Collection, turns: int
) -> None:
    code = f"""
import sys
sys.path.insert(0, {os.fspath(TESTS)!r})
import vidx
from made_collections import commit, draw_video, path_of
from test_indexing import IVF, fill
from vidx.store.layout import Layout
layout = Layout(__import__("pathlib").Path(sys.argv[1]))
with vidx.open(layout.root) as collection:
    for turn in range({turns}):
        fill(layout, 1000 + 100 * turn, 60)
        collection.index(IVF)
        collection.remove([path_of(f"v{{1000 + 100 * turn + n}}") for n in range(0, 60, 2)])
"""
    writer = subprocess.Popen([sys.executable, "-c", code, str(layout.root)])
    kinds, sizes, searches = set(), set(), 0
    query = own_vectors(collection)[3]
    while writer.poll() is None:
        with collection._look() as (catalogue, view):
            scores, rows = view.index.search(query[None], 30, view.live)
            found = view.index.of_rows(rows[0])
            assert (rows >= 0).all()
            assert found.ids[0] == 3
            vectors = view.index.vectors_of(rows[0])
            assert np.allclose(vectors @ query / np.linalg.norm(query), scores[0], atol=1e-5)
            assert len(catalogue.clip_rows(found.ids.tolist())) == 30  # all of them live
            kinds.add(view.index.report().kind)
            sizes.add(len(view.index))
        searches += 1
    assert writer.returncode == 0
    assert kinds == {"exact", "ivf"}
    assert len(sizes) > 1
    assert searches > 3


def test_a_recall_and_a_budget_that_cannot_be_are_refused_before_anything_is_done(
    collection: vidx.Collection,
) -> None:
    for wrong in (
        {"target_recall": 0.0},
        {"target_recall": 1.1},
        {"target_recall": float("nan")},
        {"max_memory_bytes": 0},
        {"kind": "hnsw"},
    ):
        with pytest.raises(vidx.UsageError, match=next(iter(wrong))):
            vidx.IndexOptions(**wrong)
    with pytest.raises(vidx.UsageError, match="allowed"):
        collection.index(vidx.IndexOptions(kind="ivf", max_memory_bytes=10))
    assert collection.info().index.kind == "exact"


def test_embed_makes_codes_when_they_pay(
    layout: Layout, collection: vidx.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidx.index import building
    from vidx.indexing import tend_index

    monkeypatch.setattr(building, "LEAST_BYTES", 600 * DIM * 4)
    steps: list[vidx.IndexProgress] = []
    tend_index(collection._views.catalogue(), steps.append)
    assert collection.info().index.kind == "ivf"
    assert {step.stage for step in steps} == {"training", "adding", "tuning"}


def test_an_index_that_cannot_be_written_is_told_and_costs_nothing_else(
    collection: vidx.Collection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from vidx.index import building
    from vidx.index.codes import Codes
    from vidx.indexing import tend_index

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(building, "LEAST_BYTES", 1)
    monkeypatch.setattr(Codes, "write", full)
    tend_index(collection._views.catalogue())
    assert "No space left" in caplog.text
    assert collection.search_by_id(4, k=1)[0].clip_id == 4


def test_of_copies_the_same_footage_comes_before_what_is_merely_alike(tmp_path: Path) -> None:
    """All are much alike, and apart most by what a copy does not keep, such as brightness."""
    random = np.random.default_rng(4)
    layout = Layout(tmp_path / "collection")
    common, spread, change = np.ones(DIM), np.ones(DIM), np.full(DIM, 0.1)
    common[1], spread[0], change[0] = 24, 4, 1.5
    drawn = (common + random.standard_normal((200, DIM)) * spread).astype(np.float32)
    commit(layout, *(draw_video(f"v{n}", 1, vectors=drawn[n : n + 1]) for n in range(200)))
    changed = drawn + random.standard_normal((200, DIM)) * change
    found = {}
    with vidx.open(layout.root) as collection:
        for likeness in ("similar", "copy"):
            options = vidx.SearchOptions(likeness=likeness)
            firsts = [collection.search_by_vector(one, 1, options)[0] for one in changed]
            found[likeness] = sum(hit.clip_id == number for number, hit in enumerate(firsts))
    assert found["copy"] > 190
    assert found["similar"] < 170


def test_a_small_collection_is_whitened_alike_however_it_came_together(tmp_path: Path) -> None:
    from vidx.indexing import tend_index

    scores = []
    for commits in ([(0, 100)], [(0, 60), (60, 40)]):
        layout = Layout(tmp_path / str(len(commits)))
        for first, count in commits:
            fill(layout, first, count)
        with vidx.open(layout.root) as collection:
            tend_index(collection._views.catalogue())  # as the last step of `embed`
            hits = collection.search_by_id(7, 50, vidx.SearchOptions(likeness="copy"))
            scores.append([(hit.path, hit.score) for hit in hits])
    (one, other) = scores
    assert [path for path, _ in one] == [path for path, _ in other]
    np.testing.assert_allclose([s for _, s in one], [s for _, s in other], atol=1e-5)
