"""Lane: the way of one batch through a CUDA device, and what comes out at its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tensors = tuple[Tensor, Tensor | None]


class Lane:
    """The device's buffers of one batch on its way through it."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        self.clips = shape[0]
        self.device = device
        self.frames = torch.zeros(shape, dtype=torch.uint8, device=device)
        # Copies in, while another batch is computed; not before the zeros, nor while whoever had
        # this memory before still reads it.
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.stream.wait_stream(torch.cuda.current_stream(device))
        self.part: Part | None = None

    def wait(self) -> None:
        """Wait for the batch that these buffers still hold."""
        if self.part:
            self.part.wait()

    def launch(self, frames: NDArray[np.uint8], run: Callable[[Tensor], Tensors]) -> Part:
        """Start a batch, once `wait` has returned.

        Args:
            frames: uint8, shape (batch, frames, height, width, 3), no more than the buffers hold.
            run: Computes frames on the device.
        """
        clips = len(frames)
        host = _pinned(frames)
        compute = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self.stream):
            self.frames[:clips].copy_(host, non_blocking=True)
        compute.wait_stream(self.stream)
        began = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        began.record(compute)
        embeddings, logits = run(self.frames[:clips])
        self.part = Part(_to_host(embeddings), None if logits is None else _to_host(logits))
        self.part.source = host
        # Blocking: waiting leaves the core to the decoders.
        self.part.event = torch.cuda.Event(blocking=True, enable_timing=True)  # type: ignore[no-untyped-call]
        self.part.began = began
        self.part.event.record(compute)
        return self.part


class Part:
    """Outputs on their way to the host; without an event they are there.

    Args:
        embeddings: Shape (batch, dim).
        logits: Shape (batch, labels), or None.
    """

    def __init__(self, embeddings: Tensor, logits: Tensor | None) -> None:
        self.embeddings = embeddings
        self.logits = logits
        self.event: torch.cuda.Event | None = None
        self.began: torch.cuda.Event | None = None
        self.source: Tensor | None = None  # kept until the device has read it

    def done(self) -> bool:
        """Whether `wait` would return at once."""
        try:
            return self.event is None or bool(self.event.query())  # type: ignore[no-untyped-call]
        except RuntimeError:  # for `wait` to tell
            return True

    def device_seconds(self) -> float:
        """How long the device took, once they are there; 0.0 without events."""
        if self.event is None or self.began is None:
            return 0.0
        return float(self.began.elapsed_time(self.event)) / 1000

    def wait(self) -> None:
        """Wait until they are there."""
        if self.event:
            self.event.synchronize()
        self.source = None


def _pinned(frames: NDArray[np.uint8]) -> Tensor:
    """The frames in pinned memory; a copy where they are not there already."""
    if frames.flags.writeable and (here := torch.from_numpy(frames)).is_pinned():
        return here
    host = torch.empty(frames.shape, dtype=torch.uint8, pin_memory=True)
    host.numpy()[...] = frames
    return host


def _to_host(values: Tensor) -> Tensor:
    """Begin to copy to pinned memory."""
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return host.copy_(values, non_blocking=True)
