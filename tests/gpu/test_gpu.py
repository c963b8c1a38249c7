"""What only a GPU can show. It stands on torch and pytest, so it also runs where no av is:

PYTHONPATH=. python -m pytest --noconftest -o addopts= tests/gpu

With VIDX_TEST_CLIPS, an .npz that benchmarks/fidelity.py made of real videos, precision is tested
on those too.
"""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest
import torch

from vidx.embedder.encoder import load
from vidx.embedder.inference import attention, batch_size
from vidx.embedder.inference.engine import Engine
from vidx.embedder.inference.lean import LeanEncoder, _expansion, _GeluLinear
from vidx.embedder.inference.rate import batches_per_second, from_device, from_host, random_frames
from vidx.embedder.videomae import VideoMAEConfig, VideoMAEModel
from vidx.embedder.videomae.preprocess import Preprocessing
from vidx.embedder.videomae.weights import DTYPES

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

FLOAT16, BFLOAT16 = ("float16", 0.9999), ("bfloat16", 0.999)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("VIDX_CACHE_DIR", str(tmp_path))


@pytest.fixture(scope="module")
def base() -> VideoMAEModel:
    """The base shape, with weights that let tokens differ."""
    torch.manual_seed(0)
    model = VideoMAEModel(VideoMAEConfig())
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    return model


@pytest.fixture(scope="module")
def clips() -> np.ndarray:
    return random_frames(8, 16, 224, 224)


def lean(model: VideoMAEModel, dtype: str = "float16") -> LeanEncoder:
    preprocessing = Preprocessing.from_dict({})
    return LeanEncoder(model, preprocessing, device="cuda", dtype=DTYPES[dtype])


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def embedded(engine: Engine, clips: np.ndarray) -> np.ndarray:
    return engine.start(clips, lasting=True).result().embeddings


@pytest.mark.parametrize(("dtype", "least"), [FLOAT16, BFLOAT16])
def test_half_precision_is_close_to_float32(base, clips, dtype, least) -> None:
    exact = embedded(Engine(lean(base, "float32")), clips)
    assert cosines(embedded(Engine(lean(base, dtype)), clips), exact).min() >= least


@pytest.mark.parametrize(("dtype", "least"), [FLOAT16, BFLOAT16])
def test_half_precision_is_close_on_real_clips(dtype, least) -> None:
    path = os.environ.get("VIDX_TEST_CLIPS")
    if not path:
        pytest.skip("no VIDX_TEST_CLIPS")
    frames = np.load(path)["frames"]
    exact = load("builtin:tiny", device="cuda", dtype="float32").encode(frames).embeddings
    rough = load("builtin:tiny", device="cuda", dtype=dtype).encode(frames).embeddings
    assert cosines(rough, exact).min() >= least


def test_the_gpu_gives_the_vectors_of_the_cpu(clips) -> None:
    frames = np.ascontiguousarray(clips[:, :, :112, :112])
    here = load("builtin:tiny", device="cpu", dtype="float32").encode(frames)
    there = load("builtin:tiny", device="cuda", dtype="float32").encode(frames)
    assert cosines(there.embeddings, here.embeddings).min() >= 0.9999


@pytest.mark.parametrize("dtype", DTYPES)
def test_graphs_give_the_vectors_of_the_eager_path_also_for_a_last_odd_batch(
    base, clips, dtype
) -> None:
    encoder = lean(base, dtype)
    eager, graphs = Engine(encoder, with_graphs=False), Engine(encoder)
    for batch in (clips, clips, clips[:3], clips[5:6], clips):
        assert cosines(embedded(graphs, batch), embedded(eager, batch)).min() >= 0.99999
    assert graphs._graph is not None


