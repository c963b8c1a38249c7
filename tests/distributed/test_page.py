"""The commands of the page about clusters, word for word but for addresses and folders."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from clusters import HOST, QUIET, free_ports, need_ray

pytestmark = pytest.mark.long

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
MACHINES = ("10.0.0.5", "10.0.0.6", "10.0.0.7")


@pytest.fixture
def port() -> Iterator[str]:
    """A port for a head; what Ray started with it ends with the test, and nothing else of Ray."""
    need_ray()
    [port] = free_ports(1)
    yield port
    mine = [one for one in psutil.process_iter() if f"{HOST}:{port}" in told(one)]
    heads = [one for one in psutil.process_iter() if f"gcs_server_port={port}" in told(one)]
    for one in [*mine, *heads]:
        with suppress(psutil.Error):
            one.kill()


def told(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def test_the_page_takes_a_reader_to_a_cluster(
    checkout: Path, tmp_path: Path, make_video: Callable[..., Path], port: str
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for number in range(6):
        make_video(videos / f"{number}.mp4", seed=number, seconds=4.0)
    page = (checkout / "docs/cluster.md").read_text(encoding="utf-8")
    page = page.replace("/mnt/videos", str(videos)).replace("6379", port)
    for machine in MACHINES:
        assert machine in page
        page = page.replace(machine, HOST)
    commands = [line[2:] for block in BLOCK.findall(page) for line in block.splitlines()]
    assert commands.pop(0) == "pip install 'vidx[ray]'"
    assert [line.split()[0] for line in commands] == ["ray", "ray", "ray", "vidx", "vidx", "vidx"]
    printed = [run(command, tmp_path) for command in commands]
    assert "6 files: 6 embedded" in printed[3]
    assert re.search(r"videos\s+6\b", printed[4])


def run(command: str, folder: Path) -> str:
    """What a command prints, given where the reader is."""
    binaries = Path(sys.executable).parent
    assert shutil.which("ray", path=str(binaries))
    path = os.pathsep.join([str(binaries), os.environ["PATH"]])
    env = {**os.environ, **QUIET, "PATH": path}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
