"""The main job in one minute: make sample videos, embed them, search with one that was held out.

Nothing is fetched: the encoder is `builtin:tiny`, which lies in vidx's package. Run by `make demo`.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FOLDER = Path("build/demo")

# Name, codec, width, height, frames a second, seconds, scene.
SAMPLES = (
    ("bounce.mp4", "libx264", 320, 240, 30, 6.0, 1),
    ("drift.mkv", "mpeg4", 480, 270, 25, 5.0, 2),
    ("night/orbit.webm", "libvpx-vp9", 256, 256, 24, 4.0, 3),
    ("night/rain.avi", "mjpeg", 320, 180, 15, 7.0, 4),
    ("tall.mov", "libx264", 180, 320, 60, 3.0, 5),
    ("short.mp4", "libx264", 160, 120, 10, 1.0, 6),
)
HELD_OUT = ("query.mp4", "mpeg4", 384, 288, 24, 4.0, 1)  # the scene of bounce.mp4, made otherwise


def main() -> None:
    """Make everything, then run the commands a user would run."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for sample in SAMPLES:
        make_video(FOLDER / "videos" / sample[0], *sample[1:])
    make_video(FOLDER / HELD_OUT[0], *HELD_OUT[1:])
    whole = (FOLDER / "videos/bounce.mp4").read_bytes()
    (FOLDER / "videos/broken.mp4").write_bytes(whole[: len(whole) // 3])
    print(f"Made {len(SAMPLES)} sample videos and a broken one in {FOLDER}/videos.")
    print("The encoder is builtin:tiny, which lies in vidx's package.")

    collection = ("--collection", str(FOLDER / "collection"))
    run("embed", str(FOLDER / "videos"), "--model", "builtin:tiny", *collection, may=3)
    run("search", str(FOLDER / HELD_OUT[0]), "-k", "5", *collection)
    run("search", str(FOLDER / HELD_OUT[0]), "--by", "video", "-k", "3", *collection)
    run("failures", *collection)
    run("verify", *collection)


def run(*arguments: str, may: int = 0) -> None:
    """Run vidx, showing the command; stop where it ends with a code that is not expected."""
    print(f"\n$ vidx {shlex.join(arguments)}", flush=True)
    code = subprocess.run([sys.executable, "-m", "vidx", *arguments], check=False).returncode
    if code not in (0, may):
        sys.exit(f"vidx ended with {code}")


def make_video(
    path: Path, codec: str, width: int, height: int, fps: int, seconds: float, scene: int
) -> None:
    """Encode a scene."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for number in range(int(fps * seconds)):
            picture = draw(scene, number / fps, width, height)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def draw(scene: int, seconds: float, width: int, height: int) -> NDArray[np.uint8]:
    """One frame of a scene: a disc that moves over a wavy background; the seed is the scene."""
    random = np.random.default_rng(scene)
    colors = random.integers(0, 255, (3, 3))
    waves = random.uniform(1, 9, (2, 2))
    speed, phase = random.uniform(-2, 2, 2), random.uniform(0, 6, 2)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    wave = np.sin(waves[0, 0] * x + waves[0, 1] * y + seconds)
    wave = (wave + np.sin(waves[1, 0] * y - waves[1, 1] * x) + 2)[..., None] / 4  # (h, w, 1)
    center = 0.5 + 0.35 * np.sin(speed * seconds + phase)
    disc = ((x - center[0]) ** 2 + (y - center[1]) ** 2 < 0.02)[..., None]  # (h, w, 1)
    background = wave * colors[0] + (1 - wave) * colors[1]  # (h, w, 3)
    return np.where(disc, colors[2], background).astype(np.uint8)


if __name__ == "__main__":
    main()
