from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import vidx

COMMAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the tests' parent ignores
from vidx.cli import main
main(sys.argv[1:])
"""
Watch = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def sources(
    tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]
) -> list[Path]:
    """Two videos."""
    folder = tmp_path_factory.mktemp("sources")
    return [make_video(folder / f"{seed}.mp4", seed=seed, seconds=3.0) for seed in (1, 2)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return folder


@pytest.fixture
def watch(folder: Path, tiny_checkpoint: Path) -> Iterator[Watch]:
    """Watches the folder, in which the collection lies too, until the test ends."""
    with ExitStack() as stack:

        def start(*options: str, path: object = folder) -> subprocess.Popen[str]:
            command = [sys.executable, "-u", "-c", COMMAND, "watch", str(path), "--json"]
            command += ["--collection", str(folder / ".vidx"), "--model", str(tiny_checkpoint)]
            pipe = subprocess.PIPE
            process = subprocess.Popen(
                [*command, *options], stdout=pipe, stderr=pipe, text=True, cwd=folder
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def next_report(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    report: dict[str, Any] = json.loads(process.stdout.readline())
    return report


def test_what_comes_is_embedded_until_an_interrupt(
    folder: Path, watch: Watch, sources: list[Path]
) -> None:
    process = watch()
    assert process.stderr
    assert process.stderr.readline().startswith("Watching 1 path")
    shutil.copy(sources[0], folder / "a.mp4")
    assert next_report(process)["embedded"] == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130


@pytest.mark.long
def test_what_comes_and_goes_is_embedded_and_pruned_until_an_interrupt(
    folder: Path, watch: Watch, sources: list[Path], tmp_path: Path
) -> None:
    process = watch("--prune")
    shutil.copy(sources[0], folder / "a.mp4")
    first = next_report(process)
    assert (first["embedded"], first["num_files"]) == (1, 1)

    (tmp_path / "half.mp4").write_bytes(sources[1].read_bytes()[:1000])
    shutil.move(tmp_path / "half.mp4", folder / "b.mp4")
    assert next_report(process)["failed"] == 1
    shutil.copy(sources[1], folder / "b.mp4")
    assert next_report(process)["embedded"] == 1

    (folder / "a.mp4").unlink()
    assert next_report(process)["gone"] == 1
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    with vidx.open(folder / ".vidx") as collection:
        assert [Path(row["path"]).name for row in collection.videos().to_pylist()] == ["b.mp4"]
        assert collection.failures().num_rows == 0
        assert collection.verify() == []


@pytest.mark.long
def test_another_writer_is_waited_for(folder: Path, watch: Watch, sources: list[Path]) -> None:
    shutil.copy(sources[0], folder / "a.mp4")
    process = watch()
    assert next_report(process)["embedded"] == 1
    with vidx.open(folder / ".vidx") as collection, collection._writer(None):
        shutil.copy(sources[1], folder / "b.mp4")
        assert process.stderr
        while not (line := process.stderr.readline()).startswith("Waiting: "):
            assert line, "it has ended"
    assert next_report(process)["embedded"] == 1


@pytest.mark.long
def test_a_path_that_is_away_for_a_while_is_waited_for(
    folder: Path, watch: Watch, sources: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(sources[0], folder / "a.mp4")
    process = watch(str(other))
    assert next_report(process)["embedded"] == 1
    other.rmdir()
    shutil.copy(sources[0], folder / "copy.mp4")
    assert process.stderr
    while not (line := process.stderr.readline()).startswith("Waiting: "):
        assert line, "it has ended"
    assert str(other) in line
    other.mkdir()
    assert next_report(process)["duplicate"] == 1
    shutil.copy(sources[1], other / "b.mp4")  # it is watched again
    assert next_report(process)["embedded"] == 1


@pytest.mark.long
@pytest.mark.parametrize("named", [".", "a link"])
def test_what_it_writes_itself_is_no_change(
    named: str, folder: Path, watch: Watch, sources: list[Path], tmp_path: Path
) -> None:
    shutil.copy(sources[0], folder / "a.mp4")
    link = tmp_path / "link"
    link.symlink_to(folder)
    process = watch(path=link if named == "a link" else named)
    assert next_report(process)["embedded"] == 1
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert len([line for line in told.splitlines() if " files, " in line]) == 1


def test_what_tells_of_no_changes_is_refused(vidx: Callable[..., tuple[int, str, str]]) -> None:
    for path in ("s3://bucket/videos", "videos/**/*.mp4", "nowhere"):
        code, _, told = vidx("watch", path)
        assert code == 2
        assert told.startswith(f"Error: {path}: only folders and files of this machine")
