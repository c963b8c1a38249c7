"""Does decoding take as much processor time as in another checkout of vidx? Both in turns.

    python benchmarks/decoding.py OTHER_CHECKOUT VIDEOS [--rounds 7] [--out FILE]

Each run is a process of its own that decodes all files of a folder with one thread, without a
model, into clips of 224 x 224; its clock is the processor time that this took.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from command import circumstances
from versions import commit

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Parse, measure in turns, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="a checkout of another version")
    parser.add_argument("videos", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    parser.add_argument("--once", action="store_true", help="decode, print the seconds, and end")
    options = parser.parse_args()
    if options.once:
        print(decode_seconds(options.videos))
        return
    sides = {"other": options.other.resolve(), "this": ROOT}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side, checkout in sides.items():
            seconds[side].append(one_run(checkout, options))
            print(f"{side:6} {seconds[side][-1]:.2f} s", flush=True)
    ratios = [mine / theirs for theirs, mine in zip(*seconds.values(), strict=True)]
    result = {
        **circumstances(Path(__file__).name),
        "commits": {side: commit(checkout) for side, checkout in sides.items()},
        "cpu_seconds": {side: statistics.median(each) for side, each in seconds.items()},
        "this_over_other": statistics.median(ratios),
        "rounds": {"cpu_seconds": seconds, "this_over_other": ratios},
    }
    print(f"this / other: {result['this_over_other']:.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def one_run(checkout: Path, options: argparse.Namespace) -> float:
    """Processor time of a checkout's own decoding."""
    command = [sys.executable, __file__, str(options.other), str(options.videos), "--once"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
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
