"""On a CPU with native bfloat16 products that prove faster, bfloat16 is the default."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from vidx.embedder.encoder import load
from vidx.embedder.inference import precision
from vidx.embedder.inference.devices import find_dtype
from vidx.errors import ModelNotFound, UsageError


class ThisCPU:
    """A pretended CPU: whether it has such products, how much faster they are, times measured."""

    def __init__(self) -> None:
        self.is_native = True
        self.gain = 1.5
        self.measured = 0

    def measure(self) -> float:
        self.measured += 1
        return self.gain


@pytest.fixture
def cpu(monkeypatch, tmp_path) -> ThisCPU:
    pretended = ThisCPU()
    monkeypatch.setenv("VIDX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(precision, "has_bfloat16_products", lambda: pretended.is_native)
    monkeypatch.setattr(precision, "bfloat16_gain", pretended.measure)
    return pretended


def test_bfloat16_is_the_default_where_it_is_native_and_faster(cpu, tiny_checkpoint) -> None:
    assert find_dtype(None, "cpu") == "bfloat16"
    encoder = load(tiny_checkpoint, device="cpu")
    assert (encoder.dtype, encoder.provenance()["dtype"]) == ("bfloat16", "bfloat16")
    assert encoder.engine.encoder.dtype is torch.bfloat16


@pytest.mark.parametrize("gain", [0.7, 1.0, 1.05])
def test_float32_is_the_default_where_native_bfloat16_is_no_faster(cpu, gain) -> None:
    cpu.gain = gain
    assert find_dtype(None, "cpu") == "float32"


def test_float32_is_the_default_without_native_bfloat16_and_nothing_is_measured(cpu) -> None:
    cpu.is_native = False
    assert find_dtype(None, "cpu") == "float32"
    assert cpu.measured == 0


def test_other_devices_have_their_own_defaults_and_nothing_is_measured(cpu) -> None:
    assert [find_dtype(None, name) for name in ("cuda:1", "mps")] == ["float16", "float32"]
    assert cpu.measured == 0


@pytest.mark.parametrize("gain", [1.5, 0.7])
def test_it_is_measured_once_and_remembered(cpu, gain) -> None:
    cpu.gain = gain
    assert len({find_dtype(None, "cpu") for _ in range(3)}) == 1
    assert cpu.measured == 1


@pytest.mark.parametrize("part", ["cpu_name", "torch"])
def test_another_processor_or_torch_is_measured_anew(cpu, monkeypatch, part) -> None:
    find_dtype(None, "cpu")
    if part == "torch":
        monkeypatch.setattr(torch, "__version__", "99")
    else:
        monkeypatch.setattr(
            torch.cpu, "get_capabilities", lambda: {"cpu_name": "Other"}, raising=False
        )
    find_dtype(None, "cpu")
    assert cpu.measured == 2


@pytest.mark.parametrize("content", ["", "[]", '{"KEY": "text"}', '{"KEY": null}'])
def test_a_damaged_memory_only_costs_the_measurement(cpu, tmp_path, content) -> None:
    (tmp_path / "cache").mkdir()
    text = content.replace('"KEY"', json.dumps(precision.cache_key()))
    (tmp_path / "cache" / precision.CACHE_FILE).write_text(text)
    assert find_dtype(None, "cpu") == "bfloat16"
    assert cpu.measured == 1


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_dtype_that_is_named_is_taken_without_measuring(cpu, tiny_checkpoint, dtype) -> None:
    assert load(tiny_checkpoint, device="cpu", dtype=dtype).dtype == dtype
    assert cpu.measured == 0


def test_nothing_is_measured_for_what_is_refused(cpu, tiny_checkpoint, tmp_path) -> None:
    with pytest.raises(ModelNotFound):
        load(tmp_path / "missing", device="cpu")
    with pytest.raises(UsageError, match="dtype 'int8' is unknown"):
        load(tmp_path / "missing", device="cpu", dtype="int8")
    assert cpu.measured == 0


def test_a_torch_without_detection_has_no_native_bfloat16(monkeypatch) -> None:
    for name in precision.DETECTIONS:
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not precision.has_bfloat16_products()


@pytest.mark.parametrize("name", precision.DETECTIONS)
def test_one_kind_of_product_suffices(monkeypatch, name) -> None:
    for each in precision.DETECTIONS:
        monkeypatch.setattr(torch.cpu, each, lambda own=each: own == name, raising=False)
    assert precision.has_bfloat16_products()


def test_the_gain_is_a_ratio_of_times_and_draws_no_random_number(monkeypatch) -> None:
    seconds = {torch.float32: 3.0, torch.bfloat16: 2.0}
    monkeypatch.setattr(precision, "_seconds", lambda tokens, _weight: seconds[tokens.dtype])
    before = torch.get_rng_state()
    assert precision.bfloat16_gain() == 1.5
    assert torch.equal(torch.get_rng_state(), before)


def test_the_gain_is_measured_on_any_cpu() -> None:
    assert precision.bfloat16_gain() > 0


def test_both_precisions_give_one_space_and_cosines_of_at_least_0_99999(make_video, tmp_path):
    from vidx.embedder.decoding.events import ClipDecoded, Job
    from vidx.embedder.decoding.pool import decode
    from vidx.embedder.decoding.sampling import Sampling

    exact, rough = (
        load("builtin:tiny", device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16")
    )
    videos = [make_video(tmp_path / f"{seed}.mp4", seed=seed, seconds=4.5) for seed in range(3)]
    events = decode(
        [Job(str(path), str(path)) for path in videos],
        sampling=Sampling(exact.space.num_frames, exact.space.fps),
        geometry=exact.geometry,
        workers=0,
    )
    frames = np.stack([event.frames for event in events if isinstance(event, ClipDecoded)])
    a, b = (one.encode(frames).embeddings.astype(np.float64) for one in (exact, rough))
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() >= 0.99999
    assert exact.space == rough.space


def test_the_benchmark_tells_rates_ratio_and_cosine_of_both_precisions(
    benchmark, tiny_checkpoint, monkeypatch
) -> None:
    script = benchmark("precision")
    monkeypatch.setattr(script, "TURN_SECONDS", 0.01)
    found = script.measured("tiny", script.both(str(tiny_checkpoint)), 2, 3)
    assert list(found["clips_per_core_second"]) == ["float32", "bfloat16"]
    assert len(found["rounds"]) == 3
    assert found["ratio"] > 0
    assert found["cosine"]["least"] >= 0.999
