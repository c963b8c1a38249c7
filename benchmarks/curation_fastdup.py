"""What fastdup takes for the neighbours and duplicates of drawn vectors; beside `curation.py`.

    PYTHON benchmarks/curation_fastdup.py [--clips 10000 100000] [--dim 768] [--out FILE]

PYTHON has fastdup and numpy, and need not have vidx: fastdup wants versions of its own. The vectors
are those of `curation.py` but for the videos that are there twice. Names of files go with them, as
fastdup has it; none is read.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from drawn_vectors import CLIPS_A_VIDEO, video

NEIGHBOURS = 20
THRESHOLD = 0.9


def measure(clips: int, dim: int) -> dict[str, float]:
    """Seconds of one run, the drawing not counted."""
    import fastdup

    drawn = [video(number, dim) for number in range(clips // CLIPS_A_VIDEO)]
    vectors = np.concatenate(drawn).astype(np.float32)
    names = [f"clip-{number}.jpg" for number in range(len(vectors))]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        asked = fastdup.create(work_dir=folder)
        asked.run(
            annotations=names,
            embeddings=vectors,
            nearest_neighbors_k=NEIGHBOURS,
            ccthreshold=THRESHOLD,
            overwrite=True,
            verbose=False,
        )
        return {"clips": len(vectors), "dim": dim, "seconds": time.perf_counter() - began}


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", nargs="+", type=int, default=[10_000, 100_000])
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sizes = [measure(clips, options.dim) for clips in options.clips]
    for one in sizes:
        print(one)
    if options.out:
        command = " ".join(["python benchmarks/curation_fastdup.py", *sys.argv[1:]])
        record = {"command": command, "fastdup": version("fastdup"), "sizes": sizes}
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
