"""Engine: a lean encoder at work on one device, batch after batch."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from vidx.embedder.inference.batch_size import DEFAULT_BATCH_SIZE, fitting_batch_size
from vidx.embedder.inference.devices import (
    check_dtype,
    first_line,
    is_out_of_memory,
    no_memory_for_one_clip,
    telling_failure,
)
from vidx.embedder.inference.graph import Graph
from vidx.embedder.inference.lane import Lane, Part, Tensors
from vidx.embedder.inference.lean import LeanEncoder
from vidx.embedder.videomae.weights import DTYPES
from vidx.errors import DeviceError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidx.embedder.videomae.model import Model
    from vidx.embedder.videomae.preprocess import Preprocessing

logger = logging.getLogger("vidx")


class Output(NamedTuple):
    """What a batch gives.

    Attributes:
        embeddings: float32, shape (batch, dim).
        logits: float32, shape (batch, labels), or None when the checkpoint has no head.
    """

    embeddings: NDArray[np.float32]
    logits: NDArray[np.float32] | None


class Spent(NamedTuple):
    """What batches took.

    Attributes:
        transfer_seconds: Of the process that hands them to its device.
        device_seconds: Of the device, or of all devices together.
    """

    transfer_seconds: float = 0.0
    device_seconds: float = 0.0

    def plus(self, transfer_seconds: float = 0.0, device_seconds: float = 0.0) -> Spent:
        """With so much more."""
        return Spent(self.transfer_seconds + transfer_seconds, self.device_seconds + device_seconds)


class Pending(Protocol):
    """A batch that has been started."""

    def done(self) -> bool:
        """Whether `result` would give it at once."""

    def result(self) -> Output:
        """Wait for it."""


class Engine:
    """Runs batches of any size; what one pass cannot hold goes through in parts.

    On CUDA, `start` returns before the device is done: pinned buffers take turns, so that copies
    of one batch overlap with the arithmetic of another. A size of lasting batches that comes twice
    becomes a CUDA graph; where that fails, it is told once.

    Args:
        encoder: On its device.
        run: What computes a pass; None: the encoder as it is.
        with_graphs: Whether to make graphs; None: on CUDA.

    Attributes:
        ahead: Batches that may be started before the first one's result is asked for.
        spent: What all batches so far took.
    """

    def __init__(
        self,
        encoder: LeanEncoder,
        *,
        run: Callable[[Tensor], Tensors] | None = None,
        with_graphs: bool | None = None,
    ) -> None:
        self.encoder = encoder
        self.device = encoder.device
        self.on_cuda = self.device.type == "cuda"
        self.ahead = 1 if self.on_cuda else 0
        self.spent = Spent()
        self._run = run or encoder
        self._with_graphs = self.on_cuda if with_graphs is None else with_graphs
        self._graph: Graph | None = None
        self._last_size = 0  # of lasting batches
        self._most: float = math.inf  # clips in one pass, lowered when memory ran out
        self._lanes: list[Lane] = []
        self._batch_size: int | None = None

    @property
    def batch_size(self) -> int:
        """Clips in one batch that a GPU's memory holds and that keep it busy; 8 on a CPU."""
        if self._batch_size is None:
            with self._on_device():
                self._batch_size = (
                    fitting_batch_size(self.encoder) if self.on_cuda else DEFAULT_BATCH_SIZE
                )
        return self._batch_size

    def room(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Memory for a batch of that shape; on CUDA it is pinned, and copied from as it is."""
        return torch.empty(shape, dtype=torch.uint8, pin_memory=self.on_cuda).numpy()

    def start(self, frames: NDArray[np.uint8], *, lasting: bool = False) -> Pending:
        """Begin with a batch.

        Args:
            frames: uint8, shape (batch, frames, height, width, 3), of the model's size.
            lasting: Whether it is one of many, for which a graph may pay.

        Returns:
            What to ask for the result.

        Raises:
            DeviceError: The device's memory does not hold one clip, or the device failed.
        """
        while True:
            size = int(min(len(frames), self._most))
            cuts = range(0, len(frames), size)
            try:
                with self._on_device():
                    return _Batch(self, [self._launch(frames[c : c + size], lasting) for c in cuts])
            except DeviceError as error:
                if not is_out_of_memory(error.__cause__):
                    raise
                if size == 1:
                    raise no_memory_for_one_clip(str(self.device)) from error
            # Not in the handler, where the error still holds what the failed pass had made.
            self._halve(size)

    def finish(self, parts: list[Part]) -> Output:
        """Wait for the parts of a batch, and put them together."""
        with self._on_device():
            began = time.perf_counter()
            for part in parts:
                part.wait()
            embeddings = torch.cat([part.embeddings for part in parts]).cpu().numpy()
            logits = [part.logits for part in parts if part.logits is not None]
            output = Output(embeddings, torch.cat(logits).cpu().numpy() if logits else None)
            # Without events a device that works meanwhile is waited for here.
            waited = 0.0 if self.on_cuda else time.perf_counter() - began
            worked = sum(part.device_seconds() for part in parts)
            self.spent = self.spent.plus(device_seconds=worked + waited)
            return output

    @property
    def has_halved(self) -> bool:
        """Whether memory ran out for some batch."""
        return self._most < math.inf

    @torch.inference_mode()
    def run(self, frames: Tensor) -> Tensors:
        """Compute a lasting batch that is on the device, and leave the outputs there.

        Args:
            frames: uint8, shape (batch, frames, height, width, 3).

        Returns:
            As of the encoder; on CUDA they may be overwritten by the next batch.
        """
        with self._on_device():
            return self._forward(frames, lasting=True)

    def close(self) -> None:
        """Let go of the buffers."""
        self._lanes.clear()
        self._graph = None

    def _halve(self, size: int) -> None:
        self._most = size // 2
        self.close()
        gc.collect()  # what hangs on errors
        if self.on_cuda:
            torch.cuda.empty_cache()
        message = "%s has no memory for %d clips at once: going on with %d"
        logger.warning(message, self.device, size, self._most)

    @torch.inference_mode()
    def _launch(self, frames: NDArray[np.uint8], lasting: bool) -> Part:
        if self.on_cuda:
            return self._launch_on_lane(frames, lasting)
        began = time.perf_counter()
        # Copied where torch, which wants memory that it may write to, would complain.
        ready = torch.from_numpy(frames if frames.flags.writeable else frames.copy())
        part = Part(*self._forward(ready.to(self.device), lasting))
        self.spent = self.spent.plus(device_seconds=time.perf_counter() - began)
        return part

    def _launch_on_lane(self, frames: NDArray[np.uint8], lasting: bool) -> Part:
        lane = self._lane(len(frames))
        lane.wait()
        began = time.perf_counter()
        part = lane.launch(frames, partial(self._forward, lasting=lasting))
        self.spent = self.spent.plus(transfer_seconds=time.perf_counter() - began)
        return part

    def _lane(self, clips: int) -> Lane:
        """The buffers whose turn it is, made anew when a batch is larger than all before."""
        if not self._lanes or self._lanes[0].clips < clips:
            shape = clips, *self.encoder.frames_shape
            self._lanes = [Lane(shape, self.device) for _ in range(1 + self.ahead)]
        self._lanes.append(self._lanes.pop(0))
        return self._lanes[-1]

    @contextmanager
    def _on_device(self) -> Iterator[None]:
        """Make it the one that torch means by `cuda`, and its errors ours."""
        with telling_failure(str(self.device)):
            if not self.on_cuda:
                yield
                return
            with torch.cuda.device(self.device):
                yield

    def _forward(self, frames: Tensor, lasting: bool) -> Tensors:
        if not (lasting and self._with_graphs):
            return self._run(frames)
        comes_again, self._last_size = len(frames) == self._last_size, len(frames)
        if comes_again and (self._graph is None or self._graph.clips < len(frames)):
            self._record(frames)
        if self._graph and self._graph.clips == len(frames):
            return self._graph(frames)
        return self._run(frames)

    def _record(self, frames: Tensor) -> None:
        """Make a graph of this batch size; without one, the same is computed kernel by kernel."""
        self._graph = None  # its memory is of use for the next one
        try:
            self._graph = Graph(self._run, frames)
        except RuntimeError as error:
            self._with_graphs = False
            if is_out_of_memory(error):
                logger.info("%s has no memory for a graph of %d clips", self.device, len(frames))
            else:
                logger.warning("going on without graphs, which failed: %s", first_line(error))


def engine_on(device: str, dtype: str, model: Model, preprocessing: Preprocessing) -> Engine:
    """Bring a model to a device, in a precision.

    Raises:
        DeviceError: It lacks the memory or the precision, or failed.
    """
    check_dtype(dtype, device)
    with telling_failure(device):
        return Engine(LeanEncoder(model, preprocessing, device=device, dtype=DTYPES[dtype]).eval())


class _Batch:
    """The parts of a batch."""

    def __init__(self, engine: Engine, parts: list[Part]) -> None:
        self.engine = engine
        self.parts = parts

    def done(self) -> bool:
        return all(part.done() for part in self.parts)

    def result(self) -> Output:
        return self.engine.finish(self.parts)
