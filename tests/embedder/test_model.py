"""The model gives what transformers gives on the same checkpoint."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers

from vidx.embedder.config import VideoMAEConfig
from vidx.embedder.encoder import load
from vidx.embedder.model import VideoMAE, sinusoidal_positions
from vidx.errors import CheckpointError

TOLERANCE = 1e-4
BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "image_size": 224,
    "patch_size": 16,
}


def random_pixels(config: VideoMAEConfig, batch: int = 2) -> torch.Tensor:
    shape = (batch, config.num_frames, 3, *config.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def reference(folder, pixels: torch.Tensor, *, prefix: str = "VideoMAEForVideoClassification"):
    """transformers' last hidden state, and its logits where there is a head."""
    model = getattr(transformers, prefix).from_pretrained(folder).eval()
    encoder = getattr(model, "videomae", model)
    with torch.inference_mode():
        hidden = encoder(pixels).last_hidden_state
        logits = model(pixels).logits if hasattr(model, "classifier") else None
    return hidden, logits


def ours(folder, pixels: torch.Tensor):
    with torch.inference_mode():
        return load(folder, device="cpu").model(pixels)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item()


def config_of(folder) -> VideoMAEConfig:
    return VideoMAEConfig.from_file(folder / "config.json")


@pytest.mark.parametrize("old_layout", [True, False])
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"use_mean_pooling": False},
        {"qkv_bias": False},
        {"hidden_act": "gelu_new", "layer_norm_eps": 1e-3},
        {"hidden_act": "relu", "num_frames": 8, "tubelet_size": 4},
        {"hidden_act": "selu", "num_attention_heads": 4, "image_size": 48},
    ],
    ids=["tiny", "first-token", "no-bias", "gelu_new", "relu-8-frames", "selu-4-heads"],
)
def test_hidden_state_and_logits_equal_transformers(
    make_checkpoint, tmp_path, monkeypatch, config, old_layout
) -> None:
    # Documented for hidden_act, but not in every version's table.
    monkeypatch.setitem(transformers.activations.ACT2FN, "selu", torch.nn.SELU)
    folder = make_checkpoint(tmp_path / "made", old_layout=old_layout, **config)
    pixels = random_pixels(config_of(folder))
    hidden, logits = reference(folder, pixels)
    output = ours(folder, pixels)
    assert difference(output.hidden, hidden) <= TOLERANCE
    assert difference(output.logits, logits) <= TOLERANCE
    assert difference(output.embedding, hidden.mean(dim=1)) <= TOLERANCE