def test_batches_under_way_do_not_mix(base, clips) -> None:
    encoder = lean(base)
    for engine in (Engine(encoder, with_graphs=False), Engine(encoder)):
        expected = [embedded(engine, clip[None]) for clip in clips]
        pending = [engine.start(clip[None], lasting=True) for clip in clips]
        for one, vector in zip(pending, expected, strict=True):
            np.testing.assert_allclose(one.result().embeddings, vector, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("with_graphs", [False, True])
def test_nothing_in_the_loop_waits_for_the_device(base, clips, with_graphs) -> None:
    engine = Engine(lean(base), with_graphs=with_graphs)
    ready = torch.from_numpy(clips).cuda()
    for _ in range(3):
        engine.run(ready)
    torch.cuda.set_sync_debug_mode("error")
    try:
        engine.run(ready)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_attention_runs_in_a_flash_kernel(base, clips, dtype) -> None:
    encoder, ready = lean(base, dtype), torch.from_numpy(clips).cuda()
    with torch.inference_mode(), torch.profiler.profile() as profile:
        encoder(ready)
    names = {event.key.lower() for event in profile.key_averages()}
    assert any("flash" in name or "cudnn_attention" in name for name in names)
    assert not any("softmax" in name for name in names)


def test_the_fastest_attention_kernel_is_held_and_remembered(base, monkeypatch) -> None:
    encoder = lean(base)
    heads, width = base.config.num_attention_heads, 64
    seconds = attention.kernel_seconds(
        heads, base.config.num_tokens, width, encoder.device, encoder.dtype, 8
    )
    assert seconds[encoder.attention[0]] <= 1.1 * min(seconds.values())
    monkeypatch.setattr(attention, "kernel_seconds", None)  # not measured again
    assert lean(base).attention == encoder.attention


def test_weights_go_to_the_device_in_their_final_precision(base) -> None:
    gc.collect()
    before = torch.cuda.memory_allocated()
    lean(base)  # what libraries keep for good
    torch.cuda.reset_peak_memory_stats()
    encoder = lean(base)
    weights = sum(one.numel() * one.element_size() for one in encoder.parameters())
    assert torch.cuda.max_memory_allocated() - before <= 1.1 * weights + (16 << 20)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
def test_gelu_in_the_epilogue_is_gelu(activation) -> None:
    torch.manual_seed(0)
    config = VideoMAEConfig(num_hidden_layers=1, hidden_act=activation)
    mlp = VideoMAEModel(config).encoder.blocks[0].mlp
    torch.nn.init.normal_(mlp.expand.weight, std=1 / 16)
    x = torch.randn(2, 1568, 768)
    expected = mlp.activation(mlp.expand(x))
    fused = _expansion(mlp, activation, "cuda", torch.float16)
    assert isinstance(fused, _GeluLinear)
    with torch.inference_mode():
        found = fused(x.cuda().half()).float().cpu()
    assert (found - expected).abs().max() <= 2e-3 * expected.abs().max()


def test_a_batch_started_behind_running_work_gets_its_own_frames(base, clips) -> None:
    engine = Engine(lean(base))
    expected = embedded(engine, clips)
    torch.cuda._sleep(10**9)  # the device is busy: whatever is not ordered goes wrong
    first, second = engine.start(clips[:1]), engine.start(clips)
    assert cosines(first.result().embeddings, expected[:1]).min() >= 0.99999
    assert cosines(second.result().embeddings, expected).min() >= 0.99999


def test_copies_are_hidden_behind_arithmetic(base) -> None:
    frames = random_frames(64, 16, 224, 224)
    engine = Engine(lean(base))
    ways = [from_device(engine, frames), from_host(engine, frames)]
    for way in ways:
        way(3)
    ready, host = (np.median([batches_per_second(way, 2.0) for _ in range(3)]) for way in ways)
    assert host >= 0.95 * ready


def test_two_models_in_one_process_keep_apart(base, clips) -> None:
    torch.manual_seed(1)
    other = VideoMAEModel(VideoMAEConfig(num_hidden_layers=2))
    engines = [Engine(lean(model)) for model in (base, other)]
    expected = [embedded(Engine(lean(model)), clips) for model in (base, other)]
    for _ in range(3):
        pending = [engine.start(clips, lasting=True) for engine in engines]
        for one, vectors in zip(pending, expected, strict=True):
            assert cosines(one.result().embeddings, vectors).min() >= 0.99999


def test_a_full_memory_halves_the_batch_and_gives_the_same_vectors(base) -> None:
    frames = random_frames(64, 16, 224, 224)
    encoder = lean(base)
    expected = np.concatenate([embedded(Engine(encoder), part) for part in np.split(frames, 16)])
    per_clip = batch_size.clip_bytes(encoder)
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    allowed = torch.cuda.memory_reserved() + 16 * per_clip
    torch.cuda.set_per_process_memory_fraction(allowed / total)
    try:
        engine = Engine(encoder)
        found = embedded(engine, frames)
        assert engine.has_halved
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert cosines(found, expected).min() >= 0.99999


def test_the_batch_size_fits_and_is_remembered(base, tmp_path, monkeypatch) -> None:
    encoder = lean(base)
    engine = Engine(encoder)
    size = engine.batch_size
    assert 1 <= size <= batch_size.MOST_CLIPS
    embedded(engine, random_frames(size, 16, 224, 224))
    assert not engine.has_halved
    monkeypatch.setattr(batch_size, "clip_bytes", None)  # not measured again
    assert Engine(encoder).batch_size == size


def test_a_team_on_one_gpu_gives_the_same_vectors(clips) -> None:
    frames = np.ascontiguousarray(clips[:, :, :112, :112])
    expected = load("builtin:tiny", device="cuda:0").encode(frames).embeddings
    team = load("builtin:tiny", device="cuda:0,cuda:0")
    try:
        pending = [team.start(clip[None]) for clip in frames]
        found = np.concatenate([one.result().embeddings for one in pending])
    finally:
        team.close()
    assert cosines(found, expected).min() >= 0.9999
