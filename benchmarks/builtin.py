"""How fast is `builtin:tiny`? The model alone, beside a VideoMAE of the base shape, in one run.

    python benchmarks/builtin.py [--device cuda] [--rounds 5] [--out FILE]

Both embed ready uint8 frames of their own size in turn, so that drift of the machine's speed hits
both alike; a round's ratio compares neighbours in time. The base model's weights are random: they
do not change its speed.
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
from command import about, circumstances
from embed import make_checkpoint

from vidx.embedder.encoder import Encoder, load

CLIPS = {"builtin:tiny": 64, "base": 4}
BATCH_SIZE = 8


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", help="cuda when there is one, else cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = load(make_checkpoint(Path(folder) / "base", tiny=False), device=options.device)
    encoders = {"builtin:tiny": load("builtin:tiny", device=options.device), "base": base}
    result = measure(encoders, options.rounds)
    print(json.dumps(result, indent=1))
    if options.out:
        record = {**circumstances(Path(__file__).name), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def measure(encoders: dict[str, Encoder], rounds: int) -> dict[str, Any]:
    """Clips a second of both in every round, and their ratios."""
    rates: dict[str, list[float]] = {name: [] for name in encoders}
    for number in range(rounds + 1):
        for name, encoder in encoders.items():
            rate = clips_per_second(encoder, CLIPS[name])
            if number:  # the first round warms up
                rates[name].append(rate)
    ratios = [tiny / base for tiny, base in zip(*rates.values(), strict=True)]
    return {
        "clips_per_second": {name: statistics.median(each) for name, each in rates.items()},
        "ratio": statistics.median(ratios),
        "rounds": {"clips_per_second": rates, "ratio": ratios},
        "models": {name: about(encoder) for name, encoder in encoders.items()},
    }


def clips_per_second(encoder: Encoder, clips: int) -> float:
    """Embed random frames in batches."""
    height, width = encoder.geometry.crop or encoder.geometry.resize_to or (224, 224)
    size = min(clips, BATCH_SIZE), encoder.space.num_frames, height, width, 3
    frames = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    started = time.perf_counter()
    for _ in range(clips // len(frames)):
        encoder.encode(frames)
    return clips / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
