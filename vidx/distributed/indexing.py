"""The codes of an index, made part by part on the nodes of a cluster."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from vidx.distributed import cluster, probing
from vidx.distributed.builder import START_SECONDS, Building, Part
from vidx.distributed.calls import Lost, answer
from vidx.distributed.cluster import Node
from vidx.distributed.probing import Sight
from vidx.errors import VidxError
from vidx.index.header import CodesFile, Header
from vidx.index.parts import BuildParts, Progress, rows_of
from vidx.records import IndexProgress, Likeness

PACKAGES = ("vidx", "faiss-cpu")  # that decide what files of codes are like
LISTEN_SECONDS = 1.0
MOST_FAILURES = 3  # of a node, with no part made between, until it is left out

logger = logging.getLogger("vidx")


@contextmanager
def on_cluster(address: str | None) -> Iterator[BuildParts]:
    """What makes parts of an index on the nodes of a cluster.

    Args:
        address: As for `cluster.connected`.

    Raises:
        VidxError: The cluster cannot be reached, or a node cannot take part.
    """
    with cluster.connected(address):
        builders = Builders()
        builders.assemble()
        yield builders.build_parts


class Builders:
    """The nodes of the cluster that we are connected to, each of which makes a part at a time."""

    def __init__(self) -> None:
        self._ours = probing.sight(PACKAGES)
        self._fit: set[str] = set()  # nodes that have our versions
        self._failures: Counter[str] = Counter()
        self._last_problem = "they do not answer"
        self._last_busy = time.monotonic()
        self._waiting: deque[Part] = deque()
        self._at_work: dict[Future[None], Building] = {}

    def assemble(self) -> None:
        """See that there are nodes, and that each can take part.

        Raises:
            VidxError: One cannot, or there is none.
        """
        nodes = [node for node in cluster.nodes() if node.is_alive()]
        if not nodes:
            raise cluster.without_nodes()
        for node in nodes:
            self._look_at(node)

    def build_parts(
        self,
        folder: Path,
        header: Header,
        likeness: Likeness,
        wanted: Mapping[str, range],
        progress: Progress,
    ) -> list[CodesFile]:
        """Make the codes of some parts, of vectors that are sent to the nodes.

        Args, Returns: As for `vidx.index.parts.build_parts`.

        Raises:
            VidxError: No node is left.
            OSError: A file cannot be written here.
        """
        vectors = rows_of(folder, header, likeness)[1]
        parts = [
            Part(folder / name, vectors[rows.start : rows.stop]) for name, rows in wanted.items()
        ]
        total = sum(map(len, wanted.values()))
        self._waiting.extend(parts)
        with ThreadPoolExecutor(len(parts), "vidx-part") as threads:
            try:
                while self._waiting or self._at_work:
                    self._hand_out(threads)
                    self._listen()
                    done = sum(part.rows_done for part in parts)
                    stage = "adding" if done else "training"
                    progress(IndexProgress(likeness, stage, done, total))
            finally:
                self._end()
        return [part.made() for part in parts]

    def _hand_out(self, threads: ThreadPoolExecutor) -> None:
        """Give each idle node a part.

        Raises:
            VidxError: No node was at work for long.
        """
        idle = islice(self._idle(), len(self._waiting)) if self._waiting else ()
        for node in idle:
            building = Building(node, self._waiting.popleft())
            self._at_work[threads.submit(building.run)] = building
        now = time.monotonic()
        if self._at_work:
            self._last_busy = now
        elif now > self._last_busy + START_SECONDS:
            raise cluster.without_work(self._last_problem)

    def _idle(self) -> Iterator[Node]:
        busy = {building.node.id for building in self._at_work.values()}
        for node in cluster.nodes():
            is_left_out = self._failures[node.id] >= MOST_FAILURES
            if node.id not in busy and not is_left_out and node.is_alive() and self._is_fit(node):
                yield node

    def _is_fit(self, node: Node) -> bool:
        """Whether a node, which may have come just now, can take part."""
        if node.id not in self._fit:
            try:
                self._look_at(node)
            except (VidxError, Lost) as error:
                self._fail(node, str(error))
        return node.id in self._fit

    def _look_at(self, node: Node) -> None:
        found = Sight(*answer(node, probing.look(node, self._ours)))
        probing.check(node, found, self._ours)
        self._fit.add(node.id)

    def _listen(self) -> None:
        """Wait a moment for parts to be made; those that are not are given out again."""
        if not self._at_work:
            time.sleep(LISTEN_SECONDS)
        finished, _ = wait(self._at_work, LISTEN_SECONDS, FIRST_COMPLETED)
        for future in finished:
            building = self._at_work.pop(future)
            try:
                future.result()
                del self._failures[building.node.id]
            except Lost as error:
                self._fail(building.node, str(error))
                self._waiting.append(building.part)

    def _fail(self, node: Node, problem: str) -> None:
        self._failures[node.id] += 1
        self._last_problem = f"{node.name}: {problem}"
        logger.warning("Lost node %s", self._last_problem)

    def _end(self) -> None:
        for building in self._at_work.values():
            building.end()
        self._at_work.clear()
        self._waiting.clear()
