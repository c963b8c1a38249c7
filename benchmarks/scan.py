"""What it costs to look at a library of which nothing has changed, and of which all has moved.

    python benchmarks/scan.py [--files 200000] [--rounds 3] [--out FILE]

Makes as many tiny files, 100 a folder, and a collection that knows them. Then, each in a process
of its own: a plain walk that looks at the size and time of each file, and `vidx embed`, in turns;
then the folder is renamed, and `vidx embed` reads each file to know it again. The files are in the
system's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from command import circumstances
from drawn_collections import facts_of, fill, seconds

from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.records import Clip, EmbeddedVideo, Source, VideoInfo
from vidx.store.hashing import content_id
from vidx.store.shards import NewVideo
from vidx.store.writer import Batch

HERE = str(Path(__file__).parent)
DIM = 8
A_FOLDER, A_COMMIT = 100, 4096  # files
PLAN = Plan().digest(Sampling())
INFO = VideoInfo(2.0, 640, 360, 30.0, "h264", "mov,mp4", 0.0, 0, False, ())

WALK = """
import os, sys
number = 0
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        os.stat(os.path.join(folder, name))
        number += 1
print(number)
"""
EMBED = """
import json, sys
from drawn_collections import memory_mb
from vidx.collection import open_collection
report = open_collection(sys.argv[2]).embed(sys.argv[1])
print(json.dumps({
    "files": report.num_files, "unchanged": report.unchanged, "moved": report.moved,
    "clips": report.num_clips, "torch": "torch" in sys.modules,
    "memory_mb": memory_mb("VmHWM")[0],
}))
"""

Result = dict[str, Any]


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.files, options.rounds)
    print(json.dumps(result, indent=1))
    if options.out:
        record = {**circumstances(Path(__file__).name), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def measure(folder: Path, files: int, rounds: int) -> Result:
    """Seconds of a walk, of a look at what is unchanged, and of one at what was moved."""
    videos, collection = folder / "videos", folder / "collection"
    fill(collection, batches(make_files(videos, files)), DIM, 0)
    walks, looks = [], []
    for _ in range(rounds):
        walks.append(seconds(run, WALK, videos))
        looks.append(look(videos, collection))
    assert all(one["unchanged"] == files and not one["torch"] for one in looks)
    renamed = videos.rename(folder / "renamed")
    moved = look(renamed, collection)
    assert (moved["moved"], moved["clips"], moved["torch"]) == (files, 0, False)
    walk_seconds = statistics.median(walks)
    look_seconds = statistics.median(one["seconds"] for one in looks)
    return {
        "files": files,
        "walk_seconds": walk_seconds,
        "unchanged_seconds": look_seconds,
        "unchanged_over_walk": look_seconds / walk_seconds,
        "unchanged_memory_mb": max(one["memory_mb"] for one in looks),
        "moved_seconds": moved["seconds"],
        "moved_memory_mb": moved["memory_mb"],
        "rounds": {"walk_seconds": walks, "unchanged": looks},
    }


def make_files(folder: Path, number: int) -> Iterator[Path]:
    """Write files, each with a content of its own."""
    for one in range(number):
        path = folder / f"{one // A_FOLDER:05}" / f"video-{one:07}.mp4"
        if one % A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_text(f"video {one}")
        yield path


def batches(paths: Iterator[Path]) -> Iterator[Batch]:
    """The files as videos of one clip each."""
    random = np.random.default_rng(0)
    while some := list(islice(paths, A_COMMIT)):
        vectors = random.standard_normal((len(some), 1, DIM), dtype=np.float32)
        yield Batch(videos=[_video(*pair) for pair in zip(some, vectors, strict=True)])


def _video(path: Path, vectors: np.ndarray) -> NewVideo:
    status = path.stat()
    return NewVideo(
        video_id=content_id(path),
        plan=PLAN,
        sources=[Source(str(path), status.st_size, str(status.st_mtime_ns))],
        embedded=EmbeddedVideo(
            info=INFO,
            clips=(Clip(0.0, 2.0),),
            **facts_of(1),
            embeddings=vectors,
            logits=None,
            problem=None,
        ),
    )


def look(videos: Path, collection: Path) -> Result:
    """What one `embed` finds, and how long its process takes."""
    found: list[str] = []
    took = seconds(lambda: found.append(run(EMBED, videos, collection)))
    return {"seconds": took, **json.loads(found[0])}


def run(code: str, *arguments: Path) -> str:
    """What a process of its own prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([HERE, *sys.path])}
    return subprocess.run(command, env=here, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
