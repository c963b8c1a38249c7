"""A collection's search beside other libraries: recall, latency, memory and build, side by side.

    pip install usearch hnswlib lancedb    # for this benchmark alone
    python benchmarks/search.py [--sizes 10000 100000 1000000] [--dim 768] [--queries 200]
        [--engines vidx 'faiss HNSW32' ...] [--rounds 3] [--folder FOLDER] [--out FILE]

Vectors lie as embeddings of videos do (benchmarks/drawn_vectors.py): a thousand kinds, videos
around them, 20 clips around each video, along a few directions more than along others, all of
length 1. Queries are clips of other videos of the same kinds: some to choose each engine's settings
by, and as many others to report. The truth comes from comparing all.

Each engine (benchmarks/search_engines.py) has a process of its own, one thread for one query and
its own default for many, and settings as they come, but for the one or two that are swept: of
these the cheapest that reaches the target on the first queries. vidx chooses for itself, by
queries of its own. All engines stay ready and are asked in turns, so that a machine whose speed
drifts treats them alike; the figures are medians of the rounds. A million vectors take 15 GB of
memory and 15 GB of disk.

`vidx` is a real collection, and its hits come with path, times and labels; `vidx, index alone`
gives rows, as the other libraries do. `index` is the size of the index: of vidx the codes, beside
which the vectors are mapped from disk; of the others all that they keep. Its build is that of both
likenesses; committing the clips is not in it. `resident` is what the process took for all that, its
pages of mapped files included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from drawn_vectors import Vectors, into_file, nearest, questions
from search_asking import K, Questions
from search_engines import ENGINES
from search_serving import serve

TARGETS = (0.95, 0.99)
OURS, ALONE = "vidx", "vidx, index alone"
PLAIN = ("faiss HNSW32", "faiss IVF-Flat")
IVF = PLAIN[1]
VERSIONS = ("faiss-cpu", "usearch", "hnswlib", "lancedb")

Result = dict[str, Any]


def main() -> None:
    """Parse, measure each size, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where vectors and indexes lie meanwhile")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    from command import circumstances  # has torch, which no engine's process is to have

    record = circumstances(Path(__file__).name)
    record["versions"] |= {name: version(name) for name in VERSIONS if is_needed(name, options)}
    result: Result = {**record, "dim": options.dim, "search_sizes": []}
    for size in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            engines = measure(size, options, Path(folder))
        result["search_sizes"].append({"vectors": size, "engines": engines, **ratios(engines)})
        print(table(result["search_sizes"][-1]), flush=True)
        if options.out:  # after each: the last one may take an hour
            options.out.write_text(json.dumps(result, indent=1) + "\n")


def is_needed(package: str, options: argparse.Namespace) -> bool:
    """Whether a package is among what is measured."""
    return package == "faiss-cpu" or package in options.engines


def measure(size: int, options: argparse.Namespace, folder: Path) -> Result:
    """What is known of each engine and way, after all rounds."""
    file = folder / "vectors.f32"
    choosing, others = asked(into_file(file, size, options.dim), options.queries)
    found: dict[str, Result] = {}
    with ExitStack() as stack:
        pipes = {}
        for name in options.engines:
            own = folder / name
            own.mkdir()
            pipes[name] = stack.enter_context(Served(name, file, options.dim, own))
            found[name] = {**pipes[name].receive(), "targets": {}}
            print(
                f"{size} vectors  {name:16} built in {found[name]['build_seconds']:.1f} s",
                flush=True,
            )
        for target in TARGETS:
            chosen = {name: pipe.do("choose", target, choosing) for name, pipe in pipes.items()}
            rounds = [
                {name: pipe.do("measure", others) for name, pipe in pipes.items() if chosen[name]}
                for _ in range(options.rounds)
            ]
            enter(found, target, chosen, rounds)
    return found


def asked(vectors: Vectors, count: int) -> tuple[Questions, Questions]:
    """Queries to choose settings by, and others to report."""
    queries = questions(2 * count, vectors.shape[1])
    true = nearest(vectors, queries, K)
    return Questions(queries[:count], true[:count]), Questions(queries[count:], true[count:])


