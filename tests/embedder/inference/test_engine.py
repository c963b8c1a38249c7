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
    [torch.OutOfMemoryError, lambda: RuntimeError("you tried to allocate: not enough memory")],
    ids=["gpu", "host"],
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
        compiled = engine.start(clips[:3]).result()
        again = engine.start(clips[:3]).result()
    assert caplog.messages == ["compiling for cpu"]
    assert type(engine._run) is not LeanEncoder
    for result in (compiled, again):
        assert cosines(result.embeddings, eager.embeddings).min() >= 0.99999
        assert cosines(result.logits, eager.logits).min() >= 0.99999


def test_queries_with_pauses_between_never_wait_for_a_compiler(
    lean, clips, caplog, monkeypatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    engine = Engine(lean, compile_after_seconds=60)
    with caplog.at_level(logging.INFO, "vidx"):
        for _ in range(20):
            engine.start(clips[:1]).result()
            clock[0] += 10
        assert caplog.messages == []
        for _ in range(20):
            engine.start(clips[:1]).result()
            clock[0] += 4
    assert caplog.messages == ["compiling for cpu"]


WITHOUT_A_COMPILER = """
import logging, sys
import numpy as np
from vidx.embedder.encoder import load
from vidx.embedder.inference.engine import Engine

eager = load(sys.argv[1], device="cpu")
clips = np.random.default_rng(0).integers(0, 256, (2, 16, 32, 32, 3), dtype=np.uint8)
engine = Engine(eager.engine.encoder, compile_after_seconds=0)
for _ in range(2):
    result = engine.start(clips).result()
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
