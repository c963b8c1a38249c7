"""The benchmark and the GPU's tests stand on torch and transformers: no av, faiss, pyarrow, SQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"av", "faiss", "pyarrow", "sqlalchemy", "platformdirs"}:
            raise ModuleNotFoundError(f"no {name} here", name=name)

sys.meta_path.insert(0, Missing())
sys.path.insert(0, sys.argv.pop(1))
"""
RUN = "import encoder; encoder.main()"


@pytest.mark.long  # compiles transformers' model
def test_the_benchmark_needs_no_av_faiss_pyarrow_or_sqlalchemy(
    checkout: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    options = ["--device", "cpu", "--shapes", "small", "--batches", "1", "2", "--rounds", "2"]
    options += ["--tiny"]
    command = [
        sys.executable,
        "-c",
        WITHOUT + RUN,
        str(checkout / "benchmarks"),
        *options,
        "--out",
        str(out),
    ]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    cells = json.loads(out.read_text())["cells"]
    ways = [(cell["batch"], *cell["ways"]) for cell in cells]
    assert ways[:2] == [(1, "eager", "sdpa", "ready", "host"), (2, "sdpa", "ready", "host")]
    # At batch 1, and at the best one when that is another.
    assert ways[2:] in ([(1, "compiled", "ready")], [(b, "compiled", "ready") for b in (1, 2)])
    assert all(way["clips_per_second"] > 0 for cell in cells for way in cell["ways"].values())


def test_the_gpus_tests_and_a_devices_process_are_imported_without_them(checkout: Path) -> None:
    code = WITHOUT + "import test_gpu, vidx.embedder.inference.device_worker"
    command = [sys.executable, "-c", code, str(checkout / "tests/gpu")]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
