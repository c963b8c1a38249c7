"""Is `vidx embed` as fast as in another checkout of vidx? Both in turns, in one run.

    python benchmarks/versions.py OTHER_CHECKOUT VIDEOS [--model builtin:tiny] [--device cpu]
        [--workers 2] [--rounds 5] [--out FILE]

Each run is a process of its own, into a new collection; its clock is that of the command's report.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import checkouts


def main() -> None:
    """Parse, measure in turns, print and write."""
    parser = checkouts.parser(__doc__, rounds=5)
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    checkouts.compare(
        Path(__file__).name,
        options,
        "clips_per_second",
        "clips/s",
        lambda checkout: clips_per_second(checkout, options),
    )


def clips_per_second(checkout: Path, options: argparse.Namespace) -> float:
    """One run of a checkout's own `vidx embed`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "vidx", "embed", str(options.videos)]
        command += ["--collection", f"{folder}/collection", "--model", options.model]
        command += ["--device", options.device, "--workers", str(options.workers)]
        done = subprocess.run(
            [*command, "--quiet", "--json"],
            cwd=folder,
            env=checkouts.environment(checkout),
            stdout=subprocess.PIPE,
            text=True,
            check=False,  # files that cannot be read are told by the exit code
        )
    report = json.loads(done.stdout)
    return float(report["clips_per_second"])  # the one name that all versions have


if __name__ == "__main__":
    main()
