"""What decoding into clips costs, beside bare decoding, the usual recipe and other libraries.

    pip install opencv-python-headless decord transformers     # for this benchmark alone
    python benchmarks/decode.py VIDEOS [--other CHECKOUT] [--made-from VIDEO] [--rounds 3]
        [--ways bare recipe ...] [--out FILE]

Processor time of one thread, of processes that decode all files of a folder one after the other,
in turns:

- `bare`: every frame is decoded by FFmpeg (PyAV), and nothing is made of it;
- `recipe`: the same, each sampled frame turned to RGB, and each clip's 16 given to transformers'
  `VideoMAEImageProcessor`, as the model's own examples do;
- `opencv`: every frame grabbed, the sampled ones retrieved, resized and cropped;
- `decord`: the sampled frames asked for by number, resized by the library, and cropped;
- `other`: vidx in another checkout;
- `vidx`: this one.

All sample 7.5 frames a second in clips of 16, and give 224 x 224 pixels. A file that a library
cannot read counts for nobody. With `--made-from`, the pictures of a real video are encoded as
H.264, HEVC, VP9 and AV1 at 360, 720 and 1080 lines, with keyframes every second or ten, with and
without B frames, and these files are decoded too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice, product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import numpy as np
from checkouts import ROOT, environment
from command import circumstances

SIDE, FRAMES, FPS = 224, 16, 7.5
MADE_SECONDS, MADE_FPS = 6, 30
HEIGHTS = (360, 720, 1080)
KEYFRAME_SECONDS = (1, 10)
# What makes one second of pictures in about a second or less, here.
ENCODERS = {
    "libx264": {"preset": "veryfast"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12"},
}
WITH_B_FRAMES = ("libx264", "libx265")
OTHER, OURS = "other", "vidx"

Result = dict[str, Any]


def main() -> None:
    """Parse, measure in turns, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", type=Path)
    parser.add_argument("--other", type=Path, help="a checkout of another version")
    parser.add_argument("--made-from", type=Path, help="a video of 1080 lines or so")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=[*WAYS, OTHER], default=[*WAYS, OTHER])
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    parser.add_argument("--once", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        if options.once == OURS:
            begin_as_a_worker()
        print(json.dumps(once(WAYS[options.once], options.videos)))
        return
    ways = [way for way in options.ways if way != OTHER or options.other]
    result = {**circumstances(Path(__file__).name), "sets": {}}
    with tempfile.TemporaryDirectory() as folder:
        sets = {"real": options.videos}
        if options.made_from:
            sets["made"] = Path(folder)
            # In a process of its own: one encoder makes what it can real-time.
            process = get_context("spawn").Process(
                target=make_all, args=(options.made_from, Path(folder))
            )
            process.start()
            process.join()
        for name, videos in sets.items():
            result["sets"][name] = compared(ways, videos, options)
            print(table(name, result["sets"][name]), flush=True)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


def compared(ways: list[str], videos: Path, options: argparse.Namespace) -> Result:
    """Each way's seconds over the files that all can read, and what bare decoding takes of them."""
    rounds = [{way: run(way, videos, options) for way in ways} for _ in range(options.rounds)]
    common = set.intersection(*(set(times) for each in rounds for times in each.values()))
    totals = {way: [sum(each[way][name] for name in common) for each in rounds] for way in ways}
    return {
        "files": len(common),
        "left_out": sorted(set(rounds[0][OURS]) - common),
        "seconds": {way: statistics.median(values) for way, values in totals.items()},
        "speed": {  # of this vidx, as a multiple of each way's
            way: statistics.median(
                theirs / mine for theirs, mine in zip(values, totals[OURS], strict=True)
            )
            for way, values in totals.items()
        },
        "rounds": totals,
    }


def run(way: str, videos: Path, options: argparse.Namespace) -> dict[str, float]:
    """A process of its own that decodes each file; its seconds."""
    checkout = options.other.resolve() if way == OTHER else ROOT
    command = [sys.executable, __file__, str(videos), "--once", OURS if way == OTHER else way]
    environ = {**environment(checkout), "OMP_NUM_THREADS": "1"}
    if packages := os.environ.get("PYTHONPATH"):
        environ["PYTHONPATH"] += os.pathsep + packages
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    times: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return times


def once(decode: Callable[[str], None], videos: Path) -> dict[str, float]:
    """Processor time of each file; what cannot be decoded is left out."""
    times = {}
    files = sorted(path for path in videos.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        if number == 0:  # imports and the like are nobody's cost
            attempt(decode, path)
        if (seconds := attempt(decode, path)) is not None:
            times[str(path.relative_to(videos))] = seconds
    return times


def attempt(decode: Callable[[str], None], path: Path) -> float | None:
    """Processor time of one file; None where it cannot be decoded."""
    began = time.process_time()
    try:
        decode(str(path))
    except Exception as error:  # each library has errors of its own
        print(f"{path.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return None
    return time.process_time() - began


def bare(path: str) -> None:
    """Decode all."""
    for _ in frames_of(path):
        pass


def frames_of(path: str) -> Iterator[av.VideoFrame]:
    """Every frame, decoded by one thread."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        yield from container.decode(stream)


def recipe(path: str) -> None:
    """Sample, turn to RGB, and preprocess as transformers does."""
    processor = recipe_processor()
    clip: list[np.ndarray] = []
    due = 0.0
    for frame in frames_of(path):
        if frame.time is not None and frame.time >= due:
            clip.append(frame.to_ndarray(format="rgb24"))
            due += 1 / FPS
        if len(clip) == FRAMES:
            processor(clip, return_tensors="np")
            clip = []


def recipe_processor() -> Any:
    """Transformers' own, of the size that is asked for."""
    from transformers import VideoMAEImageProcessor

    return VideoMAEImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )


def opencv(path: str) -> None:
    """Grab all, and retrieve what is sampled."""
    import cv2

    cv2.setNumThreads(1)
    video = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    rate, number, due = video.get(cv2.CAP_PROP_FPS), 0, 0.0
    if not rate:
        raise ValueError("cannot be read")
    while video.grab():
        if number / rate >= due:
            image = cv2.cvtColor(video.retrieve()[1], cv2.COLOR_BGR2RGB)
            height, width = small(*image.shape[:2])
            cropped(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
            due += 1 / FPS
        number += 1


def decord(path: str) -> None:
    """Ask for the sampled frames by number."""
    from decord import VideoReader, cpu

    probe = VideoReader(path, ctx=cpu(0), num_threads=1)
    height, width = small(*probe[0].shape[:2])
    video = VideoReader(path, ctx=cpu(0), num_threads=1, width=width, height=height)
    step = video.get_avg_fps() / FPS
    numbers = [int(place * step) for place in range(int(len(video) / step))]
    for start in range(0, len(numbers), FRAMES):
        for image in video.get_batch(numbers[start : start + FRAMES]).asnumpy():
            cropped(image)


def begin_as_a_worker() -> None:
    """Use memory as a worker does, if the checkout's workers do something about it."""
    from vidx.embedder.decoding import worker

    getattr(worker, "reuse_memory", lambda: None)()


def ours(path: str) -> None:
    """As a worker does."""
    from vidx.embedder.decoding.geometry import FrameGeometry
    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.embedder.decoding.video import decode_clips

    geometry = FrameGeometry(resize_shortest_edge=SIDE, crop=(SIDE, SIDE))
    for _ in decode_clips(path, Sampling(FRAMES, FPS), Plan(), geometry):
        pass


WAYS = {"bare": bare, "recipe": recipe, "opencv": opencv, "decord": decord, OURS: ours}


def small(height: int, width: int) -> tuple[int, int]:
    """The size whose shorter side is what the model takes."""
    scale = SIDE / min(height, width)
    return round(height * scale), round(width * scale)


def cropped(image: np.ndarray) -> np.ndarray:
    """The middle."""
    top, left = ((side - SIDE) // 2 for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + SIDE, left : left + SIDE])


def make_all(source: Path, folder: Path) -> None:
    """Encode the pictures of a video in many ways."""
    pictures = list(islice(frames_of(str(source)), MADE_SECONDS * MADE_FPS))
    for codec, lines, seconds in product(ENCODERS, HEIGHTS, KEYFRAME_SECONDS):
        for b_frames in (0, 3) if codec in WITH_B_FRAMES else (0,):
            name = f"{codec}-{lines}-every-{seconds}s-b{b_frames}.mp4"
            make(folder / name, pictures, codec, lines, seconds * MADE_FPS, b_frames)


def make(
    path: Path, pictures: list[av.VideoFrame], codec: str, lines: int, gop: int, b_frames: int
) -> None:
    """Encode pictures at a height, 16 to 9."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=MADE_FPS, options=ENCODERS[codec])
        stream.width, stream.height, stream.pix_fmt = lines * 16 // 9, lines, "yuv420p"
        stream.gop_size, stream.codec_context.max_b_frames = gop, b_frames
        for number, picture in enumerate(pictures):
            frame = picture.reformat(stream.width, lines, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, MADE_FPS)
            frame.pict_type = 0  # as the encoder likes
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def table(name: str, found: Result) -> str:
    """To read, as Markdown."""
    lines = [
        f"**{found['files']} {name} files**",
        "",
        "| way | processor time, s | its time over vidx's |",
        "|---|---|---|",
        *(
            f"| {way} | {seconds:.1f} | {found['speed'][way]:.2f} |"
            for way, seconds in found["seconds"].items()
        ),
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
