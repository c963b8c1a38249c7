"""A real Ray cluster of the tests' own, all on this machine: a head, and nodes that may die."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

# Ray replaces 127.0.0.1 by the machine's own address, which may lead nowhere.
HOST = "127.0.0.2"
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_MEMORY_MONITOR": "1"}
START = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]


class Node:
    """`ray start` with what it started.

    Args:
        log: Where it tells what it does.
        arguments: Of `ray start`.
        env: Variables of its own.
    """

    def __init__(self, log: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._log = log
        command = [*START, "--node-ip-address", HOST, "--object-store-memory", "80000000"]
        command += ["--plasma-directory", str(log.parent), *arguments]
        with log.open("w") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, env={**os.environ, **QUIET, **(env or {})}
            )

    def wait(self) -> None:
        """Wait until it runs."""
        until = time.monotonic() + 60
        while "Ray runtime started" not in (said := self._log.read_text()):
            assert self.process.poll() is None and time.monotonic() < until, said
            time.sleep(0.1)

    def is_alive(self) -> bool:
        """Whether nobody has killed it."""
        return self.process.poll() is None

    def processes(self) -> list[psutil.Process]:
        """All of it: the raylet, its workers, their decoders."""
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        return []

    def workers(self) -> list[psutil.Process]:
        """Those that embed."""
        return [one for one in self.processes() if _name(one).startswith("ray::Worker")]

    def kill(self) -> None:
        """End it as a loss of power would."""
        for one in self.processes():
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.process.wait(10)


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


class Cluster:
    """A head without cores for others, and nodes of one core each.

    Args:
        folder: Short, as sockets lie there.

    Attributes:
        address: Of the head.
        nodes: Those that were started, in order.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        port, port_of_clients = free_ports(2)
        self.address = f"{HOST}:{port}"
        self.nodes: list[Node] = []
        head = ["--head", "--port", port, "--ray-client-server-port", port_of_clients]
        head += ["--num-cpus", "0", "--include-dashboard", "false", "--temp-dir", str(folder)]
        self._head = Node(folder / "head", *head)
        self._head.wait()

    def add(self, number: int = 1, **env: str) -> list[Node]:
        """Start nodes, one after the other: on one machine they would take each other's names."""
        before = len(self.nodes)
        for _ in range(number):
            log = self._folder / f"node{len(self.nodes)}"
            self.nodes.append(Node(log, "--address", self.address, "--num-cpus", "1", env=env))
            self.nodes[-1].wait()
        return self.nodes[before:]

    @contextmanager
    def another_version(self, package: str, version: str, folder: Path) -> Iterator[Node]:
        """A node more, for a while, that says to have this version of a package."""
        info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        said = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        (info / "METADATA").write_text(said)
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        [node] = self.add(1, PYTHONPATH=path)
        try:
            yield node
        finally:
            node.kill()

    def living(self) -> list[Node]:
        """The nodes that nobody has killed."""
        return [node for node in self.nodes if node.is_alive()]

    def mend(self, number: int) -> None:
        """See that so many live."""
        for node in self.living()[number:]:
            node.kill()
        self.add(number - len(self.living()))

    def kill_head(self) -> None:
        """End what holds the cluster together."""
        self._head.kill()

    def stop(self) -> None:
        """End all of it, and nothing else that is of Ray."""
        for node in [*self.living(), self._head]:
            node.kill()


def free_ports(number: int) -> list[str]:
    """Ports that nobody listens at."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind((HOST, 0))
        return [str(one.getsockname()[1]) for one in sockets]


@contextmanager
def running(number: int) -> Iterator[Cluster]:
    """A cluster with so many nodes."""
    folder = Path(tempfile.mkdtemp(prefix="vidx-ray-"))
    cluster = None
    try:
        cluster = Cluster(folder)
        cluster.add(number)
        yield cluster
    finally:
        if cluster:
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


def need_ray() -> None:
    """Skip a test where it cannot have a cluster."""
    pytest.importorskip("ray", reason="Ray is not installed")
    if sys.platform != "linux":
        pytest.skip(f"only Linux has {HOST}")


@pytest.fixture(scope="session")
def cluster_of_session() -> Iterator[Cluster]:
    need_ray()
    with running(3) as cluster:
        yield cluster


@pytest.fixture
def cluster(cluster_of_session: Cluster) -> Cluster:
    """A cluster of three nodes, whatever was done to it before."""
    cluster_of_session.mend(3)
    return cluster_of_session
