"""One step of benchmarks/scale.py, in a process of its own: whichever vidx it imports is measured.

    python benchmarks/scale_steps.py STEP FOLDER CLIPS DIM

It prints JSON. Vectors and logits are drawn, and drawing them is not counted.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import drawn_collections
import faiss
import numpy as np
from drawn_collections import (
    LABELS,
    PROVENANCE,
    extending,
    labelled,
    memory_mb,
    path_of,
    seconds,
)

import vidx
import vidx.retrieval  # a search's libraries: importing them is not what is measured
from vidx.store.layout import Layout
from vidx.store.writer import Batch, open_writer

CLIPS_A_VIDEO = 10
BATCH_CLIPS = 4100  # whole videos, as soon as there are 4096 clips: so does `vidx embed`
NEWER_CLIPS = 20_000
SEARCHES = 7

Result = dict[str, Any]


def main() -> None:
    """Run one step, and tell what it found."""
    step, folder, clips, dim = sys.argv[1:]
    print(json.dumps(STEPS[step](Path(folder), int(clips), int(dim))))


def fill(folder: Path, clips: int, dim: int) -> Result:
    """Commit all clips, and index each commit as `vidx embed` does."""
    return drawn_collections.fill(folder, batches(0, clips, dim), dim)


def info(folder: Path, _clips: int, _dim: int) -> Result:
    """How long the totals take."""
    with vidx.open(folder) as collection:
        return {"info_seconds": seconds(collection.info)}


def clips_table(folder: Path, _clips: int, _dim: int) -> Result:
    """All clips as one table."""
    with vidx.open(folder) as collection:
        return in_memory("clips", collection.clips)


def export(folder: Path, _clips: int, _dim: int) -> Result:
    """All clips with their vectors as one file."""
    target = folder.with_suffix(".parquet")
    with vidx.open(folder) as collection:
        found = in_memory("export", lambda: collection.export(target))
    target.unlink()
    return found


def verify(folder: Path, _clips: int, _dim: int) -> Result:
    """Every shard, row and vector compared."""
    findings: list[str] = []
    with vidx.open(folder) as collection:
        taken = seconds(lambda: findings.extend(collection.verify()))
    if findings:
        raise SystemExit(f"the collection is broken: {findings}")
    return {"verify_seconds": taken}


def search(folder: Path, clips: int, _dim: int) -> Result:
    """Searches by a stored clip, without and with filters."""
    with vidx.open(folder) as collection:
        ways: dict[str, Result] = {
            "search": {},
            "search_label": {"labels": LABELS[7]},
            "search_glob": {"path_glob": "videos/3/*"},
            "search_exclude_self": {"exclude_self": True},
        }
        found = {
            name: searched(partial(ask, collection, clips // 2, **options))
            for name, options in ways.items()
        }
    return flat(found)


def newer(folder: Path, clips: int, dim: int) -> Result:
    """A search while some clips are not in the index."""
    count = min(NEWER_CLIPS, clips // 5)
    with open_writer(Layout(folder)) as writer:
        for batch in batches(clips, count, dim):
            writer.commit(batch, PROVENANCE)
    with vidx.open(folder) as collection:
        found = flat({"search_newer": searched(lambda: ask(collection, clips // 2))})
        extending(collection)()
    return found


def remove(folder: Path, clips: int, _dim: int) -> Result:
    """A search after one video has gone, and the removal of a folder."""
    with vidx.open(folder) as collection:
        one = seconds(lambda: collection.remove(path_of(clips // 20)))
        found = flat({"search_removed": searched(lambda: ask(collection, clips // 4))})
        many = seconds(lambda: collection.remove("/data/videos/4"))
    return {"remove_video_seconds": one, **found, "remove_folder_seconds": many}


STEPS: dict[str, Callable[[Path, int, int], Result]] = {
    "fill": fill,
    "info": info,
    "clips": clips_table,
    "export": export,
    "verify": verify,
    "search": search,
    "newer": newer,
    "remove": remove,
}


def batches(first: int, count: int, dim: int) -> Iterator[Batch]:
    """Draw clips: a block of noise and a shift of it, which is quick."""
    random = np.random.default_rng(first)
    noise = random.standard_normal((BATCH_CLIPS, dim), dtype=np.float32)
    shifted = (
        noise[: first + count - start] + random.standard_normal(dim, dtype=np.float32)
        for start in range(first, first + count, BATCH_CLIPS)
    )
    return labelled(shifted, first, CLIPS_A_VIDEO)


def in_memory(name: str, run: Callable[[], object]) -> Result:
    """How long one call takes, and the most memory that the process had."""
    taken = seconds(run)
    [peak] = memory_mb("VmHWM")
    return {f"{name}_seconds": taken, f"{name}_peak_mb": peak}


def ask(collection: vidx.Collection, clip_id: int, **options: Any) -> object:
    """Search by a stored clip, as either side does it."""
    if hasattr(collection, "search_by_id"):
        return collection.search_by_id(clip_id, options=vidx.SearchOptions(**options))
    return collection.search(clip_id, **options)


def searched(run: Callable[[], object]) -> Result:
    """Milliseconds of a search: the first one, later ones, and their time outside FAISS."""
    inside = [0.0]
    asked = {name: getattr(faiss, name) for name in ("knn", "knn_inner_product")}

    def timed(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*arguments, **options)
        finally:
            inside[0] += time.perf_counter() - started

    for name, function in asked.items():
        setattr(faiss, name, partial(timed, function))
    try:
        first = seconds(run)
        whole, outside = [], []
        for _ in range(SEARCHES):
            inside[0] = 0.0
            whole.append(seconds(run))
            outside.append(whole[-1] - inside[0])
    finally:
        for name, function in asked.items():
            setattr(faiss, name, function)
    times = (first, statistics.median(whole), statistics.median(outside))
    return dict(zip(("first_ms", "ms", "outside_faiss_ms"), (1e3 * t for t in times), strict=True))


def flat(found: dict[str, Result]) -> Result:
    """One level of names."""
    return {f"{name}_{what}": ms for name, one in found.items() for what, ms in one.items()}


if __name__ == "__main__":
    main()
