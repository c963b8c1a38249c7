"""Does decoding take as much processor time as in another checkout of vidx? Both in turns.

    python benchmarks/decoding.py OTHER_CHECKOUT VIDEOS [--rounds 7] [--out FILE]

Each run is a process of its own that decodes all files of a folder with one thread, without a
model, into clips of 224 x 224; its clock is the processor time that this took.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import checkouts


def main() -> None:
    """Parse, measure in turns, print and write."""
    parser = checkouts.parser(__doc__, rounds=7)
    parser.add_argument("--once", action="store_true", help="decode, print the seconds, and end")
    options = parser.parse_args()
    if options.once:
        print(decode_seconds(options.videos))
        return
    checkouts.compare(
        Path(__file__).name,
        options,
        "cpu_seconds",
        "s",
        lambda checkout: one_run(checkout, options),
    )


def one_run(checkout: Path, options: argparse.Namespace) -> float:
    """Processor time of a checkout's own decoding."""
    command = [sys.executable, __file__, str(options.other), str(options.videos), "--once"]
    environment = checkouts.environment(checkout)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def decode_seconds(videos: Path) -> float:
    """Decode every file of a folder that can be, and say how much processor time it took."""
    from vidx.embedder.decoding.geometry import FrameGeometry
    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.embedder.decoding.video import decode_clips
    from vidx.errors import VideoError

    geometry = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
    began = time.process_time()
    for path in sorted(path for path in videos.rglob("*") if path.is_file()):
        try:
            for _ in decode_clips(str(path), Sampling(), Plan(), geometry):
                pass
        except VideoError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
    return time.process_time() - began


if __name__ == "__main__":
    main()
