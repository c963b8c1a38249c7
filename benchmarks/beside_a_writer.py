"""A reader that searches without pause while a writer embeds, removes, indexes and switches."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from drawn_collections import FOLDERS, PROVENANCE, extending, labelled, path_of, video_id
from drawn_vectors import BLOCK_CLIPS, CLIPS_A_VIDEO, blocks, clip
from numpy.typing import NDArray

import vidx
from vidx.store.layout import Layout
from vidx.store.writer import open_writer

K = 10
QUERIES = 50
COMMITS = 5
REMOVED = 7  # the folder that goes meanwhile
SAME_SCORE = 1e-5  # the same products, added up in another order

Result = dict[str, Any]


def beside_a_writer(folder: Path, clips: int, dim: int) -> Result:
    """Write and read at once.

    Args:
        folder: A collection of drawn clips, among them as many as `clips`.
        clips: As it says.
        dim: Of a vector.

    Returns:
        Counts of searches, of errors by their words, and of hits that are wrong: of another score
        or video than the clip's number has, or of what was removed before the search began.
    """
    context = get_context("spawn")
    gone, done, (results, theirs) = context.Value("q", 0), context.Event(), context.Pipe()
    reader = context.Process(target=read, args=(folder, clips, dim, gone, done, theirs))
    reader.start()
    theirs.close()  # so that the end of a reader that breaks is heard of
    results.recv()  # it has begun
    try:
        written = write(folder, dim, gone)
    finally:
        done.set()
    found = results.recv()
    reader.join()
    return {"beside_a_writer": {**written, **found}}


def write(folder: Path, dim: int, gone: Any) -> Result:
    """Commit and index as `vidx embed`, remove a folder, and make the index anew: twice."""
    started = time.perf_counter()
    with vidx.open(folder) as collection:
        num_labels = len(collection.info().space.labels)
        for turn in range(2):
            with open_writer(Layout(folder)) as writer:
                with collection._views.now() as (_, view):
                    first = view.state.next_clip_id
                more = blocks(first, COMMITS * BLOCK_CLIPS, dim)
                for batch in labelled(more, first, CLIPS_A_VIDEO, num_labels):
                    writer.commit(batch, PROVENANCE)
                    extending(collection)()
            if turn == 0:
                collection.remove(os.path.dirname(os.path.dirname(path_of(REMOVED))))
                gone.value = first + COMMITS * BLOCK_CLIPS
            collection.index()
    return {
        "seconds": time.perf_counter() - started,
        "commits": 2 * COMMITS,
        "removals": 1,
        "indexes": 2,
    }


def read(folder: Path, clips: int, dim: int, gone: Any, done: Any, results: Any) -> None:
    """Search by vectors of stored clips in turns until told to stop, and check each hit."""
    numbers = np.linspace(0, clips - 1, QUERIES).astype(int).tolist()
    queries = [clip(number, dim) for number in numbers]
    found: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    times: list[float] = []
    with vidx.open(folder) as collection:
        collection.search_by_vector(queries[0], K)
        results.send("begun")
        while not done.is_set() or not times:
            query = queries[len(times) % QUERIES]
            end = gone.value
            started = time.perf_counter()
            try:
                hits = collection.search_by_vector(query, K)
            except Exception as error:
                errors[f"{type(error).__name__}: {error}"] += 1
                hits = []
            times.append(time.perf_counter() - started)
            found.update(wrong(hits, query, dim, end))
            found["searches_short_of_hits"] += len(hits) < K
    p50, p99 = (1e3 * np.percentile(times, [50, 99])).tolist()
    counts = {name: found[name] for name in (*WRONG, "searches_short_of_hits")}
    longest = 1e3 * max(times)
    timed = {"searches": len(times), "p50_ms": p50, "p99_ms": p99, "longest_ms": longest}
    results.send({**timed, "errors": dict(errors), **counts})


WRONG = ("wrong_scores", "wrong_videos", "removed_hits")


def wrong(
    hits: Sequence[vidx.Hit], query: NDArray[np.float32], dim: int, gone: int
) -> Counter[str]:
    """Count what is wrong about some hits.

    Args:
        hits: Of a search.
        query: What was searched for, of length 1.
        dim: Of a vector.
        gone: Clips below this id had been removed before the search began, if in that folder.
    """
    found: Counter[str] = Counter()
    for hit in hits:
        number = hit.clip_id // CLIPS_A_VIDEO
        found["wrong_scores"] += abs(float(query @ clip(hit.clip_id, dim)) - hit.score) > SAME_SCORE
        found["wrong_videos"] += hit.video_id != video_id(number)
        found["removed_hits"] += hit.clip_id < gone and number % FOLDERS == REMOVED
    return found
