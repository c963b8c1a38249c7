"""Commits a second, with the catalogue in SQLite and in PostgreSQL.

    python benchmarks/catalogues.py postgresql://USER@HOST/DATABASE --out catalogues.json

A commit is a shard of some videos of drawn clips, as `vidx embed` makes it. In PostgreSQL one
process commits, and then several at once, in turns. The schemas are deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from drawn_collections import PROVENANCE, labelled, space

from vidx.store.catalogue import Catalogue
from vidx.store.database import database_of
from vidx.store.layout import Layout, read_manifest
from vidx.store.writer import Batch, open_writer

DIM = 384
CLIPS_A_VIDEO = 16
BATCHES = 40  # of each process


def main() -> None:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found = {
        "machine": {"cpu_cores": os.cpu_count(), "platform": platform.platform()},
        "versions": {name: version(name) for name in ("vidx", "sqlalchemy", "psycopg")},
        "runs": [
            measured(address, processes, clips)
            for clips in (64, 1024)
            for address, processes in ((None, 1), (asked.address, 1), (asked.address, 4))
        ],
    }
    text = json.dumps(found, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")


def measured(address: str | None, processes: int, clips: int) -> dict[str, Any]:
    """One collection, filled by some processes at once."""
    os.environ.pop("VIDX_CATALOGUE", None)
    if address:
        os.environ["VIDX_CATALOGUE"] = address
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder) / "collection")
        with open_writer(layout, space(DIM)):
            pass
        context = get_context("spawn")
        ready = context.Barrier(processes + 1)
        running = [
            context.Process(target=committed, args=(layout.root, clips, which, ready))
            for which in range(processes)
        ]
        for one in running:
            one.start()
        ready.wait()
        started = time.perf_counter()
        for one in running:
            one.join()
        seconds = time.perf_counter() - started
        manifest = read_manifest(layout)
        catalogue = Catalogue(layout, manifest)
        assert catalogue.counts()["clips"] == processes * BATCHES * clips
        catalogue.close()
        database_of(layout, manifest).delete()
    return {
        "database": "PostgreSQL" if address else "SQLite",
        "processes": processes,
        "clips_a_commit": clips,
        "commits_per_second": processes * BATCHES / seconds,
        "clips_per_second": processes * BATCHES * clips / seconds,
    }


def committed(root: Path, clips: int, which: int, ready: Any) -> None:
    """What one process commits; its videos are its own."""
    batches = list(drawn(clips, which))
    with open_writer(Layout(root), alone=False) as writer:
        ready.wait()
        for batch in batches:
            writer.commit(batch, PROVENANCE)


def drawn(clips: int, which: int) -> Iterator[Batch]:
    """Batches of drawn videos."""
    random = np.random.default_rng(which)
    blocks = (random.standard_normal((clips, DIM), dtype=np.float32) for _ in range(BATCHES))
    return labelled(blocks, which * BATCHES * clips, CLIPS_A_VIDEO)


if __name__ == "__main__":
    main()
