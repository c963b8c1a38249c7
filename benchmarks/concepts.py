"""Does a concept taught by five and five examples find more than a search for the examples does?

    python benchmarks/concepts.py --model CHECKPOINT --folder LABELLED [...] [--out FILE]

The sets are those of `label_issues.py`. Each class in turn is the concept, several times: a clip
each of five videos of the class and of five other videos are examples, and the clips of all other
videos are ranked. Told is the mean average precision of the concept, and of searches: for all
examples that are like it, by the nearest of them (`nearest`), by their mean (`mean`), and for one
of them alone, on average (`one`); and how far the concept is ahead of the best of these, with a 95%
interval over draws.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command import run
from label_issues import sets
from numpy.typing import NDArray

import vidx
from vidx.curation.probes import Examples, average_precision, learn

DRAWS = 150
EACH = 5  # examples of either kind
WAYS = ("concept", "nearest", "mean", "one", "chance")


def measure(model: str, folders: Sequence[Path], device: str | None) -> dict[str, Any]:
    """Teach concepts of every set; ready for JSON."""
    with tempfile.TemporaryDirectory() as work:
        found = [
            {"set": name, **judged(collection, classes)}
            for name, collection, classes in sets(model, folders, device, Path(work))
        ]
    return {"model": model, "draws": DRAWS, "examples": 2 * EACH, "sets": found}


def judged(collection: vidx.Collection, classes: dict[str, str]) -> dict[str, Any]:
    """The mean average precisions of one set."""
    with collection._part() as part:
        vectors, owners = part.vectors(np.arange(len(part)), "similar"), part.videos
    labels = np.array([classes[path] for path in collection.clips()["path"].to_pylist()])
    names = sorted({*classes.values()})
    rows = np.array(
        [_draw(vectors, owners, labels == names[seed % len(names)], seed) for seed in range(DRAWS)]
    )
    means = dict(zip(WAYS, rows.mean(axis=0).tolist(), strict=True))
    best = max(WAYS[1:], key=lambda way: means[way])
    ahead = rows[:, 0] - rows[:, WAYS.index(best)]
    margin = 1.96 * float(ahead.std(ddof=1)) / len(ahead) ** 0.5
    gain = float(ahead.mean())
    return {**means, "best": best, "ahead": [gain, gain - margin, gain + margin]}


def _draw(
    vectors: NDArray[np.float32],
    owners: NDArray[np.int32],
    is_like: NDArray[np.bool_],
    seed: int,
) -> list[float]:
    """The average precision of each way, with examples by a seed."""
    random = np.random.default_rng(seed)
    likes, others = (_chosen(owners, kind, random) for kind in (is_like, ~is_like))
    chosen = np.concatenate([likes, others])
    probe = learn(Examples(vectors[chosen], is_like[chosen], owners[chosen]))
    rest = ~np.isin(owners, owners[chosen])
    ranked, truth = vectors[rest].astype(np.float64), is_like[rest]
    products = ranked @ vectors[likes].T
    one = np.mean([average_precision(column, truth) for column in products.T])
    scores = (probe.scores(ranked), products.max(axis=1), products.mean(axis=1))
    return [*(average_precision(way, truth) for way in scores), float(one), float(truth.mean())]


def _chosen(
    owners: NDArray[np.int32], kind: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.int64]:
    """A clip each of some videos."""
    videos = random.choice(np.unique(owners[kind]), EACH, replace=False)
    return np.array([random.choice(np.flatnonzero(kind & (owners == video))) for video in videos])


def table(result: dict[str, Any]) -> str:
    """The result to read, in Markdown."""
    lines = [f"| set | {' | '.join(WAYS)} | ahead of the best |", "|---" * (len(WAYS) + 2) + "|"]
    for one in result["sets"]:
        cells = [f"{one[way]:.3f}" for way in WAYS]
        gain, low, high = one["ahead"]
        cells.append(f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]")
        lines.append(f"| {one['set']} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(Path(__file__).name, __doc__, measure, table)
