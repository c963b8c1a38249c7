"""How well shots are told apart in drawn films, and what looking for them costs on real ones.

    python benchmarks/shots.py [--films 12] [--media FOLDER] [--sheet FILE.jpg] [--out FILE]

The films have cuts (some with a frame that shows both shots), dissolves of 0.3 to 1.6 s, flashes,
and shots that stand still or pan, up to a picture's width a second. With --media, a number of
videos are decoded in one process, plainly and at their shots, in turns; the times are the CPU's.
With --sheet, the first frame of each shot of a drawn film is written in a row.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from command import circumstances
from numpy.typing import NDArray

from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.sampling import LEAST_SHOT_SECONDS, Plan, Sampling
from vidx.embedder.decoding.shots import SIDE, ShotFinder
from vidx.embedder.decoding.video import decode_clips
from vidx.errors import VideoError

SIZE = 96  # pixels, of the square pictures
RATES = (25, 30, 24, 60, 10, 15)
MODEL = FrameGeometry(resize_shortest_edge=224, crop=(224, 224))
KINDS = {"still": (0, 0), "slow": (4, 20), "fast": (30, 96)}  # pixels a second


@dataclass(eq=False)
class Film:
    """Frames, and where its shots meet: cuts, and starts and ends of dissolves, in seconds."""

    fps: int
    frames: list[NDArray[np.uint8]] = field(default_factory=list)
    cuts: list[float] = field(default_factory=list)
    dissolves: list[tuple[float, float]] = field(default_factory=list)

    @property
    def now(self) -> float:
        """When the next frame is shown, in seconds."""
        return len(self.frames) / self.fps

    def add(self, image: NDArray[np.float64]) -> None:
        """Show a frame."""
        self.frames.append(np.clip(image, 0, 255).astype(np.uint8))


class Scene:
    """A soft texture that pans, under a box that moves by itself."""

    def __init__(self, rng: np.random.Generator) -> None:
        cells = int(rng.choice([6, 12, 24]))
        world = np.kron(rng.normal(0, 1, (cells, cells, 3)), np.ones((288 // cells,) * 2 + (1,)))
        steps = range(0, int(rng.integers(2, 24)), 2)
        for axis in (0, 1):
            world = sum(np.roll(world, step, axis) for step in steps) / len(steps)
        bright = 128 + rng.uniform(-50, 50) + rng.normal(0, 25, 3)
        world = bright + rng.uniform(20, 60) * world / world.std()
        self.world = np.tile(world, (2, 2, 1))
        angle = rng.uniform(0, np.pi / 2)
        speed = rng.uniform(*KINDS[str(rng.choice(["still", "slow", "slow", "fast"]))])
        self.velocity = speed * np.array([np.sin(angle), np.cos(angle)])
        self.box, self.box_velocity = rng.uniform(0, 255, 3), rng.uniform(0, 60, 2)
        self.rng = rng

    def at(self, seconds: float) -> NDArray[np.float64]:
        """The picture at a time: values about 0 to 255, shape (SIZE, SIZE, 3)."""
        y, x = (self.velocity * seconds).astype(int) % 288
        image = self.world[y : y + SIZE, x : x + SIZE] + self.rng.normal(0, 3, (SIZE, SIZE, 3))
        to_and_fro = SIZE - np.abs(self.box_velocity * seconds % (2 * SIZE) - SIZE)
        y, x = to_and_fro.astype(int)
        image[y : y + 24, x : x + 20] = self.box
        return image


def film(seed: int, num_shots: int = 25) -> Film:
    """Draw a film."""
    rng = np.random.default_rng(seed)
    made = Film(RATES[seed % len(RATES)])
    scene = Scene(rng)
    for _ in range(num_shots - 1):
        _shoot(made, scene, rng)
        following = Scene(rng)
        _join(made, scene, following, rng)
        scene = following
    _shoot(made, scene, rng)
    return made


def _shoot(made: Film, scene: Scene, rng: np.random.Generator) -> None:
    """One shot; two of five have a flash."""
    count = int(rng.uniform(1, 5) * made.fps)
    flash = int(rng.integers(3, count - 3)) if rng.random() < 0.4 else count
    lit = range(flash, flash + int(rng.integers(1, max(2, int(0.2 * made.fps)))))
    for number in range(count):
        image = scene.at(made.now)
        made.add(image * 0.2 + 184 if number in lit else image)


def _join(made: Film, one: Scene, other: Scene, rng: np.random.Generator) -> None:
    """A cut, or in three of ten a dissolve; one cut of ten has a frame of both."""
    start = made.now
    if rng.random() < 0.3:
        count = int(rng.uniform(0.3, 1.6) * made.fps)
        for part in np.arange(1, count + 1) / (count + 1):
            made.add(one.at(made.now) * (1 - part) + other.at(made.now) * part)
        made.dissolves.append((start, made.now))
        return
    if rng.random() < 0.1:
        made.add((one.at(start) + other.at(start)) / 2)
    made.cuts.append(made.now)


def found_in(made: Film) -> list[float]:
    """Where the finder sees shots meet."""
    finder = ShotFinder()
    cells = SIZE // SIDE
    for number, frame in enumerate(made.frames):
        tiny = frame.reshape(SIDE, cells, SIDE, cells, 3).mean(axis=(1, 3)).astype(np.uint8)
        finder.add(number / made.fps, tiny)
    return finder.cuts()


def judge(made: Film) -> dict[str, int]:
    """Count what was found, missed and made up; one boundary a cut or dissolve counts."""
    left = found_in(made)
    counts = {"cuts": len(made.cuts), "cuts_found": 0}
    counts |= {"dissolves": len(made.dissolves), "dissolves_found": 0}
    near = 1.5 / made.fps
    spans = [("cuts_found", cut - near, cut + near) for cut in made.cuts]
    spans += [("dissolves_found", start - 0.2, end + 0.2) for start, end in made.dissolves]
    for name, start, end in spans:
        hit = next((one for one in left if start <= one <= end), None)
        if hit is not None:
            counts[name] += 1
            left.remove(hit)
    return counts | {"false": len(left)}


def quality(films: int) -> dict[str, Any]:
    """Of several films together; a false one counts against cuts."""
    judged = [judge(film(seed)) for seed in range(films)]
    total: dict[str, Any] = {name: sum(one[name] for one in judged) for name in judged[0]}
    right, false = total["cuts_found"], total["false"]
    total["cuts_f1"] = round(2 * right / (right + total["cuts"] + false), 4)
    return total


def cost(folder: Path, limit: int) -> dict[str, Any]:
    """CPU seconds of decoding videos uncut and at their shots."""
    paths = sorted(path for path in folder.rglob("*.mp4"))[:limit]
    seconds: dict[str, list[float]] = {"fixed": [], "shots": []}
    for path in paths:
        for segment, times in seconds.items():
            began = time.process_time()
            try:
                for _ in decode_clips(str(path), Sampling(), Plan(segment=segment), MODEL):
                    pass
            except VideoError:
                continue
            times.append(time.process_time() - began)
    fixed, shots = sum(seconds["fixed"]), sum(seconds["shots"])
    ratios = [b / a for a, b in zip(seconds["fixed"], seconds["shots"], strict=True)]
    return {
        "videos": len(ratios),
        "fixed_cpu_seconds": round(fixed, 2),
        "shots_cpu_seconds": round(shots, 2),
        "ratio": round(shots / fixed, 2),
        "median_ratio": round(statistics.median(ratios), 2),
    }


def write_sheet(path: Path, made: Film, columns: int = 8) -> None:
    """Write the frame in the middle of each shot that was found, row by row."""
    bounds = [0.0, *found_in(made), made.now]
    places = [int((a + b) / 2 * made.fps) for a, b in pairwise(bounds)]
    assert min(b - a for a, b in pairwise(bounds)) >= LEAST_SHOT_SECONDS
    pictures = [made.frames[place] for place in places]
    pictures += [np.full_like(pictures[0], 255)] * (-len(pictures) % columns)
    rows = [np.hstack(pictures[at : at + columns]) for at in range(0, len(pictures), columns)]
    sheet = np.vstack(rows)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width = sheet.shape[:2]
    encoder.pix_fmt, encoder.time_base = "yuvj420p", Fraction(1)
    picture = av.VideoFrame.from_ndarray(sheet, format="rgb24").reformat(format="yuvj420p")
    packets = encoder.encode(picture)
    path.write_bytes(b"".join(bytes(packet) for packet in [*packets, *encoder.encode(None)]))


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", type=int, default=2 * len(RATES))
    parser.add_argument("--media", type=Path)
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    found: dict[str, Any] = {**circumstances("shots.py"), "quality": quality(asked.films)}
    if asked.media:
        found["cost"] = cost(asked.media, asked.videos)
    if asked.sheet:
        write_sheet(asked.sheet, film(0))
    text = json.dumps(found, indent=2)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
