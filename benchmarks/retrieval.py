"""How well do a model's vectors find videos of the same class? Beside three baselines and chance.

    python benchmarks/retrieval.py --model CHECKPOINT --folder LABELLED [...] [--out FILE]

A labelled folder is laid out <class>/<file>. Each file is one item. It is decoded and cut into
clips as `vidx embed` does; an item's vector is the mean of its clips' vectors, each scaled to
length 1. Every item then asks for its class among all others (leave one out) by cosine similarity.
Files of one sequence, `seqNN` in the name (and `setNN` where several sets count anew), are no
neighbours of each other: they are neither hits nor misses.

Beside the model, on the same clips, frames and pixels:

    untrained   the same network with new random weights, the mean of several seeds' scores
    colour      the mean over frames of 8x8 RGB thumbnails
    motion      absolute differences of frames that follow each other, pooled to 7x7: their mean
                over time, and their total at each step; each scaled to length 1
    chance      a random order, exactly

Intervals are 95% bootstrap intervals over queries, paired where two ways are compared.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from command import about, cores, run
from numpy.typing import NDArray
from scores import (
    FIGURES,
    Rows,
    average,
    chance_scores,
    figures,
    item_vector,
    queries,
    query_scores,
)
from views import UNTRAINED_SEEDS, Views

from vidx.embedder.decoding.events import Job
from vidx.embedder.decoding.files import find_videos
from vidx.embedder.encoder import Encoder, load
from vidx.embedder.pipeline import embed_videos
from vidx.records import EmbeddedVideo

BASELINES = ("untrained", "colour", "motion")
BATCH_SIZE = 16
SEQUENCE = re.compile(r"(?:(set\d+).*)?(seq\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """A file of a labelled folder; files of one group are no neighbours, those of "" have none."""

    path: Path
    label: str
    group: str


def find_items(folder: Path) -> list[Item]:
    """List a labelled folder's files.

    Args:
        folder: Laid out <class>/<file>.

    Raises:
        SystemExit: A file lies in no class.
    """
    items = []
    for path in find_videos([folder]).paths:
        label, *below = path.relative_to(os.path.abspath(folder)).parts
        if not below:
            sys.exit(f"{path} lies in no class: the layout is <class>/<file>")
        items.append(Item(path, label, group_of(path)))
    return items


def group_of(path: Path) -> str:
    """The sequence a file was cut from, or "".

    >>> group_of(Path("kick/set1_13_seq3.avi")), group_of(Path("kick/13.avi"))
    ('set1 seq3', '')
    """
    found = SEQUENCE.search(path.stem)
    return " ".join(filter(None, found.groups())).lower() if found else ""


def labels_and_groups(items: Sequence[Item]) -> tuple[list[str], list[str]]:
    """What the score functions ask of items."""
    return [item.label for item in items], [item.group for item in items]


def describe(
    encoder: Encoder, items: Sequence[Item], workers: int
) -> tuple[list[Item], dict[str, NDArray[np.float64]], dict[str, str]]:
    """Decode and describe items.

    Returns:
        Those that could be decoded; for each way to describe them an array, shape (items, dim);
        and why the others could not, by path.

    Raises:
        SystemExit: None of them has another of its class to find.
    """
    views = Views(encoder)
    jobs = [Job(number, str(item.path)) for number, item in enumerate(items)]
    found: dict[int | str, dict[str, NDArray[np.float64]]] = {}
    failed = {}
    stand_in = cast("Encoder", views)
    for job, outcome in embed_videos(stand_in, jobs, workers=workers, batch_size=BATCH_SIZE):
        if isinstance(outcome, EmbeddedVideo):
            parts = views.split(outcome.embeddings)
            found[job.key] = {way: item_vector(part) for way, part in parts.items()}
        else:
            failed[job.path] = f"{outcome.reason}: {outcome.message}"
    order = [number for number in range(len(items)) if number in found]
    kept = [items[number] for number in order]
    if not len(queries(*labels_and_groups(kept))):
        problems = "".join(f"\n  {path}: {why}" for path, why in failed.items())
        sys.exit(f"no video has another of its class (<class>/<file>) to find{problems}")
    vectors = {way: np.stack([found[number][way] for number in order]) for way in views.ways}
    return kept, vectors, failed


def score(items: Sequence[Item], vectors: dict[str, NDArray[np.float64]]) -> dict[str, Rows]:
    """Each row of the table, query by query."""
    labels, groups = labels_and_groups(items)
    rows = {way: query_scores(matrix, labels, groups) for way, matrix in vectors.items()}
    seeds = [rows.pop(f"untrained {seed}") for seed in UNTRAINED_SEEDS]
    return {
        "model": rows["model"],
        "untrained": np.mean(seeds, axis=0),
        "colour": rows["colour"],
        "motion": rows["motion"],
        "chance": chance_scores(labels, groups),
    }


def evaluate(model: str, folders: Sequence[Path], device: str | None) -> dict[str, Any]:
    """Everything about one model, ready for JSON."""
    encoder = load(model, device=device)
    sets, scored = [], []
    for folder in folders:
        items, vectors, failed = describe(encoder, find_items(folder), cores())
        rows = score(items, vectors)
        scored.append(rows)
        sets.append(
            {
                "name": folder.resolve().name,
                "videos": len(items),
                "classes": len({item.label for item in items}),
                "sequences": len({item.group for item in items} - {""}),
                "queries": len(rows["model"]),
                "failed": failed,
                "scores": {way: figures([rows[way]]) for way in rows},
            }
        )
    by_way = {way: [rows[way] for rows in scored] for way in scored[0]}
    return {
        "model": model,
        **about(encoder),
        "sets": sets,
        "average": {way: figures(rows) for way, rows in by_way.items()},
        **compare(by_way),
    }


def compare(by_way: dict[str, list[Rows]]) -> dict[str, Any]:
    """The model minus each baseline on the average over sets, and which has the best precision."""
    differences = {
        way: figures([a - b for a, b in zip(by_way["model"], by_way[way], strict=True)])
        for way in BASELINES
    }
    main = FIGURES.index("mean_average_precision")
    best = max(BASELINES, key=lambda way: float(average(by_way[way])[main]))
    return {"model_minus": differences, "best_baseline": best}


def table(result: dict[str, Any]) -> str:
    """One model's results to read."""
    lines = [f"model: {result['model']}"]
    for one in result["sets"]:
        counts = ", ".join(f"{one[n]} {n}" for n in ("videos", "classes", "sequences", "queries"))
        lines += ["", f"{one['name']}: {counts}", *_rows(one["scores"])]
        lines += [f"  left out: {path}: {why}" for path, why in one["failed"].items()]
    lines += ["", f"average over {len(result['sets'])} sets", *_rows(result["average"])]
    best = result["best_baseline"]
    minus = {f"- {way}{' (best)' * (way == best)}": f for way, f in result["model_minus"].items()}
    lines += ["", "model minus baseline, on that average", *_rows(minus)]
    return "\n".join(lines)


def _rows(scores: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    head = "".join(f"{name.replace('_', ' '):>26}" for name in FIGURES)
    lines = [f"{'':18}{head}"]
    for way, by_figure in scores.items():
        cells = [
            f"{f['value']:.3f} [{f['low']:+.3f}, {f['high']:+.3f}]".rjust(26)
            for f in by_figure.values()
        ]
        lines.append(f"{way:18}" + "".join(cells))
    return lines


if __name__ == "__main__":
    run(Path(__file__).name, __doc__, evaluate, table)
