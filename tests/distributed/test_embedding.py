"""On three nodes, some of which die, a collection becomes what one machine makes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from clusters import Cluster, need_ray, running
from made_servers import WebServer
from stored_clips import Stored, check_same_clips, stored_clips

import vidx
from vidx.distributed import crew
from vidx.errors import DeviceError, VidxError
from vidx.store.shards import read_info

pytestmark = pytest.mark.long

NUM_VIDEOS = 24
OFTEN = vidx.CommitPolicy(seconds=0.2, part_clips=3)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Short ones and a long one; one is broken, one cut short, and one there twice."""
    folder = tmp_path_factory.mktemp("videos")
    for number in range(NUM_VIDEOS):
        seconds = 1.5 + 2.3 * (number % 4)
        make_video(folder / f"{number:02}.mp4", seed=number, seconds=seconds, size=(320, 240))
    make_video(folder / "long.mkv", seed=77, seconds=60.0, size=(320, 240))
    cut = make_video(folder / "cut.mkv", seed=78, seconds=12.0, size=(320, 240))
    os.truncate(cut, cut.stat().st_size * 2 // 3)
    (folder / "twin.mp4").write_bytes((folder / "00.mp4").read_bytes())
    (folder / "broken.mp4").write_bytes(b"no video" * 99)
    return folder


Made = tuple[dict[tuple[str, float, float], Stored], vidx.EmbedReport]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, videos: Path, tiny_checkpoint: Path) -> Made:
    """What one machine makes of them."""
    folder = tmp_path_factory.mktemp("plain") / "collection"
    options = vidx.EmbedOptions(model=tiny_checkpoint, workers=2)
    with vidx.open(folder, create=True) as collection:
        report = collection.embed(videos, options)
    return stored_clips(folder), report


@pytest.fixture
def options(cluster: Cluster, tiny_checkpoint: Path) -> vidx.EmbedOptions:
    return vidx.EmbedOptions(
        model=tiny_checkpoint, engine="ray", address=cluster.address, commit=OFTEN
    )


def check_same(folder: Path, plain: Made) -> None:
    """Clips, vectors, labels, failures; and nothing is amiss in the collection."""
    check_same_clips(folder, plain[0])
    with vidx.open(folder) as collection:
        assert collection.verify() == []
        reasons = [row["reason"] for row in collection.failures().to_pylist()]
        assert reasons == ["not_a_video"]


def counts(report: vidx.EmbedReport) -> tuple[int, ...]:
    return (report.embedded, report.partial, report.duplicate, report.failed, report.num_clips)


