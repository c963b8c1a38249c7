"""Put the results of benchmarks into docs/benchmarks.md: tables, and a plot of each encoder's.

    python benchmarks/report.py

A table stands between the lines `<!-- encoder-cpu -->` and `<!-- end -->`, for the file
benchmarks/results/encoder-cpu.json; the files of benchmarks/gpu.py are named with their card's
folder. Drawing takes matplotlib: `pip install 'vidx[bench]'`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import end_to_end
import index_parts
import scale_search
import search

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/benchmarks.md"
RESULTS = ROOT / "benchmarks/results"
IMAGES = ROOT / "docs/images"

WAYS = ("eager", "sdpa", "compiled", "plain", "ready", "fused", "host")
RATIOS = ("ready / eager", "ready / sdpa", "ready / compiled", "ready / fused", "host / ready")
COLOURS = dict(
    zip(
        WAYS,
        ("#bbbbbb", "#4477aa", "#66ccee", "#ccbb44", "#ee6677", "#228833", "#aa3377"),
        strict=True,
    )
)
SECTION = re.compile(r"<!-- ([\w/-]+) -->\n(.*?)<!-- end -->", re.DOTALL)
MOST_KERNELS = 12

Result = dict[str, Any]


def main() -> None:
    """Write the page, and draw."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(text), encoding="utf-8")
    IMAGES.mkdir(exist_ok=True)
    for name in {match[1] for match in SECTION.finditer(text)}:
        if len(read(name).get("cells", [])) > 1:
            draw(read(name), IMAGES / f"{name.replace('/', '-')}.svg")


def with_tables(text: str) -> str:
    """The page with the tables of the results as they are now."""
    return SECTION.sub(
        lambda match: f"<!-- {match[1]} -->\n{shown(read(match[1]))}<!-- end -->", text
    )


def read(name: str) -> Result:
    """The results of one machine."""
    result: Result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def shown(record: Result) -> str:
    """The tables that a record gives, by what it holds."""
    return next(write(record) for key, write in TABLES.items() if key in record)


def encoder_tables(record: Result) -> str:
    """A table for each shape and precision, and the attention kernels' own."""
    tables = [table(title, cells) for title, cells in by_shape(record)]
    return "".join([*tables, attention_table(record.get("attention", []))])


def attention_table(rows: list[Result]) -> str:
    """Milliseconds of each attention kernel alone."""
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row["ms"]))
    lines = [
        "Attention of one block alone, milliseconds:",
        "",
        f"| shape, precision, batch | {' | '.join(name.lower() for name in names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for row in rows:
        cells = [f"{row['ms'][name]:.3f}" if name in row["ms"] else "" for name in names]
        lines.append(f"| {row['shape']}, {row['dtype']}, {row['batch']} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", ""])


def embed_table(record: Result) -> str:
    """Clips a second of each side, beside the recipe, and its busy shares."""
    parts = list(
        dict.fromkeys(p for one in record["sides"].values() for p in one.get("shares", {}))
    )
    lines = [
        f"| side | clips | clips/s | times the recipe | {' | '.join(parts)} |",
        f"|---|---|---|---|{'---|' * len(parts)}",
    ]
    for side, one in record["sides"].items():
        shares = one.get("shares", {})
        cells = [f"{shares[part]:.0%}" if part in shares else "" for part in parts]
        ratio = f"{one['over_recipe']:.2f}" if "over_recipe" in one else ""
        row = [side, f"{one['clips']:.0f}", f"{one['clips_per_second']:.1f}", ratio, *cells]
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, "", ""])


def tests_table(record: Result) -> str:
    """How many passed, and what did not."""
    outcomes = [one["outcome"] for one in record["tests"].values()]
    counts = ", ".join(f"{outcomes.count(name)} {name}" for name in dict.fromkeys(outcomes))
    others = [f"- {name}: {one['outcome']}" for name, one in record["tests"].items()
              if one["outcome"] == "failed"]  # fmt: skip
    return "\n".join([f"`tests/gpu`: {counts}.", "", *others, ""])


