"""Is `vidx embed` as fast as in another checkout of vidx? Both in turns, in one run.

    python benchmarks/versions.py OTHER_CHECKOUT VIDEOS [--model builtin:tiny] [--device cpu]
        [--workers 2] [--rounds 5] [--out FILE]

Each run is a process of its own, into a new collection; its clock is that of the command's report.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from command import circumstances

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Parse, measure in turns, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="a checkout of another version")
    parser.add_argument("videos", type=Path)
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    sides = {"other": options.other.resolve(), "this": ROOT}
    rates: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side, checkout in sides.items():
            rates[side].append(clips_per_second(checkout, options))
            print(f"{side:6} {rates[side][-1]:.2f} clips/s", flush=True)
    ratios = [mine / theirs for theirs, mine in zip(*rates.values(), strict=True)]
    result = {
        **circumstances(Path(__file__).name),
        "commits": {side: commit(checkout) for side, checkout in sides.items()},
        "clips_per_second": {side: statistics.median(each) for side, each in rates.items()},
        "this_over_other": statistics.median(ratios),
        "rounds": {"clips_per_second": rates, "this_over_other": ratios},
    }
    print(f"this / other: {result['this_over_other']:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def clips_per_second(checkout: Path, options: argparse.Namespace) -> float:
    """One run of a checkout's own `vidx embed`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "vidx", "embed", str(options.videos)]
        command += ["--collection", f"{folder}/collection", "--model", options.model]
        command += ["--device", options.device, "--workers", str(options.workers)]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        done = subprocess.run(
            [*command, "--quiet", "--json"],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            check=False,  # files that cannot be read are told by the exit code
        )
    report = json.loads(done.stdout)
    return float(report["clips_per_second"])  # the one name that all versions have


def commit(checkout: Path) -> str:
    """What is checked out."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
