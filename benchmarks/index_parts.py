"""An index in parts beside one of the same kind in one file: recall, times, memory of each builder.

    python benchmarks/index_parts.py [--clips 10000000 --dim 256 --parts 4] [--folder F] [--out F]

The clips lie as embeddings do (benchmarks/drawn_vectors.py), 20 a video; queries are clips of other
videos of the same kinds. Both indexes have the same files of vectors, and are made as `vidx index`
makes them, in a process of its own each. Each part is also made by a process of its own, as on
another machine. Memory is what a process holds beside mapped files, looked at every 20 ms. Searches
are asked of both in turns. Ten million clips of 256 numbers take 22 GB of disk meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from checkouts import ROOT, commits
from command import circumstances
from drawn_vectors import CLIPS_A_VIDEO, Vectors, blocks, nearest, questions, recalls
from scale_search import child

from vidx import index as indexes
from vidx.index import Index, parts
from vidx.index.header import read_header
from vidx.options import IndexOptions

UUID = "drawn"
K = 10
QUERIES = 256
BATCHES = 3
TARGET_RECALL = 0.95

Result = dict[str, Any]


def main() -> None:
    """Parse, measure, print and write; or do one step in this process."""
    if sys.argv[1:2] == ["step"]:
        print(json.dumps(step(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=10_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="where the indexes lie meanwhile")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = measure(Path(folder), options.clips, options.dim, options.parts)
    result = {
        **circumstances(Path(__file__).name),
        "commit": commits({"this": ROOT})["this"],
        "clips": options.clips,
        "dim": options.dim,
        "parts": options.parts,
        "index_parts": found,
    }
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def measure(folder: Path, clips: int, dim: int, num_parts: int) -> Result:
    """Fill, make both indexes and the parts alone, and search."""
    one, parted = folder / "one", folder / "parts"
    fill(one, clips, dim)
    parted.mkdir()
    for path in one.iterdir():
        os.link(path, parted / path.name)  # index.json is replaced, vectors are only read
    sizes = (str(dim), str(num_parts))
    builders = [in_process("part", one, *sizes, str(which)) for which in range(num_parts)]
    made = {
        "one": in_process("index", one, str(dim), "1"),
        "parts": in_process("index", parted, *sizes),
    }
    return {"builders": builders, "made": made, "search": searched(one, parted, dim)}


def fill(folder: Path, clips: int, dim: int) -> None:
    """The files of vectors, as an `embed` leaves them."""

    def taken() -> Any:
        start = 0
        for block in blocks(0, clips, dim):
            ids = np.arange(start, start + len(block))
            yield ids, block, (ids // CLIPS_A_VIDEO).astype(np.int32)
            start += len(block)

    indexes.build(folder, UUID, dim, taken(), end_clip_id=clips, commit=1, numbering="n")


def in_process(which: str, folder: Path, *arguments: str) -> Result:
    """One step in a process of its own."""
    found = child([__file__, "step", which, str(folder), *arguments])
    print(which, *arguments, json.dumps(found), flush=True)
    return found


def step(which: str, folder: str, dim: str, num_parts: str, number: str = "0") -> Result:
    """Make an index, or one of its parts, and tell time and memory."""
    at = Path(folder)
    if which == "index":
        asked = IndexOptions(kind="ivf", target_recall=TARGET_RECALL, num_parts=int(num_parts))
        taken = watched(lambda: Index(at, UUID, int(dim)).make_codes(asked, lambda _step: None))
        report = Index(at, UUID, int(dim)).report()
        return {**taken, "parameters": report.parameters, "recall_at_10": report.recall_at_10}
    header = read_header(at, UUID)
    assert header
    rows = parts.divided(range(header.rows), int(dim), int(num_parts))[int(number)]
    file = f"alone-{number}.faiss"
    taken = watched(lambda: parts.build_part(at, header, "similar", rows, file, lambda _step: None))
    size = (at / file).stat().st_size
    (at / file).unlink()
    return {**taken, "rows": len(rows), "file_mb": size / 1e6}


def watched(work: Callable[[], Any]) -> Result:
    """How long something takes, and the most memory held meanwhile, beyond that of before."""
    before, most, done = held_mb(), 0.0, threading.Event()

    def look() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, held_mb())

    watcher = threading.Thread(target=look)
    watcher.start()
    began = time.perf_counter()
    try:
        work()
    finally:
        seconds = time.perf_counter() - began
        done.set()
        watcher.join()
    return {"seconds": seconds, "memory_mb": max(0.0, most - before)}


def held_mb() -> float:
    """What this process holds in memory beside mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no RssAnon")


def searched(one: Path, parted: Path, dim: int) -> Result:
    """Recall and times of both, asked in turns."""
    queries = questions(QUERIES, dim)
    both = {"one": Index(one, UUID, dim), "parts": Index(parted, UUID, dim)}
    truth = nearest(both["one"].indexed.vectors, queries, K)
    found: dict[str, list[Any]] = {name: [] for name in both}
    milliseconds: dict[str, list[float]] = {name: [] for name in both}
    for query in [*queries[:32], *queries]:  # the first only warm up
        for name, index in both.items():
            began = time.perf_counter()
            _, rows = index.search(query[None], K)
            milliseconds[name].append(1000 * (time.perf_counter() - began))
            found[name].append(rows[0])
    batches = {name: batch_ms(index, queries) for name, index in both.items()}
    return {
        name: {
            "recall_at_10": float(recalls(np.array(found[name][32:]), truth).mean()),
            "p50_ms": float(np.percentile(milliseconds[name][32:], 50)),
            "p99_ms": float(np.percentile(milliseconds[name][32:], 99)),
            "batch_ms_a_query": batches[name],
            "bytes_per_vector": index.report().bytes_per_vector,
        }
        for name, index in both.items()
    }


def batch_ms(index: Index, queries: Vectors) -> float:
    """The time of a query among many, the best of some rounds."""
    times = []
    for _ in range(BATCHES):
        began = time.perf_counter()
        index.search(queries, K)
        times.append(1000 * (time.perf_counter() - began) / len(queries))
    return min(times)


def table(record: Result) -> str:
    """What was found, to read, as Markdown."""
    found = record["index_parts"]
    lines = [
        f"**{record['clips']:,} clips of {record['dim']} numbers**",
        "",
        f"| | one file | {record['parts']} parts |",
        "|---|---|---|",
    ]
    for name, places in (
        ("recall_at_10", 3),
        ("p50_ms", 2),
        ("p99_ms", 2),
        ("batch_ms_a_query", 3),
    ):
        cells = [f"{found['search'][side][name]:.{places}f}" for side in ("one", "parts")]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    for name in ("seconds", "memory_mb"):
        cells = [f"{found['made'][side][name]:,.0f}" for side in ("one", "parts")]
        lines.append(f"| made, both likenesses: {name.replace('_', ' ')} | {' | '.join(cells)} |")
    for name in ("seconds", "memory_mb"):
        each = [builder[name] for builder in found["builders"]]
        lines.append(f"| a builder of one part: {name.replace('_', ' ')} | | {max(each):,.0f} |")
    return "\n".join([*lines, "", ""])


if __name__ == "__main__":
    main()
