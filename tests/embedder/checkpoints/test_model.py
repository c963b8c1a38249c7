"""The model gives what transformers gives on the same checkpoint."""

from __future__ import annotations

import pytest
import torch
import transformers

from vidx.embedder.encoder import load
from vidx.embedder.videomae import VideoMAEConfig

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
    shape = (batch, config.num_frames, 3, *config.frame_shape)
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
    """The last hidden state of vidx's encoder, and the logits where there is a head."""
    model = load(folder, device="cpu").model
    with torch.inference_mode():
        hidden = model.encoder(pixels).last_hidden_state
        return hidden, model.head(hidden) if hasattr(model, "head") else None


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
    our_hidden, our_logits = ours(folder, pixels)
    assert difference(our_hidden, hidden) <= TOLERANCE
    assert difference(our_logits, logits) <= TOLERANCE


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
    our_hidden, logits = ours(folder, pixels)
    assert logits is None
    assert difference(our_hidden, hidden) <= TOLERANCE


def test_a_pretraining_checkpoint_equals_transformers_encoder(make_checkpoint, tmp_path) -> None:
    folder = make_checkpoint(tmp_path / "made", pretraining=True)
    pixels = random_pixels(config_of(folder))
    hidden, _ = reference(folder, pixels, prefix="VideoMAEForPreTraining")
    assert difference(ours(folder, pixels)[0], hidden) <= TOLERANCE


@pytest.mark.long
def test_the_base_shape_equals_transformers(make_checkpoint, tmp_path) -> None:
    folder = make_checkpoint(tmp_path / "made", old_layout=True, **BASE)
    pixels = random_pixels(config_of(folder), batch=1)
    hidden, logits = reference(folder, pixels)
    our_hidden, our_logits = ours(folder, pixels)
    assert our_hidden.shape == (1, 1568, 768)
    assert difference(our_hidden, hidden) <= TOLERANCE
    assert difference(our_logits, logits) <= TOLERANCE


@pytest.mark.parametrize("bias", ["q_bias", "v_bias"])
def test_a_zeroed_bias_breaks_the_parity(make_checkpoint, edited, tmp_path, bias) -> None:
    folder = make_checkpoint(tmp_path / "made", old_layout=True)
    name = f"videomae.encoder.layer.0.attention.attention.{bias}"
    zeroed = edited(folder, lambda tensors: tensors[name].zero_())
    pixels = random_pixels(config_of(folder))
    hidden, _ = reference(folder, pixels)
    assert difference(ours(zeroed, pixels)[0], hidden) > 10 * TOLERANCE


def test_biases_of_keys_which_some_versions_store_change_nothing(
    make_checkpoint, edited, tmp_path
) -> None:
    folder = make_checkpoint(tmp_path / "made")
    config = config_of(folder)
    biases = {
        f"videomae.encoder.layer.{layer}.attention.attention.key.bias": torch.randn(
            config.hidden_size, generator=torch.Generator().manual_seed(layer)
        )
        for layer in range(config.num_hidden_layers)
    }
    stored = edited(folder, lambda tensors: tensors.update(biases))
    pixels = random_pixels(config)
    assert torch.equal(ours(stored, pixels)[0], ours(folder, pixels)[0])
    # The reference, with that bias added to its keys by hand.
    model = transformers.VideoMAEForVideoClassification.from_pretrained(folder).eval()
    for layer, bias in enumerate(biases.values()):
        attention = model.videomae.encoder.layer[layer].attention.attention
        attention.key.register_forward_hook(lambda _module, _inputs, keys, bias=bias: keys + bias)
    with torch.inference_mode():
        hidden = model(pixels, output_hidden_states=True).hidden_states[-1]
    assert difference(ours(stored, pixels)[0], hidden) <= TOLERANCE
