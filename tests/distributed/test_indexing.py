"""Three nodes, some of which die, make the parts of an index that finds as often as asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from clusters import Cluster, need_ray, running
from made_collections import SPACE, commit, draw_video

import vidx
from vidx.distributed import builder, indexing
from vidx.distributed.builder import Builder, Building
from vidx.distributed.calls import there
from vidx.distributed.cluster import connected, nodes
from vidx.errors import UsageError, VidxError
from vidx.index import parts
from vidx.store.layout import Layout
from vidx.views import extend_index

pytestmark = pytest.mark.long

DIM = 64
NUM_CLIPS = 24_000
IVF = vidx.IndexOptions(kind="ivf", target_recall=0.9, num_parts=6)


# Asks for nodes twice, the second time of a head node that is seen and then goes.
ASKING = """
import sys, time
from vidx.distributed import cluster
from vidx.errors import VidxError

is_open = cluster.is_open
with cluster.connected(sys.argv[1]):
    print(len(cluster.nodes()), flush=True)
    sys.stdin.readline()
    looks = iter([True])
    cluster.is_open = lambda address: next(looks, False) or is_open(address)
    try:
        cluster.nodes()
    except VidxError as error:
        print(error.problem, flush=True)
time.sleep(10)
print("here still")
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection with an index that compares every clip."""
    folder = tmp_path_factory.mktemp("filled") / "collection"
    videos = [draw_video(f"v{number}", NUM_CLIPS // 40, dim=DIM) for number in range(40)]
    commit(Layout(folder), *videos, space=replace(SPACE, dim=DIM))
    with vidx.open(folder) as collection:
        extend_index(collection._views.catalogue())
    return folder


@pytest.fixture
def collection(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> vidx.Collection:
    """A copy, of which this machine makes no part."""
    monkeypatch.setattr(parts, "build_part", None)
    monkeypatch.setattr(builder, "BLOCK_BYTES", 2048)  # so that a part takes seconds
    shutil.copytree(filled, tmp_path / "collection")
    return vidx.open(tmp_path / "collection")


@pytest.fixture
def nodes_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The node of each part that was begun."""
    begun: list[str] = []
    run = Building.run

    def noting(building: Building) -> None:
        begun.append(building.node.id)
        run(building)

    monkeypatch.setattr(Building, "run", noting)
    return begun


def files_of(collection: vidx.Collection) -> dict[str, int]:
    folder = Layout(collection.path).index
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def once_adding(
    act: Callable[[], object], likeness: str = "similar"
) -> Callable[[vidx.IndexProgress], None]:
    """Act once, as soon as some clips have codes."""
    acted: list[object] = []

    def progress(step: vidx.IndexProgress) -> None:
        if (step.stage, step.likeness) == ("adding", likeness) and not acted:
            acted.append(act())

    return progress


def test_all_nodes_make_parts_and_the_index_finds_as_often_as_asked(
    collection: vidx.Collection, cluster: Cluster, nodes_of: list[str]
) -> None:
    steps: list[vidx.IndexProgress] = []
    report = collection.index(IVF, engine="ray", address=cluster.address, progress=steps.append)
    assert report.parameters["num_parts"] == 6
    assert len(nodes_of) == 12  # for both likenesses
    assert len(set(nodes_of)) == 3
    for checked in (collection.check_index(), collection.check_index().copy):
        assert checked.kind == "ivf"
        assert checked.recall_at_10 >= 0.88
    adding = [step.done for step in steps if (step.stage, step.likeness) == ("adding", "similar")]
    assert adding[-1] == NUM_CLIPS
    assert not collection.verify()


