"""An engine gives the same vectors whatever memory, compiler and batch size it meets."""

from __future__ import annotations

import logging
import subprocess
import sys
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


def test_compiled_vectors_equal_eager_ones(lean, clips, caplog) -> None:
    eager = Engine(lean).start(clips[:3]).result()
    engine = Engine(lean, compile_after_seconds=0)
    with caplog.at_level(logging.INFO, "vidx"):
        query = engine.start(clips[:3]).result()
        assert caplog.messages == []
        compiled = engine.start(clips[:3], lasting=True).result()
        again = engine.start(clips[:3], lasting=True).result()
    assert caplog.messages == ["compiling for cpu"]
    assert type(engine._run) is not LeanEncoder
    for result in (query, compiled, again):
        assert cosines(result.embeddings, eager.embeddings).min() >= 0.99999
        assert cosines(result.logits, eager.logits).min() >= 0.99999


def test_only_lasting_work_is_compiled(lean, clips, caplog, monkeypatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    engine = Engine(lean, compile_after_seconds=60)

    def batches(count: int, pause_seconds: float, *, lasting: bool) -> list[str]:
        for _ in range(count):
            engine.start(clips[:1], lasting=lasting).result()
            clock[0] += pause_seconds
        return caplog.messages

    with caplog.at_level(logging.INFO, "vidx"):
        assert batches(20, pause_seconds=4, lasting=False) == []  # queries, one after the other
        assert batches(20, pause_seconds=20, lasting=True) == []  # short jobs
        assert batches(20, pause_seconds=8, lasting=True) == ["compiling for cpu"]


def test_a_full_memory_leaves_the_compiler_and_gives_the_same_vectors(
    lean, clips, monkeypatch
) -> None:
    expected = Engine(lean).start(clips).result()
    engine = Engine(lean, compile_after_seconds=0)
    engine.start(clips[:2], lasting=True).result()
    compiled = engine._run

    def full(frames: torch.Tensor) -> object:
        if len(frames) > 2:
            raise torch.OutOfMemoryError
        return compiled(frames)

    engine._run = full
    result = engine.start(clips, lasting=True).result()
    assert (engine.has_halved, engine._compiled) == (True, False)
    np.testing.assert_allclose(result.embeddings, expected.embeddings, atol=1e-5)


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


WITHOUT_A_COMPILER = """
import logging, sys
import numpy as np
from vidx.embedder.encoder import load
from vidx.embedder.inference.engine import Engine

eager = load(sys.argv[1], device="cpu")
clips = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 32, 3), dtype=np.uint8)
engine = Engine(eager.engine.encoder, compile_after_seconds=0)
for _ in range(2):
    result = engine.start(clips, lasting=True).result()
    assert np.array_equal(result.embeddings, eager.encode(clips).embeddings)
print("same vectors")
"""


def test_a_missing_compiler_falls_back_with_one_warning_line(
    tiny_checkpoint, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    monkeypatch.setenv("VIDX_CACHE_DIR", str(tmp_path))
    command = [sys.executable, "-c", WITHOUT_A_COMPILER, str(tiny_checkpoint)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "same vectors\n"
    [line] = done.stderr.splitlines()
    assert line.startswith("going on without a compiler, which failed: ")
    assert "no-compiler" in line


def test_on_a_cpu_nothing_is_compiled_by_itself(lean, clips) -> None:
    engine = Engine(lean)
    engine.start(clips).result()
    assert engine._compile_after == float("inf")
    assert engine.batch_size == 8
