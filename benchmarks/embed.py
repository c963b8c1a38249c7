"""`vidx embed` beside the usual recipe, on the same videos, device and checkpoint, in one run.

The usual recipe: one video at a time, PyAV decodes the frames that are needed to RGB,
transformers' image processor and model (SDPA, float16 on CUDA) do the rest; nothing is stored. All
are run in turn, several times, each in a process of its own; the clip times are vidx's in both.

    python benchmarks/embed.py [VIDEOS] [--model CHECKPOINT] [--device cuda] [--workers 1 4 16]
        [--copies 1] [--rounds 3] [--out FILE]

Without a model, a randomly initialised VideoMAE of the base shape is made; without videos, some
are. `--copies` lengthens a small library: each MP4 file is taken so many times, with a few bytes
of padding that make it another content.

Shares are of vidx's wall-clock time. `decode` is the processor time of a decoding worker;
`transfer` is the main process handing batches to the device; `wait` is its waiting for results
there; `write` its commits; `device` is how long a CUDA device was busy, by its driver.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SAMPLE_SECONDS = 0.1


def main() -> None:
    """Parse, run both in turn, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="?", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", nargs="+", type=int, default=[2])
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=100_000)
    parser.add_argument("--recipe-limit", type=int, default=100_000, help="files for the recipe")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, to try the script")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    parser.add_argument("--side", help="run one side (internal)")
    options = parser.parse_args()
    if options.side:
        workers = options.side.removeprefix("vidx, workers: ")
        recipe = options.side == "recipe"
        print(json.dumps(run_recipe(options) if recipe else run_vidx(options, int(workers))))
        return
    with tempfile.TemporaryDirectory() as folder:
        options.model = options.model or make_checkpoint(Path(folder) / "model", tiny=options.tiny)
        options.videos = options.videos or make_videos(Path(folder) / "videos")
        if options.copies > 1:
            options.videos = lengthened(options.videos, options.copies, Path(folder) / "copies")
        compare(options)


def compare(options: argparse.Namespace) -> None:
    """Run A B A B ..., so that drift of the machine's speed hits all alike; write each time."""
    from command import circumstances

    record = circumstances(Path(__file__).name)
    runs: dict[str, list[dict[str, Any]]] = {f"vidx, workers: {n}": [] for n in options.workers}
    runs["recipe"] = []
    for _ in range(options.rounds):
        for side, results in runs.items():
            results.append(in_process_of_its_own(options, side))
            print(line_of(side, results[-1]), flush=True)
            if options.out:
                result = {**record, "sides": summary(runs), "runs": runs}
                options.out.write_text(json.dumps(result, indent=1) + "\n")
    for side, one in summary(runs).items():
        print(f"median of {options.rounds}: {line_of(side, one)}")