def fidelity_table(record: Result) -> str:
    """Cosines with float32."""
    lines = [
        f"{record['clips']} clips, `{record['model']}`.",
        "",
        "| | least | median |",
        "|---|---|---|",
    ]
    for name, one in record["cosine_with_float32"].items():
        lines.append(f"| {name} | {one['least']:.7f} | {one['median']:.7f} |")
    return "\n".join([*lines, "", ""])


def profile_table(record: Result) -> str:
    """The kernels that take most of a batch."""
    lines = [
        f"{record['shape']}, {record['dtype']}, batch {record['batch']}: "
        f"{record['microseconds'] / 1000:.2f} ms in kernels.",
        "",
        "| share | us | calls | kernel |",
        "|---|---|---|---|",
    ]
    for one in record["kernels"][:MOST_KERNELS]:
        share = one["microseconds"] / record["microseconds"]
        name = one["name"].replace("|", " ")[:80]
        lines.append(f"| {share:.1%} | {one['microseconds']:.0f} | {one['calls']} | `{name}` |")
    return "\n".join([*lines, "", ""])


def by_shape(record: Result) -> list[tuple[str, list[Result]]]:
    """Cells of one shape and precision together."""
    groups = groupby(record["cells"], key=lambda cell: f"{cell['shape']}, {cell['dtype']}")
    return [(title, list(cells)) for title, cells in groups]


def table(title: str, cells: list[Result]) -> str:
    """A line for each batch size: clips a second and share of the ceiling of each way."""
    ceiling = max(cell["ceiling_tflops"] for cell in cells)
    gigas = cells[0]["operations_per_clip"] / 1e9
    ways = [name for name in WAYS if any(name in cell["ways"] for cell in cells)]
    pairs = [name for name in RATIOS if any(name in cell["ratios"] for cell in cells)]
    lines = [
        f"**{title}**: {gigas:.0f} GFLOP a clip, ceiling {ceiling:.3f} TFLOP/s",
        "",
        f"| batch | {' | '.join([*ways, *pairs])} |",
        f"|---|{'---|' * (len(ways) + len(pairs))}",
    ]
    for batch in sorted({cell["batch"] for cell in cells}):
        same = [cell for cell in cells if cell["batch"] == batch]
        found = {name: way for cell in reversed(same) for name, way in cell["ways"].items()}
        ratios = {name: ratio for cell in reversed(same) for name, ratio in cell["ratios"].items()}
        shown = [cell_text(found.get(name)) for name in ways]
        shown += [f"{ratios[name]:.2f}" if name in ratios else "" for name in pairs]
        lines.append(f"| {batch} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", *latency_line(cells), ""])


def latency_line(cells: list[Result]) -> list[str]:
    """Milliseconds of one clip by itself, where they were measured."""
    found = {
        name: f"{name} {way['latency_ms']:.2f}"
        for cell in reversed(cells)
        if cell["batch"] == 1
        for name, way in cell["ways"].items()
        if isinstance(way, dict) and "latency_ms" in way
    }
    names = [found[name] for name in WAYS if name in found]
    return [f"One clip by itself, milliseconds: {', '.join(names)}.", ""] if names else []


def cell_text(way: Result | str | None) -> str:
    """Such as `1.43 (84%)`."""
    if not isinstance(way, dict):
        return way or ""
    return f"{way['clips_per_second']:.3g} ({way['share_of_ceiling']:.0%})"


