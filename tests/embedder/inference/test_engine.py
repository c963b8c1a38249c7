"""An engine gives the same vectors whatever memory, graphs and batch size it meets."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import pytest
import torch

from vidx.embedder.inference.engine import Engine
from vidx.embedder.inference.lean import LeanEncoder
from vidx.errors import DeviceError


class Small(LeanEncoder):
    """A lean encoder on a device whose memory holds so many clips."""

    holds = 1 << 30
    error: Callable[[], Exception] = torch.OutOfMemoryError

    def forward(self, frames):
        if len(frames) > self.holds:
            raise self.error()
        return super().forward(frames)


@pytest.fixture
def small(make_lean) -> Small:
    made = make_lean()
    made.__class__ = Small
    return made


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_several_batches_may_be_under_way(lean, clips) -> None:
    engine = Engine(lean)
    whole = engine.start(clips).result()
    pending = [engine.start(clips[begin : begin + 3]) for begin in (0, 3, 6)]
    results = [one.result() for one in pending]
    assert all(one.done() for one in pending)
    embeddings = np.concatenate([one.embeddings for one in results])
    np.testing.assert_allclose(embeddings, whole.embeddings, atol=1e-5)
    assert whole.logits is not None
    assert whole.logits.shape == (7, 5)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError,
        lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        MemoryError,
    ],
    ids=["gpu", "host", "python"],
)
@pytest.mark.parametrize("holds", [1, 2, 5])
def test_a_full_memory_halves_the_batch_and_gives_the_same_vectors(
    lean, small, clips, caplog, holds, error
) -> None:
    expected = Engine(lean).start(clips).result()
    small.holds, small.error = holds, error
    engine = Engine(small)
    with caplog.at_level(logging.WARNING, "vidx"):
        first = engine.start(clips).result()
        told = len(caplog.records)
        again = engine.start(clips).result()
    for result in (first, again):
        np.testing.assert_allclose(result.embeddings, expected.embeddings, atol=1e-5)
        np.testing.assert_allclose(result.logits, expected.logits, atol=1e-5)
    assert caplog.messages[0] == "cpu has no memory for 7 clips at once: going on with 3"
    assert len(caplog.records) == told  # what was learned is kept


def test_a_memory_that_holds_no_clip_is_an_error(small, clips) -> None:
    small.holds = 0
    with pytest.raises(DeviceError, match="no memory for one clip"):
        Engine(small).start(clips)


def test_a_device_that_fails_is_an_error_that_says_so(small, clips) -> None:
    small.holds = 0
    small.error = lambda: RuntimeError("CUDA error: unspecified launch failure\nC++ stack")
    engine = Engine(small)
    with pytest.raises(RuntimeError):  # on a CPU it is a bug
        engine.start(clips)
    engine.device = torch.device("meta")
    with pytest.raises(DeviceError, match=r"meta failed: CUDA error: unspecified launch failure\n"):
        engine.start(clips)


def test_where_graphs_fail_it_is_told_once_and_the_vectors_are_the_same(
    lean, clips, caplog
) -> None:
    expected = Engine(lean).start(clips).result()
    engine = Engine(lean, with_graphs=True)  # which a CPU has not
    found = [engine.start(clips, lasting=True).result() for _ in range(4)]
    [line] = caplog.messages
    assert line.startswith("going on without graphs, which failed: ")
    for one in found:
        np.testing.assert_array_equal(one.embeddings, expected.embeddings)


def test_what_torch_says_of_a_full_memory_is_understood() -> None:
    from vidx.embedder.inference.devices import is_out_of_memory

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)
    with pytest.raises(MemoryError) as memory:
        np.empty(1 << 45)
    assert is_out_of_memory(memory.value)
    for text in ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling"):
        assert is_out_of_memory(RuntimeError(text))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access"))


def test_a_cpu_makes_no_graphs_by_itself(lean, clips, caplog) -> None:
    engine = Engine(lean)
    for _ in range(3):
        engine.start(clips, lasting=True).result()
    assert caplog.messages == []
    assert engine.batch_size == 8
