"""How fast an encoder is on this machine: from frames on the device, and from the host's memory."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from vidx.embedder.inference.devices import telling_failure
from vidx.embedder.inference.engine import Engine
from vidx.model_records import BenchReport

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vidx.embedder.encoder import Encoder
    from vidx.embedder.inference.engine import Pending
    from vidx.embedder.inference.team import Team

ROUNDS = 5


def measure(
    encoder: Encoder,
    *,
    batch_size: int | None = None,
    seconds: float = 10.0,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> BenchReport:
    """Embed random clips for some seconds, as `embed` does once it is under way.

    Args:
        encoder: Loaded.
        batch_size: Clips in one batch; None: what suits the device.
        seconds: How long, besides what the device takes to be ready, and a batch at least for each
            of ten measurements.
        progress: Called with the measurements done, and how many there are.

    Returns:
        Medians of rounds that measure both in turn.

    Raises:
        DeviceError: The batch does not fit, or the device failed.
    """
    runner = encoder.engine
    size = batch_size or encoder.batch_size
    height, width = encoder.geometry.made or (0, 0)
    with telling_failure(encoder.device):
        frames = random_frames(size, encoder.space.num_frames, height, width)
        ways = [from_host(runner, frames)]
        if isinstance(runner, Engine):
            ways.append(from_device(runner, frames))
    total = ROUNDS * len(ways)
    rates: list[list[float]] = [[] for _ in ways]
    for run in ways:
        run(3)  # graphs are made of what comes again
    for number in range(total):
        progress(number, total)
        way = number % len(ways)
        rates[way].append(size * batches_per_second(ways[way], seconds / total))
    progress(total, total)
    host, *ready = (statistics.median(each) for each in rates)
    return _report(encoder, size, host, ready[0] if ready else None)


def measure_host(encoder: Encoder, *, batch_size: int, seconds: float) -> BenchReport:
    """Embed random clips from the host's memory for some seconds, and two batches at least.

    Arguments, result and errors as of `measure`; frames on the device are left aside.
    """
    height, width = encoder.geometry.made or (0, 0)
    with telling_failure(encoder.device):
        frames = random_frames(batch_size, encoder.space.num_frames, height, width)
        run = from_host(encoder.engine, frames)
        if encoder.ahead:
            run(3)  # graphs are made of what comes again
        rate = batch_size * batches_per_second(run, seconds)
    return _report(encoder, batch_size, rate, None)


def _report(encoder: Encoder, batch_size: int, host: float, ready: float | None) -> BenchReport:
    clip_seconds = encoder.space.num_frames / encoder.space.fps
    return BenchReport(
        model=encoder.space.source,
        device=encoder.device,
        dtype=encoder.dtype,
        batch_size=batch_size,
        clip_seconds=clip_seconds,
        ready_clips_per_second=ready,
        host_clips_per_second=host,
        video_hours_per_hour=host * clip_seconds,
    )


def from_host(runner: Engine | Team, frames: NDArray[np.uint8]) -> Callable[[int], None]:
    """A function that embeds the same frames so many times, and takes the results as `embed` does.

    Args:
        runner: At work on its device, or devices.
        frames: uint8, shape (batch, frames, height, width, 3).
    """

    def run(batches: int) -> None:
        started: deque[Pending] = deque()
        for _ in range(batches):
            started.append(runner.start(frames, lasting=True))
            if len(started) > runner.ahead:
                started.popleft().result()
        for pending in started:
            pending.result()

    return run


def from_device(engine: Engine, frames: NDArray[np.uint8]) -> Callable[[int], None]:
    """A function that embeds frames on the device so many times, and leaves the results there.

    Args:
        engine: At work on its device.
        frames: uint8, shape (batch, frames, height, width, 3).
    """
    with torch.inference_mode():  # as the engine's own buffers: one graph serves both
        ready = torch.tensor(frames, device=engine.device)

    def run(batches: int) -> None:
        for _ in range(batches):
            engine.run(ready)
        if engine.device.type != "cpu":
            torch.accelerator.synchronize(engine.device)

    return run


def batches_per_second(run: Callable[[int], None], seconds: float) -> float:
    """Run batches for about so long, one at least, and in one go, so that they overlap."""
    started = time.perf_counter()
    run(1)
    first = time.perf_counter() - started
    if first >= seconds:
        return 1 / first
    batches = max(1, round(seconds / first))
    started = time.perf_counter()
    run(batches)
    return batches / (time.perf_counter() - started)


def random_frames(batch: int, num_frames: int, height: int, width: int) -> NDArray[np.uint8]:
    """Noise, uint8, shape (batch, num_frames, height, width, 3)."""
    shape = batch, num_frames, height, width, 3
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
