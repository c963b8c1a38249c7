"""Is a cut found again, and where it begins and ends, in a query that shows other things besides?

    python benchmarks/segments.py --model MODEL --folder VIDEOS [...] [--count N] [--seed N]
        [--out FILE]

Each query is a cut of a stored video between cuts of two others that are not stored, all made one
video of the size and frame rate of the first, and encoded anew (H.264, x264's own quality). Cuts
begin anywhere, so that no clip of a query begins where a stored one does. Each is searched for by
segment. It is right where the first segment is of the cut's video; its bounds are right where each
of the four times (begin and end, in the query and in the stored video) is less than a clip's length
from what it should be.

The other footage is a third of the videos whose folder is not called `labelled`, drawn once; the
rest is stored, but for `near_duplicates` and files of the same bytes. Two kinds of cuts are told
apart: those of two clips' length or more, and shorter ones, in which no more than one clip fits.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from command import circumstances, cores
from copies import find_originals
from spliced import Splice, draw_splices, write_splice

import vidx

OTHERS = 3  # of so many videos one is other footage
LABELLED = "labelled"
BOUNDS = ("query_start", "query_end", "start", "end")


@dataclass(frozen=True)
class Query:
    """A query's file, and the four times that a segment should have."""

    path: Path
    splice: Splice
    times: tuple[float, float, float, float]


def measure(model: str, folders: Sequence[Path], count: int, seed: int) -> dict[str, Any]:
    """Make the collection and the queries, and search for each; ready for JSON."""
    with tempfile.TemporaryDirectory() as place:
        collection = vidx.open(Path(place) / "collection", create=True)
        collection.embed(find_originals(folders), vidx.EmbedOptions(model=model))
        space = collection.info().space
        clip = space.num_frames / space.fps
        sources, others = _parted(collection, seed)
        collection.remove([str(path) for path in others])
        collection.compact()  # nothing of them is left in the index
        kinds = {"two clips or more": (2 * clip, 4.5 * clip), "shorter": (1.25 * clip, 2 * clip)}
        found = {}
        for kind, seconds in kinds.items():
            splices = draw_splices(sources, others, seconds, count, seed)
            found[kind] = _asked(collection, _made(splices, Path(place)), clip)
        return {"model": model, "videos": len(sources), "clip_seconds": clip, "cuts": found}


def _parted(collection: vidx.Collection, seed: int) -> tuple[dict[Path, float], dict[Path, float]]:
    """What is stored and what is other footage, with the seconds that each lasts."""
    upright = {
        Path(video["path"]): video["duration_seconds"]
        for video in collection.videos().to_pylist()
        if not video["rotation_degrees"] and not video["is_mirrored"]
    }
    names = sorted(path for path in upright if LABELLED not in path.parts)
    chosen = np.random.default_rng(seed).permutation(len(names))[: len(names) // OTHERS]
    others = {names[place]: upright[names[place]] for place in chosen}
    return {path: seconds for path, seconds in upright.items() if path not in others}, others


def _made(splices: Sequence[Splice], folder: Path) -> list[Query]:
    def write(number: int) -> Query:
        splice, path = splices[number], folder / f"{number:03}.mkv"
        start, end = write_splice(splice, path)
        times = (start, end, splice.cut.start_seconds, splice.cut.end_seconds)
        return Query(path, splice, times)

    with ThreadPoolExecutor(cores()) as threads:  # FFmpeg works without the GIL
        return list(threads.map(write, range(len(splices))))


def _asked(collection: vidx.Collection, queries: Sequence[Query], clip: float) -> dict[str, Any]:
    """How often the first segment is right, and by how much its times are wrong."""
    options = vidx.SearchOptions(by="segment")
    report = collection.search_many([query.path for query in queries], 1, options)
    firsts = {row["query_path"]: row for row in report.hits.to_pylist()}
    wrong, missed = [], []
    for query in queries:
        first = firsts.get(str(query.path))
        if first is None or first["path"] != str(query.splice.cut.path):
            name = first and Path(first["path"]).name
            missed.append({"video": query.splice.cut.path.name, "first": name})
            continue
        times = [first[f"{name}_seconds"] for name in BOUNDS]
        wrong.append(np.abs(np.subtract(times, query.times)))
    errors = np.array(wrong).reshape(-1, len(BOUNDS))
    return {
        "queries": len(queries),
        "source_first": len(errors) / len(queries),
        "stored_bounds": float((errors[:, 2:] < clip).all(axis=1).sum() / len(queries)),
        "all_bounds": float((errors < clip).all(axis=1).sum() / len(queries)),
        "median_error_seconds": dict(zip(BOUNDS, np.median(errors, axis=0).tolist(), strict=True)),
        "seconds": report.seconds,
        "missed": missed,
    }


def table(result: dict[str, Any]) -> str:
    """The results to read."""
    lines = [
        f"{result['model']}: cuts of {result['videos']} stored videos",
        f"{'':20}{'queries':>8}{'source first':>14}{'stored bounds':>15}{'all bounds':>12}",
    ]
    for kind, one in result["cuts"].items():
        shares = f"{one['source_first']:>14.1%}{one['stored_bounds']:>15.1%}"
        lines.append(f"{kind:20}{one['queries']:>8}{shares}{one['all_bounds']:>12.1%}")
    return "\n".join(lines)


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin:tiny", help="as `vidx embed --model`")
    parser.add_argument("--folder", nargs="+", required=True, type=Path)
    parser.add_argument("--count", type=int, default=200, help="queries of each kind of cut")
    parser.add_argument("--seed", type=int, default=0, help="of the other footage and the cuts")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    result = measure(options.model, options.folder, options.count, options.seed)
    print(table(result))
    if options.out:
        record = {**circumstances(Path(__file__).name), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
