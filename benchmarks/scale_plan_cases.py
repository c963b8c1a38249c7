"""Measured runs that the plan's rules must predict from other measurements."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stages import Stage, simulate

RESULTS = Path(__file__).parent / "results"
TOLERANCE = 0.15
CLIPS = 4096
Result = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """What was predicted of a run, and what was measured in it."""

    name: str
    predicted: float
    measured: float

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured

    @property
    def holds(self) -> bool:
        """Whether the one is within the tolerance of the other."""
        return abs(self.ratio - 1) <= TOLERANCE

    def record(self) -> Result:
        """For JSON."""
        return {**asdict(self), "ratio": self.ratio, "holds": self.holds}


def read(name: str) -> Result:
    """One file of results."""
    found: Result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def cases() -> list[Case]:
    """All of them, whether they hold or not."""
    return [*embedding(), *gpu(), *committing(), *growing(), *searching()]


def embedding() -> Iterator[Case]:
    """Decoding and a model on the same cores, from each alone; a model with commits."""
    commit = read("catalogues")["runs"][3]["clips_per_second"]  # SQLite, 1024 clips a commit
    for one in read("end-to-end-cpu")["end_to_end"]:
        stages = [
            Stage("decoding", one["decoding_clips_per_second"], 1, "cores"),
            Stage("device", one["model_clips_per_second"], one["batch_size"], "cores"),
        ]
        run = simulate(stages, CLIPS)
        name = f"decoding and {one['model']} on 2 cores, clips/s"
        yield Case(name, run.clips_per_second, one["clips_per_second"])
        decoding = one["decoding_clips_per_second"]
    yield _embed_of_base(decoding)
    found = read("predecoded-cpu")
    rates = found["clips_per_second"]
    stages = [
        Stage("device", rates["bench"], 8, "cores"),
        Stage("commit", commit, 1024, "cores"),
    ]
    run = simulate(stages, found["clips"])
    yield Case("embed of decoded clips, clips/s", run.clips_per_second, rates["embed"])


def _embed_of_base(decoding: float) -> Case:
    """`embed` in float32, from the encoder alone and decoding alone."""
    found = read("embed-cpu")
    cells = read("encoder-cpu")["cells"]
    rates = [
        cell["ways"]["host"]["clips_per_second"]
        for cell in cells
        if (cell["shape"], cell["batch"]) == ("base", 8) and "host" in cell["ways"]
    ]
    stages = [Stage("decoding", decoding, 1, "cores"), Stage("device", rates[0], 8, "cores")]
    run = simulate(stages, found["clips"])
    measured = found["clips_per_second"]["vidx"]
    return Case("embed with base, float32, clips/s", run.clips_per_second, measured)


def gpu() -> Iterator[Case]:
    """More workers of decoding before an H100, from one."""
    sides = read("nvidia-h100-80gb-hbm3/embed")["sides"]
    cells = read("nvidia-h100-80gb-hbm3/encoder")["cells"]
    device = next(c["ways"]["host"]["clips_per_second"] for c in cells if c["batch"] == 32)
    one = sides["vidx, workers: 1"]["clips_per_second"]
    for workers in (4, 16):
        side = sides[f"vidx, workers: {workers}"]
        stages = [
            Stage("decoding", workers * one, 1, "cores"),
            Stage("device", device, 32, "device"),
        ]
        run = simulate(stages, int(side["clips"]))
        name = f"embed with {workers} workers and an H100, from 1, clips/s"
        yield Case(name, run.clips_per_second, side["clips_per_second"])


def committing() -> Iterator[Case]:
    """Four committers that take turns, from one."""
    one, four = (
        next(r for r in read("catalogues")["runs"] if _is_postgresql(r, processes))
        for processes in (1, 4)
    )
    name = "commits of four on PostgreSQL, from one, clips/s"
    yield Case(name, one["clips_per_second"], four["clips_per_second"])


def _is_postgresql(run: Result, processes: int) -> bool:
    asked = ("PostgreSQL", 1024, processes)
    return (run["database"], run["clips_a_commit"], run["processes"]) == asked


def growing() -> Iterator[Case]:
    """A million clips, from 100,000: rates and bytes a clip stay; and by a line from two sizes."""
    small, large = (one["this"] for one in read("scale")["scales"])
    for key, label in (
        ("sqlite_bytes_per_clip", "catalogue, bytes a clip"),
        ("commit_clips_per_second", "commits, clips/s"),
        ("index_clips_per_second", "vectors into the index, clips/s"),
    ):
        yield Case(f"{label}, at 10^6 from 10^5", small[key], large[key])
    exact = [one["search_ms"] - one["search_outside_faiss_ms"] for one in (small, large)]
    yield Case("exact search, ms, at 10^6 from 10^5", 10 * exact[0], exact[1])
    sizes = [one for one in read("curation")["sizes"] if one["clips"] in (10**4, 10**5, 10**6)]
    for key, label in (("total", "seconds"), ("memory_mb", "MB")):
        known = [(one["clips"], one[key]) for one in sizes]
        yield Case(f"curation, {label}, at 10^6 from 10^4, 10^5", line(known), known[2][1])


def line(known: list[tuple[int, float]]) -> float:
    """The third by a line through the first two: a fixed cost, and a cost a clip."""
    (x0, y0), (x1, y1), (x, _) = known
    return y1 + (y1 - y0) / (x1 - x0) * (x - x1)


def searching() -> Iterator[Case]:
    """The index of a million vectors from 10,000 and 100,000; ten million from one; four parts."""
    found = read("search")
    sizes = [(one["vectors"], one["engines"]["vidx"]) for one in found["search_sizes"]]
    centres = [num_lists(n) * found["dim"] * 4 / 1e6 for n, _ in sizes]
    codes = [(n, one["index_mb"] - c) for (n, one), c in zip(sizes, centres, strict=True)]
    name = "at 10^6 from 10^4, 10^5"
    yield Case(f"codes, MB, {name}", line(codes) + centres[2], sizes[2][1]["index_mb"])
    built = [(n, one["build_seconds"]) for n, one in sizes]
    yield Case(f"index build, s, {name}", line(built), built[2][1])
    for key, label in (("resident_mb", "memory of search"), ("anonymous_mb", "of it not mapped")):
        known = [(n, one["targets"]["0.95"][key]) for n, one in sizes]
        yield Case(f"{label}, MB, {name}", line(known), known[2][1])
    parts = read("index-parts-1m")["index_parts"]
    large = read("scale-search-10m")["scale_search"]["index"]
    one = parts["search"]["one"]
    name = "at 10^7 x 256 from 10^6"
    yield Case(
        f"codes, bytes a clip, {name}", one["bytes_per_vector"], large["index"]["bytes_per_vector"]
    )
    seconds = parts["made"]["one"]["seconds"]
    yield Case(f"index build, s, {name}", 10 * seconds, large["index_seconds"])
    memory = parts["made"]["one"]["memory_mb"]
    yield Case(f"memory of the builder, MB, {name}", 10 * memory, large["index_peak_mb"])
    rounds = 4 / 2  # four parts on two cores
    yield Case("search of 4 parts, ms, from one", rounds * one["p50_ms"],
               parts["search"]["parts"]["p50_ms"])  # fmt: skip


def num_lists(vectors: int) -> int:
    """Lists of an index, as its parameters were in all measured: 4 sqrt(n), at most 2048."""
    return min(2048, int(4 * math.sqrt(vectors)))
