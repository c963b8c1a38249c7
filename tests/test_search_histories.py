"""Whatever was added, removed, told, indexed, lost and made anew: a search is as by brute force."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from made_collections import commit, draw_video, path_of
from numpy.typing import NDArray

import vidx
from vidx.store.layout import Layout
from vidx.views import extend_index

CLIPS, SPLITS = 30, ("train", "val", "test")


@dataclass
class Video:
    """What brute force knows of a video."""

    vectors: NDArray[np.float32]
    split: str | None = None
    ids: list[int] = field(default_factory=list)


class Searches(RuleBasedStateMachine):
    """Steps on a collection and on plain arrays, and a search after each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.layout = Layout(self.folder / "collection")
        self.videos: dict[str, Video] = {}
        self.gone: dict[int, dict[str, Video]] = {}
        self.names = 0
        self.found: list[float] = []  # recall of each search through codes

    def teardown(self) -> None:
        """Close, and see that codes found as many as they were asked to."""
        self.collection.close()
        shutil.rmtree(self.folder)
        if len(self.found) > 5:
            assert np.mean(self.found) > 0.85

    @initialize()
    def begin(self) -> None:
        self._add(4)
        self.collection = vidx.open(self.layout.root)

    @rule(count=st.integers(1, 5), indexed=st.booleans())
    def add(self, count: int, indexed: bool) -> None:
        self._add(count)
        if indexed:  # else they are newer than the index
            extend_index(self.collection._views.catalogue())

    def _add(self, count: int) -> None:
        drawn = []
        for _ in range(count):
            self.names += 1
            video = draw_video(f"v{self.names}", CLIPS)
            self.videos[f"v{self.names}"] = Video(video.embedded.embeddings)
            drawn.append(video)
        commit(self.layout, *drawn)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if len(self.videos) > 1:
            names = data.draw(st.sets(st.sampled_from(sorted(self.videos)), min_size=1, max_size=2))
            done = self.collection.remove([path_of(name) for name in names])
            self.gone[done.commit] = {name: self.videos.pop(name) for name in names}

    @rule()
    def restore(self) -> None:
        if self.gone:
            commit_number, back = self.gone.popitem()
            self.collection.restore(commit_number)
            self.videos |= back

    @rule(data=st.data(), split=st.sampled_from(SPLITS))
    def tell(self, data: st.DataObject, split: str) -> None:
        if self.videos:
            name = data.draw(st.sampled_from(sorted(self.videos)))
            self.collection.set_metadata({"path": [path_of(name)], "split": [split]})
            self.videos[name].split = split

    @rule(kind=st.sampled_from(["exact", "ivf"]))
    def index(self, kind: str) -> None:
        if kind == "ivf" and CLIPS * len(self.videos) < 100:
            return  # too few to learn codes of
        self.collection.index(vidx.IndexOptions(kind=kind, target_recall=0.9))

    @rule()
    def reopen(self) -> None:
        self.collection.close()
        self.collection = vidx.open(self.layout.root)

    @rule()
    def compact(self) -> None:
        self.collection.compact()
        self.gone.clear()

    @rule(lost=st.booleans())
    def rebuild(self, lost: bool) -> None:
        if lost:
            self.collection.close()
            for path in self.layout.root.glob("catalogue.sqlite*"):
                path.unlink()
        self.collection.rebuild()

    @rule(
        seed=st.integers(0, 9),
        k=st.integers(1, 60),
        split=st.sampled_from([None, *SPLITS]),
        likeness=st.sampled_from(["similar", "copy"]),
    )
    def search(self, seed: int, k: int, split: str | None, likeness: str) -> None:
        query = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
        known = split is not None and any(
            video.split for some in (self.videos, *self.gone.values()) for video in some.values()
        )
        options = vidx.SearchOptions(
            likeness=likeness, where=f"split = '{split}'" if known else None
        )
        hits = self.collection.search_by_vector(query, k, options)
        allowed = [
            (name, number)
            for name, video in self.videos.items()
            if not known or video.split == split
            for number in range(CLIPS)
        ]
        assert len(hits) == min(k, len(allowed))
        found = [(Path(hit.path).stem, round(hit.start_seconds / 2)) for hit in hits]
        assert set(found) <= set(allowed)
        assert len(set(found)) == len(found)
        self._compare(query, likeness, hits, found, allowed)

    def _compare(self, query, likeness, hits, found, allowed) -> None:
        with self.collection._look() as (_, view):
            index = view.index
        asked = index.project(query[None], likeness)[0]

        def scores(clips: list[tuple[str, int]]) -> NDArray[np.float32]:
            vectors = np.array([self.videos[name].vectors[n] for name, n in clips]).reshape(-1, 8)
            return index.project(vectors, likeness) @ asked

        told = np.array([hit.score for hit in hits])
        assert np.allclose(told, scores(found), atol=1e-5)
        assert np.array_equal(told, -np.sort(-told))
        true = -np.sort(-scores(allowed))[: len(hits)]
        if index.report(likeness).kind == "exact":
            assert np.allclose(told, true, atol=1e-5)
        elif len(hits):
            self.found.append(float(np.mean(told >= true[-1] - 1e-5)))

    @invariant()
    def it_holds_what_it_should(self) -> None:
        if hasattr(self, "collection"):
            with self.collection._look() as (_, view):
                live = len(view.index) if view.live is None else int(view.live.sum())
            assert live == CLIPS * len(self.videos)


FEW = settings(
    max_examples=6,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
TestSearches = Searches.TestCase
TestSearches.settings = FEW


@pytest.mark.long
def test_many_searches() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Searches, settings=settings(FEW, max_examples=60, stateful_step_count=30)
    )
