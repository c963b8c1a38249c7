"""One step of benchmarks/scale_search.py, in a process of its own.

    python benchmarks/scale_search_steps.py STEP FOLDER CLIPS DIM

It prints JSON. The steps follow each other on one collection: `add` makes it a tenth larger, and
`remove` takes one of ten folders out of it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from beside_a_writer import beside_a_writer
from drawn_collections import (
    FOLDERS,
    LABELS,
    PROVENANCE,
    extending,
    fill,
    labelled,
    memory_mb,
    path_of,
    seconds,
    video_id,
)
from drawn_vectors import CLIPS_A_VIDEO, blocks, clip

import vidx
import vidx.retrieval  # a search's libraries: importing them is not what is measured
from vidx.index.exact import search_exact
from vidx.index.header import read_header
from vidx.masks import allowed_rows
from vidx.options import SearchOptions
from vidx.store.layout import Layout, read_manifest
from vidx.store.writer import open_writer

NUM_LABELS = 100  # a kilobyte of logits a clip would be more than the vectors
SPLITS = ("train", "validation", "test")
DRAWN = 10_000  # values of the metadata column `drawn`, alike often
K = 10
SEARCHES, WARM_UP = 200, 20
FILTERED, COMPARED = 50, 10  # searches with a filter, and by comparing all that it leaves
WHERE = {
    **{
        f"{share:g}": f"drawn < {round(share * DRAWN)}" for share in (1e-4, 1e-3, 0.01, 0.1, 0.5, 1)
    },
    "a split": "split = 'train'",
    "a hundredth of the clips": "clip_id % 100 = 0",
    "a label": f"label('{LABELS[7]}') > 0",
}
REMOVED = 4  # the folder
REMOVED_ASKED = 200

Result = dict[str, Any]


def main() -> None:
    """Run one step, and tell what it found."""
    step, folder, clips, dim = sys.argv[1:]
    print(json.dumps(STEPS[step](Path(folder), int(clips), int(dim))))


def filled(folder: Path, clips: int, dim: int) -> Result:
    """Commit all clips as `vidx embed` does, and tell metadata of each video."""
    found = fill(
        folder, labelled(blocks(0, clips, dim), 0, CLIPS_A_VIDEO, NUM_LABELS), dim, NUM_LABELS
    )
    with vidx.open(folder) as collection:
        taken = seconds(lambda: collection.set_metadata(metadata(0, clips), on="video_id"))
    return {**found, "videos": clips // CLIPS_A_VIDEO, "set_metadata_seconds": taken}


def metadata(first: int, clips: int) -> Result:
    """A text and a whole number for each video of some clips."""
    numbers = range(first // CLIPS_A_VIDEO, (first + clips) // CLIPS_A_VIDEO)
    random = np.random.default_rng(first)
    return {
        "video_id": [video_id(number) for number in numbers],
        "split": random.choice(SPLITS, len(numbers)).tolist(),
        "drawn": random.integers(DRAWN, size=len(numbers)).tolist(),
    }


def index(folder: Path, _clips: int, _dim: int) -> Result:
    """Make the index from scratch."""
    with vidx.open(folder) as collection:
        started = time.perf_counter()
        report = collection.index()
        taken = time.perf_counter() - started
    [peak] = memory_mb("VmHWM")
    return {"index_seconds": taken, "index_peak_mb": peak, "index": asdict(report)}


def info(folder: Path, _clips: int, _dim: int) -> Result:
    """How long the totals take."""
    with vidx.open(folder) as collection:
        return {"info_seconds": seconds(collection.info)}


def warm(folder: Path, clips: int, _dim: int) -> Result:
    """Searches by different stored clips."""
    with vidx.open(folder) as collection:
        first = 1e3 * seconds(collection.search_by_id, clips // 2)
        return {"open_first_ms": first, **searched(collection, some(clips))}


def where(folder: Path, clips: int, _dim: int) -> Result:
    """Searches with filters, beside those without and beside comparing all that a filter leaves."""
    found, ids = {}, some(clips, FILTERED)
    with vidx.open(folder) as collection:
        searched(collection, ids)
        for name, text in WHERE.items():
            options = SearchOptions(where=text)
            first = 1e3 * seconds(collection.search_by_id, ids[0], K, options)
            one = searched(collection, ids, options)
            found[name] = {
                "where": text,
                "first_ms": first,
                **one,
                **exact(collection, ids, options),
            }
            # In turns, as others may be at work on the machine.
            found[name]["unfiltered_p50_ms"] = searched(collection, ids)["p50_ms"]
    return {"where": found}


def exact(collection: vidx.Collection, ids: Sequence[int], options: SearchOptions) -> Result:
    """What comparing all that a filter leaves takes, and how many of that is found without."""
    times, shares = [], []
    with collection._views.now() as (catalogue, view):
        allowed, vectors = allowed_rows(catalogue, view, options), view.index.indexed.vectors
        for number in ids[:COMPARED]:
            query = vectors[number : number + 1]
            started = time.perf_counter()
            scores, _ = search_exact(vectors, query, K, allowed)
            times.append(time.perf_counter() - started)
            found, _ = view.index.search(query, K, allowed)
            shares.append(np.mean(found >= scores[:, -1:] - 1e-6))
    return {
        "selected": int(np.count_nonzero(allowed)),
        "exact_p50_ms": 1e3 * float(np.median(times)),
        "recall_at_10": float(np.mean(shares)),
    }


def add(folder: Path, clips: int, dim: int) -> Result:
    """Add a tenth, and ask before, at once, and when the index covers it, as after an `embed`."""
    more, trained = clips // 10, trained_rows(folder)
    with vidx.open(folder) as collection:
        ids = some(clips)
        before = searched(collection, ids)["p50_ms"]
        with open_writer(Layout(folder)) as writer:
            for batch in labelled(blocks(clips, more, dim), clips, CLIPS_A_VIDEO, NUM_LABELS):
                writer.commit(batch, PROVENANCE)
            first = 1e3 * seconds(collection.search_by_id, clips // 2)
            at_once = searched(collection, ids)["p50_ms"]
            missing = not_found(collection, clips, more, dim)
            extending_seconds = seconds(extending(collection))
            tending_seconds = seconds(collection._tend_index)
        after = searched(collection, ids)["p50_ms"]
        missing += not_found(collection, clips, more, dim)
        collection.set_metadata(metadata(clips, more), on="video_id")
    return {
        "added": more,
        "added_not_found": missing,
        "trained_rows_before": trained,
        "trained_rows_after": trained_rows(folder),
        "extend_seconds": extending_seconds,
        "tend_seconds": tending_seconds,
        "before_p50_ms": before,
        "at_once_first_ms": first,
        "at_once_p50_ms": at_once,
        "after_p50_ms": after,
    }


def not_found(collection: vidx.Collection, first: int, count: int, dim: int) -> int:
    """How many of some added clips their own vector does not find first."""
    ids = np.linspace(first, first + count - 1, 50).astype(int).tolist()
    return sum(
        collection.search_by_vector(clip(number, dim), 1)[0].clip_id != number for number in ids
    )


def trained_rows(folder: Path) -> int | None:
    """How many clips the codes were learned of; None without codes."""
    layout = Layout(folder)
    header = read_header(layout.index, read_manifest(layout).uuid)
    codes = header.codes.get("similar") if header else None
    return codes.trained_rows if codes else None


def remove(folder: Path, clips: int, dim: int) -> Result:
    """Take a folder of ten out, and ask for what was in it and for the rest."""
    random = np.random.default_rng(1)
    videos = random.permutation(np.arange(REMOVED, clips // CLIPS_A_VIDEO, FOLDERS))
    gone = [int(video) * CLIPS_A_VIDEO for video in videos[:REMOVED_ASKED]]
    ids, there = some(clips), os.path.dirname(os.path.dirname(path_of(REMOVED)))
    with vidx.open(folder) as collection:
        before = searched(collection, ids)["p50_ms"]
        taken = seconds(collection.remove, there)
        first = 1e3 * seconds(collection.search_by_id, ids[0])
        returned = sum(
            folder_of(hit.clip_id) == REMOVED
            for number in gone
            for hit in collection.search_by_vector(clip(number, dim), 5 * K)
        )
        after = searched(collection, ids)["p50_ms"]
    return {
        "remove_seconds": taken,
        "removed_asked": len(gone),
        "removed_returned": returned,
        "removed_first_ms": first,
        "before_removal_p50_ms": before,
        "after_removal_p50_ms": after,
    }


def folder_of(clip_id: int) -> int:
    """In which of the folders a clip's video lies."""
    return clip_id // CLIPS_A_VIDEO % FOLDERS


