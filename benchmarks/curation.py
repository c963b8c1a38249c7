"""What the questions of curation take, by the number of clips.

    python benchmarks/curation.py [--clips 10000 30000 100000 1000000] [--dim 768] [--out FILE]

Collections of drawn vectors (`drawn_vectors.py`), twenty clips a video; of every hundredth video
another one has the same vectors with a little noise, so that there are duplicates. Each size runs
in a process of its own: the graphs of both likenesses, then duplicates, clusters, outliers and a
diverse sample of 10,000 (a tenth of the clips at most). Told are seconds, the most memory that is
resident in any of these steps, mapped vectors included, and the recall of the graph `similar`: of
300 clips the share of their 20 true neighbours that it has.

Up to 30,000 clips scikit-learn answers the like, from the same vectors: exact neighbours by cosine,
those within the threshold, local outlier factors, k-means with as many groups.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from command import circumstances
from drawn_collections import fill, labelled, memory_mb, seconds
from drawn_vectors import BLOCK_CLIPS, CLIPS_A_VIDEO, nearest, recalls, video

import vidx
from vidx.index.graph import NEIGHBOURS

SAMPLE = 10_000
LEAST_SHARE = 10  # of the clips, one in so many is sampled at most
COPY_EVERY = 100
NOISE = 1e-3  # of each dimension
NUM_LABELS = 10
ASKED = 300
THRESHOLD = 0.9
MOST_BESIDE = 30_000  # clips: its exact neighbours take quadratic time

Result = dict[str, Any]


def blocks(clips: int, dim: int) -> Iterator[np.ndarray]:
    """The vectors, whole videos some thousands of clips at a time."""
    numbers = range(clips // CLIPS_A_VIDEO)
    for start in range(0, len(numbers), BLOCK_CLIPS // CLIPS_A_VIDEO):
        some = numbers[start : start + BLOCK_CLIPS // CLIPS_A_VIDEO]
        yield np.concatenate([_video(number, dim) for number in some])


def _video(number: int, dim: int) -> np.ndarray:
    if number % COPY_EVERY != 1:
        return video(number, dim)
    noise = np.random.default_rng([7, number]).standard_normal((CLIPS_A_VIDEO, dim))
    return video(number - 1, dim) + (NOISE * noise).astype(np.float32)


def filled(folder: Path, clips: int, dim: int) -> vidx.Collection:
    """A collection of so many clips, with its index."""
    parts = blocks(clips, dim)
    fill(folder, labelled(parts, 0, CLIPS_A_VIDEO, num_labels=NUM_LABELS), dim, NUM_LABELS)
    return vidx.open(folder)


def measure(clips: int, dim: int) -> Result:
    """Ask everything of one collection; ready for JSON."""
    with tempfile.TemporaryDirectory() as folder:
        collection = filled(Path(folder) / "collection", clips, dim)
        answers: Result = {}
        steps = {name: step(ask) for name, ask in questions(collection, clips, answers).items()}
        with collection._part() as part:
            told = {"recall": recall(part)}
            if clips <= MOST_BESIDE:
                vectors = np.array(part.view.index.indexed.vectors)
                groups = len(set(answers["clusters"].column("group").to_pylist()))
                told["scikit-learn"] = beside(vectors, groups)
        return {
            "clips": clips,
            "dim": dim,
            **{name: taken for name, (taken, _) in steps.items()},
            "total": sum(taken for taken, _ in steps.values()),
            "members": answers["duplicates"].num_rows,
            "memory_mb": max(memory for _, memory in steps.values()),
            "memory_mb_of": {name: memory for name, (_, memory) in steps.items()},
            **told,
        }


def questions(
    collection: vidx.Collection, clips: int, answers: Result
) -> dict[str, Callable[[], object]]:
    """What is asked, in order; each leaves its answer."""

    def graph(likeness: str, apart: bool) -> None:
        with collection._part() as part:
            part.graph(likeness, print, apart=apart)

    asked = {
        "duplicates": lambda: collection.duplicates(THRESHOLD),
        "clusters": collection.clusters,
        "outliers": lambda: collection.outliers(1000),
        "sample": lambda: collection.sample(min(SAMPLE, clips // LEAST_SHARE)),
    }
    return {
        "graph, similar": lambda: graph("similar", apart=False),
        "graph, copy": lambda: graph("copy", apart=True),
        **{
            name: lambda name=name, ask=ask: answers.update({name: ask()})
            for name, ask in asked.items()
        },
    }


def step(ask: Callable[[], object]) -> tuple[float, float]:
    """Seconds that a question takes, and the most megabytes that are resident meanwhile."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far: man 5 proc
    taken = seconds(ask)
    return taken, memory_mb("VmHWM")[0]


def beside(vectors: np.ndarray, groups: int) -> Result:
    """Seconds that scikit-learn takes for the like."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors

    exact = NearestNeighbors(n_neighbors=NEIGHBOURS + 1, algorithm="brute", metric="cosine")
    near = NearestNeighbors(radius=1 - THRESHOLD, algorithm="brute", metric="cosine")
    outliers = LocalOutlierFactor(n_neighbors=NEIGHBOURS, algorithm="brute", metric="cosine")
    means = MiniBatchKMeans(n_clusters=groups, random_state=0, n_init=1)
    return {
        "graph": seconds(lambda: exact.fit(vectors).kneighbors(vectors)),
        "duplicates": seconds(lambda: near.fit(vectors).radius_neighbors(vectors)),
        "outliers": seconds(lambda: outliers.fit_predict(vectors)),
        "clusters": seconds(lambda: means.fit(vectors)),
        "groups": groups,
    }


def recall(part: Any) -> float:
    """How many of their true neighbours some clips have in the graph."""
    asked = np.random.default_rng(1).choice(len(part), min(ASKED, len(part)), replace=False)
    everything = part.view.index.indexed.vectors
    true = nearest(everything, everything[asked], NEIGHBOURS + 1)
    pairs = zip(true.tolist(), asked.tolist(), strict=True)
    others = [[row for row in rows if row != own][:NEIGHBOURS] for rows, own in pairs]
    found = part.graph("similar", print).places[asked]
    return float(recalls(found.astype(np.int64), np.array(others)).mean())


def table(results: list[dict[str, Any]]) -> str:
    """The results to read."""
    names = [name for name, value in results[0].items() if not isinstance(value, dict)]
    lines = ["".join(f"{name:>16}" for name in names)]
    lines += ["".join(f"{one[name]:>16.5g}" for name in names) for one in results]
    return "\n".join(lines)


def main() -> None:
    """Parse, measure each size in a process of its own, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--clips", nargs="+", type=int, default=[10_000, 30_000, 100_000, 1_000_000]
    )
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        sys.stderr.write(json.dumps(measure(options.clips[0], options.dim)) + "\n")
        return
    results = []
    for clips in options.clips:
        command = [
            sys.executable,
            __file__,
            "--one",
            "--clips",
            str(clips),
            "--dim",
            str(options.dim),
        ]
        done = subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True
        )
        results.append(json.loads(done.stderr.splitlines()[-1]))
        print(table(results), flush=True)
    if options.out:
        record = {**circumstances("curation.py"), "sizes": results}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
