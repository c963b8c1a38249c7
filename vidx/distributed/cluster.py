"""A Ray cluster: connecting to it, and its nodes."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from vidx.distributed.address import Address, is_open, parse, reach
from vidx.distributed.calls import sent
from vidx.errors import VidxError

AUTO = "auto"  # what Ray calls the cluster that this machine is a node of
LOOK_SECONDS = 0.5  # that an answer is waited for before the head node is looked for again


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of a cluster, or one of several nodes on it.

    Attributes:
        id: What Ray calls it.
        name: What people call it.
        raylet: Where the process listens that is the node.
        num_cpus: Processor cores that Ray may use there.
        num_gpus: GPUs likewise.
    """

    id: str
    name: str
    raylet: Address
    num_cpus: int
    num_gpus: int

    @classmethod
    def of(cls, told: dict[str, Any]) -> Node:
        """From what Ray tells of it."""
        address = Address(told["NodeManagerAddress"], told["NodeManagerPort"])
        has = told["Resources"].get
        name = f"{told.get('NodeName') or address.host} ({told['NodeID'][:8]})"
        return cls(told["NodeID"], name, address, int(has("CPU", 0)), int(has("GPU", 0)))

    def is_alive(self) -> bool:
        """Whether its process is there; Ray itself takes many seconds to notice that it is not."""
        return is_open(self.raylet)


def check(address: str | None) -> None:
    """See that Ray is installed, and that a cluster answers, before anything is begun.

    Raises:
        UsageError: The address is none.
        VidxError: Ray is not installed, or no cluster answers.
    """
    named = _named(address)
    head = None if named == AUTO else parse(named)
    if find_spec("ray") is None:
        raise VidxError(
            "work on a cluster takes Ray, which this Python lacks",
            "Install it with: pip install 'vidx[ray]'",
        )
    if head:
        reach(head)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Be connected to a cluster; who is already stays so.

    Args:
        address: Of its head node. None: as RAY_ADDRESS says, else the cluster of this machine.

    Raises:
        UsageError: The address is none.
        VidxError: No cluster is there, or it has another version of Ray or Python.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():  # by the program that we are called by
        yield
        return
    named = _named(address)
    if named != AUTO:
        reach(parse(named))
    with _keeping_quiet():
        try:
            with _keeping_sigterm():
                ray.init(address=named, log_to_driver=False, configure_logging=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise _refused(named, error) from error
        try:
            yield
        finally:
            ray.shutdown()


def nodes() -> list[Node]:
    """The living nodes that have cores for us; a head node may be told to have none.

    Raises:
        VidxError: The head node is gone.
    """
    import ray

    head = parse(ray.get_runtime_context().gcs_address)
    _check_head(head)
    living = [Node.of(one) for one in _told_by(head) if one["Alive"]]
    return [node for node in living if node.num_cpus]


def _told_by(head: Address) -> list[dict[str, Any]]:
    """What the head node tells of all.

    A node asks it: Ray ends a process that has asked a head node which is gone, a minute after.
    """
    import ray
    from ray.exceptions import RayError

    asked = sent(ray.nodes).options(num_cpus=0, max_retries=-1).remote()
    while not ray.wait([asked], timeout=LOOK_SECONDS)[0]:
        _check_head(head)
    try:
        told: list[dict[str, Any]] = ray.get(asked)
    except RayError as error:
        raise without_work(str(error).strip()) from error
    return told


def _check_head(head: Address) -> None:
    """See that it is there: else Ray would wait for a minute, and then end this process."""
    if not is_open(head):
        raise VidxError(
            f"the cluster's head node at {head} is gone",
            "What is committed is safe. Start the cluster anew, and give the same command again.",
        )


def without_nodes() -> VidxError:
    """That nobody is there to work."""
    return VidxError(
        "the cluster has no node with a core for us",
        "See `ray status`, and start nodes with `ray start --address HOST:PORT`.",
    )


def without_work(problem: str) -> VidxError:
    """That nobody has been able to work for long, of which the last problem is told."""
    return VidxError(
        f"no node of the cluster is ready for work: {problem}",
        "What is committed is safe. See `ray status` whether nodes are there, with free cores and "
        "GPUs, and give the same command again.",
    )


def _named(address: str | None) -> str:
    return address or os.environ.get("RAY_ADDRESS", AUTO)


def _refused(named: str, error: Exception) -> VidxError:
    where = "of this machine" if named == AUTO else f"at {named}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    next_step = (
        "Start one with `ray start --head`, and name it with --address HOST:PORT on a machine "
        "of the cluster; all have the same versions of Ray and Python."
    )
    return VidxError(f"the cluster {where} cannot be joined: {' '.join(lines)}", next_step)


@contextmanager
def _keeping_sigterm() -> Iterator[None]:
    """Ray takes this signal for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


@contextmanager
def _keeping_quiet() -> Iterator[None]:
    """Ray tells of its nodes on standard output, where our results go, whatever is asked of it."""
    import ray._private.worker

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    rays: Any = ray._private.worker
    tell = getattr(rays, "print_to_stdstream", None)
    rays.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        rays.print_to_stdstream = tell
