"""What the tests of the store share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import made_collections
import pytest
from made_collections import commit, draw_video

from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout, read_manifest
from vidx.store.verify import disagreements

HELPERS = Path(made_collections.__file__).parent

PRELUDE = """
import os, signal, sys
from pathlib import Path
from made_collections import *
from vidx.store import changes, journal, registry, shards, writer as writing
from vidx.store.writer import Batch, Writer, open_writer
layout = Layout(Path(sys.argv[1]))

def die(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "collection")


@pytest.fixture
def filled(layout: Layout) -> Layout:
    """Two shards: a and b with three and two clips, then c with three."""
    commit(layout, draw_video("a", 3), draw_video("b", 2))
    commit(layout, draw_video("c", 3))
    return layout


@pytest.fixture
def child(layout: Layout) -> Callable[[str], subprocess.Popen[str]]:
    """Starts another Python process that works on the same collection."""

    def start(code: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code, str(layout.root)],
            env={**os.environ, "PYTHONPATH": str(HELPERS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture
def open_catalogue(layout: Layout) -> Callable[[], Catalogue]:
    return lambda: Catalogue(layout, read_manifest(layout))


@pytest.fixture
def findings(layout: Layout, open_catalogue: Callable[[], Catalogue]) -> Callable[[], list[str]]:
    """What `verify` says of shards and catalogue."""
    return lambda: disagreements(open_catalogue(), read_manifest(layout))
