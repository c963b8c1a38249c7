"""A cluster embeds into a collection in a bucket what one machine embeds into a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clusters import Cluster
from made_servers import FaultyWay
from shared_collection import ADDRESS, BUCKET, NAME
from stored_clips import Key, Stored, check_same_clips, stored_clips

import vidx

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("s3")]

NUM_VIDEOS = 8
# `vidx`, which commits so often that it can be killed between two commits.
COMMAND = """
import sys
from vidx.options import CommitPolicy
CommitPolicy.__init__.__kwdefaults__.update(num_clips=6, part_clips=3)
from vidx.cli import main
main(sys.argv[1:])
"""
Command = list[str]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Short ones, a long one and a broken one."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(NUM_VIDEOS):
        make_video(folder / f"{number}.mp4", seed=number, seconds=1.5 + 2.3 * (number % 4))
    make_video(folder / "long.mkv", seed=77, seconds=30.0)
    (folder / "broken.mp4").write_bytes(b"no video" * 99)
    return folder


@pytest.fixture(scope="module")
def plain(
    tmp_path_factory: pytest.TempPathFactory, videos: Path, tiny_checkpoint: Path
) -> dict[Key, Stored]:
    """What one machine makes of them, in a folder."""
    folder = tmp_path_factory.mktemp("plain") / "collection"
    with vidx.open(folder, create=True) as collection:
        collection.embed(videos, vidx.EmbedOptions(model=tiny_checkpoint, workers=1))
    return stored_clips(folder)


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Be on a machine from now on: one with its own working copies."""
    return lambda machine: monkeypatch.setenv("VIDX_CACHE_DIR", str(tmp_path / machine))


@pytest.fixture
def command(
    on: Callable[[str], None], videos: Path, tiny_checkpoint: Path, cluster: Cluster
) -> Command:
    """Embed them on the cluster, from machine one, into the bucket."""
    on("one")
    options = ["--engine", "ray", "--address", cluster.address, "--model", str(tiny_checkpoint)]
    told = ["--collection", ADDRESS, "--dtype", "float32", "--json"]
    return [sys.executable, "-c", COMMAND, "embed", str(videos), *options, *told]


def embed(command: Command) -> dict[str, Any]:
    """Run the command, and tell its report."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr  # one of them is broken
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def commits(s3: Any) -> int:
    """How many are in the bucket."""
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{NAME}/commits/").get("Contents", ())
    return len(found)


def test_a_cluster_makes_in_a_bucket_what_one_machine_makes_in_a_folder(
    command: Command, plain: dict[Key, Stored], on: Callable[[str], None], s3: Any
) -> None:
    report = embed(command)
    counts = [report[name] for name in ("embedded", "failed", "num_clips", "collection")]
    assert counts == [NUM_VIDEOS + 1, 1, len(plain), ADDRESS]
    made = commits(s3)
    again = embed(command)
    counts = [again[name] for name in ("embedded", "unchanged", "failed_before", "num_clips")]
    assert counts == [0, NUM_VIDEOS + 1, 1, 0]
    assert commits(s3) == made > 1
    for machine in ("one", "two"):
        on(machine)
        check_same_clips(ADDRESS, plain)
        with vidx.open(ADDRESS) as collection:
            assert collection.verify() == []


def test_a_command_that_was_killed_goes_on_with_what_is_in_the_bucket(
    command: Command,
    plain: dict[Key, Stored],
    on: Callable[[str], None],
    s3: Any,
    s3_way: FaultyWay,
) -> None:
    drivers: list[subprocess.Popen[bytes]] = []

    def kill(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/commits/000000000003.json") and drivers:
            drivers.pop().kill()
            raise ConnectionAbortedError

    s3_way.before = kill
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ.copy())
    drivers.append(driver)
    assert driver.wait(120) == -signal.SIGKILL
    assert commits(s3) == 2
    report = embed(command)
    assert 0 < report["embedded"] < NUM_VIDEOS + 1
    for machine in ("one", "two"):
        on(machine)
        check_same_clips(ADDRESS, plain)
        with vidx.open(ADDRESS) as collection:
            told = collection.verify()
            assert all("belongs to no commit" in one for one in told), "but what was sent in vain"
    assert embed(command)["embedded"] == 0


def test_nodes_that_are_refused_leave_nothing_in_the_bucket(
    command: Command, cluster: Cluster, tmp_path: Path, s3: Any
) -> None:
    with cluster.another_version("torch", "0.0.7", tmp_path / "path"):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 4
    assert "has torch 0.0.7, this machine has" in done.stderr
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)
    with pytest.raises(vidx.VidxError, match="no collection in"):
        vidx.open(ADDRESS)
