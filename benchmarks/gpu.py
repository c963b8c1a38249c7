"""All that is to be proven and measured on a GPU, in one command, the most valuable first.

    python benchmarks/gpu.py [--out FOLDER] [--steps tests encoder ...] [--minutes 8]
        [--videos FOLDER] [--device cuda]

Each step is a process of its own that writes its own JSON as soon as something is measured: what
fails, hangs or is cut off costs no other step and nothing that is there. It stands on torch and
transformers; the steps `fidelity`, `embed` and `decoder` take the whole of vidx, and videos.

    tests      tests/gpu
    encoder    float16, base, batch 1, 8, 32, 128: every way of benchmarks/encoder.py
    reference  float32, base, batch 1, 2, 4, 8, as on transformers' own page; and bfloat16
    shapes     small and large
    fidelity   half precision beside float32, on clips of the videos
    embed      `vidx embed` with 1, 4 and 16 workers, beside the usual recipe
    decoder    decoding by the processor and by the card, with four workers, and what that adds
    profile    one batch of base, kernel by kernel

The JSONs go to benchmarks/results/<card>/, from where `make report` writes docs/benchmarks.md.
`--device cpu --tiny` tries the script where there is no GPU, in a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from command import circumstances

HERE = Path(__file__).parent
ROOT = HERE.parent
GPU_VIDEOS = Path("/tmp/gpu-videos")  # noqa: S108 - where a carried package puts them
COPIES = 5  # of each video, so that sixteen workers have something to do
GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        seconds: The longest it may take.
        commands: Of python, each with its arguments; the last ones write the JSON.
    """

    seconds: float
    commands: Callable[[argparse.Namespace, Path], list[list[str]]]


def main() -> None:
    """Run the steps one after the other while there is time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--videos", type=Path, help="default: those that are made on the spot")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, to try the script")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results/<card>")
    options = parser.parse_args()
    out = options.out or HERE / "results" / card(options.device)
    out.mkdir(parents=True, exist_ok=True)
    if options.videos is None and GPU_VIDEOS.is_dir():
        options.videos = GPU_VIDEOS
    end = time.monotonic() + 60 * options.minutes
    failed = [name for name in options.steps if not run(name, options, out, end)]
    print(f"\nresults: {out}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed else 0)


def card(device: str) -> str:
    """The GPU's name as a folder's, such as `nvidia-h100-80gb-hbm3`; else `cpu`."""
    if not device.startswith("cuda"):
        return device
    return re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name(device).lower()).strip("-")


def run(name: str, options: argparse.Namespace, out: Path, end: float) -> bool:
    """One step, within its own bound and that of all; whether all of it went well."""
    step = STEPS[name]
    began = time.monotonic()
    until = min(began + step.seconds, end)
    problem = ""
    print(f"\n== {name}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for command in step.commands(options, out / f"{name}.json"):
            left = until - time.monotonic()
            if left < GRACE_SECONDS:
                problem = "no time left"
                break
            problem = finished([one.replace("{scratch}", scratch) for one in command], left)
            if problem:
                break
    seconds = time.monotonic() - began
    print(f"== {name}: {problem or 'done'}, {seconds:.1f} s", flush=True)
    note(out / f"{name}.json", seconds, problem)
    return not problem


def finished(command: list[str], seconds: float) -> str:
    """Run python with its whole family ended in time; what went wrong, or nothing."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return f"not finished after {seconds:.0f} s"
    return f"exit code {code}" if code else ""


