"""How many wrong labels does `label_issues` find, and how many that it tells are wrong?

    python benchmarks/label_issues.py --model CHECKPOINT --folder LABELLED [...] [--out FILE]

A labelled folder is laid out <class>/<file>. It is embedded into a collection; so are the held-out
clips of every motion class that `procedural.py` draws, as the set `drawn`. A tenth of the videos
gets a wrong label: any other one (`any`), or always the same other one of each class (`paired`).
Told are the means over several seeds: recall, the share of wrong labels that are found; precision,
the share of those told that are wrong; and how many are told where no label was changed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command import run
from drawn_collections import fill, labelled
from procedural import describe
from retrieval import find_items

import vidx
from vidx.embedder.encoder import load
from vidx.options import EmbedOptions
from vidx.training.procedural.motions import LABELS

SEEDS = 5
EACH = 20  # drawn clips of each motion class
WAYS = ("any", "paired")

Set = tuple[str, vidx.Collection, dict[str, str]]  # the last: the class of each path


def sets(model: str, folders: Sequence[Path], device: str | None, work: Path) -> Iterator[Set]:
    """Labelled collections: of each folder, and of drawn clips, each a video of its own."""
    for folder in folders:
        with vidx.open(work / folder.name, create=True) as collection:
            collection.embed([folder], EmbedOptions(model=model, device=device))
            there = set(collection.clips()["path"].to_pylist())
            classes = {str(item.path): item.label for item in find_items(folder)}
            yield (
                folder.name,
                collection,
                {path: classes[path] for path in classes if path in there},
            )
    encoder = load(model, device=device)
    size = encoder.geometry.crop or encoder.geometry.resize_to
    assert size is not None, "drawn clips are square"
    ways = {"model": lambda frames: encoder.encode(frames)[0]}
    vectors, _ = describe(ways, EACH, size[0], encoder.space.num_frames)["model"]
    fill(work / "drawn", labelled([vectors], 0, 1, num_labels=10), vectors.shape[1], 10)
    with vidx.open(work / "drawn") as collection:
        paths = collection.clips()["path"].to_pylist()
        yield "drawn", collection, dict(zip(paths, list(LABELS) * EACH, strict=True))


def measure(model: str, folders: Sequence[Path], device: str | None) -> dict[str, Any]:
    """Plant wrong labels and look for them; ready for JSON."""
    with tempfile.TemporaryDirectory() as work:
        found = [
            {"set": name, "videos": len(classes), "classes": len({*classes.values()})}
            | {way: planted(collection, classes, way) for way in WAYS}
            | {"told_unchanged": len(told(collection, classes))}
            for name, collection, classes in sets(model, folders, device, Path(work))
        ]
    return {"model": model, "seeds": SEEDS, "sets": found}


def planted(collection: vidx.Collection, classes: dict[str, str], way: str) -> dict[str, float]:
    """Mean recall and precision over seeds."""
    recalls, precisions = [], []
    for seed in range(SEEDS):
        given = flipped(classes, way, seed)
        wrong = {path for path in classes if given[path] != classes[path]}
        found = told(collection, given)
        recalls.append(len(found & wrong) / len(wrong))
        precisions.append(len(found & wrong) / max(len(found), 1))
    return {"recall": float(np.mean(recalls)), "precision": float(np.mean(precisions))}


def flipped(classes: dict[str, str], way: str, seed: int) -> dict[str, str]:
    """The labels, a tenth of them wrong."""
    names, paths = sorted({*classes.values()}), sorted(classes)
    random, given = np.random.default_rng(seed), dict(classes)
    for number in random.choice(len(paths), max(len(paths) // 10, 1), replace=False).tolist():
        step = 1 if way == "paired" else int(random.integers(1, len(names)))
        right = names.index(classes[paths[number]])
        given[paths[number]] = names[(right + step) % len(names)]
    return given


def told(collection: vidx.Collection, given: dict[str, str]) -> set[str]:
    """The paths whose label is doubted."""
    collection.set_metadata({"path": list(given), "planted": list(given.values())})
    return {*collection.label_issues("planted")["path"].to_pylist()}


def table(result: dict[str, Any]) -> str:
    """The result to read, in Markdown."""
    lines = ["| set | videos | classes | any: recall | precision | paired: recall | precision |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for one in result["sets"]:
        cells = [f"{one[way][name]:.2f}" for way in WAYS for name in ("recall", "precision")]
        lines.append(f"| {one['set']} | {one['videos']} | {one['classes']} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run(Path(__file__).name, __doc__, measure, table)
