from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_collections import commit, draw_video, path_of

from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout, read_manifest
from vidx.store.writer import open_writer

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="takes root to be somebody else")

READ = """
import pyarrow.dataset
from vidx.store.catalogue import Catalogue
from vidx.store.layout import read_manifest
from vidx.views import Views
import vidx.index.exact
os.setuid(65534)  # after the imports: Python itself may lie where others cannot read
try:
    catalogue = Catalogue(layout, read_manifest(layout))
    with Views(layout).now() as (catalogue, view):
        print(len(catalogue.live_clip_ids()), catalogue.counts()["videos"], len(view.index))
except Exception as error:
    print(type(error).__name__)
"""
Child = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def layout() -> Iterator[Layout]:
    """A place that others can reach: pytest keeps its own folders closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Layout(Path(folder) / "collection")


@pytest.mark.sqlite
@pytest.mark.parametrize("log", [False, True])
def test_a_collection_of_somebody_else_can_be_read(layout: Layout, child: Child, log: bool) -> None:
    commit(layout, draw_video("a"))
    if log:  # as a reader of the owner leaves it
        Catalogue(layout, read_manifest(layout)).counts()
    assert child(READ).communicate()[0].split() == ["3", "1", "3"]


@pytest.mark.sqlite
def test_a_collection_that_may_not_be_read_is_not_called_damaged(
    layout: Layout, child: Child
) -> None:
    commit(layout, draw_video("a"))
    layout.catalogue.chmod(0o600)
    assert child(READ).communicate()[0].split() == ["VidxError"]


BESIDE = """
import time
import pyarrow.compute
from vidx.store.catalogue import Catalogue
from vidx.store.export import clips_table
from vidx.store.layout import read_manifest
os.setuid(65534)
until, reads = time.monotonic() + float(sys.argv[2]), 0
while time.monotonic() < until:
    rows = clips_table(Catalogue(layout, read_manifest(layout))).to_pylist()
    assert len(rows) in (6, 9), len(rows)
    assert all(len(row["labels"]) == 5 and row["path"] for row in rows)
    reads += 1
print(reads)
"""


@pytest.mark.sqlite
@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.long)])
def test_somebody_else_reads_beside_the_owner_who_commits(
    layout: Layout, child: Child, seconds: float
) -> None:
    commit(layout, draw_video("a"), draw_video("b"))
    reader = child(BESIDE.replace("sys.argv[2]", str(seconds)))
    while reader.poll() is None:
        commit(layout, draw_video("c"))
        with open_writer(layout) as writer:
            writer.remove([path_of("c")])
    out, _ = reader.communicate()
    assert reader.returncode == 0
    assert int(out) > seconds
