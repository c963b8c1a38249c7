"""A plan on paper for 10^6 to 10^9 clips, by a simulation fed with what was measured.

    python benchmarks/scale_plan.py [--clips 1000000 ...] [--days 30] [--gpu-hour 3]
        [--core-hour 0.04] [--gigabyte-month 0.023] [--out FILE]

First it predicts runs that were measured, from others. One that is off by more than 15% is told,
and the exit code is 1: what rests on it is not to be believed. Rates come from
benchmarks/results; prices are assumptions, in the same currency.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from command import circumstances
from scale_plan_cases import TOLERANCE, Case, cases, read
from stages import Stage, simulate

LOGITS = 400  # classes of Kinetics, float16 each, docs/formats.md
DIM = 768
CORES = 16  # of the measured machine, whose workers share it
PART_BYTES = 2 << 30  # docs/decisions/0032-an-index-in-parts.md
SIMULATED = 200_000  # clips: enough to be steady
Result = dict[str, Any]


def main() -> int:
    """Parse, check, plan, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", nargs="+", type=int, default=[10**n for n in (6, 7, 8, 9)])
    parser.add_argument("--days", type=float, default=30.0, help="in which all is to be embedded")
    parser.add_argument("--gpu-hour", type=float, default=3.0, help="price")
    parser.add_argument("--core-hour", type=float, default=0.04, help="price")
    parser.add_argument("--gigabyte-month", type=float, default=0.023, help="price")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    checked = cases()
    print(case_table(checked))
    plans = [plan(clips, options) for clips in options.clips]
    print(plan_table(plans))
    off = [case.name for case in checked if not case.holds]
    if options.out:
        found = {"cases": [case.record() for case in checked], "plans": plans}
        record = {**circumstances(Path(__file__).name), "scale_plan": found}
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if off:
        print(f"Off by more than {TOLERANCE:.0%}: {'; '.join(off)}.", file=sys.stderr)
    return 1 if off else 0


def plan(clips: int, options: argparse.Namespace) -> Result:
    """What a library of so many clips takes, on machines like the one with the H100."""
    rates = measured()
    machines = math.ceil(clips / rates["decoding"] / CORES / 86400 / options.days)
    run = simulate(
        [
            Stage("decoding", machines * CORES * rates["decoding"], 128, "cores"),
            Stage("device", machines * rates["device"], 128, "devices"),
            Stage("commit", rates["commit"], 1024, "catalogue"),
        ],
        SIMULATED,
    )
    hours = clips / run.clips_per_second / 3600
    busy_hours, core_hours = clips / rates["device"] / 3600, clips / rates["decoding"] / 3600
    price_of_cores = core_hours * options.core_hour
    stored = clips * (2 * DIM * 4 + LOGITS * 2 + rates["codes"] + rates["rows"]) / 1e9
    return {
        "clips": clips,
        "machines": machines,
        "days": hours / 24,
        "limit": run.limit,
        "busy_device": f"{run.busy['device']:.0%}",
        "busy_commit": f"{run.busy['commit']:.1%}",
        "core_hours": core_hours,
        "gpu_hours_rented": machines * hours,
        "gpu_hours_busy": busy_hours,
        "price_rented": machines * hours * options.gpu_hour + price_of_cores,
        "price_busy": busy_hours * options.gpu_hour + price_of_cores,
        "storage_gb": stored,
        "codes_gb": clips * rates["codes"] / 1e9,
        "parts": math.ceil(clips * rates["similar"] / PART_BYTES),
        "catalogue_gb": clips * rates["rows"] / 1e9,
        "storage_price_a_month": stored * options.gigabyte_month,
    }


def measured() -> dict[str, float]:
    """Clips a second of a core, a GPU and the committer; bytes a clip of codes and catalogue."""
    sides = read("nvidia-h100-80gb-hbm3/embed")["sides"]
    encoder = read("nvidia-h100-80gb-hbm3/encoder")["cells"]
    ways = [cell["ways"]["host"]["clips_per_second"] for cell in encoder if cell["batch"] == 128]
    commits = read("catalogues")["runs"]
    found = read("scale-search-1m")["scale_search"]["index"]["index"]
    return {
        "decoding": sides["vidx, workers: 16"]["clips_per_second"] / CORES,
        "device": ways[0],
        "commit": min(one["clips_per_second"] for one in commits if one["clips_a_commit"] == 1024),
        "similar": found["bytes_per_vector"],
        "codes": found["bytes_per_vector"] + found["copy"]["bytes_per_vector"],
        "rows": read("scale")["scales"][-1]["this"]["sqlite_bytes_per_clip"],
    }


def case_table(checked: list[Case]) -> str:
    """Predicted, measured and their ratio, as Markdown."""
    lines = ["| case | predicted | measured | ratio | within 15% |", "|---|---|---|---|---|"]
    for case in checked:
        numbers = f"{case.predicted:,.4g} | {case.measured:,.4g} | {case.ratio:.2f}"
        lines.append(f"| {case.name} | {numbers} | {'yes' if case.holds else 'no'} |")
    return "\n".join([*lines, ""])


PLAN_ROWS = {
    "machines": "machines of 16 cores and a GPU",
    "days": "days",
    "limit": "the limit",
    "busy_device": "a GPU, busy",
    "busy_commit": "the committer, busy",
    "core_hours": "core hours of decoding",
    "gpu_hours_rented": "GPU hours, rented beside 16 cores each",
    "gpu_hours_busy": "GPU hours, if none waited",
    "price_rented": "price of computing, as rented",
    "price_busy": "price of computing, if no GPU waited",
    "storage_gb": "storage, GB",
    "codes_gb": "of it codes of the index, GB",
    "parts": "parts of the index, of 2 GiB at most",
    "catalogue_gb": "of it catalogue, GB (a row a clip)",
    "storage_price_a_month": "price of storage a month",
}


def plan_table(plans: list[Result]) -> str:
    """A column for each number of clips, as Markdown."""
    heads = [f"{one['clips']:,}" for one in plans]
    lines = [f"| clips | {' | '.join(heads)} |"]
    lines.append(f"|---|{'---|' * len(plans)}")
    for name, label in PLAN_ROWS.items():
        lines.append(f"| {label} | {' | '.join(cell(one[name]) for one in plans)} |")
    return "\n".join([*lines, ""])


def cell(value: str | float) -> str:
    """Such as `1,234` or `0.12`."""
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 100 or isinstance(value, int) else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
