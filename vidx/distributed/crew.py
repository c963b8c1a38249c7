"""The workers of a run, one on each node: started, given videos, and replaced when they die."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from itertools import islice

from vidx.distributed import cluster, probing
from vidx.distributed.calls import Lost
from vidx.distributed.errands import Errand
from vidx.distributed.member import Member
from vidx.distributed.probing import Sight
from vidx.distributed.worker import Files, Loaded, Orders
from vidx.embedder.attempts import Result
from vidx.embedder.decoding.events import Job
from vidx.embedder.work import Work
from vidx.errors import VidxError

LISTEN_SECONDS = 1.0
MUSTER_SECONDS = 5.0  # from one look for nodes without a worker to the next
START_SECONDS = 180.0  # that a worker may take to be ready before nobody waits for it
PACKAGES = ("vidx", "torch", "av")  # that decide what vectors are like
MOST_FAILURES = 3  # of a node's workers, with nothing done between, until it is left out

logger = logging.getLogger("vidx")


class Crew:
    """A worker on each node of the cluster that we are connected to.

    Args:
        files: The checkpoint.
        orders: How all of them embed.
        num_workers: Decoding processes of each; None: one a core of the node.
        paths: Files of which each node must see some.

    Attributes:
        members: The nodes with a worker, or for which one is on its way.
        loaded: What all workers so far have told of themselves.
    """

    def __init__(
        self, files: Files, orders: Orders, num_workers: int | None, paths: Sequence[str]
    ) -> None:
        import ray

        self.files = ray.put(files)
        self.orders = orders
        self.num_workers = num_workers
        self.ours = probing.sight(PACKAGES, paths)
        self.members: list[Member] = []
        self.loaded: set[Loaded] = set()
        self._has_begun = self._are_all_given = False
        self._failures: Counter[str] = Counter()
        self._mustered = self._last_ready = time.monotonic()
        self._last_problem = "they do not answer"
        # Videos that are to be given out again, and those of them that may end who has them.
        self._again: deque[Errand] = deque()
        self._suspects: deque[Errand] = deque()

    def assemble(self) -> None:
        """Start a worker on each node, and wait until they are ready.

        Raises:
            VidxError: A node cannot take part, or there is none.
        """
        self._muster()
        if not self.members:
            raise cluster.without_nodes()
        until = time.monotonic() + START_SECONDS
        while not (ready := self._ready()) or len(ready) < len(self.members):
            if ready and time.monotonic() > until:
                late = ", ".join(one.node.name for one in self.members if not one.loaded)
                logger.warning("Not waited for any longer: %s", late)
                break
            self._tend()
            for _ in self._listen(Work()):
                pass  # nothing was given out yet
        self._has_begun = True

    def results(self, jobs: Iterator[Job], work: Work) -> Generator[Result, None, None]:
        """Embed videos; results come as of `embed_videos`.

        Raises:
            VidxError: No node is left.
        """
        errands = map(Errand, jobs)
        while self._hand_out(errands):
            self._tend()
            yield from self._listen(work)

    def close(self) -> None:
        """End all workers."""
        for member in self.members:
            member.end()
        self.members.clear()

    def _ready(self) -> list[Member]:
        return [member for member in self.members if member.loaded]

    def _tend(self) -> None:
        """Look for nodes without a worker now and then, and see that somebody is there."""
        now = time.monotonic()
        if now > self._mustered + MUSTER_SECONDS:
            self._muster()
        if self._ready():
            self._last_ready = now
        elif now > self._last_ready + START_SECONDS:
            raise cluster.without_work(self._last_problem)

    def _muster(self) -> None:
        """Start a worker on each node that has none."""
        self._mustered = time.monotonic()
        manned = {member.node.id for member in self.members}
        for node in cluster.nodes():
            is_left_out = self._failures[node.id] >= MOST_FAILURES
            if node.id not in manned and not is_left_out and node.is_alive():
                self.members.append(Member(node, self.ours))

    def _hand_out(self, errands: Iterator[Errand]) -> bool:
        """Give each worker what it has room for; whether there is anything to wait for."""
        for member in self.members:
            member.give(list(islice(self._next(errands), max(member.room(), 0))))
        idle = [member for member in self._ready() if not member.errands]
        for member in idle[: len(self._suspects)]:
            member.give([self._suspects.popleft()], alone=True)
        is_any_left = bool(self._again or self._suspects or not self._are_all_given)
        return is_any_left or any(member.errands for member in self.members)

    def _next(self, errands: Iterator[Errand]) -> Iterator[Errand]:
        while self._again:
            yield self._again.popleft()
        yield from errands
        self._are_all_given = True

    def _listen(self, work: Work) -> Iterator[Result]:
        """Wait a moment for what the workers say."""
        import ray

        said = {member.awaited: member for member in self.members}
        if not said:
            time.sleep(LISTEN_SECONDS)
            return
        ready, _ = ray.wait(list(said), timeout=LISTEN_SECONDS)
        for awaited in ready:
            yield from self._hear(said[awaited], work)

    def _hear(self, member: Member, work: Work) -> Iterator[Result]:
        try:
            answer = member.answer()
            if isinstance(answer, Sight):
                probing.check(member.node, answer, self.ours)
                cores = member.node.num_cpus
                workers = cores if self.num_workers is None else self.num_workers
                member.start(self.files, self.orders, workers)
            elif isinstance(answer, Loaded):
                self.loaded.add(answer)
                member.begin(answer)
            else:
                yield from member.take(answer, work)
                if answer.results:
                    del self._failures[member.node.id]
                at_work = sum(one.work.num_workers for one in self.members)
                work.num_workers = max(work.num_workers, at_work)
        except VidxError as error:
            if not self._has_begun:
                raise
            yield from self._lose(member, error.problem)
        except Lost as error:
            yield from self._lose(member, str(error))

    def _lose(self, member: Member, problem: str) -> Iterator[Result]:
        """Go on without a worker; its videos are given to others."""
        self.members.remove(member)
        member.end()
        if not member.is_alone:  # else it is rather the video
            self._failures[member.node.id] += 1
        self._mustered -= MUSTER_SECONDS  # its node may have another one at once
        self._last_problem = f"{member.node.name}: {problem}"
        is_its_own = member.node.is_alive()
        what = "the worker of node" if is_its_own else "node"
        has = len(member.errands)
        logger.warning(
            "Lost %s %s: %s. Videos that it had: %s", what, member.node.name, problem, has
        )
        for errand in member.errands.values():
            errand.deaths += is_its_own
            if end := errand.end(problem):
                yield errand.job, end
            else:
                (self._suspects if errand.deaths else self._again).append(errand)
