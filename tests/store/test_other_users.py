from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_collections import commit, draw_video

from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout, read_manifest

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="takes root to be somebody else")

READ = """
import pyarrow.dataset
from vidx.index import Index
from vidx.store.catalogue import Catalogue
from vidx.store.layout import read_manifest
from vidx.store.vectors import live_vectors
os.setuid(65534)  # after the imports: Python itself may lie where others cannot read
try:
    catalogue = Catalogue(layout, read_manifest(layout))
    index = Index(layout.index, catalogue.manifest.uuid, DIM)
    index.add_newer(live_vectors(catalogue, since=index.end_clip_id))
    print(len(catalogue.live_clip_ids()), catalogue.counts()["videos"], len(index))
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


@pytest.mark.parametrize("log", [False, True])
def test_a_collection_of_somebody_else_can_be_read(layout: Layout, child: Child, log: bool) -> None:
    commit(layout, draw_video("a"))
    if log:  # as a reader of the owner leaves it
        Catalogue(layout, read_manifest(layout)).counts()
    assert child(READ).communicate()[0].split() == ["3", "1", "3"]


def test_a_collection_that_may_not_be_read_is_not_called_damaged(
    layout: Layout, child: Child
) -> None:
    commit(layout, draw_video("a"))
    layout.catalogue.chmod(0o600)
    assert child(READ).communicate()[0].split() == ["VidxError"]
