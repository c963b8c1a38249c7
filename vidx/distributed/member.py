"""A node of the cluster in a run: it is looked at, then has a worker, which is given videos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from vidx.distributed.calls import answer, sent, there
from vidx.distributed.cluster import Node
from vidx.distributed.errands import Errand
from vidx.distributed.probing import Sight, look
from vidx.distributed.worker import Loaded, Orders, Taken, Worker
from vidx.embedder.attempts import Result
from vidx.embedder.work import Work
from vidx.records import EmbeddedVideo


class Member:
    """A node with its worker.

    Args:
        node: The node.
        ours: What it is asked for first, as this machine has it.

    Attributes:
        awaited: What Ray calls the answer that is waited for.
        loaded: Where it computes; None until it is ready.
        errands: The videos that it has, by their keys.
        is_alone: Whether it has a video that may end it, and nothing beside that.
        work: How long its parts were at work, by its own account.
    """

    def __init__(self, node: Node, ours: Sight) -> None:
        self.node = node
        self.loaded: Loaded | None = None
        self.errands: dict[int | str, Errand] = {}
        self.work = Work()
        self._worker: Any = None
        self._num_workers = self._num_given = self._num_begun = 0
        self.is_alone = False
        self.awaited: Any = look(node, ours)

    def start(self, files: Any, orders: Orders, num_workers: int) -> None:
        """Start its worker, as soon as Ray has the cores and GPUs for it.

        Args:
            files: What Ray calls the checkpoint.
            orders: How to embed.
            num_workers: Decoding processes.
        """
        self._num_workers = num_workers
        self._worker = (
            sent(Worker)
            .options(
                num_cpus=min(max(num_workers, 1), self.node.num_cpus),
                num_gpus=self.node.num_gpus,
                max_restarts=0,
                max_concurrency=2,  # it is given videos while what is done is waited for
                **there(self.node),
            )
            .remote(files, orders, num_workers)
        )
        self.awaited = self._worker.load.remote()

    def answer(self) -> Sight | Loaded | Taken:
        """What was waited for.

        Raises:
            VidxError: What the worker tells of.
            Lost: There is no answer.
        """
        found = answer(self.node, self.awaited)
        return Sight(*found) if isinstance(found, tuple) else found

    def room(self) -> int:
        """How many videos it should be given, so that its decoders find one as they get free."""
        if self.loaded is None or self.is_alone:
            return 0
        return self._num_workers + 1 - (self._num_given - self._num_begun)

    def give(self, errands: Sequence[Errand], *, alone: bool = False) -> None:
        """Give it videos; `alone`: nothing else until it is done with them."""
        if not errands:
            return
        self.is_alone = alone
        self._num_given += len(errands)
        self.errands |= {one.job.key: one for one in errands}
        self._worker.give.remote([one.job for one in errands])

    def begin(self, loaded: Loaded) -> None:
        """Its worker is ready: wait for results from now on."""
        self.loaded = loaded
        self.awaited = self._worker.take.remote()

    def take(self, taken: Taken, work: Work) -> Iterator[Result]:
        """Take what it has done, count its work, and wait for more."""
        self.awaited = self._worker.take.remote()
        self._num_begun = taken.num_begun
        work.add(taken.work, self.work)
        self.work = taken.work
        for job, outcome in taken.results:
            if isinstance(outcome, EmbeddedVideo) and not outcome.is_last:
                self.errands[job.key].went_on(outcome)
            else:
                del self.errands[job.key]
            yield job, outcome
        self.is_alone = self.is_alone and bool(self.errands)

    def end(self) -> None:
        """End its worker, whatever it is at."""
        import ray

        with suppress(Exception):  # it may be gone
            ray.cancel(self.awaited, force=True) if self._worker is None else ray.kill(self._worker)
