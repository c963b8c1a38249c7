"""How fast do frames come from decoding workers into a batch? Before and after shared memory.

    python benchmarks/transfer.py [--clips 600] [--workers 2] [--batch 32] [--rounds 5]
        [--device cpu] [--out FILE]

Decoding is replaced by ready frames in the worker processes, and the model by nothing; the pool,
its messages and the batches are the real ones. In turns:

    pipe    frames pickled through the socket, stacked, and copied to the batch's memory
    ring    frames written to shared memory, and copied from there to the batch's memory

The batch's memory is pinned with `--device cuda`. Processor time is that of all processes.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from command import circumstances

from vidx.embedder.decoding import decoder, worker
from vidx.embedder.decoding.events import ClipDecoded, Job
from vidx.embedder.decoding.facts import Sample, clip_facts
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo
from vidx.embedder.decoding.pool import decode
from vidx.embedder.decoding.sampling import Sampling
from vidx.records import Clip, VideoInfo

SHAPE = (16, 224, 224, 3)
CLIP_BYTES = int(np.prod(SHAPE))
# Without a size known beforehand there is no shared memory, as there was none.
GEOMETRIES = {"pipe": FrameGeometry(), "ring": FrameGeometry(crop=SHAPE[1:3])}

Result = dict[str, Any]


def main() -> None:
    """Parse, measure in turns, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=int, default=600)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    decoder.WORKER_MODULE = Path(__file__).stem
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    rounds: list[dict[str, Result]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ[CHILDREN] = str(Path(folder) / "seconds")
        for _ in range(options.rounds):
            rounds.append({name: measure(way, options) for name, way in WAYS.items()})
            print(line_of(rounds[-1]), flush=True)
    result = {
        **circumstances(Path(__file__).name),
        "clip_bytes": CLIP_BYTES,
        "ways": {name: medians([one[name] for one in rounds]) for name in WAYS},
        "ring_over_pipe": {
            figure: statistics.median(one["ring"][figure] / one["pipe"][figure] for one in rounds)
            for figure in ("gigabytes_per_second", "cpu_milliseconds_per_clip")
        },
        "rounds": rounds,
    }
    print(json.dumps({"ways": result["ways"], "ring_over_pipe": result["ring_over_pipe"]}))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def measure(way: Callable[[Iterator[np.ndarray], int, bool], None], options: Any) -> Result:
    """One run of one way, from the first clip on."""
    pinned = options.device.startswith("cuda")
    each = options.clips // options.workers
    jobs = [Job(number, str(each)) for number in range(options.workers)]
    events = decode(
        jobs,
        sampling=Sampling(),
        geometry=GEOMETRIES[way.__name__],
        workers=options.workers,
    )
    clips = (event.frames for event in events if isinstance(event, ClipDecoded))
    next(clips)  # the workers have started
    began, before = time.perf_counter(), cpu_seconds(resource.RUSAGE_SELF)
    way(clips, options.batch, pinned)
    seconds = time.perf_counter() - began
    spent = cpu_seconds(resource.RUSAGE_SELF) - before
    file = Path(os.environ[CHILDREN])
    spent += sum(float(text) for text in file.read_text().split())
    file.unlink()
    count = each * options.workers - 1
    return {
        "gigabytes_per_second": count * CLIP_BYTES / seconds / 1e9,
        "cpu_milliseconds_per_clip": 1000 * spent / count,
    }


def pipe(clips: Iterator[np.ndarray], batch: int, pinned: bool) -> None:
    """As it was: stack what came, and copy it to the batch's memory."""
    host = torch.empty((batch, *SHAPE), dtype=torch.uint8, pin_memory=pinned).numpy()
    waiting: list[np.ndarray] = []
    for frames in clips:
        waiting.append(frames)
        if len(waiting) == batch:
            host[...] = np.stack(waiting)
            waiting = []


def ring(clips: Iterator[np.ndarray], batch: int, pinned: bool) -> None:
    """As it is: each clip goes to its place in the batch's memory as it comes."""
    host = torch.empty((batch, *SHAPE), dtype=torch.uint8, pin_memory=pinned).numpy()
    for number, frames in enumerate(clips):
        host[number % batch] = frames


WAYS = {"pipe": pipe, "ring": ring}
CHILDREN = "TRANSFER_CHILDREN"  # names the file to which workers write their processor time


def cpu_seconds(who: int) -> float:
    """Processor time so far."""
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def medians(results: list[Result]) -> Result:
    """Of every figure."""
    return {name: statistics.median(one[name] for one in results) for name in results[0]}


def line_of(one: dict[str, Result]) -> str:
    """A round to read."""
    return "; ".join(
        f"{name} {found['gigabytes_per_second']:.2f} GB/s, "
        f"{found['cpu_milliseconds_per_clip']:.2f} ms of CPU a clip"
        for name, found in one.items()
    )


def ready_clips(
    path: str, *_arguments: Any, room: Callable[..., np.ndarray] = np.empty
) -> Iterator[DecodedClip | DecodedVideo]:
    """In place of `decode_clips`: the same frames again and again."""
    frames = [np.full(SHAPE[1:], number, np.uint8) for number in range(SHAPE[0])]
    info = VideoInfo(2.0, 224, 224, 30.0, "h264", "mp4", 0.0, 0, False, ())
    began = cpu_seconds(resource.RUSAGE_SELF)
    for number in range(int(path)):
        out = room(SHAPE, np.uint8)
        clip = Clip(2.0 * number, 2.0 * number + 2)
        facts = clip_facts([Sample(frame.transpose(2, 0, 1)) for frame in frames], (0.0,))
        yield DecodedClip(clip, facts, np.stack(frames, out=out), info)
    with Path(os.environ[CHILDREN]).open("a") as file:
        file.write(f"{cpu_seconds(resource.RUSAGE_SELF) - began} ")
    yield DecodedVideo(info, None)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1].isdigit():  # started by the pool, as a worker
        worker.decode_clips = lambda path, *rest: ready_clips(path, room=rest[5])
        worker.main()
    else:
        main()
