"""Does adapting help? `vidx adapt` beside the same steps with the encoder frozen.

    python benchmarks/adapt.py --model CHECKPOINT --folder VIDEOS [...] [--out FILE]

Each folder is adapted to by itself, with the numbers of the shipped command. The loss is that of
masked pixels in held-out videos, a tenth of the folder's, under masks that never change:

    fitted      the encoder as it was, its decoder fitted with the first half of the steps
    frozen      the encoder as it was, its decoder fitted with all of the steps
    adapted     both trained in the second half of the steps

`adapted` against `frozen` is the fair comparison: the decoder had equally many steps.

Lower loss of pixels does not mean better retrieval. Where the folder is laid out <class>/<file>,
the figures of retrieval.py are told for the model as it was and adapted, without its baselines.
The adapted model has seen the queries' pixels, as with a collection of one's own, and no label.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from command import about, cores, run
from numpy.typing import NDArray
from retrieval import find_items, labels_and_groups
from scores import Rows, figures, item_vector, queries, query_scores

import vidx
from vidx.embedder.encoder import Encoder, load
from vidx.training.adapt import ADAPTING, HELD_OUT, Adaptation, adapt, run_of
from vidx.training.footage import Footage, Video, read_footage
from vidx.training.run import LOG_FILE, MODEL_FOLDER

NUMBERS = Adaptation()


def measure(model: str, folders: Sequence[Path], device: str | None) -> dict[str, Any]:
    """Everything about one model, ready for JSON."""
    encoder = load(model, device=device, dtype="float32")
    sets = [measure_folder(encoder, model, folder) for folder in folders]
    return {"model": model, **about(encoder), "adaptation": asdict(NUMBERS), "sets": sets}


def measure_folder(encoder: Encoder, model: str, folder: Path) -> dict[str, Any]:
    """Adapt to one folder's videos, in earnest and with the encoder frozen."""
    with tempfile.TemporaryDirectory() as name:
        before = embedded(folder, model, Path(name) / "before")
        videos = [
            Video(row["video_id"], row["path"], row["duration_seconds"])
            for row in before.videos().to_pylist()
        ]
        footage = read_footage(videos, encoder, workers=cores())
        frozen = replace(NUMBERS, frozen=True)
        control = trained(Path(name) / "frozen", encoder, videos, footage, frozen)
        adapted = trained(Path(name) / "adapted", encoder, videos, footage, NUMBERS)
        after = embedded(folder, str(Path(name) / "adapted" / MODEL_FOLDER), Path(name) / "after")
        return {
            "name": folder.resolve().name,
            "videos": footage.videos,
            "training_clips": len(footage.training),
            "held_out_clips": len(footage.held_out),
            "held_out_loss": {
                "fitted": adapted["held_out"][0],
                "frozen": control["held_out"][-1],
                "adapted": adapted["held_out"][-1],
            },
            "seconds": {"frozen": control["seconds"], "adapted": adapted["seconds"]},
            "retrieval": compare(folder, before, after),
        }


def trained(
    folder: Path, encoder: Encoder, videos: Sequence[Video], footage: Footage, numbers: Adaptation
) -> dict[str, Any]:
    """One run: its held-out losses since the decoder was fitted, and its seconds."""
    began = time.perf_counter()
    for _ in adapt(run_of(folder, encoder, videos, numbers), encoder, footage, numbers):
        pass
    entries = [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]
    losses = [one[HELD_OUT] for one in entries if one["stage"] == ADAPTING and HELD_OUT in one]
    return {"held_out": losses, "seconds": time.perf_counter() - began}


def embedded(folder: Path, model: str, place: Path) -> vidx.Collection:
    """A collection of a folder's videos."""
    collection = vidx.open(place, create=True)
    collection.embed(folder, vidx.EmbedOptions(model=model))
    return collection


def compare(folder: Path, before: vidx.Collection, after: vidx.Collection) -> dict[str, Any] | None:
    """Figures of retrieval as it was and adapted, and their difference; None without classes."""
    paths = before.videos().column("path").to_pylist()
    if any(Path(path).parent == Path(os.path.abspath(folder)) for path in paths):
        return None
    known = {str(item.path): item for item in find_items(folder)}
    items = [known[path] for path in paths]
    labels, groups = labels_and_groups(items)
    if not len(queries(labels, groups)):
        return None
    rows: dict[str, Rows] = {}
    for way, collection in (("as it was", before), ("adapted", after)):
        rows[way] = query_scores(vectors_of(collection, paths), labels, groups)
    rows["difference"] = rows["adapted"] - rows["as it was"]
    return {way: figures([scored]) for way, scored in rows.items()}


def vectors_of(collection: vidx.Collection, paths: Sequence[str]) -> NDArray[np.float64]:
    """One vector for each video, shape (videos, dim)."""
    ids, vectors = collection.vectors()
    by_path: dict[str, list[int]] = {path: [] for path in paths}
    for row in collection.clips().to_pylist():
        by_path[row["path"]].append(row["clip_id"])
    return np.stack([item_vector(vectors[np.isin(ids, by_path[path])]) for path in paths])


def table(result: dict[str, Any]) -> str:
    """One model's results to read."""
    lines = [f"model: {result['model']}, {result['adaptation']['steps']} + as many steps"]
    for one in result["sets"]:
        counts = ", ".join(
            f"{one[name]} {name.replace('_', ' ')}"
            for name in ("videos", "training_clips", "held_out_clips")
        )
        lines += ["", f"{one['name']}: {counts}; {one['seconds']['adapted']:.0f} s to adapt"]
        losses = ", ".join(f"{way} {loss:.4f}" for way, loss in one["held_out_loss"].items())
        lines.append(f"  held-out loss: {losses}")
        for way, by_figure in (one["retrieval"] or {}).items():
            cells = ", ".join(
                f"{name.replace('_', ' ')} {f['value']:.3f} [{f['low']:+.3f}, {f['high']:+.3f}]"
                for name, f in by_figure.items()
            )
            lines.append(f"  {way}: {cells}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(Path(__file__).name, __doc__, measure, table)
