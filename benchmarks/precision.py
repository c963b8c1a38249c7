"""What does bfloat16 gain on a CPU? Both precisions in turns, and the product that vidx decides by.

    python benchmarks/precision.py [--rounds 7] [--out FILE]

`builtin:tiny`, and the base shape with random weights, embed ready uint8 frames in float32 and in
bfloat16 by turns, so that drift of the machine's speed hits both alike. One thread computes, and
its processor time is taken: others may be at work on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import circumstances
from embed import make_checkpoint
from fidelity import spread
from numpy.typing import NDArray

from vidx.embedder.encoder import Encoder, load
from vidx.embedder.inference.precision import bfloat16_gain, has_bfloat16_products
from vidx.embedder.inference.rate import random_frames

PRECISIONS = ("float32", "bfloat16")
TURN_SECONDS = 1.0
BATCHES = {"builtin:tiny": (1, 8), "base": (1,)}  # of which a CPU takes one clip at a time

Result = dict[str, Any]


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        models = {
            "builtin:tiny": both("builtin:tiny"),
            "base": both(str(make_checkpoint(Path(folder), tiny=False))),
        }
    result = {
        **circumstances(Path(__file__).name),
        "has_bfloat16_products": has_bfloat16_products(),
        "product_gains": [bfloat16_gain() for _ in range(options.rounds)],
        "bfloat16_over_float32": [
            measured(name, encoders, batch, options.rounds)
            for name, encoders in models.items()
            for batch in BATCHES[name]
        ],
    }
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def both(model: str) -> dict[str, Encoder]:
    """A model in each precision."""
    return {dtype: load(model, device="cpu", dtype=dtype) for dtype in PRECISIONS}


def measured(name: str, encoders: dict[str, Encoder], batch: int, rounds: int) -> Result:
    """Clips a second of one core in both precisions, their ratio, and how close they come."""
    one = encoders["float32"]
    height, width = one.geometry.made or (224, 224)
    frames = random_frames(batch, one.space.num_frames, height, width)
    exact, rough = (encoder.encode(frames).embeddings for encoder in encoders.values())
    turns = [{dtype: rate(each, frames) for dtype, each in encoders.items()} for _ in range(rounds)]
    return {
        "model": name,
        "batch": batch,
        "clips_per_core_second": {
            dtype: statistics.median(turn[dtype] for turn in turns) for dtype in PRECISIONS
        },
        "ratio": statistics.median(turn["bfloat16"] / turn["float32"] for turn in turns),
        "cosine": spread(rough, exact),
        "rounds": turns,
    }


def rate(encoder: Encoder, frames: NDArray[np.uint8]) -> float:
    """Clips a second of processor time in one turn, of a batch at least."""
    began, clips = time.thread_time(), 0
    while (seconds := time.thread_time() - began) < TURN_SECONDS:
        encoder.encode(frames)
        clips += len(frames)
    return clips / seconds


if __name__ == "__main__":
    main()
