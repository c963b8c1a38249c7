"""One engine of benchmarks/search.py in a process of its own, which does what a pipe asks."""

from __future__ import annotations

import gc
import shutil
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from drawn_vectors import mapped, recalls
from search_asking import Questions, one_by_one
from search_engines import ENGINES, Engine

WARM_UP = 20

Result = dict[str, Any]


def serve(pipe: Connection, name: str, file: Path, dim: int, folder: Path) -> None:
    """Build an engine's index, and answer until told to stop.

    Args:
        pipe: Gives pairs of what to do and its arguments, takes results; None ends it.
        name: Of the engine.
        file: The vectors, as `drawn_vectors.into_file` writes them.
        dim: Of a vector.
        folder: For what lies on disk.
    """
    engine = ENGINES[name](folder)
    pipe.send(built(engine, file, dim))
    deeds = {"choose": engine.choose, "measure": partial(measured, engine)}
    while asked := pipe.recv():
        deed, *arguments = asked
        pipe.send(deeds[deed](*arguments))
    shutil.rmtree(folder, ignore_errors=True)


def built(engine: Engine, file: Path, dim: int) -> Result:
    """Seconds and bytes of a build; the part of `vidx` that keeps clips, not vectors, is apart."""
    vectors = mapped(file, dim)
    started = time.perf_counter()
    engine.build(vectors)
    taken = time.perf_counter() - started
    del vectors  # before anybody asks what memory is taken
    gc.collect()
    apart = getattr(engine, "filling_seconds", 0.0)
    return {
        "build_seconds": taken - apart,
        "filling_seconds": apart,
        "index_mb": engine.num_bytes() / 1e6,
    }


def measured(engine: Engine, questions: Questions) -> dict[str, Result]:
    """Recall and times of each way, with what was chosen last."""
    result = {}
    for way, ask in engine.ways().items():
        one_by_one(ask, questions.vectors[:WARM_UP])
        found, times = one_by_one(ask, questions.vectors)
        shares = recalls(found, questions.true)
        started = time.perf_counter()
        ask(questions.vectors)
        batch = (time.perf_counter() - started) / len(questions.vectors)
        p50, p99 = np.percentile(times, [50, 99]).tolist()
        result[way] = {
            "recall_at_10": float(np.mean(shares)),
            "standard_error": float(np.std(shares) / len(shares) ** 0.5),
            "p50_ms": 1e3 * p50,
            "p99_ms": 1e3 * p99,
            "batch_ms": 1e3 * batch,
            **engine.memory(),
        }
    return result
