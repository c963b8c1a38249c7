"""How close do precisions, graphs and the quick resize stay to the exact way, on real videos?

    python benchmarks/fidelity.py make FOLDER clips.npz [--model builtin:tiny] [--clips 20]
    python benchmarks/fidelity.py compare clips.npz [--model builtin:tiny] [--device cpu]
        [--out FILE]
    python benchmarks/fidelity.py resize FOLDER [--model builtin:tiny] [--clips 100] [--out FILE]

`make` decodes the first clip of some videos, so that `compare` needs neither videos nor a decoder:
it stands on torch and the model alone. `resize` decodes the first clip of some videos twice: made
into the model's pictures as an `embed` does, and in full, resized by the exact reference; both are
embedded in float32. `base` as its model is one of the base shape with random weights, drawn so that
its embeddings depend on all pixels.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from command import circumstances
from numpy.typing import NDArray

BASE = "base"

Result = dict[str, Any]


def main() -> None:
    """Parse, then make or compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("clips_file", type=Path)
    making.add_argument("--clips", type=int, default=20)
    comparing = commands.add_parser("compare")
    comparing.add_argument("clips_file", type=Path)
    comparing.add_argument("--device", default="cpu")
    comparing.add_argument("--out", type=Path, help="write everything as JSON to this file")
    resizing = commands.add_parser("resize")
    resizing.add_argument("folder", type=Path)
    resizing.add_argument("--clips", type=int, default=100)
    resizing.add_argument("--out", type=Path, help="write everything as JSON to this file")
    for command in (making, comparing, resizing):
        command.add_argument("--model", default="builtin:tiny", help="as `vidx embed --model`")
    options = parser.parse_args()
    if options.command == "make":
        names, frames = make(options.folder, options.model, options.clips)
        np.savez_compressed(options.clips_file, names=names, frames=frames)
        return
    if options.command == "resize":
        result = resize(options.folder, options.model, options.clips)
    else:
        frames = np.load(options.clips_file)["frames"]
        result = compare(frames, options.model, options.device)
    print(json.dumps(result, indent=1))
    if options.out:
        record = {**circumstances(Path(__file__).name), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def make(folder: Path, model: str, count: int) -> tuple[list[str], NDArray[np.uint8]]:
    """The first clip of videos that are drawn evenly from a folder.

    Args:
        folder: Walked for videos; those that cannot be read are passed over.
        model: Whose size and sampling they get.
        count: Clips wanted.

    Returns:
        The videos' names, and uint8, shape (clips, frames, height, width, 3).
    """
    from vidx.embedder.decoding.events import ClipDecoded, Job
    from vidx.embedder.decoding.pool import decode
    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.embedder.encoder import load

    encoder = load(model, device="cpu")
    sampling = Sampling(encoder.space.num_frames, encoder.space.fps)
    plan = Plan(end_seconds=sampling.num_frames / sampling.fps)
    jobs = [Job(path, path, plan) for path in drawn(folder, count)]
    events = decode(jobs, sampling=sampling, geometry=encoder.geometry, workers=1)
    clips = {event.job.path: event.frames for event in events if isinstance(event, ClipDecoded)}
    return [Path(path).name for path in clips], np.stack(list(clips.values()))


def compare(frames: NDArray[np.uint8], model: str, device: str) -> Result:
    """Cosines with the eager float32 embeddings of the same clips on the same device.

    Args:
        frames: uint8, shape (clips, frames, height, width, 3), of the model's size.
        model: As `load` takes it.
        device: Where.
    """
    from vidx.embedder.encoder import load

    exact = load(model, device=device, dtype="float32")
    expected = exact.encode(frames).embeddings
    found = {
        dtype: load(model, device=device, dtype=dtype).encode(frames).embeddings
        for dtype in ("float16", "bfloat16")
    }
    if device.startswith("cuda"):
        engine = load(model, device=device).engine
        graphs = [engine.start(frames, lasting=True).result() for _ in range(3)]
        found["float16, graphs"] = graphs[-1].embeddings
    return {
        "model": exact.space.source,
        "device": device,
        "clips": len(frames),
        "cosine_with_float32": {name: spread(one, expected) for name, one in found.items()},
    }


def resize(folder: Path, model: str, count: int) -> Result:
    """Cosines of embeddings of frames that were resized quickly with those resized exactly.

    Args:
        folder: Walked for videos; those that cannot be read are passed over.
        model: As `load` takes it, or `base`.
        count: Clips wanted.
    """
    from vidx.embedder.encoder import load

    with TemporaryDirectory() as name:
        encoder = load(base(Path(name)) if model == BASE else model, device="cpu", dtype="float32")
        both = [clips for path in drawn(folder, count) if (clips := twice(path, encoder))]
        fast, exact = (
            np.concatenate([encoder.encode(pair[side][None]).embeddings for pair in both])
            for side in (0, 1)
        )
    return {"model": model, "clips": len(both), "cosine_with_exact_resize": spread(fast, exact)}


def drawn(folder: Path, count: int) -> list[str]:
    """Videos of a folder, evenly from the first to the last."""
    from vidx.embedder.decoding.files import find_videos

    paths = sorted(map(str, find_videos([folder]).paths))
    numbers = np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)
    return [paths[number] for number in dict.fromkeys(numbers.tolist())]


def twice(path: str, encoder: Any) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """The first clip as an `embed` makes it, and resized exactly; None where there is none."""
    import torch

    from vidx.embedder.decoding.geometry import FrameGeometry

    fast, whole = (first_clip(path, one, encoder) for one in (encoder.geometry, FrameGeometry()))
    if fast is None or whole is None:
        return None
    return fast, encoder.preprocessing.fit(torch.from_numpy(whole)).numpy()


def first_clip(path: str, geometry: Any, encoder: Any) -> NDArray[np.uint8] | None:
    """Its frames, shape (frames, height, width, 3)."""
    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.embedder.decoding.video import DecodedClip, decode_clips
    from vidx.errors import VideoError

    sampling = Sampling(encoder.space.num_frames, encoder.space.fps)
    plan = Plan(end_seconds=sampling.num_frames / sampling.fps)
    with suppress(VideoError):
        for part in decode_clips(path, sampling, plan, geometry):
            if isinstance(part, DecodedClip):
                return part.frames
    return None


def base(folder: Path) -> Path:
    """A checkpoint of the base shape with random weights."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from made_checkpoints import randomize

    from vidx.embedder.videomae import (
        VideoMAEConfig,
        VideoMAEForVideoClassification,
        VideoMAEImageProcessor,
    )

    model = VideoMAEForVideoClassification(VideoMAEConfig(labels=("one", "other")))
    randomize(model, seed=0)
    model.save_pretrained(folder)
    VideoMAEImageProcessor().save_pretrained(folder)
    return folder


def spread(found: NDArray[np.float32], expected: NDArray[np.float32]) -> dict[str, float]:
    """The least, the middle and the mean cosine."""
    a, b = found.astype(np.float64), expected.astype(np.float64)
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return {
        "least": float(cosines.min()),
        "median": float(np.median(cosines)),
        "mean": float(cosines.mean()),
    }


if __name__ == "__main__":
    main()
