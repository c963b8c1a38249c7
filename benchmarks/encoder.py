"""How fast is the encoder, beside transformers and the chip's own ceiling? All in one run.

    PYTHONPATH=. python benchmarks/encoder.py [--device cuda] [--shapes base] [--dtypes float16]
        [--batches 1 32] [--rounds 5] [--out FILE]

It stands on torch, transformers and the model alone. Both sides have the same random weights and
get random frames. The ways, which take turns within each round:

    eager      transformers, attention written out       from normalised pixels on the device
    sdpa       transformers, scaled_dot_product_attention       likewise
    compiled   the same under torch.compile (reduce-overhead on CUDA), at batch 1 and the best one
    ready      vidx, from uint8 frames on the device
    host       vidx, from uint8 frames in the host's memory to embeddings there

Each gives the mean over tokens of the last hidden state. A round also measures the ceiling: the
largest product of square matrices per second that this precision reaches, of several sizes. Shares
and ratios are of neighbours within a round; the table has their medians.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import math
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from command import circumstances
from torch import Tensor

from vidx.embedder.inference.devices import is_out_of_memory
from vidx.embedder.inference.engine import Engine
from vidx.embedder.inference.lean import LeanEncoder
from vidx.embedder.inference.operations import operations_per_clip
from vidx.embedder.inference.rate import from_device, from_host, random_frames
from vidx.embedder.videomae import VideoMAEModel
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.embedder.videomae.weights import DTYPES

SHAPES: dict[str, dict[str, int]] = {
    "small": {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536},
    "base": {},
    "large": {
        "hidden_size": 1024,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
    },
}
CPU_CELLS = {"small": (1, 2, 4, 8), "base": (1, 2, 4, 8)}
CUDA_CELLS = {"base": (1, 2, 4, 8, 32, 128, 512), "small": (1, 32, 128), "large": (1, 32, 128)}
CEILING_SIZES = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192, 16384)}
ROUND_SECONDS = 0.5  # a way runs at least so long in a round, and a batch at least

Way = Callable[[int], None]
Result = dict[str, Any]


def main() -> None:
    """Parse, measure cell by cell, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, help="default: all for the device")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, help="default: all for the device")
    parser.add_argument("--batches", nargs="+", type=int, help="default: those of the issue")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    on_cuda = options.device.startswith("cuda")
    cells = CUDA_CELLS if on_cuda else CPU_CELLS
    # No compiled code of an earlier run, and nothing of the user's.
    os.environ["VIDX_CACHE_DIR"] = tempfile.mkdtemp()
    record: Result = {**circumstances(Path(__file__).name), "cells": []}
    for shape in options.shapes or cells:
        for dtype in options.dtypes or (DTYPES if on_cuda else ["float32"]):
            bench = Bench(shape, torch.device(options.device), dtype, options.rounds)
            print(f"\n{shape}, {dtype} on {options.device}: {bench.described()}", flush=True)
            for cell in bench.cells(options.batches or cells[shape]):
                record["cells"].append(cell)
                print(line_of(cell), flush=True)
                if options.out:
                    options.out.write_text(json.dumps(record, indent=1) + "\n")


