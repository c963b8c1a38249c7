"""One long video: are all cores busy, how much memory is taken, and is a kill made good inside it?

    python benchmarks/long_video.py VIDEOS [--hours 2] [--lines 1080] [--model builtin:tiny]
        [--out FILE]

A minute of the pictures of some videos is encoded as H.264, and its packets are repeated until the
file is long enough. The file is embedded undisturbed, and a second time into another collection,
where the whole run is killed half-way and begun again. Told are the share of all cores' time that
each run had, the memory of its processes at most (what they share is counted once), and whether
both collections hold the same clips with the same vectors. Other work on the machine lowers the
share of the cores, not the memory.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
from command import circumstances

import vidx

FPS = 25
PIECE_SECONDS = 61  # no multiple of a clip's length, so that its repetitions are cut elsewhere
KEYFRAME_SECONDS = 2
LOOK_SECONDS = 1.0
SHOWN_SECONDS = 4  # of each video in the piece

Result = dict[str, Any]


def main() -> None:
    """Parse, make the video, embed it in both ways, compare, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--lines", type=int, default=1080)
    parser.add_argument("--model", default="builtin:tiny")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    result = circumstances(Path(__file__).name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = make_long(folder, options)
        result["file"] = {"seconds": 3600 * options.hours, "megabytes": video.stat().st_size / 1e6}
        result["undisturbed"] = run(video, folder / "undisturbed", options.model)
        half = result["undisturbed"]["seconds"] / 2
        result["killed"] = run(video, folder / "killed", options.model, until=half)
        result["resumed"] = run(video, folder / "killed", options.model)
        result["compared"] = compared(folder / "undisturbed", folder / "killed")
    print(json.dumps(result, indent=1))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def make_long(folder: Path, options: argparse.Namespace) -> Path:
    """The piece, and its packets again and again."""
    piece, video = folder / "piece.mp4", folder / "long.mp4"
    encode(piece, pictures(options.videos, options.lines), options.lines)
    repeat(piece, video, round(3600 * options.hours / PIECE_SECONDS + 0.5))
    return video


def pictures(videos: Path, lines: int) -> Iterator[av.VideoFrame]:
    """Of one video after the other, some seconds each, at the same size, for ever."""
    for path in itertools.cycle(sorted(path for path in videos.rglob("*") if path.is_file())):
        with suppress(av.FFmpegError, IndexError, OSError), av.open(str(path)) as container:
            frames = container.decode(container.streams.video[0])
            for frame in itertools.islice(frames, SHOWN_SECONDS * FPS):
                yield frame.reformat(lines * 16 // 9, lines, "yuv420p")


def encode(path: Path, frames: Iterator[av.VideoFrame], lines: int) -> None:
    """Encode the piece."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = lines * 16 // 9, lines, "yuv420p"
        stream.gop_size = KEYFRAME_SECONDS * FPS
        for number, frame in enumerate(itertools.islice(frames, PIECE_SECONDS * FPS)):
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, FPS), 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def repeat(piece: Path, path: Path, times: int) -> None:
    """Write the packets of a file again and again, each time later by its length."""
    with av.open(str(path), "w") as container:
        stream = None
        for turn in range(times):
            with av.open(str(piece)) as source:
                stream = stream or container.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(source.streams.video[0]):
                    if packet.dts is None:  # the end
                        continue
                    later = round(turn * PIECE_SECONDS / packet.time_base)
                    packet.pts, packet.dts = packet.pts + later, packet.dts + later
                    packet.stream = stream
                    container.mux(packet)


def run(video: Path, collection: Path, model: str, until: float | None = None) -> Result:
    """`vidx embed`, looked at while it runs; killed with all its processes where asked."""
    code = "import sys; from vidx.cli import main; main(sys.argv[1:])"
    command = ["embed", str(video), "--collection", str(collection), "--model", model, "--quiet"]
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *command], start_new_session=True)
    megabytes, seconds_of_cores = 0.0, 0.0
    while process.poll() is None:
        if until and time.perf_counter() - began > until:
            os.killpg(process.pid, signal.SIGKILL)
        megabytes = max(megabytes, sum(map(memory, family(process.pid))))
        seconds_of_cores = max(seconds_of_cores, sum(map(cpu_seconds, family(process.pid))))
        time.sleep(LOOK_SECONDS)
    seconds = time.perf_counter() - began
    return {
        "exit_code": process.returncode,
        "seconds": seconds,
        "busy_share": seconds_of_cores / seconds / (os.cpu_count() or 1),
        "megabytes_at_most": megabytes,
    }


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def memory(process: psutil.Process) -> float:
    """Megabytes of a process; of what is shared with others its share."""
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return float(process.memory_full_info().pss / 1e6)
    return 0.0


def cpu_seconds(process: psutil.Process) -> float:
    """Of one that is alive."""
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def compared(first: Path, second: Path) -> Result:
    """Whether two collections hold the same."""
    with vidx.open(first) as one, vidx.open(second) as other:
        spans = [
            collection.clips().select(["start_seconds", "end_seconds"])
            for collection in (one, other)
        ]
        vectors = [collection.vectors()[1] for collection in (one, other)]
        return {
            "clips": spans[0].num_rows,
            "same_clips": spans[0].equals(spans[1]),
            "largest_difference": float(np.abs(vectors[0] - vectors[1]).max()),
            "verified": [collection.verify() for collection in (one, other)] == [[], []],
        }


if __name__ == "__main__":
    main()
