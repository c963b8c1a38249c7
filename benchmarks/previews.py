"""What previews cost: processor time of a run of `embed`, and bytes, by the size of the pictures.

    python benchmarks/previews.py VIDEOS... [--rounds 3] [--out FILE]

Each round decodes the videos in this process, and embeds them with `builtin:tiny` into a new
collection, without previews and with them, in turns; times are the processor's, of the run and its
worker, so that other work on the machine counts little. Then pictures of the videos are made in
other sizes and by other encoders.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from command import circumstances
from numpy.typing import NDArray

import vidx
from vidx.embedder.decoding import geometry, jpeg
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.scaler import Scaler
from vidx.embedder.decoding.video import DecodedVideo, decode_clips

SIDES = (160, 256, 320)
QUANTIZERS = ("3", "5", "7")
WEBP_EFFORTS = ("0", "4")
MODEL = geometry.FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
FRAMES_EACH = 4  # of a video, to try sizes with
Pixels = NDArray[np.uint8]
Result = dict[str, Any]


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    record: Result = circumstances(Path(__file__).name)
    embedded(options.videos, previews=False)  # which starts all that is started once
    rounds = [
        {
            side: decoded(options.videos, previews=side == "with")
            | embedded(options.videos, previews=side == "with")
            for side in ("without", "with")
        }
        for _ in range(options.rounds)
    ]
    record |= {"previews": summary(rounds), "rounds": rounds}
    print(json.dumps(record["previews"], indent=1), flush=True)
    frames = [frame for path in options.videos for frame in some_frames(path)]
    record["choices"] = choices(frames)
    for one in record["choices"]:
        print(one, flush=True)
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n")


def decoded(videos: list[Path], *, previews: bool) -> Result:
    """Processor milliseconds of decoding a clip, alone."""
    own = geometry.WithPreviews.of(MODEL) if previews else MODEL
    began, clips = time.process_time(), 0
    for path in videos:
        parts = decode_clips(str(path), Sampling(), Plan(), own)
        clips += sum(not isinstance(part, DecodedVideo) for part in parts)
    return {"decoding_ms": 1000 * (time.process_time() - began) / clips}


def embedded(videos: list[Path], *, previews: bool) -> Result:
    """One run: clips, processor milliseconds a clip, and bytes a clip in shards."""
    with tempfile.TemporaryDirectory() as folder:
        options = vidx.EmbedOptions(model="builtin:tiny", workers=1, previews=previews)
        began = spent_seconds()
        with vidx.open(folder, create=True) as collection:
            clips = collection.embed(videos, options).num_clips
        spent = spent_seconds() - began
        size = sum(path.stat().st_size for path in Path(folder, "shards").iterdir())
    return {"clips": clips, "embed_ms": 1000 * spent / clips, "shard_bytes": size / clips}


def spent_seconds() -> float:
    """Processor time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def summary(rounds: list[Result]) -> Result:
    """Medians of all rounds."""
    sides = {
        side: {name: statistics.median(one[side][name] for one in rounds) for name in first}
        for side, first in rounds[0].items()
    }
    ratios = {
        name: statistics.median(one["with"][name] / one["without"][name] for one in rounds)
        for name in ("decoding_ms", "embed_ms")
    }
    return sides | {"with_over_without": ratios}


def some_frames(path: Path) -> list[av.VideoFrame]:
    """Frames from all over a video."""
    with av.open(str(path)) as container:
        found = []
        for number in range(FRAMES_EACH):
            container.seek(int((container.duration or 0) * (number + 0.5) / FRAMES_EACH))
            found += [frame for frame, _ in zip(container.decode(video=0), [0], strict=False)]
        return found


def choices(frames: list[av.VideoFrame]) -> list[Result]:
    """Milliseconds, bytes and fidelity of each size and encoder."""
    found = []
    for side in SIDES:
        geometry.PREVIEW_SIDE = side  # type: ignore[misc]
        scaler = Scaler(geometry.Fitted())
        small, scaling_ms = timed(scaler.pixels, frames)
        for name, encode in encoders().items():
            files, ms = timed(encode, small)
            found.append({
                "side": side,
                "encoder": name,
                "ms": scaling_ms + ms,
                "bytes": statistics.mean(map(len, files)),
                "psnr_db": statistics.mean(map(psnr, files, small)),
            })  # fmt: skip
    return found


def encoders() -> dict[str, Callable[[Pixels], bytes]]:
    """Ways to encode a picture."""

    def by_jpeg(quantizer: str) -> Callable[[Pixels], bytes]:
        def encode(pixels: Pixels) -> bytes:
            jpeg.QUANTIZER = quantizer  # type: ignore[misc]
            return jpeg.jpeg(pixels)

        return encode

    jpegs = {f"JPEG, quantizer {one}": by_jpeg(one) for one in QUANTIZERS}
    webps = {f"WebP, effort {one}": lambda pixels, m=one: webp(pixels, m) for one in WEBP_EFFORTS}
    return jpegs | webps


def webp(pixels: Pixels, effort: str) -> bytes:
    """By libwebp, at its usual quality of 75."""
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
    frame.pts = 0
    encoder = av.CodecContext.create("libwebp", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuv420p"
    encoder.time_base, encoder.options = Fraction(1), {"compression_level": effort}
    return b"".join(map(bytes, [*encoder.encode(frame), *encoder.encode(None)]))


def timed(work: Callable[[Any], Any], items: list[Any]) -> tuple[list[Any], float]:
    """What comes of each, and the processor's milliseconds for one."""
    began = time.process_time()
    found = [work(item) for item in items]
    return found, 1000 * (time.process_time() - began) / len(items)


def psnr(file: bytes, pixels: Pixels) -> float:
    """Of a picture as it is decoded, in dB."""
    with av.open(io.BytesIO(file)) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    error = float(((shown.astype(float) - pixels) ** 2).mean())
    return 10 * float(np.log10(255**2 / max(error, 1e-9)))


if __name__ == "__main__":
    main()
