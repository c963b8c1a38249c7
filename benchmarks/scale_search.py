"""Searches of very large collections: warm, cold, filtered, after additions and removals.

    python benchmarks/scale_search.py [--clips 1000000 --dim 768] [--folder FOLDER] [--out FILE]

A collection is filled with clips that lie as embeddings do (benchmarks/drawn_vectors.py), 20 a
video, with a hundred labels and metadata of each video: `split`, one of three texts, and `drawn`, a
whole number below 10,000. Each step (benchmarks/scale_search_steps.py) is a process of its own:

- fill and index it;
- `info`, and a search by id in a collection that is open (200 different ids);
- from `import vidx` to the first hit in a new process, with all files in the system's cache, and
  again after they were dropped from it;
- searches with a `where` that leaves .0001 to all of it, beside searches without, and beside
  comparing all that it leaves;
- a tenth more clips: searched before, at once, and when the index covers them;
- a folder with a tenth of the videos removed;
- a reader that searches without pause beside a writer (benchmarks/beside_a_writer.py).

A million clips of 768 numbers take 12 GB of disk meanwhile, ten million of 256 take 50.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from checkouts import ROOT, commits, environment
from command import circumstances

STEPS = ("fill", "index", "info", "warm", "cold", "where", "add", "remove", "writer")
COLD_ROUNDS = 5
COLD = """
import json, sys, time
started = time.perf_counter()
import vidx
with vidx.open(sys.argv[1]) as collection:
    hits = collection.search_by_id(int(sys.argv[2]))
taken = time.perf_counter() - started
lines = open("/proc/self/status").read().splitlines()
sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith("kB")}
kept = {f"{name}_mb": sizes[name] * 1024 / 1e6 for name in ("VmRSS", "VmHWM", "RssAnon")}
assert hits[0].clip_id == int(sys.argv[2])
print(json.dumps({"seconds": taken, **kept}))
"""

Result = dict[str, Any]


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--folder", type=Path, help="where the collection lies meanwhile")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    result: Result = {
        **circumstances(Path(__file__).name),
        "commit": commits({"this": ROOT})["this"],
        "clips": options.clips,
        "dim": options.dim,
        "scale_search": {},
    }
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for step in STEPS:
            found = run_step(step, Path(folder) / "collection", options.clips, options.dim)
            result["scale_search"][step] = found
            print(f"{options.clips} clips  {step:8} {json.dumps(found, indent=1)}", flush=True)
            if options.out:  # after each: all of them may take hours
                options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


def run_step(step: str, folder: Path, clips: int, dim: int) -> Result:
    """One step in a process of its own."""
    if step == "cold":
        return cold(folder, clips)
    script = Path(__file__).with_name("scale_search_steps.py")
    return child([str(script), step, str(folder), str(clips), str(dim)])


def cold(folder: Path, clips: int) -> Result:
    """From `import vidx` to the first hit: medians with files in the cache, and once without."""
    command = ["-c", COLD, str(folder), str(clips // 2)]
    rounds = [child(command) for _ in range(COLD_ROUNDS)]
    drop_from_cache(folder)
    uncached = child(command)
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return {"cached": medians, "uncached": uncached, "rounds": rounds}


def drop_from_cache(folder: Path) -> None:
    """Have the system read the collection's files from disk when they are asked for next."""
    for path in filter(Path.is_file, folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # what is not on disk yet would stay
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def child(arguments: list[str]) -> Result:
    """What a Python process of this checkout prints, as JSON."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(ROOT),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: Result = json.loads(done.stdout)
    return found


def table(record: Result) -> str:
    """What was found, to read, as Markdown."""
    found = record["scale_search"]
    lines = [f"**{record['clips']:,} clips of {record['dim']} numbers**", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {figure} |" for name, figure in rows(found).items()]
    lines += [
        "",
        "| `where` leaves | clips | first, ms | p50, ms | without, ms | all of it compared, ms "
        "| recall@10 | least hits |",
        f"|{'---|' * 8}",
    ]
    for name, one in found["where"]["where"].items():
        times = ("first_ms", "p50_ms", "unfiltered_p50_ms", "exact_p50_ms")
        cells = [f"{one['selected']:,}", *(f"{one[each]:.1f}" for each in times)]
        cells += [f"{one['recall_at_10']:.3f}", str(one["least_hits"])]
        lines.append(f"| {name}: `{one['where']}` | {' | '.join(cells)} |")
    return "\n".join([*lines, "", ""])


def rows(found: Result) -> dict[str, str]:
    """The figures of all steps but the filters'."""
    filled, made, warm, added = (found[step] for step in ("fill", "index", "warm", "add"))
    report, gone = made["index"], found["remove"]
    cached, uncached = found["cold"]["cached"], found["cold"]["uncached"]
    three = (added[f"{when}_p50_ms"] for when in ("before", "at_once", "after"))
    trained = (added[f"trained_rows_{when}"] for when in ("before", "after"))
    return {
        "videos": f"{filled['videos']:,}",
        "metadata of all, s": f"{filled['set_metadata_seconds']:.1f}",
        "index, kind": report["kind"],
        "index, s": f"{made['index_seconds']:.0f}",
        "its process at most, MB": f"{made['index_peak_mb']:,.0f}",
        "its bytes a vector": f"{report['bytes_per_vector']:.0f}",
        "its recall@10": f"{report['recall_at_10']:.3f}",
        "`info`, s": f"{found['info']['info_seconds']:.2f}",
        "a search by id, p50 and p99, ms": f"{warm['p50_ms']:.1f}, {warm['p99_ms']:.1f}",
        "from `import vidx` to a hit, s": f"{cached['seconds']:.2f}",
        "likewise, no file in the cache, s": f"{uncached['seconds']:.2f}",
        "resident then, MB": f"{cached['VmRSS_mb']:.0f} ({cached['VmHWM_mb']:.0f} at most)",
        "a tenth added: p50 before, at once, later, ms": ", ".join(f"{one:.1f}" for one in three),
        "added clips that were not found": str(added["added_not_found"]),
        "clips that codes were learned of, before and after": ", ".join(map(str, trained)),
        "a tenth removed, s": f"{gone['remove_seconds']:.2f}",
        "removed clips among the hits": str(gone["removed_returned"]),
        "p50 before and after, ms": ", ".join(
            f"{gone[f'{when}_removal_p50_ms']:.1f}" for when in ("before", "after")
        ),
        **(rows_of_writer(found["writer"]["beside_a_writer"]) if "writer" in found else {}),
    }


def rows_of_writer(beside: Result) -> dict[str, str]:
    """The figures of the last step, which takes two indexes more."""
    wrong = sum(beside[name] for name in ("wrong_scores", "wrong_videos", "removed_hits"))
    return {
        "searches beside a writer": f"{beside['searches']:,}",
        "errors, wrong hits of them": f"{sum(beside['errors'].values())}, {wrong}",
        "their p50 and p99, ms": f"{beside['p50_ms']:.1f}, {beside['p99_ms']:.1f}",
    }


if __name__ == "__main__":
    main()
