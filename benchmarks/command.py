"""The command line of the benchmarks that measure models on folders, and what their JSON says."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import vidx.embedder  # noqa: F401 - before torch: it says how its threads wait, as for users

PACKAGES = ("vidx", "torch", "transformers", "av", "numpy")

Result = dict[str, Any]


def run(
    script: str,
    text: str | None,
    measure: Callable[[str, list[Path], str | None], Result],
    table: Callable[[Result], str],
) -> None:
    """Parse, measure each model, print and write.

    Args:
        script: The file's name.
        text: Its docstring.
        measure: Model, folders and device to a result for JSON.
        table: A result to read.
    """
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", nargs="+", required=True, help="as `vidx embed --model`")
    parser.add_argument("--folder", nargs="+", required=True, type=Path)
    parser.add_argument("--device", help="cuda when there is one, else cpu")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    results = []
    for model in options.model:
        results.append(measure(model, options.folder, options.device))
        print(table(results[-1]), end="\n\n", flush=True)
    if options.out:
        record = {**circumstances(script), "models": results}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def circumstances(script: str) -> Result:
    """What a result depends on: command, machine and versions."""
    return {
        "command": " ".join([f"python benchmarks/{script}", *sys.argv[1:]]),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **versions()},
    }


def versions() -> dict[str, str]:
    """Of the packages that are installed."""
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def machine() -> Result:
    """The processor, its cores, and the GPUs."""
    import torch

    found: Result = {"processor": processor(), "cores": cores()}
    if torch.cuda.is_available():
        found["gpus"] = [
            torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())
        ]
    return found


def processor() -> str:
    """Its name, where the system tells it."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def about(encoder: Any) -> dict[str, str]:
    """What a result says of the encoder, beside the name it was asked for by."""
    return {
        "fingerprint": encoder.space.fingerprint,
        "device": encoder.device,
        "dtype": encoder.dtype,
    }


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))