class Served:
    """An engine in a process of its own, for as long as the context lasts."""

    def __init__(self, name: str, *arguments: object) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, name, *arguments))
        self._process.start()
        other.close()  # so that its end is heard of

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.is_alive():
            self._pipe.send(None)
        self._process.join()

    def receive(self) -> Any:
        """What it tells next."""
        return self._pipe.recv()

    def do(self, *deed: object) -> Any:
        """Have it do something."""
        self._pipe.send(deed)
        return self.receive()


def enter(
    found: dict[str, Result],
    target: float,
    chosen: dict[str, Any],
    rounds: Sequence[dict[str, dict[str, Result]]],
) -> None:
    """Put the medians of the rounds where they belong: an entry for each engine and way."""
    for name, setting in chosen.items():
        if setting is None:
            found[name]["targets"][str(target)] = None
            continue
        for way in rounds[0][name]:
            each = [one[name][way] for one in rounds]
            key = f"{name}, {way}" if way else name
            entry = found.setdefault(key, {"targets": {}})
            medians = {figure: statistics.median(one[figure] for one in each) for figure in each[0]}
            entry["targets"][str(target)] = {"setting": setting, **medians, "rounds": each}


def ratios(engines: dict[str, Result]) -> Result:
    """Our latency over that of the best plain FAISS and of IVF-Flat, and our bytes over its."""
    result: Result = {"ratios": {}}
    for target in map(str, TARGETS):
        reached = {name: one["targets"].get(target) for name, one in engines.items()}
        times = {name: one["p50_ms"] for name, one in reached.items() if one}
        plain = [times[name] for name in PLAIN if name in times]
        for ours in (OURS, ALONE):
            if ours not in times or not plain:
                continue
            result["ratios"].setdefault(target, {})[ours] = {
                "over_best_plain_faiss": times[ours] / min(plain),
                "over_ivf_flat": times[ours] / times[IVF] if IVF in times else None,
            }
    if OURS in engines and IVF in engines and engines[OURS]["index_mb"]:
        result["bytes_over_ivf_flat"] = engines[OURS]["index_mb"] / engines[IVF]["index_mb"]
    return result


def table(one: Result) -> str:
    """One size to read, as Markdown."""
    lines = [
        f"**{one['vectors']:,} vectors**",
        "",
        "| engine | build, s | index, MB | target | recall@10 | p50, ms | p99, ms "
        "| batch, ms a query | resident, MB | setting |",
        f"|{'---|' * 10}",
    ]
    for name, engine in one["engines"].items():
        built = [
            f"{engine[figure]:,.0f}" if figure in engine else ""
            for figure in ("build_seconds", "index_mb")
        ]
        for target, reached in engine["targets"].items():
            lines.append(f"| {name} | {' | '.join([*built, target, *cells(reached)])} |")
    return "\n".join([*lines, "", *ratio_lines(one), ""])


def cells(reached: Result | None) -> list[str]:
    """Those of one target."""
    if reached is None:
        return ["not reached", *[""] * 5]
    times = [f"{reached[figure]:.2f}" for figure in ("p50_ms", "p99_ms", "batch_ms")]
    setting = ", ".join(f"{name} {value}" for name, value in reached["setting"].items())
    recall = f"{reached['recall_at_10']:.3f} ± {reached['standard_error']:.3f}"
    return [recall, *times, f"{reached['resident_mb']:,.0f}", setting]


def ratio_lines(one: Result) -> list[str]:
    """The ratios in words."""
    lines = [
        f"At {target}, {name} takes {shown(each['over_best_plain_faiss'])} times as long as the "
        f"best plain FAISS, and {shown(each['over_ivf_flat'])} times as long as IVF-Flat."
        for target, ours in one["ratios"].items()
        for name, each in ours.items()
    ]
    if "bytes_over_ivf_flat" in one:
        lines.append(
            f"Its codes have {one['bytes_over_ivf_flat']:.3f} times the bytes of IVF-Flat."
        )
    return [part for line in lines for part in (line, "")]


def shown(ratio: float | None) -> str:
    """Such as `0.45`."""
    return "-" if ratio is None else f"{ratio:.2f}"


if __name__ == "__main__":
    main()
