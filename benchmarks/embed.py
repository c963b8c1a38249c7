"""`vidx embed` beside the usual recipe, on the same videos, device and checkpoint, in one run.

The usual recipe: one video at a time, PyAV decodes the frames that are needed to RGB,
transformers' image processor and model (SDPA) do the rest; nothing is stored. Both are run in
turn, several times, each in a process of its own; the clip times are vidx's in both.

    python benchmarks/embed.py VIDEOS --model CHECKPOINT [--device cuda] [--rounds 3]

Without a model, a randomly initialised VideoMAE of the base shape is made; without videos, some
are. Writes benchmarks/results/embed-<device>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "av", "numpy", "pyarrow", "sqlalchemy", "faiss-cpu")


def main() -> None:
    """Parse, run both in turn, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="?", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--side", choices=("vidx", "recipe"), help="run one side (internal)")
    options = parser.parse_args()
    if options.side:
        side = run_vidx if options.side == "vidx" else run_recipe
        print(json.dumps(side(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        options.model = options.model or make_base_checkpoint(Path(folder) / "base")
        options.videos = options.videos or make_videos(Path(folder) / "videos")
        report(options, compare(options))


def compare(options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Run A B A B ..., so that drift of the machine's speed hits both alike."""
    runs: dict[str, list[dict[str, Any]]] = {"vidx": [], "recipe": []}
    for _ in range(options.rounds):
        for side, results in runs.items():
            results.append(in_process_of_its_own(options, side))
            print(f"{side:7} {results[-1]['clips_per_second']:.2f} clips/s", flush=True)
    return runs


def in_process_of_its_own(options: argparse.Namespace, side: str) -> dict[str, Any]:
    """One run of one side."""
    command = [sys.executable, __file__, str(options.videos), "--model", str(options.model)]
    command += ["--device", options.device, "--limit", str(options.limit), "--side", side]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run_vidx(options: argparse.Namespace) -> dict[str, Any]:
    """`Collection.embed`, with the time that its main process spends in each part."""
    import vidx
    from vidx.embedder.encoder import Encoder
    from vidx.encoder_choice import EncoderChoice
    from vidx.store.writer import Writer

    spent = {"load": 0.0, "model": 0.0, "write": 0.0}
    for owner, name, part in (
        (EncoderChoice, "load", "load"),
        (Encoder, "encode", "model"),
        (Writer, "commit", "write"),
    ):
        timed(owner, name, part, spent)
    with tempfile.TemporaryDirectory() as folder:
        collection = vidx.open(folder, create=True)
        report = collection.embed(
            options.videos, model=options.model, device=options.device, limit=options.limit
        )
    seconds = report.seconds  # the model was loaded before this clock began
    shares = {
        "model": spent["model"] / seconds,
        "write": spent["write"] / seconds,
        "decode": 1 - (spent["model"] + spent["write"]) / seconds,
    }
    return {
        "clips": report.clips,
        "seconds": seconds,
        "clips_per_second": report.clips / seconds,
        "load_seconds": spent["load"],
        "shares": shares,
    }


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
    from transformers import VideoMAEForVideoClassification
    from transformers.models.videomae.image_processing_pil_videomae import (
        VideoMAEImageProcessorPil,
    )

    from vidx.embedder.decoding.files import find_videos
    from vidx.embedder.decoding.sampling import Plan, Sampling, clip_spans, frame_times

    half = options.device.startswith("cuda")
    model = VideoMAEForVideoClassification.from_pretrained(
        options.model, attn_implementation="sdpa", dtype=torch.float16 if half else torch.float32
    )
    model = model.to(options.device).eval()
    processor = VideoMAEImageProcessorPil.from_pretrained(options.model)
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


def make_base_checkpoint(folder: Path) -> Path:
    """A VideoMAE of the base shape with random weights, in the hub's layout."""
    import torch
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification
    from transformers.models.videomae.image_processing_pil_videomae import (
        VideoMAEImageProcessorPil,
    )

    torch.manual_seed(0)
    VideoMAEForVideoClassification(VideoMAEConfig(num_labels=400)).save_pretrained(folder)
    VideoMAEImageProcessorPil().save_pretrained(folder)
    return folder


def make_videos(folder: Path) -> Path:
    """The demo's sample videos."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "examples"))
    from demo import SAMPLES, make_video

    for name, *how in SAMPLES:
        make_video(folder / name, *how)
    return folder


def report(options: argparse.Namespace, runs: dict[str, list[dict[str, Any]]]) -> None:
    """Print the medians and the ratio, and write all of it."""
    rates = {side: [run["clips_per_second"] for run in results] for side, results in runs.items()}
    ratios = [ours / theirs for ours, theirs in zip(rates["vidx"], rates["recipe"], strict=True)]
    shares = {
        part: statistics.median(run["shares"][part] for run in runs["vidx"])
        for part in ("decode", "model", "write")
    }
    result = {
        "command": "python benchmarks/embed.py " + " ".join(sys.argv[1:]),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "device": options.device,
        },
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "clips": runs["vidx"][0]["clips"],
        "clips_per_second": {side: statistics.median(values) for side, values in rates.items()},
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "shares_of_time": shares,
        "runs": runs,
    }
    path = RESULTS / f"embed-{options.device.replace(':', '-')}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    medians = result["clips_per_second"]
    print(f"\n{result['clips']} clips on {options.device}, medians of {options.rounds} rounds")
    print(f"vidx embed    {medians['vidx']:8.2f} clips/s")
    print(f"usual recipe  {medians['recipe']:8.2f} clips/s")
    print(f"ratio         {result['ratio']:8.2f}  (pairs: {min(ratios):.2f} to {max(ratios):.2f})")
    print("vidx's main process: " + ", ".join(f"{p} {s:.1%}" for p, s in shares.items()))
    print(f"written: {path}")


if __name__ == "__main__":
    main()