def note(path: Path, seconds: float, problem: str) -> None:
    """Add to a step's JSON how it ended; make one when it has none."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        record = circumstances(Path(__file__).name)
    record["step"] = {"seconds": seconds, "problem": problem}
    path.write_text(json.dumps(record, indent=1) + "\n")


def tests(_options: argparse.Namespace, path: Path) -> list[list[str]]:
    """`tests/gpu`, reported by benchmarks/gpu_tests.py."""
    return [["benchmarks/gpu_tests.py", "--out", str(path)]]


def encoder(options: argparse.Namespace, path: Path, *arguments: str, rounds: int = 3) -> list[str]:
    """`benchmarks/encoder.py`."""
    command = ["benchmarks/encoder.py", "--device", options.device, "--rounds", str(rounds)]
    return [*command, *arguments, "--out", str(path), *tiny(options)]


def float16_base(options: argparse.Namespace, path: Path) -> list[list[str]]:
    """The main cells."""
    batches = ["2"] if options.tiny else ["1", "8", "32", "128"]
    return [
        encoder(options, path, "--shapes", "base", "--dtypes", half(options), "--batches", *batches)
    ]


def reference(options: argparse.Namespace, path: Path) -> list[list[str]]:
    """The cells of the reference's page, and bfloat16."""
    batches = ["1"] if options.tiny else ["1", "2", "4", "8"]
    ways = ["--ways", "eager", "sdpa", "ready"]
    return [
        encoder(
            options, path, "--shapes", "base", "--dtypes", "float32", "bfloat16",
            "--batches", *batches, *ways,
        )
    ]  # fmt: skip


def shapes(options: argparse.Namespace, path: Path) -> list[list[str]]:
    """The other shapes, at the batch sizes that suit them."""
    return [
        encoder(
            options, path, "--shapes", "small", "large", "--dtypes", half(options),
            "--batches", "2" if options.tiny else "32", "--ways", "sdpa", "ready", "host",
        )
    ]  # fmt: skip


def fidelity(options: argparse.Namespace, path: Path) -> list[list[str]]:
    """Real clips, where there are videos."""
    if options.videos is None:
        return []
    script = "benchmarks/fidelity.py"
    compare = [script, "compare", "{scratch}/clips.npz", "--device", options.device]
    return [
        [script, "make", str(options.videos), "{scratch}/clips.npz"],
        [*compare, "--out", str(path)],
    ]


def embed(options: argparse.Namespace, path: Path) -> list[list[str]]:
    """The whole of `vidx embed`."""
    command = ["benchmarks/embed.py", *([str(options.videos)] if options.videos else [])]
    command += ["--device", options.device, "--rounds", "1", "--out", str(path)]
    more = ["--workers", "1"] if options.tiny else ["--workers", "16", "4", "1"]
    # The recipe takes as long for a clip of the first copy as for one of the tenth.
    copies = [] if options.tiny else ["--copies", str(COPIES), "--recipe-limit", "9"]
    return [[*command, *more, *copies, *tiny(options)]]


def decoder(options: argparse.Namespace, path: Path) -> list[list[str]]:
    """By whom frames are decoded, where there are videos."""
    if options.videos is None:
        return []
    decoders = ["cpu", "cuda"] if options.device.startswith("cuda") else ["cpu"]
    command = ["benchmarks/end_to_end.py", str(options.videos), "--device", options.device]
    command += ["--model", "builtin:tiny" if options.tiny else "base", "--decoder", *decoders]
    seconds = "1" if options.tiny else "12"
    more = ["--workers", "4", "--seconds", seconds, "--rounds", "1", "--out", str(path)]
    return [[*command, *more]]


def profile(options: argparse.Namespace, path: Path) -> list[list[str]]:
    """One batch."""
    command = ["benchmarks/profile_batch.py", "--device", options.device, "--out", str(path)]
    return [[*command, "--dtype", half(options), *tiny(options)]]


def half(options: argparse.Namespace) -> str:
    """The precision that the device is at home in."""
    return "float16" if options.device.startswith("cuda") else "float32"


def tiny(options: argparse.Namespace) -> list[str]:
    """The flag, if it is set."""
    return ["--tiny"] if options.tiny else []


STEPS = {
    "tests": Step(60, tests),
    "encoder": Step(200, float16_base),
    "reference": Step(75, reference),
    "shapes": Step(45, shapes),
    "fidelity": Step(25, fidelity),
    "embed": Step(110, embed),
    "decoder": Step(60, decoder),
    "profile": Step(20, profile),
}

if __name__ == "__main__":
    main()
