"""Whatever bytes are flipped, each file has its outcome, and no decoder takes more than it may."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from vidx.embedder.decoding.events import Job, VideoDone, VideoFailed
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.pool import Limits, decode
from vidx.embedder.decoding.sampling import Sampling

HERE = Path(__file__).parents[2]
GEOMETRY = FrameGeometry(resize_shortest_edge=32, crop=(32, 32))
LIMITS = Limits(deadline_seconds=20.0, memory_bytes=1 << 30)
LARGEST_BYTES = 1 << 20  # what is flipped in longer files is like what is flipped here
GROWTH_BYTES = 64 << 20
NEVER = ("decode_crashed", "decode_timeout")
# Where containers keep their index, and all over.
REGIONS = ((0.0, 0.02), (0.98, 1.0), (0.0, 1.0))


@pytest.fixture(scope="module")
def originals(
    make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> list[Path]:
    """Made ones of several kinds, and where they are at hand the odd and broken ones."""
    folder = tmp_path_factory.mktemp("originals")
    for codec, name in (("libx264", "a.mp4"), ("mpeg4", "a.avi"), ("libvpx", "a.webm")):
        make_video(folder / name, codec=codec, seconds=3.0, size=(160, 120))
    make_video(folder / "a.ts", seconds=3.0, size=(160, 120), b_frames=2)
    bad = Path(os.environ.get("VIDX_TEST_MEDIA", HERE.parent / "../shared/media")) / "bad"
    odd = bad.iterdir() if bad.is_dir() else ()
    return [path for path in sorted([*folder.iterdir(), *odd]) if is_fit(path)]


def is_fit(path: Path) -> bool:
    return path.is_file() and 0 < path.stat().st_size <= LARGEST_BYTES


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content with 1 to 300 bits turned over, in one of the regions."""
    turned = bytearray(content)
    begin, end = chance.choice(REGIONS)
    for _ in range(int(300 ** chance.random())):
        at = int(len(content) * chance.uniform(begin, end))
        turned[min(at, len(content) - 1)] ^= 1 << chance.randrange(8)
    return bytes(turned)


def jobs(originals: list[Path], numbers: range, folder: Path) -> Iterator[Job]:
    """Files that come to be when they are asked for."""
    for number in numbers:
        original = originals[number % len(originals)]
        path = folder / f"{number}{original.suffix}"
        path.write_bytes(mutated(original.read_bytes(), random.Random(number)))
        yield Job(f"{number} {original.name}", str(path))


def check(originals: list[Path], numbers: range, folder: Path) -> None:
    """Decode them all: each ends once, none in a crash or a hang, and memory is as it was."""
    ends: dict[str, str] = {}
    growth: list[int] = []
    before = resident_bytes()
    events = decode(
        jobs(originals, numbers, folder),
        sampling=Sampling(), geometry=GEOMETRY, workers=2, limits=LIMITS,
    )  # fmt: skip
    for event in events:
        if not isinstance(event, VideoDone | VideoFailed):
            continue
        assert event.job.key not in ends
        ends[str(event.job.key)] = event.problem.reason if event.problem else ""
        Path(event.job.path).unlink()
        growth.append(resident_bytes() - before)
    assert len(ends) == len(numbers)
    assert {key: end for key, end in ends.items() if end in NEVER} == {}
    assert max(growth) < GROWTH_BYTES


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def test_flipped_bytes_crash_and_hang_nothing(originals: list[Path], tmp_path: Path) -> None:
    check(originals, range(100), tmp_path)


@pytest.mark.long
def test_flipped_bytes_of_two_thousand_files_crash_and_hang_nothing(
    originals: list[Path], tmp_path: Path
) -> None:
    check(originals, range(100, 2100), tmp_path)
