"""The lean path gives what transformers gives, for every shape, batch and precision."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
import transformers
from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

from vidx.embedder.encoder import load
from vidx.embedder.inference.lean import LeanEncoder

TOLERANCE = 1e-4
SHAPES = {
    "tiny": {},
    "no head": {"head": False},
    "first token": {"use_mean_pooling": False},
    "first token, no head": {"use_mean_pooling": False, "head": False},
    "no bias": {"qkv_bias": False},
    "gelu_new": {"hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
    "relu, 8 frames": {"hidden_act": "relu", "num_frames": 8, "tubelet_size": 4},
    "selu, 4 heads": {"hidden_act": "selu", "num_attention_heads": 4, "image_size": 48},
    "heads of 36": {"hidden_size": 72, "num_attention_heads": 2},
    "odd grid": {"image_size": 40, "patch_size": 8, "num_frames": 6},
    "wide": {"intermediate_size": 384, "num_hidden_layers": 5},
    "pretraining": {"pretraining": True},
}


def random_clips(config, batch: int) -> np.ndarray:
    shape = batch, config.num_frames, *config.frame_shape, 3
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def reference(folder, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """transformers' processor and model: mean over tokens, and logits where there is a head."""
    [name] = transformers.VideoMAEConfig.from_pretrained(folder).architectures
    model = getattr(transformers, name).from_pretrained(folder).eval()
    processor = VideoMAEImageProcessorPil.from_pretrained(folder)
    inputs = processor([list(clip) for clip in clips], return_tensors="pt")
    with torch.inference_mode():
        hidden = getattr(model, "videomae", model)(**inputs).last_hidden_state
        logits = model(**inputs).logits.numpy() if hasattr(model, "classifier") else None
    return hidden.mean(dim=1).numpy(), logits


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def assert_equals_transformers(folder, batch: int) -> None:
    encoder = load(folder, device="cpu", dtype="float32")
    clips = random_clips(encoder.model.config, batch)
    expected, expected_logits = reference(folder, clips)
    embeddings, logits = encoder.encode(clips)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(embeddings, expected, atol=TOLERANCE)
    assert (logits is None) == (expected_logits is None)
    if logits is not None and expected_logits is not None:
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, expected_logits, atol=TOLERANCE)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_embeddings_and_logits_equal_transformers(
    make_checkpoint, tmp_path, monkeypatch, shape, batch
) -> None:
    # Documented for hidden_act, but not in every version's table.
    monkeypatch.setitem(transformers.activations.ACT2FN, "selu", torch.nn.SELU)
    folder = make_checkpoint(tmp_path / "made", **SHAPES[shape])
    assert_equals_transformers(folder, batch)


@pytest.mark.parametrize(
    "processor",
    [
        {"image_mean": [0.1, 0.5, 0.9], "image_std": [0.2, 0.3, 1.5]},
        {"do_normalize": False},
        {"do_rescale": False, "image_mean": [100, 120, 140], "image_std": [50, 60, 70]},
    ],
)
def test_the_folded_normalising_is_the_processors(
    tiny_checkpoint, edited, processor: dict[str, object]
) -> None:
    folder = edited(tiny_checkpoint, preprocessor=processor)
    assert_equals_transformers(folder, batch=2)


@pytest.mark.long
def test_the_base_shape_equals_transformers(make_checkpoint, tmp_path) -> None:
    base = {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "image_size": 224,
        "patch_size": 16,
    }
    folder = make_checkpoint(tmp_path / "made", **base)
    assert_equals_transformers(folder, batch=1)


@pytest.mark.parametrize(("dtype", "least"), [("float16", 0.9999), ("bfloat16", 0.999)])
def test_half_precision_is_close_and_keeps_pooling_and_head_in_float32(
    make_lean, lean, clips, dtype, least
) -> None:
    half = make_lean(dtype)
    with torch.inference_mode():
        exact, _ = lean(torch.from_numpy(clips))
        rough, logits = half(torch.from_numpy(clips))
    assert rough.dtype is logits.dtype is torch.float32
    assert cosines(rough.numpy(), exact.numpy()).min() >= least
    dtypes = {name: one.dtype for name, one in half.named_parameters()}
    assert dtypes["kernel"] is dtypes["blocks.0.qkv.weight"] is getattr(torch, dtype)
    single = {name for name in dtypes if name.startswith(("head_norm", "classifier"))}
    assert len(single) == 4
    assert all(dtypes[name] is torch.float32 for name in single)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_norms_take_their_statistics_in_float32(make_lean, dtype) -> None:
    # The squares of such values overflow float16, and their sums drown in bfloat16.
    norm = make_lean(dtype).blocks[0].attention_norm
    x = (torch.randn(1, 4, 64, generator=torch.Generator().manual_seed(0)) * 2000).to(norm.weight)
    expected = torch.nn.functional.layer_norm(
        x.double(), (64,), norm.weight.double(), norm.bias.double(), norm.eps
    )
    assert cosines(norm(x)[0].float().numpy(), expected[0].numpy()).min() >= 0.99999


def test_a_batch_in_parts_gives_what_single_clips_give(lean, clips, monkeypatch) -> None:
    frames = torch.from_numpy(clips)
    with torch.inference_mode():
        together, logits = lean(frames)
        monkeypatch.setattr(LeanEncoder, "clips_at_once", 2)
        parted, parted_logits = lean(frames)
        alone = torch.cat([lean(clip[None])[0] for clip in frames])
    torch.testing.assert_close(parted, together, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(parted_logits, logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


def test_frames_and_weights_are_left_as_they_were(tiny_checkpoint, clips) -> None:
    encoder = load(tiny_checkpoint, device="cpu")
    before = {name: value.clone() for name, value in encoder.model.state_dict().items()}
    frames = clips.copy()
    encoder.encode(frames)
    np.testing.assert_array_equal(frames, clips)
    after = encoder.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_attention_runs_in_a_fused_kernel(lean, clips) -> None:
    with torch.inference_mode(), torch.profiler.profile() as profile:
        lean(torch.from_numpy(clips))
    names = {event.key for event in profile.key_averages()}
    assert any("flash_attention" in name for name in names)
    assert not any("attention_math" in name or "softmax" in name for name in names)


def test_heads_without_a_fused_kernel_are_told_of_and_computed(
    lean, clips, tiny_checkpoint, monkeypatch, caplog
) -> None:
    from vidx.embedder.inference import attention

    # On a CPU every head has a fused kernel; a GPU's are asked for here, which it has not.
    monkeypatch.setattr(attention, "FUSED", attention.FUSED[2:])
    with caplog.at_level(logging.WARNING, "vidx"):
        slow = load(tiny_checkpoint, device="cpu", dtype="float32")
    assert "attention will be slow: cpu has no fused kernel for heads of 32" in caplog.text
    with torch.inference_mode():
        expected, _ = lean(torch.from_numpy(clips))
    np.testing.assert_allclose(slow.encode(clips).embeddings, expected.numpy(), atol=1e-5)