class Bench:
    """One shape in one precision on one device, both sides with the same weights."""

    def __init__(self, shape: str, device: torch.device, dtype: str, rounds: int) -> None:
        self.shape, self.device, self.dtype, self.rounds = shape, device, dtype, rounds
        torch.manual_seed(0)
        reference = transformers.VideoMAEModel(transformers.VideoMAEConfig(**SHAPES[shape]))
        with tempfile.TemporaryDirectory() as folder:
            reference.save_pretrained(folder)
            model = VideoMAEModel.from_pretrained(folder)
        self.reference = reference.to(device, DTYPES[dtype]).eval()
        self.preprocessing = Preprocessing.from_dict({})
        self.lean = LeanEncoder(model, self.preprocessing, device=device, dtype=DTYPES[dtype])
        self.operations = operations_per_clip(model.config)
        self.ceiling = Ceiling(device, DTYPES[dtype])

    def described(self) -> str:
        """What the shares refer to."""
        return (
            f"{self.operations / 1e9:.0f} GFLOP a clip, ceiling {self.ceiling.best / 1e12:.3f} "
            f"TFLOP/s with matrices of {self.ceiling.size}"
        )

    def cells(self, batches: tuple[int, ...]) -> Iterator[Result]:
        """All batch sizes, then `compiled` at the first and at the best of them."""
        best: dict[float, int] = {}
        for batch in batches:
            eager = self.device.type == "cuda" or batch == 1
            cell = self.cell(batch, ["eager"] * eager + ["sdpa", "ready", "host"])
            best[rate_of(cell, "sdpa")] = batch
            yield cell
        for batch in sorted({batches[0], best[max(best)]}):
            yield self.cell(batch, ["compiled", "ready"])

    def cell(self, batch: int, names: list[str]) -> Result:
        """Measure some ways at one batch size, in turns."""
        self.clear()
        frames = random_frames(batch, *self.lean.frames_shape[:3])
        ways = {name: self.prepared(name, frames) for name in names}
        for way, _ in ways.values():
            if way is not None:
                way(1)
        rounds = [self.one_round(ways, batch) for _ in range(self.rounds)]
        result = {
            "shape": self.shape,
            "dtype": self.dtype,
            "batch": batch,
            "operations_per_clip": self.operations,
            "ceiling_tflops": statistics.median(one["ceiling"] for one in rounds) / 1e12,
            "ways": {name: self.summary(name, ways[name], rounds) for name in names},
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "rounds": rounds,
        }
        result["ratios"] = ratios(rounds)
        self.clear()
        return result

    def prepared(self, name: str, frames: np.ndarray) -> tuple[Way | None, Result]:
        """A way, warmed up; None when it does not fit. And what it takes."""
        before = 0
        if self.device.type == "cuda":
            before = torch.cuda.memory_allocated(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        try:
            way = self.way(name, frames)
            way(3 if self.device.type == "cuda" else 1)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None, {}
        if self.device.type != "cuda":
            return way, {"memory_bytes": None}
        return way, {"memory_bytes": torch.cuda.max_memory_allocated(self.device) - before}

    def way(self, name: str, frames: np.ndarray) -> Way:
        """A function that computes so many batches."""
        if name in ("ready", "host"):
            after = 0 if self.device.type == "cuda" else None
            engine = Engine(self.lean, compile_after_seconds=after)
            engine.start(frames, lasting=True).result()  # raises when it does not fit as it is
            if engine.has_halved:
                raise torch.OutOfMemoryError
            return (from_device if name == "ready" else from_host)(engine, frames)
        return self.reference_way(name, frames)

    def reference_way(self, name: str, frames: np.ndarray) -> Way:
        """transformers, from normalised pixels on the device to embeddings there."""
        pixels = self.preprocessing.normalize(torch.from_numpy(frames))
        pixels = pixels.to(self.device, DTYPES[self.dtype]).contiguous()
        kind = "eager" if name == "eager" else "sdpa"
        run: Callable[[Tensor], Tensor] = self.embed_by_reference
        if name == "compiled":
            run = torch.compile(
                run, mode="reduce-overhead" if self.device.type == "cuda" else "default"
            )

        def way(batches: int) -> None:
            self.reference.set_attn_implementation(kind)
            with torch.inference_mode():
                for _ in range(batches):
                    run(pixels)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        return way

    def embed_by_reference(self, pixels: Tensor) -> Tensor:
        """The mean over tokens of transformers' last hidden state."""
        hidden: Tensor = self.reference(pixel_values=pixels).last_hidden_state
        return hidden.float().mean(dim=1)

    def one_round(self, ways: dict[str, tuple[Way | None, Result]], batch: int) -> Result:
        """Clips a second of each way, and operations a second of the ceiling."""
        found: Result = {"ceiling": self.ceiling.measure()}
        for name, (way, _) in ways.items():
            if way is not None:
                found[name] = batch * repeated(way, self.device)
        return found

    def summary(
        self, name: str, way: tuple[Way | None, Result], rounds: list[Result]
    ) -> Result | str:
        """What the table says of a way."""
        if way[0] is None:
            return "oom"
        rates = [one[name] for one in rounds]
        return {
            "clips_per_second": statistics.median(rates),
            "tflops": statistics.median(rates) * self.operations / 1e12,
            "share_of_ceiling": statistics.median(
                one[name] * self.operations / one["ceiling"] for one in rounds
            ),
            **way[1],
        }

    def clear(self) -> None:
        """Let go of what the last cell compiled and took."""
        torch.compiler.reset()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


class Ceiling:
    """The fastest product of square matrices."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype
        found = {}
        for size in CEILING_SIZES[device.type]:
            self.size = size
            found[self.measure()] = size
        self.best = max(found)
        self.size = found[self.best]

    def measure(self) -> float:
        """Operations a second."""
        left, right, out = (
            torch.randn(self.size, self.size, device=self.device, dtype=self.dtype)
            for _ in range(3)
        )

        def way(products: int) -> None:
            for _ in range(products):
                torch.mm(left, right, out=out)
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)

        way(2)
        return 2 * self.size**3 * repeated(way, self.device)


def repeated(way: Way, device: torch.device) -> float:
    """Batches a second, by CUDA's own clock where there is one."""
    first = timed(way, 1, device)
    more = max(1, math.ceil(ROUND_SECONDS / first) - 1)
    if first > ROUND_SECONDS:
        return 1 / first
    return more / timed(way, more, device)


def timed(way: Way, batches: int, device: torch.device) -> float:
    """Seconds of some batches."""
    if device.type != "cuda":
        started = time.perf_counter()
        way(batches)
        return time.perf_counter() - started
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    way(batches)
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


def ratios(rounds: list[Result]) -> dict[str, float]:
    """How many times faster `ready` is than each other way, and `host` than `ready`."""
    pairs = {f"ready / {name}": ("ready", name) for name in ("eager", "sdpa", "compiled")}
    pairs["host / ready"] = ("host", "ready")
    found = {}
    for name, (ours, theirs) in pairs.items():
        with contextlib.suppress(KeyError):
            found[name] = statistics.median(one[ours] / one[theirs] for one in rounds)
    return found


def rate_of(cell: Result, name: str) -> float:
    """Clips a second of a way, 0 when it did not fit."""
    way = cell["ways"][name]
    return 0.0 if way == "oom" else float(way["clips_per_second"])


def line_of(cell: Result) -> str:
    """A cell to read."""
    parts = [f"batch {cell['batch']:3}"]
    for name, way in cell["ways"].items():
        if way == "oom":
            parts.append(f"{name} oom")
            continue
        memory = f" {way['memory_bytes'] / 2**30:.1f} GiB" if way["memory_bytes"] else ""
        share = f"{way['share_of_ceiling']:.0%}"
        parts.append(
            f"{name} {way['clips_per_second']:.3f}/s {way['tflops']:.3f} TFLOP/s {share}{memory}"
        )
    parts += [f"{name} {ratio:.2f}" for name, ratio in cell["ratios"].items()]
    return "; ".join(parts)


if __name__ == "__main__":
    main()