def test_three_nodes_make_what_one_machine_makes(
    tmp_path: Path,
    videos: Path,
    plain: Made,
    options: vidx.EmbedOptions,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    folder = tmp_path / "collection"
    with vidx.open(folder, create=True) as collection:
        report = collection.embed(videos, options)
        assert counts(report) == counts(plain[1])
        assert report.busy
        assert (report.busy.num_nodes, report.busy.num_workers, report.busy.num_cores) == (3, 3, 3)
        assert 0 < report.busy.decoding <= 1 and 0 < report.busy.device <= 1
        again = collection.embed(videos, options)
        assert (again.embedded, again.unchanged) == (0, NUM_VIDEOS + 3)
    shards = [read_info(path).provenance for path in (folder / "shards").glob("*.parquet")]
    assert {(one["device"], one["dtype"]) for one in shards} == {("cpu", "float32")}
    check_same(folder, plain)
    assert signal.getsignal(signal.SIGTERM) is before
    assert capfd.readouterr().out == "", "Ray is kept quiet"


class Once:
    """Does something as soon as so many files are done."""

    def __init__(self, after: int, do: Callable[[], object]) -> None:
        self.after, self.do, self.done = after, do, False

    def __call__(self, progress: vidx.EmbedProgress) -> None:
        if not self.done and progress.num_files_done >= self.after:
            self.done = True
            self.do()


def test_the_videos_of_a_node_that_dies_are_embedded_by_others(
    tmp_path: Path,
    videos: Path,
    plain: Made,
    options: vidx.EmbedOptions,
    cluster: Cluster,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "collection"
    dies = Once(4, cluster.living()[1].kill)
    with vidx.open(folder, create=True) as collection:
        report = collection.embed(videos, options, progress=dies)
    assert dies.done
    assert counts(report) == counts(plain[1])
    assert "Lost node" in caplog.text
    check_same(folder, plain)


def test_a_worker_that_is_killed_is_replaced_and_costs_no_video(
    tmp_path: Path,
    videos: Path,
    plain: Made,
    options: vidx.EmbedOptions,
    cluster: Cluster,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "collection"
    dies = Once(4, lambda: [one.kill() for one in cluster.living()[0].workers()])
    with vidx.open(folder, create=True) as collection:
        report = collection.embed(videos, options, progress=dies)
    assert dies.done
    assert counts(report) == counts(plain[1])
    assert "Lost the worker of node" in caplog.text
    check_same(folder, plain)


def test_a_node_that_comes_later_takes_part(
    tmp_path: Path,
    videos: Path,
    plain: Made,
    options: vidx.EmbedOptions,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crew, "MUSTER_SECONDS", 0.5)
    for node in cluster.living()[1:]:
        node.kill()
    comes = Once(2, lambda: cluster.add(1))

    def slowly(progress: vidx.EmbedProgress) -> None:
        comes(progress)
        time.sleep(0.3)

    folder = tmp_path / "collection"
    with vidx.open(folder, create=True) as collection:
        report = collection.embed(videos, options, progress=slowly)
    assert report.busy
    assert report.busy.num_nodes == 2
    check_same(folder, plain)


@pytest.fixture
def killer(cluster: Cluster) -> Iterator[list[int]]:
    """Kills each worker whose decoder has a file open named poison.mp4; gives those killed."""
    killed: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for worker in [one for node in cluster.living() for one in node.workers()]:
                with suppress(psutil.Error):
                    decoders = worker.children()
                    opened = [file.path for one in decoders for file in one.open_files()]
                    if any(path.endswith("poison.mp4") for path in opened):
                        worker.kill()
                        killed.append(worker.pid)

    thread = threading.Thread(target=watch)
    thread.start()
    yield killed
    over.set()
    thread.join()


def test_a_video_that_kills_its_worker_each_time_fails_and_harms_no_other(
    tmp_path: Path,
    make_video: Callable[..., Path],
    options: vidx.EmbedOptions,
    killer: list[int],
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    make_video(folder / "poison.mp4", seed=1, seconds=120.0, size=(640, 480))
    for number in range(6):
        make_video(folder / f"{number}.mp4", seed=number, seconds=5.0)
    with vidx.open(tmp_path / "collection", create=True) as collection:
        report = collection.embed(folder, options)
        assert (report.embedded, report.failed) == (6, 1)
        [failure] = collection.failures().to_pylist()
    assert (Path(failure["path"]).name, failure["reason"]) == ("poison.mp4", "worker_died")
    assert len(set(killer)) == 3


COMMAND = """
import sys, time, vidx
policy = vidx.CommitPolicy(seconds=0.2, part_clips=3)
options = vidx.EmbedOptions(model=sys.argv[3], engine="ray", address=sys.argv[4], commit=policy)
collection = vidx.open(sys.argv[2], create=True)
collection.embed(sys.argv[1], options, progress=lambda _: time.sleep(0.3))
"""


def wait_for_shards(folder: Path, number: int) -> None:
    """Wait until a run has committed so often."""
    until = time.monotonic() + 60
    while len(list((folder / "shards").glob("clips-*.parquet"))) < number:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_run_whose_driver_was_killed_goes_on_with_what_is_committed(
    tmp_path: Path, videos: Path, plain: Made, options: vidx.EmbedOptions, cluster: Cluster
) -> None:
    folder = tmp_path / "collection"
    command = [sys.executable, "-c", COMMAND, videos, folder, str(options.model), cluster.address]
    driver = subprocess.Popen(list(map(str, command)))
    wait_for_shards(folder, 3)
    assert driver.poll() is None, "it ended before anybody killed it"
    driver.kill()
    driver.wait()
    with vidx.open(folder, create=True) as collection:
        had = collection.info().num_videos
        report = collection.embed(videos, options)
    assert 0 < had < counts(plain[1])[0]
    assert report.embedded + report.partial < counts(plain[1])[0] + 1
    check_same(folder, plain)
    until = time.monotonic() + 20
    while any(node.workers() for node in cluster.living()) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(node.workers() for node in cluster.living()), "a worker outlived its driver"


def test_a_run_that_loses_all_nodes_ends_and_keeps_what_is_committed(
    tmp_path: Path,
    videos: Path,
    plain: Made,
    options: vidx.EmbedOptions,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / "collection"

    def kill_all() -> None:
        for node in cluster.living():
            node.kill()
        monkeypatch.setattr(crew, "START_SECONDS", 3.0)

    with vidx.open(folder, create=True) as collection:
        with pytest.raises(VidxError, match="no node of the cluster is ready"):
            collection.embed(videos, options, progress=Once(6, kill_all))
        assert collection.info().num_videos > 0
        monkeypatch.undo()
        with pytest.raises(VidxError, match="the cluster has no node with a core for us"):
            collection.embed(videos, options)
        cluster.mend(3)
        collection.embed(videos, options)
    check_same(folder, plain)


def test_a_run_that_loses_the_head_node_says_so_and_keeps_what_is_committed(
    tmp_path: Path, videos: Path, tiny_checkpoint: Path
) -> None:
    need_ray()
    folder = tmp_path / "collection"
    with running(1) as other:
        arguments = [videos, folder, tiny_checkpoint, other.address]
        command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
        driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait_for_shards(folder, 2)
        other.kill_head()
        assert "the cluster's head node at 127.0.0.2" in driver.communicate(timeout=50)[1]
    with vidx.open(folder) as collection:
        assert collection.verify() == []
        assert collection.info().num_videos > 0


def test_videos_at_urls_are_fetched_by_the_nodes(
    tmp_path: Path, videos: Path, options: vidx.EmbedOptions, plain: Made, web: WebServer
) -> None:
    names = ["00.mp4", "01.mp4", "long.mkv", "broken.mp4"]
    web.content |= {f"/{name}": (videos / name).read_bytes() for name in names}
    folder = tmp_path / "collection"
    with vidx.open(folder, create=True) as collection:
        report = collection.embed([f"{web.url}/{name}" for name in names], options)
        assert (report.embedded, report.failed) == (3, 1)
        assert [row["reason"] for row in collection.failures().to_pylist()] == ["not_a_video"]
        assert collection.verify() == []
    expected = {(Path(path).name, *times): stored for (path, *times), stored in plain[0].items()}
    for (path, *times), stored in stored_clips(folder).items():
        np.testing.assert_allclose(
            stored.vector, expected[Path(path).name, *times].vector, rtol=0, atol=1e-4
        )
    assert all(web.reads(f"/{name}") >= 2 for name in names), "hashed here, fetched there"


@pytest.mark.parametrize("package", ["torch", "vidx"])
def test_a_node_with_another_version_is_refused(
    package: str, tmp_path: Path, videos: Path, options: vidx.EmbedOptions, cluster: Cluster
) -> None:
    with (
        cluster.another_version(package, "0.0.7", tmp_path / "path"),
        vidx.open(tmp_path / "collection", create=True) as collection,
        pytest.raises(VidxError, match=f"has {package} 0.0.7, this machine has") as told,
    ):
        collection.embed(videos, options)
    assert told.value.exit_code == 4
    assert not (tmp_path / "collection").exists(), "a collection is made when nodes are there"
    assert "node 127.0.0.2" in told.value.problem


def test_a_node_that_does_not_see_the_videos_is_refused(
    tmp_path: Path, videos: Path, options: vidx.EmbedOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(videos)
    path = "/proc/self/cwd/00.mp4"  # which is another place in another process
    if not os.path.exists(path):
        pytest.skip("no /proc")
    with (
        vidx.open(tmp_path / "collection", create=True) as collection,
        pytest.raises(VidxError, match=f"does not see {path}") as told,
    ):
        collection.embed(path, options)
    assert not (tmp_path / "collection").exists()
    assert "No such file or directory" in told.value.problem


def test_a_device_that_a_node_lacks_is_told_with_its_name(
    tmp_path: Path, videos: Path, tiny_checkpoint: Path, cluster: Cluster
) -> None:
    options = vidx.EmbedOptions(
        model=tiny_checkpoint, engine="ray", address=cluster.address, device="cuda:7"
    )
    collection = vidx.open(tmp_path / "collection", create=True)
    with pytest.raises(DeviceError, match=r"node 127.0.0.2 .*device 'cuda:7'"):
        collection.embed(videos, options)
    assert not (tmp_path / "collection").exists()


def test_the_command_line_embeds_on_a_cluster(
    tmp_path: Path, videos: Path, plain: Made, tiny_checkpoint: Path, cluster: Cluster
) -> None:
    command = [sys.executable, "-m", "vidx", "embed", str(videos), "--engine", "ray", "--json"]
    command += ["--address", cluster.address, "--workers-per-node", "2"]
    command += ["--model", str(tiny_checkpoint), "--collection", str(tmp_path / "collection")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["num_clips"] == counts(plain[1])[-1]
    check_same(tmp_path / "collection", plain)