def some(clips: int, count: int = SEARCHES) -> list[int]:
    """Ids of clips all over, in a drawn order, none in the folder that is removed."""
    numbers = np.random.default_rng(0).permutation(clips)
    kept = numbers[(numbers // CLIPS_A_VIDEO) % FOLDERS != REMOVED][:count]
    ids: list[int] = kept.tolist()
    return ids


def searched(
    collection: vidx.Collection, ids: Sequence[int], options: SearchOptions | None = None
) -> Result:
    """Milliseconds of searches by stored clips, and the fewest hits that one of them had."""
    for number in ids[:WARM_UP]:
        collection.search_by_id(number, K, options)
    times, hits = [], []
    for number in ids:
        started = time.perf_counter()
        found = collection.search_by_id(number, K, options)
        times.append(time.perf_counter() - started)
        hits.append(len(found))
    p50, p99 = (1e3 * np.percentile(times, [50, 99])).tolist()
    return {"searches": len(times), "p50_ms": p50, "p99_ms": p99, "least_hits": min(hits)}


STEPS: dict[str, Callable[[Path, int, int], Result]] = {
    "fill": filled,
    "index": index,
    "info": info,
    "warm": warm,
    "where": where,
    "add": add,
    "remove": remove,
    "writer": beside_a_writer,
}


if __name__ == "__main__":
    main()
