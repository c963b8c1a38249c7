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


@pytest.mark.long
def test_all_that_is_measured_on_a_gpu_runs_on_a_cpu(checkout: Path, make_video, tmp_path) -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--device", "cpu", "--tiny"]
    videos = tmp_path / "videos"
    videos.mkdir()
    for seed in range(2):
        make_video(videos / f"{seed}.mp4", seed=seed, seconds=3.0)
    command += ["--videos", str(videos), "--out", str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # other tests run beside it
    done = subprocess.run(
        command, check=False, cwd=checkout, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert {name: one["step"]["problem"] for name, one in found.items()} == dict.fromkeys(
        ("tests", "encoder", "reference", "shapes", "fidelity", "embed", "decoder", "profile"), ""
    )
    assert set(found["tests"]["tests"]) > {"test_batches_under_way_do_not_mix"}
    ways = [way for cell in found["encoder"]["cells"] for way in cell["ways"]]
    assert ways == ["sdpa", "ready", "host", "compiled", "ready"]
    assert {cell["dtype"] for cell in found["reference"]["cells"]} == {"float32", "bfloat16"}
    assert {cell["shape"] for cell in found["shapes"]["cells"]} == {"small", "large"}
    assert found["fidelity"]["cosine_with_float32"]["float16"]["least"] >= 0.9999
    assert found["embed"]["sides"]["vidx, workers: 1"]["over_recipe"] > 0
    assert [one["decoder"] for one in found["decoder"]["end_to_end"]] == ["cpu"]
    assert found["profile"]["kernels"][0]["microseconds"] > 0


@pytest.mark.long
def test_a_step_that_fails_or_hangs_costs_no_other_step(benchmark, monkeypatch, tmp_path) -> None:
    gpu = benchmark("gpu")
    steps = {
        "hangs": gpu.Step(6, lambda _options, _path: [["-c", "import time; time.sleep(60)"]]),
        "fails": gpu.Step(60, lambda _options, _path: [["-c", "raise SystemExit(3)"]]),
        "works": gpu.Step(
            60,
            lambda _options, path: [["-c", f"open({str(path)!r}, 'w').write('{{}}')"]],
        ),
    }
    monkeypatch.setattr(gpu, "STEPS", steps)
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        gpu.main()
    assert ended.value.code == 1
    problems = {
        path.stem: json.loads(path.read_text())["step"]["problem"]
        for path in tmp_path.glob("*.json")
    }
    assert problems["hangs"].startswith("not finished after")
    assert (problems["fails"], problems["works"]) == ("exit code 3", "")
