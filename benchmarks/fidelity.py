"""How close do precisions and graphs stay to float32, on clips of real videos?

    python benchmarks/fidelity.py make FOLDER clips.npz [--model builtin:tiny] [--clips 20]
    python benchmarks/fidelity.py compare clips.npz [--model builtin:tiny] [--device cpu]
        [--out FILE]

`make` decodes the first clip of some videos, so that `compare` needs neither videos nor a decoder:
it stands on torch and the model alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from command import circumstances
from numpy.typing import NDArray

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
    for command in (making, comparing):
        command.add_argument("--model", default="builtin:tiny", help="as `vidx embed --model`")
    options = parser.parse_args()
    if options.command == "make":
        names, frames = make(options.folder, options.model, options.clips)
        np.savez_compressed(options.clips_file, names=names, frames=frames)
        return
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
    from vidx.embedder.decoding.files import find_videos
    from vidx.embedder.decoding.pool import ClipDecoded, Job, decode
    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.embedder.encoder import load

    encoder = load(model, device="cpu")
    paths = sorted(map(str, find_videos([folder]).paths))
    chosen = [paths[number] for number in np.linspace(0, len(paths) - 1, count).astype(int)]
    sampling = Sampling(encoder.space.num_frames, encoder.space.fps)
    plan = Plan(end_seconds=sampling.num_frames / sampling.fps)
    jobs = [Job(path, path, plan) for path in dict.fromkeys(chosen)]
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


def spread(found: NDArray[np.float32], expected: NDArray[np.float32]) -> dict[str, float]:
    """The least and the middle cosine."""
    a, b = found.astype(np.float64), expected.astype(np.float64)
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return {"least": float(cosines.min()), "median": float(np.median(cosines))}


if __name__ == "__main__":
    main()