def test_the_head_normalises_small_values_as_transformers_does(tiny_checkpoint) -> None:
    theirs = transformers.VideoMAEForVideoClassification.from_pretrained(tiny_checkpoint)
    head = load(tiny_checkpoint, device="cpu").model.head
    hidden = 1e-3 * torch.randn(2, 1, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = theirs.classifier(theirs.fc_norm(hidden.mean(dim=1)))
        assert difference(head(hidden), expected) <= 1e-5


@pytest.mark.parametrize("use_mean_pooling", [True, False])
def test_a_checkpoint_without_head_equals_transformers(
    make_checkpoint, tmp_path, use_mean_pooling
) -> None:
    folder = make_checkpoint(tmp_path / "made", head=False, use_mean_pooling=use_mean_pooling)
    pixels = random_pixels(config_of(folder))
    hidden, _ = reference(folder, pixels, prefix="VideoMAEModel")
    output = ours(folder, pixels)
    assert output.logits is None
    assert difference(output.hidden, hidden) <= TOLERANCE


def test_a_pretraining_checkpoint_equals_transformers_encoder(make_checkpoint, tmp_path) -> None:
    folder = make_checkpoint(tmp_path / "made", pretraining=True)
    pixels = random_pixels(config_of(folder))
    hidden, _ = reference(folder, pixels, prefix="VideoMAEForPreTraining")
    assert difference(ours(folder, pixels).hidden, hidden) <= TOLERANCE


def test_the_base_shape_equals_transformers(make_checkpoint, tmp_path) -> None:
    folder = make_checkpoint(tmp_path / "made", old_layout=True, **BASE)
    pixels = random_pixels(config_of(folder), batch=1)
    hidden, logits = reference(folder, pixels)
    output = ours(folder, pixels)
    assert output.hidden.shape == (1, 1568, 768)
    assert difference(output.hidden, hidden) <= TOLERANCE
    assert difference(output.logits, logits) <= TOLERANCE


@pytest.mark.parametrize("bias", ["q_bias", "v_bias"])
def test_a_zeroed_bias_breaks_the_parity(make_checkpoint, edited, tmp_path, bias) -> None:
    folder = make_checkpoint(tmp_path / "made", old_layout=True)
    name = f"videomae.encoder.layer.0.attention.attention.{bias}"
    zeroed = edited(folder, lambda tensors: tensors[name].zero_())
    pixels = random_pixels(config_of(folder))
    hidden, _ = reference(folder, pixels)
    assert difference(ours(zeroed, pixels).hidden, hidden) > 10 * TOLERANCE


def test_another_number_of_frames_gets_a_position_table_of_its_own(tiny_checkpoint) -> None:
    model = load(tiny_checkpoint, num_frames=32, device="cpu").model
    expected = sinusoidal_positions(16 * 4 * 4, 64)
    assert torch.equal(model.encoder.positions, expected)
    # row 3, columns 4 and 5: sine and cosine of 3 / 10000^(4 / 64)
    angle = 3 / 10000 ** (4 / 64)
    assert expected[3, 4].item() == pytest.approx(np.sin(angle))
    assert expected[3, 5].item() == pytest.approx(np.cos(angle))


def test_half_precision_is_close_to_float32_and_keeps_norms_and_head_in_float32(
    tiny_checkpoint,
) -> None:
    model = load(tiny_checkpoint, device="cpu").model
    pixels = random_pixels(config_of(tiny_checkpoint))
    with torch.inference_mode():
        exact = model(pixels)
        model.set_precision(torch.bfloat16)
        rough = model(pixels)
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    assert dtypes["encoder.blocks.0.mlp.expand.weight"] is torch.bfloat16
    assert dtypes["encoder.blocks.0.mlp_norm.weight"] is torch.float32
    assert dtypes["head.classifier.weight"] is torch.float32
    assert rough.embedding.dtype is rough.logits.dtype is torch.float32
    assert torch.cosine_similarity(exact.embedding, rough.embedding).min() > 0.999


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 100, "num_attention_heads": 3}, "hidden_size 100 is not a multiple of"),
        ({"num_frames": 15}, "num_frames 15 is not a multiple of tubelet_size 2"),
        ({"image_size": 225}, "image_size (225, 225) is no multiple of patch_size (16, 16)"),
        ({"hidden_act": "swish"}, "hidden_act is 'swish', known are gelu"),
        ({"model_type": "vit"}, "model_type is 'vit', not 'videomae'"),
        ({"model_type": None}, "model_type is None"),
        ({"num_channels": 4}, "num_channels is 4"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"hidden_size": "768"}, "hidden_size is '768', it must be of type int"),
        ({"layer_norm_eps": -1.0}, "layer_norm_eps is -1.0"),
        ({"image_size": [224]}, "image_size is [224]"),
        ({"id2label": {"0": "a", "2": "b"}}, "without a gap"),
    ],
)
def test_an_impossible_config_is_named(values, message) -> None:
    with pytest.raises(CheckpointError) as caught:
        VideoMAEConfig.from_dict({"model_type": "videomae"} | values)
    assert message in caught.value.problem
    assert caught.value.next_step


def test_defaults_are_those_of_transformers() -> None:
    theirs = json.loads(transformers.VideoMAEConfig().to_json_string(use_diff=False))
    config = VideoMAEConfig.from_dict(theirs)
    assert config == VideoMAEConfig()


def test_qv_bias_and_qkv_bias_mean_the_same() -> None:
    for name in ("qv_bias", "qkv_bias"):
        config = VideoMAEConfig.from_dict({"model_type": "videomae", name: False})
        assert config.qkv_bias is False


def test_oblong_frames_and_patches_have_their_grid() -> None:
    config = VideoMAEConfig(
        image_size=(32, 48), patch_size=(8, 16), hidden_size=24, num_hidden_layers=1
    )
    model = VideoMAE(config, with_head=False)
    assert config.grid == (8, 4, 3)
    assert model(random_pixels(config, batch=1)).hidden.shape == (1, 96, 24)