def draw(record: Result, path: Path) -> None:
    """TFLOP/s over batch size, a panel for each shape and precision."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "vidx"  # the same file for the same results
    from matplotlib import pyplot

    groups = by_shape(record)
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure, axes = pyplot.subplots(
        rows, columns, figsize=(4.5 * columns, 3.4 * rows), squeeze=False, layout="constrained"
    )
    for axis, (title, cells) in zip(axes.flat, groups, strict=False):
        draw_panel(axis, title, cells)
    for axis in axes.flat[len(groups) :]:
        axis.set_visible(False)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.savefig(path, metadata={"Date": None})


def draw_panel(axis: Any, title: str, cells: list[Result]) -> None:
    """One shape in one precision."""
    ceiling = max(cell["ceiling_tflops"] for cell in cells)
    axis.axhline(ceiling, color="black", linestyle=":", label="ceiling")
    for name in WAYS:
        found = {
            cell["batch"]: cell["ways"][name]["tflops"]
            for cell in reversed(cells)
            if isinstance(cell["ways"].get(name), dict)
        }
        batches = sorted(found)
        values = [found[batch] for batch in batches]
        axis.plot(batches, values, marker="o", color=COLOURS[name], label=name)
    batches = sorted({cell["batch"] for cell in cells})
    axis.set_xscale("log", base=2)
    axis.set_xticks(batches, [str(batch) for batch in batches])
    axis.set(title=title, xlabel="clips in a batch", ylabel="TFLOP/s", ylim=(0, 1.1 * ceiling))
    axis.spines[["top", "right"]].set_visible(False)


def transfer_table(record: Result) -> str:
    """Both ways, and how the new one compares."""
    lines = ["| way | GB/s | ms of processor time a clip |", "|---|---|---|"]
    rows = {**record["ways"], "ring / pipe": record["ring_over_pipe"]}
    for name, one in rows.items():
        speed, spent = one["gigabytes_per_second"], one["cpu_milliseconds_per_clip"]
        lines.append(f"| {name} | {speed:.2f} | {spent:.2f} |")
    return "\n".join([*lines, "", ""])


def precision_table(record: Result) -> str:
    """Both precisions of each model and batch, and how close their embeddings are."""
    lines = [
        "| model, batch | float32 | bfloat16 | bfloat16 / float32 | least cosine |",
        "|---|---|---|---|---|",
    ]
    for one in record["bfloat16_over_float32"]:
        rates = " | ".join(f"{rate:.3g}" for rate in one["clips_per_core_second"].values())
        shown = f"{one['ratio']:.2f} | {one['cosine']['least']:.7f}"
        lines.append(f"| {one['model']}, {one['batch']} | {rates} | {shown} |")
    return "\n".join([*lines, "", ""])


SCALE_ROWS = {
    "commit_clips_per_second": "commits, clips/s",
    "last_tenth_clips_per_second": "the last tenth of them",
    "index_clips_per_second": "their index, clips/s",
    "sqlite_bytes_per_clip": "SQLite, bytes a clip",
    "info_seconds": "`info`, s",
    "clips_seconds": "`clips()`, s",
    "clips_peak_mb": "its process at most, MB",
    "export_seconds": "`export`, s",
    "export_peak_mb": "its process at most, MB",
    "verify_seconds": "`verify`, s",
    "remove_video_seconds": "`remove` of a video, s",
    "remove_folder_seconds": "`remove` of a tenth, s",
    "search": "a search by id, ms",
    "search_label": "with a label",
    "search_glob": "with a glob that a tenth matches",
    "search_exclude_self": "without its own content",
    "search_newer": "with clips that are newer than the index",
    "search_removed": "after a removal",
}


def scale_table(record: Result) -> str:
    """Both sides at each number of clips; of a search also its time outside FAISS."""
    heads = [
        f"{one['clips']:,} clips, {side}" for one in record["scales"] for side in record["commits"]
    ]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---|' * len(heads)}"]
    for name, label in SCALE_ROWS.items():
        cells = [
            scale_cell(one[side], name) for one in record["scales"] for side in record["commits"]
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", ""])


def scale_cell(side: Result, name: str) -> str:
    """Such as `12,900`, `0.07`, or `412 (2.1)` for a search."""
    if name in side:
        return f"{side[name]:,.0f}" if side[name] >= 100 else f"{side[name]:.2f}"
    return f"{side[f'{name}_ms']:,.0f} ({side[f'{name}_outside_faiss_ms']:,.1f})"


def search_tables(record: Result) -> str:
    """A table for each number of vectors."""
    return "\n".join(search.table(one) for one in record["search_sizes"])


TABLES: dict[str, Callable[[Result], str]] = {
    "cells": encoder_tables,
    "sides": embed_table,
    "ring_over_pipe": transfer_table,
    "bfloat16_over_float32": precision_table,
    "tests": tests_table,
    "cosine_with_float32": fidelity_table,
    "kernels": profile_table,
    "scales": scale_table,
    "search_sizes": search_tables,
    "scale_search": scale_search.table,
    "index_parts": index_parts.table,
    "end_to_end": end_to_end.table,
}

if __name__ == "__main__":
    main()
