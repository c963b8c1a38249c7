"""Minutes of mixed requests to `vidx serve` beside a writer: errors, latency, and memory.

    python benchmarks/serve_mixed.py [--clips 1000000] [--dim 768] [--minutes 10] [--rate 20]
        [--folder KEPT] [--out FILE]

Requests in turns, each at its time: searches by id, one of them with a `where`, pages of clips, a
clip, labels, what the collection has. Meanwhile another process commits some thousand drawn clips
every few seconds and indexes them, as `vidx embed` does, and removes a folder of videos and brings
it back. The server's own memory is told as it is every twenty seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from command import circumstances
from drawn_collections import PROVENANCE, extending, labelled, path_of
from drawn_vectors import CLIPS_A_VIDEO, blocks
from serve import Load, Service, make_if_missing

import vidx
from vidx.store.layout import Layout
from vidx.store.writer import open_writer

PATHS = (
    "/v1/clips/{}/similar?k=10",
    "/v1/clips/{}",
    "/v1/clips/{}/similar?k=10&by=video",
    "/v1/clips?limit=100",
    "/v1/clips/{}/similar?k=10&where=start_seconds%20%3E%2010",
    "/v1/labels",
    "/v1/clips/{}/similar?k=100",
    "/v1/info",
)
COMMIT_CLIPS = 4_000
COMMIT_EVERY_SECONDS = 5.0
REMOVE_EVERY = 5  # commits
STEP_SECONDS = 20.0

Result = dict[str, Any]


def write(folder: Path, dim: int, over: Any, told: Any) -> None:
    """Commit, index, remove and restore until it is over; tells how often."""
    commits = removals = 0
    folder_of_one = str(Path(path_of(3)).parent)
    with vidx.open(folder) as collection:
        num_labels = len(collection.info().space.labels)
        extend = extending(collection)
        while not over.wait(COMMIT_EVERY_SECONDS):
            with collection._views.now() as (_, view):
                first = view.state.next_clip_id
            with open_writer(Layout(folder)) as writer:
                for batch in labelled(
                    blocks(first, COMMIT_CLIPS, dim), first, CLIPS_A_VIDEO, num_labels
                ):
                    writer.commit(batch, PROVENANCE)
                extend()  # under the lock, as two at once would take each other's files away
            commits += 1
            if commits % REMOVE_EVERY == 0:
                removed = collection.remove(folder_of_one)
                collection.restore(removed.commit)
                removals += 1
        clips = collection.info().num_clips
    told.send({"commits": commits, "removals": removals, "clips_at_the_end": clips})


async def loaded(service: Service, clips: int, rate: float, minutes: float) -> list[Result]:
    """Step after step of the load, each with the memory after it."""
    load, steps = Load(service.port, clips, PATHS), []
    for _ in range(max(1, round(60 * minutes / STEP_SECONDS))):
        step = await load.at(rate, STEP_SECONDS)
        step |= {"own_mb": service.memory_mb("RssAnon"), "resident_mb": service.memory_mb()}
        print(json.dumps(step), file=sys.stderr, flush=True)
        steps.append(step)
    return steps


def measured(folder: Path, clips: int, dim: int, rate: float, minutes: float) -> Result:
    """The load beside the writer."""
    context = get_context("spawn")
    over, (ours, theirs) = context.Event(), context.Pipe()
    service = Service(folder)
    writer = context.Process(target=write, args=(folder, dim, over, theirs), daemon=True)
    writer.start()
    theirs.close()  # so that the end of a writer that breaks is heard of
    began = time.perf_counter()
    try:
        steps = asyncio.run(loaded(service, clips, rate, minutes))
    finally:
        over.set()
    written = ours.recv()
    writer.join()
    service.process.terminate()
    statuses: dict[str, int] = {}
    for step in steps:
        for status, count in step["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    own = [step["own_mb"] for step in steps]
    third = max(1, len(own) // 3)
    return {
        "clips": clips,
        "rate": rate,
        "seconds": time.perf_counter() - began,
        "statuses": statuses,
        "p50_ms": statistics.median(step["p50_ms"] for step in steps),
        "worst_p99_ms": max(step["p99_ms"] for step in steps),
        "own_mb_first_third": statistics.median(own[:third]),
        "own_mb_last_third": statistics.median(own[-third:]),
        **written,
        "steps": steps,
    }


def main() -> None:
    """Parse, make the collection, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--folder", type=Path, help="a collection that stays; made if need be")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary) / "collection"
        make_if_missing(folder, options.clips, options.dim)
        result = measured(folder, options.clips, options.dim, options.rate, options.minutes)
    text = json.dumps({**circumstances("serve_mixed.py"), "dim": options.dim, **result}, indent=1)
    print(text)
    if options.out:
        options.out.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