def line_of(side: str, one: dict[str, Any]) -> str:
    """A run to read."""
    shares = ", ".join(f"{part} {share:.0%}" for part, share in one.get("shares", {}).items())
    ratio = f", {one['over_recipe']:.2f} times the recipe" if "over_recipe" in one else ""
    return f"{side:18} {one['clips_per_second']:8.2f} clips/s{ratio}  {shares}"


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Medians of each side, and of the ratios to the recipe round by round."""
    found = {}
    for side, results in runs.items():
        if not results:
            continue
        one: dict[str, Any] = {
            name: statistics.median(run[name] for run in results)
            for name in ("clips", "clips_per_second")
        }
        if "shares" in results[0]:
            one["shares"] = {
                part: statistics.median(run["shares"][part] for run in results)
                for part in results[0]["shares"]
            }
        pairs = list(zip(results, runs["recipe"], strict=False))
        if side != "recipe" and pairs:
            ratios = [a["clips_per_second"] / b["clips_per_second"] for a, b in pairs]
            one["over_recipe"] = statistics.median(ratios)
        found[side] = one
    return found


def in_process_of_its_own(options: argparse.Namespace, side: str) -> dict[str, Any]:
    """One run of one side."""
    command = [sys.executable, __file__, str(options.videos), "--model", str(options.model)]
    limit = options.recipe_limit if side == "recipe" else options.limit
    command += ["--device", options.device, "--limit", str(limit), "--side", side]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run_vidx(options: argparse.Namespace, workers: int) -> dict[str, Any]:
    """`Collection.embed`, with the time that its main process spends in each part."""
    import vidx
    from vidx.embedder.encoder import Encoder
    from vidx.embedder.inference.engine import Engine
    from vidx.encoder_choice import EncoderChoice
    from vidx.store.writer import Writer

    spent = {"load": 0.0, "transfer": 0.0, "wait": 0.0, "write": 0.0}
    for owner, name, part in (
        (EncoderChoice, "load", "load"),
        (Encoder, "start", "transfer"),
        (Engine, "finish", "wait"),
        (Writer, "commit", "write"),
    ):
        timed(owner, name, part, spent)
    with tempfile.TemporaryDirectory() as folder, busy_device(options.device) as busy:
        collection = vidx.open(folder, create=True)
        report = collection.embed(
            options.videos,
            vidx.EmbedOptions(
                model=options.model, device=options.device, limit=options.limit, workers=workers
            ),
        )
    seconds = report.seconds - spent["load"]
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    shares = {part: spent[part] / seconds for part in ("transfer", "wait", "write")}
    shares["decode"] = (children.ru_utime + children.ru_stime) / workers / seconds
    if busy:
        shares["device"] = statistics.mean(busy[int(len(busy) * spent["load"] / report.seconds) :])
    return {
        "clips": report.num_clips,
        "seconds": seconds,
        "clips_per_second": report.num_clips / seconds,
        "load_seconds": spent["load"],
        "shares": shares,
    }


@contextlib.contextmanager
def busy_device(device: str) -> Iterator[list[float]]:
    """Sample how busy a CUDA device is; nothing where the driver does not tell."""
    import torch

    samples: list[float] = []
    over = threading.Event()

    def sample() -> None:
        with contextlib.suppress(Exception):  # of as many kinds as there are drivers
            while not over.wait(SAMPLE_SECONDS):
                samples.append(torch.cuda.utilization(device) / 100)

    thread = threading.Thread(target=sample)
    if device.startswith("cuda"):
        thread.start()
    try:
        yield samples
    finally:
        over.set()
        if thread.ident:
            thread.join()


def timed(owner: type, name: str, part: str, spent: dict[str, float]) -> None:
    """Have a method add its time to a part."""
    method = getattr(owner, name)

    def wrapper(*arguments: Any, **keywords: Any) -> Any:
        started = time.perf_counter()
        try:
            return method(*arguments, **keywords)
        finally:
            spent[part] += time.perf_counter() - started

    setattr(owner, name, wrapper)


def run_recipe(options: argparse.Namespace) -> dict[str, Any]:
    """One video at a time through transformers."""
    import av
    import numpy as np
    import torch
    from transformers import VideoMAEForVideoClassification, VideoMAEImageProcessor

    from vidx.embedder.decoding.files import find_videos
    from vidx.embedder.decoding.sampling import Plan, Sampling, clip_spans, frame_times

    half = options.device.startswith("cuda")
    model = VideoMAEForVideoClassification.from_pretrained(
        options.model, attn_implementation="sdpa", dtype=torch.float16 if half else torch.float32
    )
    model = model.to(options.device).eval()
    processor = VideoMAEImageProcessor.from_pretrained(options.model)
    sampling = Sampling(num_frames=model.config.num_frames)
    files = find_videos([options.videos]).paths[: options.limit]
    clips = 0
    started = time.perf_counter()
    for path in files:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            duration = float(
                stream.duration * stream.time_base
                if stream.duration
                else container.duration / 1_000_000
            )
            spans = clip_spans(duration, sampling, Plan())
            times = np.stack([frame_times(span, sampling) for span in spans])  # (clips, frames)
            frames = decode_at(container, stream, times)
        for images in frames:
            pixels = processor(images, return_tensors="pt")["pixel_values"]
            with torch.inference_mode():
                output = model(pixels.to(options.device, model.dtype), output_hidden_states=True)
                output.hidden_states[-1].mean(1).float().cpu()
            clips += 1
    seconds = time.perf_counter() - started
    return {"clips": clips, "seconds": seconds, "clips_per_second": clips / seconds}


def decode_at(container: Any, stream: Any, times: Any) -> list[list[Any]]:
    """RGB pictures at the given times; one that several samples share is converted once."""
    import numpy as np

    wanted = np.unique(times)
    pictures: dict[float, Any] = {}
    position, last, first = 0, None, None
    for frame in container.decode(stream):
        first = frame.time if first is None else first
        while position < len(wanted) and wanted[position] < frame.time - first and last is not None:
            pictures[wanted[position]] = last.to_ndarray(format="rgb24")
            position += 1
        last = frame
    while position < len(wanted):
        pictures[wanted[position]] = last.to_ndarray(format="rgb24")
        position += 1
    return [[pictures[time] for time in row] for row in times]


def make_checkpoint(folder: Path, *, tiny: bool) -> Path:
    """A VideoMAE of the base shape with random weights, in the hub's layout."""
    import torch

    from vidx.embedder.videomae import (
        VideoMAEConfig,
        VideoMAEForVideoClassification,
        VideoMAEImageProcessor,
    )

    torch.manual_seed(0)
    labels = tuple(f"class {number}" for number in range(400))
    config = VideoMAEConfig(labels=labels)
    if tiny:
        from encoder import TINY

        config = VideoMAEConfig(labels=labels, **TINY)
    VideoMAEForVideoClassification(config).save_pretrained(folder)
    size = config.frame_shape[0]
    VideoMAEImageProcessor(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    ).save_pretrained(folder)
    return folder


def lengthened(videos: Path, copies: int, folder: Path) -> Path:
    """Every MP4 file so many times, each with a `free` box of its own at its end."""
    folder.mkdir()
    for path in sorted(videos.glob("*.mp4")):
        content = path.read_bytes()
        for number in range(copies):
            box = struct.pack(">I4sI", 12, b"free", number)
            (folder / f"{number:03}-{path.stem}.mp4").write_bytes(content + box)
    return folder


def make_videos(folder: Path) -> Path:
    """The demo's sample videos."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
    from demo import SAMPLES, make_video

    for name, *how in SAMPLES:
        make_video(folder / name, *how)
    return folder


if __name__ == "__main__":
    main()
