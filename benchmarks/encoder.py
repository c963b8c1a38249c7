"""How fast is the encoder, beside transformers and the chip's own ceiling? All in one run.

    PYTHONPATH=. python benchmarks/encoder.py [--device cuda] [--shapes base] [--dtypes float16]
        [--batches 1 32] [--ways sdpa ready] [--rounds 5] [--out FILE]

It stands on torch, transformers and the model alone. Both sides have the same random weights and
get random frames. The ways:

    eager      transformers, attention written out       from normalised pixels on the device
    sdpa       transformers, scaled_dot_product_attention       likewise
    compiled   the same under torch.compile (reduce-overhead on CUDA), at batch 1 and the best one
    plain      vidx, kernel by kernel, from uint8 frames on the device; CUDA only
    ready      vidx as it runs (on CUDA as a graph), likewise
    fused      vidx under torch.compile, in a graph, likewise; CUDA only, where `compiled` is
    host       vidx, from uint8 frames in the host's memory to embeddings there

Each gives the mean over tokens of the last hidden state. A round also measures the ceiling: the
largest product of square matrices per second that this precision reaches, of several sizes. On a
CPU, whose speed drifts, the ways take turns within each round; on a GPU each has the memory to
itself, with a ceiling beside each of its rounds. The table has medians. Latency is that of one
batch by itself, until its embeddings are there. On a GPU each attention kernel is timed alone, too.
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

from vidx.embedder.inference.attention import holding, kernel_seconds
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
CUDA_CELLS = {"base": (1, 8, 32, 128), "small": (1, 32, 128), "large": (1, 32, 128)}
CPU_WAYS = ("eager", "sdpa", "ready", "host")
CUDA_WAYS = ("eager", "sdpa", "plain", "ready", "host")
COMPILED = {"cpu": ("compiled", "ready"), "cuda": ("compiled", "ready", "fused")}
CEILING_SIZES = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192, 16384)}
ROUND_SECONDS = {"cpu": 0.5, "cuda": 0.3}  # a way runs at least so long in a round
ROUND_BATCHES = {"cpu": 1, "cuda": 6}  # and so many batches, so that their overlap shows
LATENCY_CALLS = {"cpu": 3, "cuda": 30}
TINY = {
    "hidden_size": 96,
    "num_hidden_layers": 2,
    "image_size": 32,
    "patch_size": 8,
    "num_attention_heads": 3,
    "intermediate_size": 128,
}

WAYS = ("eager", "sdpa", "compiled", "plain", "ready", "fused", "host")

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
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="default: all for the device")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, to try the script")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    if options.tiny:
        make_tiny()
    on_cuda = options.device.startswith("cuda")
    cells = CUDA_CELLS if on_cuda else CPU_CELLS
    # Nothing of the user's, and nothing compiled in an earlier run.
    os.environ["VIDX_CACHE_DIR"] = tempfile.mkdtemp()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = tempfile.mkdtemp()
    record: Result = {**circumstances(Path(__file__).name), "attention": [], "cells": []}
    for shape in options.shapes or cells:
        for dtype in options.dtypes or (DTYPES if on_cuda else ["float32"]):
            bench = Bench(shape, torch.device(options.device), dtype, options.rounds)
            print(f"\n{shape}, {dtype} on {options.device}: {bench.described()}", flush=True)
            batches = options.batches or cells[shape]
            if on_cuda:
                record["attention"] += bench.attention(batches)
            for cell in bench.cells(batches, options.ways):
                record["cells"].append(cell)
                print(line_of(cell), flush=True)
                if options.out:
                    options.out.write_text(json.dumps(record, indent=1) + "\n")


def make_tiny() -> None:
    """Have all take seconds, on any machine."""
    for shape in SHAPES:
        SHAPES[shape] = TINY
    for table, value in ((CEILING_SIZES, (64, 128)), (ROUND_SECONDS, 0.01), (LATENCY_CALLS, 2)):
        table.update(dict.fromkeys(table, value))


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

    def attention(self, batches: tuple[int, ...]) -> list[Result]:
        """How long each attention kernel takes alone."""
        config = self.lean.config
        heads = config.num_attention_heads
        found = []
        for batch in batches:
            seconds = kernel_seconds(
                heads, config.num_tokens, config.hidden_size // heads,
                self.device, DTYPES[self.dtype], batch,
            )  # fmt: skip
            milliseconds = {kernel.name: 1000 * one for kernel, one in seconds.items()}
            found.append(
                {"shape": self.shape, "dtype": self.dtype, "batch": batch, "ms": milliseconds}
            )
        return found

    def cells(self, batches: tuple[int, ...], wanted: list[str] | None) -> Iterator[Result]:
        """All batch sizes, then what is compiled at the first and at the best of them."""
        best: dict[float, int] = {}
        ways = CUDA_WAYS if self.device.type == "cuda" else CPU_WAYS
        for batch in batches:
            # On a CPU, attention written out takes too long for more than one clip.
            slow = {"eager"} if self.device.type == "cpu" and batch > 1 else set()
            names = [name for name in ways if name in (wanted or ways) and name not in slow]
            cell = self.cell(batch, names)
            best[rate_of(cell, "ready")] = batch
            yield cell
        compiled = COMPILED[self.device.type]
        names = [name for name in compiled if name in (wanted or compiled)]
        for batch in sorted({batches[0], best[max(best)]}) if "compiled" in names else ():
            yield self.cell(batch, names)

    def cell(self, batch: int, names: list[str]) -> Result:
        """Measure some ways at one batch size."""
        frames = random_frames(batch, *self.lean.frames_shape[:3])
        together = [names] if self.device.type == "cpu" else [[name] for name in names]
        rounds: list[Result] = [{} for _ in range(self.rounds)]
        ways: Result = {}
        for group in together:
            self.clear()
            for name, found in self.measured(group, frames, rounds).items():
                ways[name] = found
        self.clear()
        return {
            "shape": self.shape,
            "dtype": self.dtype,
            "batch": batch,
            "operations_per_clip": self.operations,
            "ceiling_tflops": self.ceiling.best / 1e12,
            "ways": ways,
            "ratios": ratios(rounds),
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "rounds": rounds,
        }

    def measured(
        self, names: list[str], frames: np.ndarray, rounds: list[Result]
    ) -> dict[str, Result | str]:
        """Measure ways that take turns, and add what they give to the rounds."""
        ways = {name: self.prepared(name, frames) for name in names}
        for one in rounds:
            self.add_round(one, ways, len(frames))
        return {name: self.summary(name, ways[name], rounds) for name in names}

    def prepared(self, name: str, frames: np.ndarray) -> tuple[Way | None, Result]:
        """A way, warmed up; None when it fails, or does not fit. And what it takes."""
        before = 0
        if self.device.type == "cuda":
            before = torch.cuda.memory_allocated(self.device)
            torch.cuda.reset_peak_memory_stats(self.device)
        try:
            way = self.way(name, frames)
            way(3 if self.device.type == "cuda" else 1)
        except Exception as error:
            if not is_out_of_memory(error):
                print(f"{name} failed: {type(error).__name__}: {error}", flush=True)
                return None, {"problem": type(error).__name__}
            return None, {"problem": "oom"}
        if self.device.type != "cuda":
            return way, {"memory_bytes": None}
        return way, {"memory_bytes": torch.cuda.max_memory_allocated(self.device) - before}

    def way(self, name: str, frames: np.ndarray) -> Way:
        """A function that computes so many batches."""
        if name not in ("plain", "ready", "fused", "host"):
            return self.reference_way(name, frames)
        run = self.compiled_run() if name == "fused" else None
        engine = Engine(self.lean, run=run, with_graphs=False if name == "plain" else None)
        engine.start(frames).result()  # raises when it does not fit as it is
        if engine.has_halved:
            raise torch.OutOfMemoryError
        return (from_host if name == "host" else from_device)(engine, frames)

    def compiled_run(self) -> Callable[[Tensor], Any]:
        """The pass of vidx, compiled."""
        compiled = torch.compile(self.lean._pass, dynamic=False, fullgraph=True)

        def run(frames: Tensor) -> Any:
            with holding(self.lean.attention):
                return compiled(frames)

        return run

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

    def add_round(
        self, found: Result, ways: dict[str, tuple[Way | None, Result]], batch: int
    ) -> None:
        """Add clips a second of each way, and operations a second of the ceiling beside it."""
        ceiling = self.ceiling.measure()
        for name, (way, _) in ways.items():
            if way is not None:
                found[name] = batch * repeated(way, self.device)
                found[f"{name}: ceiling"] = ceiling

    def summary(
        self, name: str, way: tuple[Way | None, Result], rounds: list[Result]
    ) -> Result | str:
        """What the table says of a way."""
        if way[0] is None:
            return str(way[1]["problem"])
        rates = [one[name] for one in rounds]
        return {
            "clips_per_second": statistics.median(rates),
            "tflops": statistics.median(rates) * self.operations / 1e12,
            "share_of_ceiling": statistics.median(
                one[name] * self.operations / one[f"{name}: ceiling"] for one in rounds
            ),
            "latency_ms": latency_ms(way[0], self.device),
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
            try:
                found[self.measure()] = size
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
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
    seconds, least = ROUND_SECONDS[device.type], ROUND_BATCHES[device.type]
    first = timed(way, 1, device)
    if first > seconds and least == 1:
        return 1 / first
    batches = max(least, math.ceil(seconds / first) - 1)
    return batches / timed(way, batches, device)


def latency_ms(way: Way, device: torch.device) -> float:
    """Milliseconds of one batch by itself."""
    seconds = []
    for _ in range(LATENCY_CALLS[device.type]):
        started = time.perf_counter()
        way(1)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds)


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
    others = ("eager", "sdpa", "compiled", "plain", "fused")
    pairs = {f"ready / {name}": ("ready", name) for name in others}
    pairs["host / ready"] = ("host", "ready")
    found = {}
    for name, (ours, theirs) in pairs.items():
        with contextlib.suppress(KeyError):
            found[name] = statistics.median(one[ours] / one[theirs] for one in rounds)
    return found


def rate_of(cell: Result, name: str) -> float:
    """Clips a second of a way, 0 when it gave none."""
    way = cell["ways"].get(name)
    return float(way["clips_per_second"]) if isinstance(way, dict) else 0.0


def line_of(cell: Result) -> str:
    """A cell to read."""
    parts = [f"batch {cell['batch']:3}"]
    for name, way in cell["ways"].items():
        if isinstance(way, str):
            parts.append(f"{name} {way}")
            continue
        memory = f" {way['memory_bytes'] / 2**30:.1f} GiB" if way["memory_bytes"] else ""
        share = f"{way['share_of_ceiling']:.0%}"
        parts.append(
            f"{name} {way['clips_per_second']:.3f}/s {way['tflops']:.3f} TFLOP/s {share} "
            f"{way['latency_ms']:.2f} ms{memory}"
        )
    parts += [f"{name} {ratio:.2f}" for name, ratio in cell["ratios"].items()]
    return "; ".join(parts)


if __name__ == "__main__":
    main()
