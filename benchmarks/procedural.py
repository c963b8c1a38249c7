"""How well does a model tell motions apart that it has not seen? On held-out procedural clips.

    python benchmarks/procedural.py --model builtin:tiny [--each 20] [--out FILE]

Draws clips of every motion class from seeds, outlines and patterns that training does not use
(the faint cloud under every pattern and the bars of limbs are common to both). Every clip asks for
its class among all others by cosine similarity (leave one out), and so it does with the same
network untrained. A second view of each clip, other in time, crop, exposure and noise, asks for the
first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import about, circumstances
from numpy.typing import NDArray
from scores import chance_scores, figures, query_scores, unit
from views import UNTRAINED_SEEDS, untrained

from vidx.embedder.encoder import load
from vidx.training.procedural.clips import HELD_OUT, View, views
from vidx.training.procedural.motions import LABELS

SEED = 2_000_000_000  # training's seeds come from a hash, which hardly gives this

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="as `vidx embed --model`")
    parser.add_argument("--each", type=int, default=20, help="clips of each class")
    parser.add_argument("--device", help="cuda when there is one, else cpu")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    if options.each < 2:
        parser.error(f"--each is {options.each}: a clip finds others of its class from 2 on")
    result = measure(options.model, options.each, options.device)
    print(table(result))
    if options.out:
        record = {**circumstances(Path(__file__).name), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def measure(model: str, each: int, device: str | None) -> dict[str, Any]:
    """Everything about one model, ready for JSON."""
    encoder = load(model, device=device)
    size = encoder.geometry.crop or encoder.geometry.resize_to
    if size is None or size[0] != size[1]:
        raise SystemExit(f"{model} wants frames of {size}, procedural clips are square")
    ways: dict[str, Encode] = {"model": lambda frames: encoder.encode(frames)[0]}
    ways |= {f"untrained {seed}": untrained(encoder, seed) for seed in UNTRAINED_SEEDS}
    found = describe(ways, each, size[0], encoder.space.num_frames)
    labels = list(LABELS) * each
    groups = [""] * len(labels)
    rows = {way: query_scores(first, labels, groups) for way, (first, _) in found.items()}
    chance = chance_scores(labels, groups)
    fresh = np.mean([rows[f"untrained {seed}"] for seed in UNTRAINED_SEEDS], axis=0)
    first, second = found["model"]
    nearest = (unit(second) @ unit(first).T).argmax(axis=1)
    hits = rows["model"][:, 0].reshape(each, len(LABELS)).mean(axis=0)
    return {
        "model": model,
        **about(encoder),
        "clips": len(labels),
        "scores": {
            way: figures([part])
            for way, part in (("model", rows["model"]), ("untrained", fresh), ("chance", chance))
        },
        "times_untrained": float(rows["model"][:, 0].mean() / fresh[:, 0].mean()),
        "copies_found": float((nearest == np.arange(len(labels))).mean()),
        "accuracy_by_class": dict(zip(LABELS, hits.tolist(), strict=True)),
    }


def describe(
    ways: dict[str, Encode], each: int, size: int, num_frames: int
) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Two views of every clip, by each way to describe them, each of shape (clips, dim)."""
    found: dict[str, list[tuple[NDArray[Any], ...]]] = {way: [] for way in ways}
    for turn in range(each):
        seed = SEED + 10 * turn
        pair = views(
            seed,
            seed + 1,
            [View(seed + 2), View(seed + 3)],
            torch.arange(len(LABELS)),
            look=HELD_OUT,
            size=size,
            num_frames=num_frames,
        )
        for way, encode in ways.items():
            found[way].append(tuple(encode(clips.frames.numpy()) for clips in pair))
    return {
        way: (np.concatenate([a for a, _ in parts]), np.concatenate([b for _, b in parts]))
        for way, parts in found.items()
    }


def table(result: dict[str, Any]) -> str:
    """The result to read."""
    lines = [f"model: {result['model']}, {result['clips']} held-out procedural clips"]
    for way, by_figure in result["scores"].items():
        cells = "  ".join(
            f"{name} {f['value']:.3f} [{f['low']:.3f}, {f['high']:.3f}]"
            for name, f in by_figure.items()
        )
        lines.append(f"{way:10} {cells}")
    lines.append(f"accuracy is {result['times_untrained']:.1f} times the untrained network's")
    lines.append(f"copies found: {result['copies_found']:.3f}")
    worst = sorted(result["accuracy_by_class"].items(), key=lambda pair: pair[1])
    lines += [f"  {share:.2f} {label}" for label, share in worst]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
