"""One part of an index, made by a node of vectors that are sent to it."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidx.distributed.calls import Lost, answer, sent, there
from vidx.distributed.cluster import Node
from vidx.durable import sync_file
from vidx.index.codes import Codes, lists_for
from vidx.index.header import CodesFile
from vidx.index.parts import learned_from

BLOCK_BYTES = 16 << 20  # of vectors, or of a file, that are sent at a time
MOST_SENT = 3  # blocks of vectors that are on their way to a node
START_SECONDS = 180.0  # that a node's cores are waited for, where something else has them
LISTEN_SECONDS = 1.0


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
        return CodesFile.of(self.path, len(self.vectors))


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
        """Write the file, which goes with this process, and tell its size in bytes."""
        with NamedTemporaryFile(prefix="vidx-") as named:
            self._codes.write(Path(named.name))
            del self._codes
            self._file = os.open(named.name, os.O_RDONLY)
        return os.fstat(self._file).st_size

    def piece(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Some bytes of the file."""
        return np.frombuffer(os.pread(self._file, stop - start, start), np.uint8)


class Building:
    """The making of one part on one node, by a thread that can be told to end it.

    Args:
        node: Where.
        part: Which.
    """

    def __init__(self, node: Node, part: Part) -> None:
        self.node = node
        self.part = part
        self._is_over = threading.Event()

    def run(self) -> None:
        """Make the file.

        Raises:
            Lost: The node does not do it, or it was ended.
            OSError: The file cannot be written.
        """
        import ray
        from ray.exceptions import RayError

        options = {"num_cpus": self.node.num_cpus, "max_restarts": 0, **there(self.node)}
        builder: Any = sent(Builder).options(**options).remote()
        try:
            self._wait_for_cores(builder)
            self._fill(builder)
            self._write(builder)
        except RayError as error:  # as where nothing can be sent
            raise Lost(f"{type(error).__name__}: {error}") from error
        finally:
            with suppress(Exception):  # it may be gone
                ray.kill(builder)

    def end(self) -> None:
        """End it soon, whatever it is at."""
        self._is_over.set()

    def _wait_for_cores(self, builder: Any) -> None:
        awaited = builder.ready.remote()
        until = time.monotonic() + START_SECONDS
        while not self._is_answered(awaited):
            if time.monotonic() > until:
                raise Lost("something else has its cores")
        answer(self.node, awaited)

    def _fill(self, builder: Any) -> None:
        vectors = self.part.vectors
        sample = vectors[learned_from(len(vectors))]
        self._answer(builder.train.remote(sample, lists_for(len(vectors))))
        sent: deque[Any] = deque()
        for block in self.part.blocks():
            sent.append(builder.add.remote(block))
            if len(sent) == MOST_SENT:
                self.part.rows_done = self._answer(sent.popleft())
        for awaited in sent:
            self.part.rows_done = self._answer(awaited)

    def _write(self, builder: Any) -> None:
        size = self._answer(builder.finish.remote())
        with self.part.path.open("wb") as file:
            for start in range(0, size, BLOCK_BYTES):
                stop = min(start + BLOCK_BYTES, size)
                file.write(self._answer(builder.piece.remote(start, stop)))
        sync_file(self.part.path)

    def _answer(self, awaited: Any) -> Any:
        while not self._is_answered(awaited):
            pass  # it waited
        return answer(self.node, awaited)

    def _is_answered(self, awaited: Any) -> bool:
        """Whether there is an answer within a moment."""
        import ray

        if self._is_over.is_set():
            raise Lost("it was ended")
        return bool(ray.wait([awaited], timeout=LISTEN_SECONDS)[0])
