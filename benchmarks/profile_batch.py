"""Where does the time of one batch go, kernel by kernel?

PYTHONPATH=. python benchmarks/profile_batch.py [--device cuda] [--shape base] [--batch 32]
    [--dtype float16] [--tiny] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from command import circumstances
from encoder import SHAPES, make_tiny

from vidx.embedder.inference.lean import LeanEncoder
from vidx.embedder.inference.rate import random_frames
from vidx.embedder.videomae import VideoMAEConfig, VideoMAEModel
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.embedder.videomae.weights import DTYPES

BATCHES = 5
MOST_KERNELS = 30


def main() -> None:
    """Parse, profile, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shape", choices=SHAPES, default="base")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--dtype", choices=DTYPES, default="float16")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, to try the script")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    if options.tiny:
        make_tiny()
    torch.manual_seed(0)
    model = VideoMAEModel(VideoMAEConfig(**SHAPES[options.shape]))
    encoder = LeanEncoder(
        model,
        Preprocessing.from_dict({}),
        device=options.device,
        dtype=DTYPES[options.dtype],
    )
    kernels = profiled(encoder, options.batch)
    total = sum(one["microseconds"] for one in kernels)
    for one in kernels[:MOST_KERNELS]:
        share = one["microseconds"] / total
        print(f"{share:6.1%} {one['microseconds']:10.1f} us {one['calls']:4} x {one['name'][:90]}")
    if options.out:
        record = {
            **circumstances(Path(__file__).name),
            "shape": options.shape,
            "dtype": options.dtype,
            "batch": options.batch,
            "microseconds": total,
            "kernels": kernels[:MOST_KERNELS],
        }
        options.out.write_text(json.dumps(record, indent=1) + "\n")


@torch.inference_mode()
def profiled(encoder: LeanEncoder, batch: int) -> list[dict[str, Any]]:
    """Time of a batch in each kernel of the device, the most first."""
    frames = torch.from_numpy(random_frames(batch, *encoder.frames_shape[:3])).to(encoder.device)
    on_cuda = encoder.device.type == "cuda"
    for _ in range(3):
        encoder(frames)
    with torch.profiler.profile() as profile:
        for _ in range(BATCHES):
            encoder(frames)
        if on_cuda:
            torch.cuda.synchronize()
    found = []
    for event in profile.key_averages():
        # On a GPU its kernels; the operators that launch them would count them twice.
        if on_cuda and event.device_type != torch.autograd.DeviceType.CUDA:
            continue
        spent = event.self_device_time_total if on_cuda else event.self_cpu_time_total
        found.append(
            {
                "name": event.key,
                "calls": event.count // BATCHES,
                "microseconds": spent / BATCHES,
            }
        )
    return sorted(found, key=lambda one: -one["microseconds"])


if __name__ == "__main__":
    main()