def test_the_part_of_a_node_that_dies_is_made_by_another(
    collection: vidx.Collection,
    cluster: Cluster,
    nodes_of: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    progress = once_adding(cluster.living()[0].kill)
    report = collection.index(IVF, engine="ray", address=cluster.address, progress=progress)
    assert report.parameters["num_parts"] == 6
    assert "No part came from node 127.0.0.2" in caplog.text
    assert len(nodes_of) > 12
    assert collection.check_index().recall_at_10 >= 0.88
    assert not collection.verify()


def test_an_index_that_loses_all_nodes_is_as_before(
    collection: vidx.Collection, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_of(collection)

    def kill_all() -> None:
        for node in cluster.living():
            node.kill()

    monkeypatch.setattr(indexing, "START_SECONDS", 3.0)
    with pytest.raises(VidxError, match="no node of the cluster is ready for work: ") as told:
        collection.index(IVF, engine="ray", address=cluster.address, progress=once_adding(kill_all))
    assert told.value.exit_code == 4
    assert files_of(collection) == before
    assert collection.check_index().kind == "exact"


def test_an_index_that_loses_the_head_node_is_as_before(collection: vidx.Collection) -> None:
    need_ray()
    before = files_of(collection)
    with running(2) as cluster:
        progress = once_adding(cluster.kill_head)
        with pytest.raises(VidxError, match=r"head node at .* is gone"):
            collection.index(IVF, engine="ray", address=cluster.address, progress=progress)
    assert files_of(collection) == before


def test_a_head_node_that_goes_while_it_is_asked_for_others_is_told_and_ends_nobody() -> None:
    need_ray()
    with running(1) as cluster:
        asking = subprocess.Popen(
            [sys.executable, "-c", ASKING, cluster.address],
            env={**os.environ, "RAY_gcs_rpc_server_reconnect_timeout_s": "12"},  # of a minute
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert asking.stdout is not None
        assert asking.stdout.readline() == "1\n"
        cluster.kill_head()
        told, _ = asking.communicate("it is gone\n", timeout=60)
    assert re.fullmatch(r"the cluster's head node at .* is gone\nhere still\n", told)
    assert asking.returncode == 0


@pytest.mark.parametrize("likeness", ["similar", "copy"])
def test_who_interrupts_finds_the_index_as_before(
    collection: vidx.Collection, cluster: Cluster, likeness: str
) -> None:
    before = files_of(collection)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        progress = once_adding(interrupt, likeness)
        collection.index(IVF, engine="ray", address=cluster.address, progress=progress)
    assert files_of(collection) == before


def test_a_node_with_another_version_of_faiss_is_refused(
    collection: vidx.Collection, cluster: Cluster, tmp_path: Path
) -> None:
    with (
        cluster.another_version("faiss-cpu", "0.0.7", tmp_path / "path"),
        pytest.raises(VidxError, match=r"has faiss-cpu 0\.0\.7, this machine has"),
    ):
        collection.index(IVF, engine="ray", address=cluster.address)


def test_cores_that_something_else_has_are_waited_for_and_told(
    collection: vidx.Collection,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import ray

    monkeypatch.setattr(builder, "START_SECONDS", 25.0)  # a node starts in that, busy as it is
    with connected(cluster.address):
        node = next(node for node in nodes() if node.is_alive())
        holder = ray.remote(Builder).options(num_cpus=1, **there(node)).remote()
        ray.get(holder.ready.remote())
        collection.index(replace(IVF, num_parts=3), engine="ray", address=cluster.address)
        ray.kill(holder)
    assert "something else has its cores" in caplog.text
    assert collection.check_index().recall_at_10 >= 0.88


def test_the_command_line_makes_an_index_on_a_cluster(
    collection: vidx.Collection, cluster: Cluster
) -> None:
    command = [sys.executable, "-m", "vidx", "index", "--engine", "ray", "--parts", "3", "--json"]
    command += ["--kind", "ivf", "--target-recall", ".9", "--address", cluster.address]
    command += ["--collection", str(collection.path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["parameters"]["num_parts"] == 3
    assert collection.check_index().recall_at_10 >= 0.88


def test_an_address_without_an_engine_is_wrong_usage(collection: vidx.Collection) -> None:
    with pytest.raises(UsageError, match="address='head:1' without engine='ray'"):
        collection.index(address="head:1")
    with pytest.raises(UsageError, match="engine='spark': it is 'local' or 'ray'"):
        collection.index(engine="spark")
