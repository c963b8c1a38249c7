"""This checkout of vidx beside another one: a measure of both, in turns."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

from command import circumstances

ROOT = Path(__file__).resolve().parent.parent


def parser(text: str | None, rounds: int) -> argparse.ArgumentParser:
    """A command line that names another checkout and a folder of videos.

    Args:
        text: The script's docstring.
        rounds: How often each side is measured when nothing is said.
    """
    made = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("other", type=Path, help="a checkout of another version")
    made.add_argument("videos", type=Path)
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--out", type=Path, help="write everything as JSON to this file")
    return made


def compare(
    script: str,
    options: argparse.Namespace,
    quantity: str,
    unit: str,
    measure: Callable[[Path], float],
) -> None:
    """Measure in turns, print and write.

    Args:
        script: The file's name.
        options: As `parser` parses them.
        quantity: What is measured, as the JSON calls it.
        unit: As it is printed.
        measure: One run of a checkout.
    """
    both = sides(options.other)
    values: dict[str, list[float]] = {side: [] for side in both}
    for _ in range(options.rounds):
        for side, checkout in both.items():
            values[side].append(measure(checkout))
            print(f"{side:6} {values[side][-1]:.2f} {unit}", flush=True)
    ratios = [mine / theirs for theirs, mine in zip(*values.values(), strict=True)]
    result = {
        **circumstances(script),
        "commits": commits(both),
        quantity: {side: statistics.median(each) for side, each in values.items()},
        "this_over_other": statistics.median(ratios),
        "rounds": {quantity: values, "this_over_other": ratios},
    }
    print(f"this / other: {result['this_over_other']:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def sides(other: Path) -> dict[str, Path]:
    """The two checkouts by what they are called."""
    return {"other": other.resolve(), "this": ROOT}


def commits(checkouts: dict[str, Path]) -> dict[str, str]:
    """What is checked out on each side."""
    found = {}
    for side, checkout in checkouts.items():
        command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[side] = done.stdout.strip()
    return found


def environment(checkout: Path) -> dict[str, str]:
    """That of a process that imports a checkout's vidx."""
    return {**os.environ, "PYTHONPATH": str(checkout)}
