"""How the store and the exact search fare with a million clips, beside another checkout of vidx.

    python benchmarks/scale.py OTHER_CHECKOUT [--clips 1000000 ...] [--dim 768] [--rounds 1]
        [--out FILE]

Both sides take turns, step by step; each step (benchmarks/scale_steps.py) is a process of its own.
A million clips of 768 numbers take 20 GB of disk while this runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from checkouts import commits, environment, sides
from command import circumstances

STEPS = ("fill", "info", "clips", "export", "verify", "search", "newer", "remove")

Result = dict[str, Any]


def main() -> None:
    """Parse, measure in turns, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="a checkout of another version")
    parser.add_argument("--clips", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    both = sides(options.other)
    result: Result = {
        **circumstances(Path(__file__).name),
        "commits": commits(both),
        "scales": [],
    }
    for clips in options.clips:
        found = measure(both, clips, options)
        result["scales"].append({"clips": clips, "dim": options.dim, **found})
        if options.out:  # after each: the last one may take a quarter of an hour
            options.out.write_text(json.dumps(result, indent=1) + "\n")


def measure(checkouts: dict[str, Path], clips: int, options: argparse.Namespace) -> Result:
    """The medians of some rounds, by side."""
    rounds = [one_round(checkouts, clips, options.dim) for _ in range(options.rounds)]
    return {
        side: {name: statistics.median(one[side][name] for one in rounds) for name in found}
        for side, found in rounds[0].items()
    }


def one_round(checkouts: dict[str, Path], clips: int, dim: int) -> dict[str, Result]:
    """Fill a collection with each side, and ask it."""
    found: dict[str, Result] = {side: {} for side in checkouts}
    with tempfile.TemporaryDirectory() as folder:
        for number, step in enumerate(STEPS):
            for side in sorted(checkouts, reverse=number % 2 == 1):
                numbers = run_step(checkouts[side], step, Path(folder) / side, clips, dim)
                found[side].update(numbers)
                for name, value in numbers.items():
                    print(f"{clips} clips  {side:6} {name:36} {value:12.2f}", flush=True)
    return found


def run_step(checkout: Path, step: str, folder: Path, clips: int, dim: int) -> Result:
    """One step with a checkout's own vidx."""
    script = Path(__file__).with_name("scale_steps.py")
    done = subprocess.run(
        [sys.executable, str(script), step, str(folder), str(clips), str(dim)],
        env=environment(checkout),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: Result = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
