"""kill -9 at any moment, then the same command again: the result is that of an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from stored_clips import Key, Stored, stored_clips

import vidx

NUM_VIDEOS = 30
# Shards are committed every 0.2 s instead of every 30 s, so that there is much to interrupt.
COMMAND = """
import sys, vidx
options = vidx.EmbedOptions(
    model=sys.argv[3], workers=2, commit=vidx.CommitPolicy(seconds=0.2, part_clips=2)
)
report = vidx.open(sys.argv[2], create=True).embed(sys.argv[1], options)
sys.exit(3 if report.failed + report.failed_before else 0)
"""

Rows = dict[Key, Stored]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Thirty videos of one to four clips; two of them are equal, and one is broken besides."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(NUM_VIDEOS - 1):
        seconds = 1.5 + 2.3 * (number % 4)
        make_video(folder / f"{number:02}.mp4", seed=number, seconds=seconds, size=(320, 240))
    (folder / "twin.mp4").write_bytes((folder / "00.mp4").read_bytes())
    (folder / "broken.mp4").write_bytes(b"no video" * 99)
    return folder


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, videos: Path, tiny_checkpoint: Path
) -> tuple[Rows, float]:
    """The rows of a run that nobody kills, and how long it takes."""
    seconds = []
    for number in range(2):  # the quicker one: the first warms the caches
        folder = tmp_path_factory.mktemp("undisturbed") / f"collection{number}"
        started = time.monotonic()
        assert start(videos, folder, tiny_checkpoint).wait(timeout=120) == 3  # the broken one
        seconds.append(time.monotonic() - started)
    return stored_clips(folder), min(seconds)


def start(videos: Path, collection: Path, model: Path) -> subprocess.Popen[bytes]:
    """A run of `embed` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(videos), str(collection), str(model)],
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def kill(how: str, process: subprocess.Popen[bytes], chance: random.Random) -> list[int]:
    """Kill the group, the parent or a worker; the workers' ids."""
    try:
        workers = [child.pid for child in psutil.Process(process.pid).children()]
    except psutil.NoSuchProcess:
        return []
    if how == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif how == "parent":
        process.kill()
    elif workers:
        os.kill(chance.choice(workers), signal.SIGKILL)
    return workers


def check_kill(
    how: str, seed: int, videos: Path, folder: Path, model: Path, undisturbed: tuple[Rows, float]
) -> None:
    """Kill a run at a random moment, run again, and compare with the undisturbed run."""
    expected, seconds = undisturbed
    chance = random.Random(seed)
    process = start(videos, folder, model)
    time.sleep(chance.uniform(0.1, 0.9) * seconds)
    was_running = process.poll() is None
    workers = kill(how, process, chance)
    code = process.wait(timeout=120)
    if how != "worker" and was_running:
        assert code == -signal.SIGKILL
        assert all_gone(workers), "a worker outlived its parent"
    assert start(videos, folder, model).wait(timeout=120) == 3

    rows = stored_clips(folder)
    assert rows.keys() == expected.keys()
    for key, (vector, labels) in rows.items():
        np.testing.assert_allclose(vector, expected[key][0], rtol=0, atol=1e-4)
        assert labels == pytest.approx(expected[key][1], abs=1e-3)
    collection = vidx.open(folder)
    assert collection.verify() == []
    assert collection.info().num_locations == NUM_VIDEOS
    assert [row["reason"] for row in collection.failures().to_pylist()] == ["not_a_video"]
    assert strays(folder) == []


def all_gone(pids: list[int]) -> bool:
    """Whether processes end within ten seconds."""
    deadline = time.monotonic() + 10
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(psutil.pid_exists, pids))


def strays(folder: Path) -> list[str]:
    """Files that no part of the collection accounts for."""
    expected = {"collection.json", "catalogue.sqlite", "writer.lock", "index.json"}
    with vidx.open(folder) as collection, collection._look() as (_, view):
        expected |= view.index.header.names()
    sqlites_own = {"catalogue.sqlite-wal", "catalogue.sqlite-shm"}
    return [
        str(path)
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in expected | sqlites_own
        and not (path.suffix == ".parquet" and path.parent.name in ("shards", "journal"))
    ]


KILLS = [(("group", "parent", "worker")[seed % 3], seed) for seed in range(38)]


@pytest.mark.long
@pytest.mark.parametrize(("how", "seed"), KILLS)
def test_every_killed_run_is_made_good(how, seed, videos, tmp_path, tiny_checkpoint, undisturbed):
    check_kill(how, seed, videos, tmp_path / "collection", tiny_checkpoint, undisturbed)
