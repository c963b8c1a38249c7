"""The codes of an index, made part by part on the nodes of a cluster."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vidx.distributed import cluster, probing
from vidx.distributed.builder import LISTEN_SECONDS, START_SECONDS, Building, Part
from vidx.distributed.calls import Lost, answer
from vidx.distributed.cluster import Node
from vidx.distributed.probing import Sight
from vidx.errors import VidxError
from vidx.index.header import CodesFile, Header
from vidx.index.parts import BuildParts, Progress, rows_of
from vidx.records import IndexProgress, Likeness

PACKAGES = ("vidx", "faiss-cpu")  # that decide what files of codes are like
LOOK_SECONDS = 30.0  # that a node may take to tell what it has
MOST_FAILURES = 3  # of a node, with no part made between, until it is left out

logger = logging.getLogger("vidx")


@contextmanager
def on_cluster(address: str | None) -> Iterator[BuildParts]:
    """What makes parts on the nodes of a cluster, which is joined as soon as there are any to make.

    It is joined once: Ray does not take it well to be joined again by the same process.

    Args:
        address: As for `cluster.connected`.
    """
    with ExitStack() as stack:

        def build(*asked: Any) -> list[CodesFile]:
            stack.enter_context(cluster.connected(address))  # who is connected stays so
            return build_parts(*asked)

        yield build


def build_parts(
    folder: Path,
    header: Header,
    likeness: Likeness,
    wanted: Mapping[str, range],
    progress: Progress,
) -> list[CodesFile]:
    """Make the codes of some parts on the nodes of the cluster that we are connected to.

    Args:
        folder: The index's folder.
        header: What is there.
        likeness: Whose vectors.
        wanted: The rows of each part, by the name of its file.
        progress: Called at each step, with numbers of all these rows.

    Returns:
        What the header is to say of the parts, in their order.

    Raises:
        VidxError: A node cannot take part, or none is left.
        OSError: A file cannot be written here.
    """
    vectors = rows_of(folder, header, likeness)[1]
    parts = [Part(folder / name, vectors[rows.start : rows.stop]) for name, rows in wanted.items()]
    total = sum(map(len, wanted.values()))

    def tell() -> None:
        done = sum(part.rows_done for part in parts)
        progress(IndexProgress(likeness, "adding" if done else "training", done, total))

    with ThreadPoolExecutor(len(parts), "vidx-part") as threads:
        builders = Builders(parts, threads)
        builders.assemble()
        try:
            while builders.go_on():
                tell()
        finally:
            builders.end()
    tell()
    return [part.made() for part in parts]


class Builders:
    """The nodes of the cluster that we are connected to, each of which makes a part at a time.

    Args:
        parts: Those that are to be made.
        threads: One for each.
    """

    def __init__(self, parts: Sequence[Part], threads: ThreadPoolExecutor) -> None:
        self._waiting = deque(parts)
        self._threads = threads
        self._at_work: dict[Future[None], Building] = {}
        self._ours = probing.sight(PACKAGES)
        self._fit: set[str] = set()  # nodes that have our versions
        self._failures: Counter[str] = Counter()
        self._last_problem = "they do not answer"
        self._last_busy = time.monotonic()

    def assemble(self) -> None:
        """See that there are nodes, and that each can take part.

        Raises:
            VidxError: One cannot, or there is none.
        """
        nodes = [node for node in cluster.nodes() if node.is_alive()]
        if not nodes:
            raise cluster.without_nodes()
        if len(self._waiting) < len(nodes):
            logger.warning(
                "%s of the cluster's nodes have nothing to do: the index is made in %s parts. "
                "Ask for as many parts as there are nodes, or more.",
                len(nodes) - len(self._waiting),
                len(self._waiting),
            )
        looks = [(node, probing.look(node, self._ours)) for node in nodes]
        for node, look in looks:
            try:
                self._take_look(node, look)
            except Lost as error:
                self._fail(node, str(error))

    def go_on(self) -> bool:
        """Give parts to idle nodes, and wait a moment; whether anything is left to do.

        Raises:
            VidxError: The head node is gone, or no node was at work for long.
            OSError: A file cannot be written here.
        """
        idle = self._idle()[: len(self._waiting)]
        for node in idle:
            building = Building(node, self._waiting.popleft())
            self._at_work[self._threads.submit(building.run)] = building
        if self._at_work:
            self._last_busy = time.monotonic()
        elif time.monotonic() > self._last_busy + START_SECONDS:
            raise cluster.without_work(self._last_problem)
        else:
            time.sleep(LISTEN_SECONDS)
        self._take_finished()
        return bool(self._waiting or self._at_work)

    def end(self) -> None:
        """End what is at work."""
        for building in self._at_work.values():
            building.end()

    def _idle(self) -> list[Node]:
        """Nodes that can be given a part, those first that have not failed."""
        busy = {building.node.id for building in self._at_work.values()}
        found = [
            node
            for node in cluster.nodes()  # also where none is wanted: this looks for the head
            if node.id not in busy and self._failures[node.id] < MOST_FAILURES and self._waiting
        ]
        fit = [node for node in found if node.is_alive() and self._is_fit(node)]
        return sorted(fit, key=lambda node: self._failures[node.id])

    def _is_fit(self, node: Node) -> bool:
        """Whether a node, which may have come just now, can take part."""
        if node.id not in self._fit:
            try:
                self._take_look(node, probing.look(node, self._ours))
            except VidxError as error:
                self._failures[node.id] = MOST_FAILURES
                self._fail(node, error.problem)
            except Lost as error:
                self._fail(node, str(error))
        return node.id in self._fit

    def _take_look(self, node: Node, look: Any) -> None:
        probing.check(node, Sight(*answer(node, look, LOOK_SECONDS)), self._ours)
        self._fit.add(node.id)

    def _take_finished(self) -> None:
        """Wait a moment for parts to be made; those that are not are given out again."""
        finished, _ = wait(self._at_work, LISTEN_SECONDS, FIRST_COMPLETED)
        for future in finished:
            building = self._at_work.pop(future)
            try:
                future.result()
                del self._failures[building.node.id]
            except Lost as error:
                self._fail(building.node, str(error))
                building.part.rows_done = 0
                self._waiting.append(building.part)

    def _fail(self, node: Node, problem: str) -> None:
        self._failures[node.id] += 1
        self._last_problem = f"{node.name}: {problem}"
        logger.warning("No part came from node %s", self._last_problem)
