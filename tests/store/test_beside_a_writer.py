"""Readers see one state after the other, whatever a writer does meanwhile."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_collections import DIM, commit, draw_video, path_of

from vidx.store.catalogue import Catalogue
from vidx.store.export import clips_table, export
from vidx.store.layout import Layout, read_manifest
from vidx.store.writer import open_writer
from vidx.views import Views

Child = Callable[[str], subprocess.Popen[str]]
Open = Callable[[], Catalogue]

RECUT = """
for number in range(60):
    commit(layout, draw_video("a", 4, plan=f"plan {number}"))
"""
REBUILD = """
from vidx.store.layout import read_manifest
from vidx.store.lock import writing
from vidx.store.rebuild import rebuild
for number in range(15):
    if number % 3 == 2:  # once in a while a shard is lost, and put back
        (layout.shards / shards.file_name(0)).rename(layout.root / "away")
    with writing(layout):
        rebuild(layout, read_manifest(layout), 0)
    if number % 3 == 2:
        (layout.root / "away").rename(layout.shards / shards.file_name(0))
"""


@pytest.mark.long
def test_an_export_beside_a_writer_holds_each_video_once_and_whole(
    layout: Layout, child: Child, open_catalogue: Open, tmp_path: Path
) -> None:
    commit(layout, draw_video("a", 4), *(draw_video(f"v{number}", 3) for number in range(40)))
    writer = child(RECUT)
    catalogue, exports = open_catalogue(), 0
    while writer.poll() is None:
        assert export(catalogue, DIM, tmp_path / "out.parquet") == 4 + 120
        paths = pq.read_table(tmp_path / "out.parquet")["path"].to_pylist()
        assert paths.count(path_of("a")) == 4
        exports += 1
    assert writer.returncode == 0
    assert exports > 3


def test_a_rebuild_is_seen_at_one_stroke(layout: Layout, child: Child) -> None:
    commit(layout, *(draw_video(f"v{number}", 4) for number in range(10)))
    for start in range(10, 60, 10):
        commit(layout, *(draw_video(f"v{number}", 4) for number in range(start, start + 10)))
    rebuilder, seen = child(REBUILD), set()
    while rebuilder.poll() is None:
        catalogue = Catalogue(layout, read_manifest(layout))
        table = clips_table(catalogue)
        seen.add(table.num_rows)
        assert None not in table["path"].to_pylist()
        catalogue.close()
    assert rebuilder.returncode == 0
    assert seen <= {200, 240}, "neither damage nor a part"
    assert seen == {200, 240}


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.long)])
def test_a_view_is_whole_beside_a_writer(layout: Layout, child: Child, seconds: float) -> None:
    commit(layout, draw_video("a", 4), *(draw_video(f"v{number}", 3) for number in range(10)))
    writer = child(f"""
import time
until = time.monotonic() + {seconds}
number = 0
while time.monotonic() < until:
    number += 1
    commit(layout, draw_video("a", 4, plan=f"plan {{number}}"))
    with open_writer(layout) as writer:
        removal = writer.remove([path_of("v3")]).commit
        writer.restore(removal)
""")
    views, commits = Views(layout), set()
    while writer.poll() is None:
        with views.now() as (catalogue, view):
            live = np.ones(len(view.index), bool) if view.live is None else view.live
            ids = view.index.of_rows(np.flatnonzero(live)).ids
            assert np.array_equal(ids, catalogue.live_clip_ids())
            assert len(ids) in (34, 31)
            commits.add(view.state.commit)
    assert writer.returncode == 0
    assert len(commits) > 3


def test_many_threads_share_one_view(layout: Layout) -> None:
    from concurrent.futures import ThreadPoolExecutor

    commit(layout, draw_video("a", 4))
    views = Views(layout)

    def look(_number: int) -> int:
        with views.now() as (catalogue, view):
            return len(catalogue.clip_rows(view.index.of_rows(np.arange(4)).ids.tolist()))

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(look, number) for number in range(100)]
        with open_writer(layout) as writer:
            writer.remove(["/else"])
        assert {future.result() for future in futures} == {4}
