"""How much of an object at a URL is read for a span of it?

    python benchmarks/ranges.py VIDEO [--minutes M] [--out FILE]

The packets of VIDEO, an MP4 with H.264, are written again and again to films of M minutes: an MP4
with its index at the end, one with it in front, one in fragments, and a Matroska file. Each lies on
a server of S3 on this machine (moto's). Spans of 10 s at its begin, in its middle and at its end
are decoded from there and from disk; their clips must be the same. Told are the bytes that travel.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from command import circumstances

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.decoding.video import decode_clips
from vidx.remote import copies

SPAN_SECONDS = 10.0
GEOMETRY = FrameGeometry(resize_to=(224, 224))
FILMS = {
    "MP4, index at the end": ("end.mp4", {}),
    "MP4, index in front": ("front.mp4", {"movflags": "faststart"}),
    "MP4 in fragments": ("fragments.mp4", {"movflags": "frag_keyframe+empty_moov"}),
    "Matroska": ("film.mkv", {}),
}


def write_film(video: Path, film: Path, seconds: float, options: dict[str, str]) -> None:
    """Write the packets of a video one after the other, as often as they fit."""
    with av.open(str(film), "w", options=options) as out, av.open(str(video)) as container:
        streams = {
            stream: out.add_stream_from_template(stream)
            for stream in container.streams
            if stream.type in ("video", "audio")
        }
        length = Fraction(container.duration or 0, av.time_base) + Fraction(1, 10)
        for turn in range(int(seconds / length)):
            container.seek(0)
            for packet in container.demux(list(streams)):
                if packet.dts is None or packet.pts is None:
                    continue
                shift = round(turn * length / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = streams[packet.stream]
                out.mux(packet)


@contextmanager
def bucket() -> Iterator[Any]:
    """A client of a server of S3 on this machine, with a bucket called `films`."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    client = boto3.client("s3")
    client.create_bucket(Bucket="films")
    yield client
    server.stop()


def decoded(place: str, start: float) -> tuple[list[Any], list[str]]:
    """The clips of a span, and the notes of the video."""
    plan = Plan(start_seconds=start, end_seconds=start + SPAN_SECONDS)
    *parts, end = decode_clips(place, Sampling(), plan, GEOMETRY)
    assert isinstance(end, DecodedVideo)
    clips = [(p.clip, p.frames.tobytes() if isinstance(p, DecodedClip) else None) for p in parts]
    return clips, list(end.info.notes)


def measure(video: Path, minutes: float) -> dict[str, Any]:
    """Read spans of each film."""
    films: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, bucket() as client:
        for kind, (name, options) in FILMS.items():
            path = Path(folder) / name
            write_film(video, path, 60 * minutes, options)
            client.upload_file(str(path), "films", name)
            places = {"begin": 0.0, "middle": 30 * minutes, "end": 60 * minutes - 60}
            films[kind] = {"bytes": path.stat().st_size} | {
                place: _read(path, f"s3://films/{name}", start) for place, start in places.items()
            }
    return {"video": video.name, "minutes": minutes, "span_seconds": SPAN_SECONDS, "films": films}


def _read(path: Path, url: str, start: float) -> dict[str, Any]:
    copies._last_copy.cache_clear()
    from_disk, _ = decoded(str(path), start)
    clips, notes = decoded(url, start)
    if clips != from_disk:
        raise SystemExit(f"{url}: other clips than on disk, from {start} s on")
    read = copies.partial_copy(url, lambda: None).fetched_bytes
    return {"bytes": read, "share": read / path.stat().st_size, "notes": notes}


def table(result: dict[str, Any]) -> str:
    """The results to read."""
    lines = [f"{'':24}{'MB':>8}{'begin':>18}{'middle':>18}{'end':>18}"]
    for kind, one in result["films"].items():
        cells = [
            f"{one[place]['bytes'] / 1e6:9.2f} MB {one[place]['share']:5.1%}"
            for place in ("begin", "middle", "end")
        ]
        lines.append(f"{kind:24}{one['bytes'] / 1e6:8.1f}{''.join(f'{c:>18}' for c in cells)}")
    return "\n".join(lines)


def main() -> None:
    """Parse, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path, help="an MP4 with H.264")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each film")
    parser.add_argument("--out", type=Path, help="write everything as JSON to this file")
    options = parser.parse_args()
    result = measure(options.video, options.minutes)
    print(table(result))
    if options.out:
        record = {**circumstances(Path(__file__).name), **result}
        options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
