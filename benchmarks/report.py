"""Put the results of benchmarks/encoder.py into docs/benchmarks.md: tables, and a plot of each.

    python benchmarks/report.py

A table stands between the lines `<!-- encoder-cpu -->` and `<!-- end -->`, for the file
benchmarks/results/encoder-cpu.json. Drawing takes matplotlib: `pip install 'vidx[bench]'`.
"""

from __future__ import annotations

import json
import re
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/benchmarks.md"
RESULTS = ROOT / "benchmarks/results"
IMAGES = ROOT / "docs/images"

WAYS = ("eager", "sdpa", "compiled", "ready", "host")
COLOURS = dict(zip(WAYS, ("#bbbbbb", "#4477aa", "#66ccee", "#ee6677", "#aa3377"), strict=True))
SECTION = re.compile(r"<!-- (encoder-[\w-]+) -->\n(.*?)<!-- end -->", re.DOTALL)

Result = dict[str, Any]


def main() -> None:
    """Write the page, and draw."""
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(text), encoding="utf-8")
    IMAGES.mkdir(exist_ok=True)
    for name in {match[1] for match in SECTION.finditer(text)}:
        draw(read(name), IMAGES / f"{name}.svg")


def with_tables(text: str) -> str:
    """The page with the tables of the results as they are now."""
    return SECTION.sub(
        lambda match: f"<!-- {match[1]} -->\n{tables(read(match[1]))}<!-- end -->", text
    )


def read(name: str) -> Result:
    """The results of one machine."""
    result: Result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def tables(record: Result) -> str:
    """A table for each shape and precision."""
    return "".join(table(title, cells) for title, cells in by_shape(record))


def by_shape(record: Result) -> list[tuple[str, list[Result]]]:
    """Cells of one shape and precision together."""
    groups = groupby(record["cells"], key=lambda cell: f"{cell['shape']}, {cell['dtype']}")
    return [(title, list(cells)) for title, cells in groups]


def table(title: str, cells: list[Result]) -> str:
    """A line for each batch size: clips a second and share of the ceiling of each way."""
    ceiling = max(cell["ceiling_tflops"] for cell in cells)
    gigas = cells[0]["operations_per_clip"] / 1e9
    lines = [
        f"**{title}**: {gigas:.0f} GFLOP a clip, ceiling {ceiling:.3f} TFLOP/s",
        "",
        f"| batch | {' | '.join(WAYS)} | ready / sdpa | ready / compiled | host / ready |",
        f"|---|{'---|' * (len(WAYS) + 3)}",
    ]
    for batch in sorted({cell["batch"] for cell in cells}):
        same = [cell for cell in cells if cell["batch"] == batch]
        ways = {name: way for cell in reversed(same) for name, way in cell["ways"].items()}
        ratios = {name: ratio for cell in reversed(same) for name, ratio in cell["ratios"].items()}
        shown = [cell_text(ways.get(name)) for name in WAYS]
        shown += [
            f"{ratios[name]:.2f}" if name in ratios else ""
            for name in ("ready / sdpa", "ready / compiled", "host / ready")
        ]
        lines.append(f"| {batch} | {' | '.join(shown)} |")
    return "\n".join([*lines, "", ""])


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


if __name__ == "__main__":
    main()
