"""Does `vidx embed` go as fast as the slower of decoding alone and the model alone?

    python benchmarks/end_to_end.py VIDEOS [--model builtin:tiny BASE] [--device cpu] [--workers N]
        [--decoder cpu cuda] [--seconds 30] [--rounds 3] [--out FILE]

Each round is `vidx bench VIDEOS`: decoding without a model, the model on frames that are there, and
both together, one after the other, so that drift of the machine's speed hits all alike. `base` as a
model is a VideoMAE of the base shape with random weights, made on the spot.

On a CPU decoding and the model share the cores. Then no more can be had than both give in turns,
1 / (1 / decoding + 1 / model): the last column compares with that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

from command import circumstances
from embed import make_checkpoint

import vidx

GOAL = 0.92
BASE = "base"
RATES = ("decoding_clips_per_second", "model_clips_per_second", "clips_per_second")
RATIOS = ("over_slower", "over_shared")
PARTS = ("decoding", "transfer", "device", "writing")
Result = dict[str, Any]


def main() -> None:
    """Parse, measure each model, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--model", nargs="+", default=["builtin:tiny", BASE])
    parser.add_argument("--device", help="cuda when there is one, else cpu")
    parser.add_argument("--workers", type=int, help="decoding processes")
    parser.add_argument("--decoder", nargs="+", choices=["cpu", "cuda"], default=["cpu"])
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--seconds", type=float, default=30.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    record: Result = {**circumstances(Path(__file__).name), "end_to_end": []}
    with tempfile.TemporaryDirectory() as folder:
        for model, decoder in product(options.model, options.decoder):
            record["end_to_end"].append(measure(model, decoder, options, Path(folder)))
            print(table(record), flush=True)
            if options.out:
                options.out.write_text(json.dumps(record, indent=1) + "\n")


def measure(model: str, decoder: str, options: argparse.Namespace, folder: Path) -> Result:
    """All rounds of one model and what decodes for it."""
    checkpoint = make_checkpoint(folder / BASE, tiny=False) if model == BASE else model
    reports = [
        vidx.bench(
            checkpoint,
            paths=options.videos,
            device=options.device,
            batch_size=options.batch_size,
            workers=options.workers,
            decoder=decoder,
            seconds=options.seconds,
        )
        for _ in range(options.rounds)
    ]
    return {"model": model, "decoder": decoder, **summary(reports)}


def summary(reports: list[vidx.BenchReport]) -> Result:
    """Medians of all rounds, and the rounds."""
    rounds = [one_round(report) for report in reports]
    found = {name: _median([one[name] for one in rounds]) for name in (*RATES, *RATIOS, *PARTS)}
    first = reports[0]
    return {
        "device": first.device,
        "dtype": first.dtype,
        "batch_size": first.batch_size,
        "workers": rounds[0]["workers"],
        **found,
        "bottleneck": rounds[0]["bottleneck"],
        "rounds": rounds,
    }


def one_round(report: vidx.BenchReport) -> Result:
    """The numbers of one report, flat."""
    library = report.library
    assert library is not None
    return {
        "workers": library.num_workers,
        "model_clips_per_second": report.host_clips_per_second,
        **{name: getattr(library, name) for name in (RATES[0], RATES[2], *RATIOS)},
        **library.busy.shares(),
        "bottleneck": library.busy.bottleneck,
    }


def _median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def table(record: Result) -> str:
    """To read, as Markdown: rates, ratios and shares of each model."""
    heads = [
        "model",
        "decoder",
        "decoding alone",
        "model alone",
        "both",
        "both / slower",
        "both / in turns",
    ]
    heads += [*(f"{part}, busy" for part in PARTS), "bottleneck"]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---|' * (len(heads) - 1)}"]
    for one in record["end_to_end"]:
        cells = [one["model"], one.get("decoder", "cpu"), *(f"{one[name]:.2f}" for name in RATES)]
        cells += ["" if one[name] is None else f"{one[name]:.2f}" for name in RATIOS]
        cells += [*(f"{one[part]:.0%}" for part in PARTS), one["bottleneck"] or ""]
        lines.append(f"| {' | '.join(cells)} |")
    reached = [one["model"] for one in record["end_to_end"] if one["over_slower"] >= GOAL]
    lines += ["", f"At least {GOAL} of the slower one: {', '.join(reached) or 'none'}."]
    return "\n".join([*lines, "", ""])


if __name__ == "__main__":
    main()
