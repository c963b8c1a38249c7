"""What a search of one clip costs when nothing runs yet, stage by stage.

    python benchmarks/cold_search.py [--model FOLDER] [--rounds 7] [--out FILE]

Each round is two processes: one that reads the weights file once and loads the model (in turns
first and second; libraries are imported before, and the weights' hash is remembered), and one
`vidx search -v`. Without a model, a randomly initialised VideoMAE of the base shape is made. All
files are in the system's cache.
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

from command import circumstances
from embed import make_checkpoint, make_videos

LOAD = """
import json, sys, time
from pathlib import Path
from vidx.embedder.encoder import load

model, read_first = sys.argv[1], sys.argv[2] == "True"
def read():
    return Path(model, "model.safetensors").read_bytes()
def loaded():
    return load(model, device="cpu")
found = {}
for name, run in sorted({"read": read, "load": loaded}.items(), reverse=read_first):
    started = time.perf_counter()
    kept = run()
    found[name] = time.perf_counter() - started
    del kept
print(json.dumps(found))
"""

Result = dict[str, Any]


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or make_checkpoint(Path(folder) / "base", tiny=False)
        result = measure(model, Path(folder), options.rounds)
    print(json.dumps(result, indent=1))
    if options.out:
        record = {**circumstances(Path(__file__).name), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def measure(model: Path, folder: Path, rounds: int) -> Result:
    """Seconds of reading, of loading, and of each stage of a search."""
    videos = make_videos(folder / "videos")
    query = min(videos.rglob("*.mp4"))
    vidx, where = [sys.executable, "-m", "vidx"], ["--collection", str(folder / "collection")]
    command = [*vidx, "embed", query, "--model", model, "--device", "cpu", "--quiet", *where]
    subprocess.run(list(map(str, command)), check=True)
    loads, stages = [], []
    for number in range(rounds):
        command = [sys.executable, "-c", LOAD, str(model), str(number % 2 == 0)]
        loads.append(json.loads(output(command)))
        command = [*vidx, "search", str(query), "--end", "1", "--device", "cpu", "-v", *where]
        stages.append(stages_of(output(command, stderr=subprocess.STDOUT)))
    return {
        "weights_bytes": (model / "model.safetensors").stat().st_size,
        "read_seconds": statistics.median(one["read"] for one in loads),
        "load_seconds": statistics.median(one["load"] for one in loads),
        "load_over_read": statistics.median(one["load"] / one["read"] for one in loads),
        "stages_seconds": {
            name: statistics.median(one[name] for one in stages) for name in stages[0]
        },
        "rounds": {"loads": loads, "stages": stages},
    }


def output(command: list[str], stderr: int | None = None) -> str:
    """What a command prints."""
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True
    ).stdout


def stages_of(text: str) -> dict[str, float]:
    """Of lines such as `  0.123 s  load the model`."""
    rows = [line.split(" s  ", 1) for line in text.splitlines() if " s  " in line[:14]]
    return {name: float(seconds) for seconds, name in rows}


if __name__ == "__main__":
    main()
