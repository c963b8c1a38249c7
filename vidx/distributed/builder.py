"""One part of an index, made by a node of vectors that are sent to it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidx.distributed.calls import Lost, answer, there
from vidx.distributed.cluster import Node
from vidx.durable import sync_file
from vidx.index.codes import Codes, lists_for
from vidx.index.header import CodesFile
from vidx.index.parts import learned_from

BLOCK_BYTES = 16 << 20  # of vectors, or of a file, that are sent at a time
MOST_SENT = 3  # blocks of vectors that are on their way to a node
START_SECONDS = 180.0  # that a node's cores are waited for, where something else has them


@dataclass(slots=True)
class Part:
    """One that is to be made.

    Attributes:
        path: Of its file.
        vectors: float32, shape (n, dim), mapped from the disk.
        rows_done: How many of them have codes by now.
    """

    path: Path
    vectors: NDArray[np.float32]
    rows_done: int = 0

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Its vectors, a few at a time."""
        num_rows = max(BLOCK_BYTES // self.vectors[:1].nbytes, 1)
        for start in range(0, len(self.vectors), num_rows):
            yield np.array(self.vectors[start : start + num_rows])

    def made(self) -> CodesFile:
        """What the header of the index is to say of it, once its file is there."""
        return CodesFile(self.path.name, self.path.stat().st_size, len(self.vectors))


class Builder:
    """Makes codes on a node; Ray calls it."""

    def ready(self) -> None:
        """Answer, once Ray has the cores for it."""

    def train(self, sample: NDArray[np.float32], num_lists: int) -> None:
        """Find the centres of the lists, as `Codes.train` does."""
        self._codes = Codes.train(sample, num_lists)

    def add(self, block: NDArray[np.float32]) -> int:
        """Add the next rows, shape (n, dim); how many there are by now."""
        self._codes.add([block])
        return self._codes.rows

    def finish(self) -> int:
        """Make the file, and tell its size in bytes."""
        self._file = self._codes.content()
        del self._codes
        return len(self._file)

    def piece(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Some bytes of the file."""
        return self._file[start:stop]


class Building:
    """The making of one part on one node, by a thread that can be told to end it.

    Args:
        node: Where.
        part: Which.
    """

    def __init__(self, node: Node, part: Part) -> None:
        self.node = node
        self.part = part
        self._guard = threading.Lock()
        self._is_over = False
        self._builder: Any = None

    def run(self) -> None:
        """Make the file.

        Raises:
            Lost: The node does not do it.
            OSError: The file cannot be written.
        """
        try:
            self._start()
            self._fill()
            self._write()
        finally:
            self.end()

    def end(self) -> None:
        """End it, whatever it is at."""
        import ray

        with self._guard:
            self._is_over = True
            if self._builder is not None:
                with suppress(Exception):  # it may be gone
                    ray.kill(self._builder)

    def _start(self) -> None:
        import ray

        with self._guard:
            if self._is_over:
                raise Lost("it was ended before it began")
            options = {"num_cpus": self.node.num_cpus, "max_restarts": 0, **there(self.node)}
            self._builder = ray.remote(Builder).options(**options).remote()
        awaited = self._builder.ready.remote()
        if not ray.wait([awaited], timeout=START_SECONDS)[0]:
            raise Lost("something else has its cores")
        answer(self.node, awaited)

    def _fill(self) -> None:
        self.part.rows_done = 0
        vectors = self.part.vectors
        sample = vectors[learned_from(len(vectors))]
        answer(self.node, self._builder.train.remote(sample, lists_for(len(vectors))))
        sent: deque[Any] = deque()
        for block in self.part.blocks():
            sent.append(self._builder.add.remote(block))
            if len(sent) == MOST_SENT:
                self.part.rows_done = answer(self.node, sent.popleft())
        for awaited in sent:
            self.part.rows_done = answer(self.node, awaited)

    def _write(self) -> None:
        size = answer(self.node, self._builder.finish.remote())
        with self.part.path.open("wb") as file:
            for start in range(0, size, BLOCK_BYTES):
                stop = min(start + BLOCK_BYTES, size)
                file.write(answer(self.node, self._builder.piece.remote(start, stop)))
        sync_file(self.part.path)
