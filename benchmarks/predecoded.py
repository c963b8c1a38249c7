"""Does `vidx embed` reach the encoder's own rate when decoding costs nothing?

    python benchmarks/predecoded.py [--model builtin:tiny] [--device cpu] [--rounds 5] [--out FILE]

In turns: what `vidx bench` measures from main memory, and `Collection.embed` over files for which
clips lie in memory already: the survey, batching, the model, shards, catalogue and index are all
there, the decoder alone is replaced.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from command import about, circumstances

import vidx
from vidx.embedder import pipeline
from vidx.embedder.decoding.events import ClipDecoded, Event, Job, VideoDone
from vidx.embedder.decoding.facts import Sample, clip_facts
from vidx.embedder.encoder import Encoder, load
from vidx.embedder.inference.rate import measure, random_frames
from vidx.records import Clip, VideoInfo

FILES = 16
Result = dict[str, Any]


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin:tiny", help="as `vidx embed --model`")
    parser.add_argument("--device", help="cuda when there is one, else cpu")
    parser.add_argument("--clips", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    encoder = load(options.model, device=options.device)
    result = compare(encoder, options.clips, options.rounds)
    print(json.dumps(result, indent=1))
    if options.out:
        record = {**circumstances(Path(__file__).name), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def compare(encoder: Encoder, clips: int, rounds: int) -> Result:
    """Clips a second of both in every round, and their ratios."""
    rates: dict[str, list[float]] = {"bench": [], "embed": []}
    for _ in range(rounds):
        rates["bench"].append(measure(encoder, seconds=4).host_clips_per_second)
        rates["embed"].append(embed_rate(encoder, clips))
    ratios = [ours / theirs for theirs, ours in zip(*rates.values(), strict=True)]
    return {
        **about(encoder),
        "clips": clips,
        "clips_per_second": {name: statistics.median(each) for name, each in rates.items()},
        "embed_over_bench": statistics.median(ratios),
        "rounds": {"clips_per_second": rates, "embed_over_bench": ratios},
    }


def embed_rate(encoder: Encoder, clips: int) -> float:
    """`Collection.embed` into a new collection, with `decode` replaced."""
    height, width = encoder.geometry.made or (0, 0)
    frames = random_frames(8, encoder.space.num_frames, height, width)
    before = pipeline.decode
    pipeline.decode = lambda jobs, **_: decoded(jobs, frames, clips // FILES)
    try:
        with tempfile.TemporaryDirectory() as folder:
            videos = Path(folder) / "videos"
            videos.mkdir()
            for number in range(FILES):
                (videos / f"{number}.mp4").write_bytes(b"%d" % number)
            collection = vidx.open(Path(folder) / "collection", create=True)
            report = collection.embed(
                videos, vidx.EmbedOptions(model=encoder.space.source, device=encoder.device)
            )
    finally:
        pipeline.decode = before
    return report.clips_per_second


def decoded(jobs: Iterable[Job], frames: np.ndarray, clips: int) -> Iterator[Event]:
    """What the pool would say of files with so many clips each."""
    measured = [[Sample(frame.transpose(2, 0, 1)) for frame in clip] for clip in frames]
    facts = [clip_facts(samples, (0.0,) * len(samples)) for samples in measured]
    for job in jobs:
        height, width = frames.shape[2:4]
        info = VideoInfo(2.0 * clips, width, height, 30.0, "h264", "mp4", 0.0, 0, False, ())
        for number in range(clips):
            clip = Clip(2.0 * number, 2.0 * number + 2)
            yield ClipDecoded(job, 1, clip, facts[number % 8], frames[number % 8], info)
        yield VideoDone(job, 1, info, None)


if __name__ == "__main__":
    main()
