"""A raw folder of made videos, as dataset teams find them: `python examples/raw_folder.py raw`.

Four kinds of motion, three videos of each; a copy, a smaller and a re-encoded one among them; one
that is black, one that stands still, one that is broken; and a table of what is known of them.
"""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FRAMES_A_SECOND = 15
SIZE = (192, 144)  # width, height
KINDS = ("bounce", "slide", "spin", "zoom")
Draw = Callable[[float, NDArray[np.float64], NDArray[np.float64]], NDArray[np.uint8]]


def main() -> None:
    """Fill the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True)
    for kind in KINDS:
        for number in range(1, 4):
            make_video(folder / f"{kind}{number}.mp4", scene(kind, number))
    shutil.copy(folder / "slide1.mp4", folder / "slide1 (copy).mp4")
    make_video(folder / "spin2_small.mp4", scene("spin", 2), size=(144, 108))
    make_video(folder / "zoom3_old.avi", scene("zoom", 3), codec="mpeg4", size=(160, 120))
    make_video(folder / "dark.mp4", lambda _t, y, _x: np.zeros((*y.shape, 3), np.uint8))
    still = scene("slide", 9)
    make_video(folder / "still.mp4", lambda _t, y, x: still(0, y, x))
    (folder / "broken.mp4").write_bytes((folder / "spin1.mp4").read_bytes()[:3000])
    write_table(folder)


def write_table(folder: Path) -> None:
    """What is known of the videos: their kind, which is wrong of one, and a careless split."""
    with (folder / "about.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "kind", "split"))
        for path in sorted(set(folder.iterdir()) - {folder / "about.csv", folder / "broken.mp4"}):
            kind = next((kind for kind in KINDS if path.name.startswith(kind)), "")
            split = "test" if set("3_") & set(path.stem) else "train"
            table.writerow((path.name, "slide" if path.stem == "spin3" else kind, split))


def scene(kind: str, number: int) -> Draw:
    """A texture in the colours of its number, that moves as its kind says."""
    random = np.random.default_rng([KINDS.index(kind), number])
    colours = random.integers((0, 130), (110, 255), (3, 2)).T
    waves = random.uniform(8, 14, (3, 2))
    speed = random.uniform(0.7, 1.1)

    def draw(seconds: float, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.uint8]:
        x, y = moved(kind, x, y, speed * seconds)
        field = sum(np.sin(a * x + b * y) for a, b in waves)
        share = ((field + 3) / 6)[..., None] > 0.5
        return np.where(share, colours[0], colours[1]).astype(np.uint8)

    return draw


def moved(
    kind: str, x: NDArray[np.float64], y: NDArray[np.float64], t: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where in the texture each pixel looks."""
    if kind == "bounce":
        return x, y + 0.4 * abs(np.sin(3 * t))
    if kind == "slide":
        return x + 0.5 * t, y
    if kind == "spin":
        return x * np.cos(t) - y * np.sin(t), x * np.sin(t) + y * np.cos(t)
    scale = np.exp(-0.4 * t)
    return x * scale, y * scale


def make_video(
    path: Path, draw: Draw, *, codec: str = "libx264", size: tuple[int, int] = SIZE
) -> None:
    """Encode 4.3 seconds, two clips."""
    width, height = size
    y, x = np.mgrid[-1 : 1 : height * 1j, -1.33 : 1.33 : width * 1j]
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=FRAMES_A_SECOND)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1  # the same bytes each time
        for number in range(round(4.3 * FRAMES_A_SECOND)):
            picture = draw(number / FRAMES_A_SECOND, y, x)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAMES_A_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


if __name__ == "__main__":
    main()
