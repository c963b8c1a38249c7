"""Checkpoints go from the reference to us and back, and come from the original repository."""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import os

import pytest
import torch
import transformers
from safetensors import safe_open
from safetensors.torch import load_file

from vidx.embedder import videomae
from vidx.embedder.videomae import (
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
    VideoMAEModel,
    tube_mask,
)
from vidx.errors import CheckpointError, ModelNotFound, UsageError

TOLERANCE = 1e-5
KINDS = ["VideoMAEModel", "VideoMAEForPreTraining", "VideoMAEForVideoClassification"]
MADE_AS = {
    "VideoMAEModel": {"head": False},
    "VideoMAEForPreTraining": {"pretraining": True},
    "VideoMAEForVideoClassification": {},
}


def inputs_of(model) -> dict[str, torch.Tensor]:
    config = model.config
    generator = torch.Generator().manual_seed(1)
    shape = (2, config.num_frames, 3, config.image_size, config.image_size)
    inputs = {"pixel_values": torch.randn(shape, generator=generator)}
    if isinstance(model, VideoMAEForPreTraining | transformers.VideoMAEForPreTraining):
        own = VideoMAEConfig(image_size=config.image_size, patch_size=config.patch_size)
        inputs["bool_masked_pos"] = tube_mask(own, 2, generator=generator)
    return inputs


def result(model) -> torch.Tensor:
    """The last hidden state or the logits, in float64: rounding is not what is tested here."""
    inputs = inputs_of(model)
    inputs["pixel_values"] = inputs["pixel_values"].double()
    with torch.inference_mode():
        output = copy.deepcopy(model).double()(**inputs)
    return output.logits if hasattr(output, "logits") else output.last_hidden_state


def assert_same(ours, theirs) -> None:
    assert (result(ours) - result(theirs)).abs().max() <= TOLERANCE


@pytest.mark.parametrize("old_layout", [True, False], ids=["old", "new"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_references_checkpoints_load(make_checkpoint, tmp_path, kind, old_layout) -> None:
    folder = make_checkpoint(tmp_path / "made", old_layout=old_layout, **MADE_AS[kind])
    ours = getattr(videomae, kind).from_pretrained(folder)
    assert not ours.training
    assert_same(ours, getattr(transformers, kind).from_pretrained(folder))


@pytest.mark.parametrize("config", [{}, {"qkv_bias": False, "use_mean_pooling": False}])
@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_loads_our_checkpoints(make_checkpoint, tmp_path, kind, config) -> None:
    made = make_checkpoint(tmp_path / "made", **MADE_AS[kind], **config)
    ours = getattr(videomae, kind).from_pretrained(made)
    ours.save_pretrained(tmp_path / "saved")
    theirs, report = getattr(transformers, kind).from_pretrained(
        tmp_path / "saved", output_loading_info=True
    )
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert_same(ours, theirs)
    assert_same(getattr(videomae, kind).from_pretrained(tmp_path / "saved"), theirs)


def test_a_saved_config_keeps_everything_and_says_what_was_saved(tiny_checkpoint, tmp_path) -> None:
    given = json.loads((tiny_checkpoint / "config.json").read_text())
    model = VideoMAEForVideoClassification.from_pretrained(tiny_checkpoint, dtype="float16")
    model.save_pretrained(tmp_path / "made/saved")
    saved = json.loads((tmp_path / "made/saved/config.json").read_text())
    assert saved["dtype"] == "float16"
    assert saved["architectures"] == ["VideoMAEForVideoClassification"]
    assert saved["transformers_version"] == given["transformers_version"]
    assert saved["id2label"] == given["id2label"]
    with safe_open(tmp_path / "made/saved/model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_saved_names_are_those_of_the_hubs_checkpoints(tiny_checkpoint, tmp_path) -> None:
    VideoMAEForVideoClassification.from_pretrained(tiny_checkpoint).save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors").keys()
    assert "videomae.encoder.layer.1.attention.attention.q_bias" in names
    assert {"videomae.embeddings.patch_embeddings.projection.bias", "fc_norm.weight"} <= names


def test_a_folder_that_cannot_be_written_is_a_usage_error(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    model = VideoMAEModel(VideoMAEConfig(hidden_size=12, num_hidden_layers=1))
    with pytest.raises(UsageError, match="cannot be written to"):
        model.save_pretrained(tmp_path / "file")


@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
@pytest.mark.parametrize("value", ["float16", torch.float16])
def test_weights_take_the_dtype_asked_for(tiny_checkpoint, name, value) -> None:
    model = VideoMAEModel.from_pretrained(tiny_checkpoint, **{name: value})
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float16}


def test_weights_keep_their_dtype_where_none_is_asked_for(tiny_checkpoint, tmp_path) -> None:
    VideoMAEModel.from_pretrained(tiny_checkpoint, dtype="bfloat16").save_pretrained(tmp_path)
    for asked in ({}, {"dtype": "auto"}):
        assert next(VideoMAEModel.from_pretrained(tmp_path, **asked).parameters()).dtype is (
            torch.bfloat16
        )


def test_an_unknown_dtype_is_refused(tiny_checkpoint) -> None:
    for value in ("int8", torch.int8):
        with pytest.raises(UsageError, match=r"dtype .*int8 is unknown"):
            VideoMAEModel.from_pretrained(tiny_checkpoint, dtype=value)
    with pytest.raises(UsageError, match="mean the same"):
        VideoMAEModel.from_pretrained(tiny_checkpoint, dtype="auto", torch_dtype="auto")


def test_another_clip_or_frame_size_gets_positions_of_its_own(tiny_checkpoint) -> None:
    config = VideoMAEConfig.from_pretrained(tiny_checkpoint)
    for change in ({"num_frames": 32}, {"image_size": 48}, {"image_size": 64, "num_frames": 8}):
        model = VideoMAEModel.from_pretrained(
            tiny_checkpoint, config=dataclasses.replace(config, **change)
        )
        assert_same(model, transformers.VideoMAEModel.from_pretrained(tiny_checkpoint, **change))


def test_a_part_that_the_checkpoint_lacks_is_an_error_that_says_how_to_train_one(
    make_checkpoint, tmp_path
) -> None:
    folder = make_checkpoint(tmp_path / "made", pretraining=True)
    with pytest.raises(CheckpointError, match=r"missing: classifier\.bias") as caught:
        VideoMAEForVideoClassification.from_pretrained(folder)
    assert "model.encoder.load_state_dict" in caught.value.next_step
    loaded = VideoMAEModel.from_pretrained(folder)
    model = VideoMAEForVideoClassification(loaded.config)
    model.encoder.load_state_dict(loaded.encoder.state_dict())


# --- the original repository's layout, written by hand from a transformers model's tensors

FIXED = {
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
    "fc_norm": "fc_norm",
    "classifier": "head",
}
IN_BLOCK = {
    "layernorm_before": "norm1",
    "attention.output.dense": "attn.proj",
    "layernorm_after": "norm2",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}


def originals(model) -> dict[str, torch.Tensor]:
    """A transformers model's tensors as the original repository names them."""
    pretraining = isinstance(model, transformers.VideoMAEForPreTraining)
    state = {name.removeprefix("videomae."): value for name, value in model.state_dict().items()}
    named = {}
    for stack, prefix in (
        ("encoder.layer", "encoder." * pretraining),
        ("decoder.decoder_layers", "decoder."),
    ):
        for number in range(4):
            ours, block = f"{stack}.{number}.", f"{prefix}blocks.{number}."
            if f"{ours}layernorm_before.weight" not in state:
                continue
            attention = f"{ours}attention.attention."
            named[f"{block}attn.qkv.weight"] = torch.cat(
                [state.pop(f"{attention}{part}.weight") for part in ("query", "key", "value")]
            )
            named[f"{block}attn.q_bias"] = state.pop(f"{attention}query.bias")
            named[f"{block}attn.v_bias"] = state.pop(f"{attention}value.bias")
            for theirs, original in IN_BLOCK.items():
                for end in ("weight", "bias"):
                    named[f"{block}{original}.{end}"] = state.pop(f"{ours}{theirs}.{end}")
    for theirs, original in FIXED.items():
        for end in ("weight", "bias"):
            if f"{theirs}.{end}" in state:
                prefix = "encoder." * pretraining
                named[f"{prefix}{original}.{end}"] = state.pop(f"{theirs}.{end}")
    return named | state  # decoder.norm, decoder.head, encoder_to_decoder, mask_token stay


WIDE = {"hidden_size": 128, "decoder_hidden_size": 64, "decoder_num_attention_heads": 1}
ORIGINAL = {"layer_norm_eps": 1e-6, **WIDE}


@pytest.fixture
def original(make_checkpoint, tmp_path):
    """original(kind, key, **config) -> (file, transformers' model)."""

    def make(kind: str, key: str | None = "model", **config: object):
        folder = make_checkpoint(tmp_path / "made", **MADE_AS[kind], **ORIGINAL | config)
        theirs = getattr(transformers, kind).from_pretrained(folder)
        tensors, path = originals(theirs), tmp_path / "checkpoint.pth"
        rest = {"epoch": 3, "args": argparse.Namespace(lr=0.1), "optimizer": {"state": {}}}
        torch.save({key: tensors, **rest} if key else tensors, path)
        return path, theirs

    return make


@pytest.mark.parametrize("key", ["model", "module", None])
def test_a_fine_tuned_original_checkpoint_loads(original, key) -> None:
    path, theirs = original("VideoMAEForVideoClassification", key)
    ours = VideoMAEForVideoClassification.from_original(path, num_frames=16, image_size=32)
    assert ours.config.num_labels == 5
    assert ours.config.num_attention_heads == 2
    assert_same(ours, theirs)
    assert_same(VideoMAEModel.from_original(path, num_frames=16, image_size=32), theirs.videomae)


def test_a_pretrained_original_checkpoint_loads(original, tmp_path) -> None:
    path, theirs = original("VideoMAEForPreTraining", use_mean_pooling=False)
    ours = VideoMAEForPreTraining.from_original(path, num_frames=16, image_size=32)
    assert_same(ours, theirs)
    ours.save_pretrained(tmp_path / "saved")
    assert_same(ours, transformers.VideoMAEForPreTraining.from_pretrained(tmp_path / "saved"))
    with pytest.raises(CheckpointError, match=r"missing: classifier\.bias"):
        VideoMAEForVideoClassification.from_original(path, num_frames=16, image_size=32)


@pytest.mark.parametrize(
    ("dim", "heads", "decoder_dim", "decoder_heads"),
    [
        (384, 6, 192, 3),
        (768, 12, 384, 6),
        pytest.param(1024, 16, 512, 8, marks=pytest.mark.long),
        pytest.param(1280, 16, 640, 8, marks=pytest.mark.long),
    ],
    ids=["small", "base", "large", "huge"],
)
def test_published_shapes_are_told_from_their_tensors(
    tmp_path, dim, heads, decoder_dim, decoder_heads
) -> None:
    path = tmp_path / "checkpoint.pth"
    # One block each, and MLPs of one channel: the rest of a huge model tells nothing more.
    config = transformers.VideoMAEConfig(
        hidden_size=dim,
        num_attention_heads=heads,
        num_hidden_layers=1,
        intermediate_size=1,
        decoder_hidden_size=decoder_dim,
        decoder_num_attention_heads=decoder_heads,
        decoder_num_hidden_layers=1,
        decoder_intermediate_size=1,
        use_mean_pooling=False,
    )
    torch.save({"model": originals(transformers.VideoMAEForPreTraining(config))}, path)
    ours = VideoMAEForPreTraining.from_original(path, num_frames=16).config
    assert dataclasses.replace(ours, layer_norm_eps=1e-12) == dataclasses.replace(
        VideoMAEConfig.from_dict(config.to_dict()), further={}
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.update({"pos_embed": torch.zeros(1)}), r"unexpected: pos_embed"),
        (lambda t: t.update({"blocks.0.gamma_1": torch.zeros(128)}), r"unexpected: .*gamma_1"),
        (lambda t: t.pop("head.bias"), r"missing: classifier\.bias"),
        (lambda t: t.pop("patch_embed.proj.weight"), "not in the original repository's layout"),
        (lambda t: t.update({"blocks.0.attn.q_bias": 3}), "holds no named tensors"),
        (
            lambda t: t.update({"patch_embed.proj.weight": torch.zeros(128, 3)}),
            r"patch_embeddings\.projection\.weight has shape \(128, 3\)",
        ),
    ],
)
def test_an_original_checkpoint_that_does_not_fit_is_named(original, spoil, message) -> None:
    path, _ = original("VideoMAEForVideoClassification")
    stored = torch.load(path, weights_only=False)
    spoil(stored["model"])
    torch.save(stored, path)
    with pytest.raises(CheckpointError, match=message) as caught:
        VideoMAEForVideoClassification.from_original(path, num_frames=16, image_size=32)
    assert caught.value.next_step


class RunsCode:
    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_an_original_checkpoint_that_is_cut_off_or_wants_to_run_code_is_refused(
    original, tmp_path
) -> None:
    path, _ = original("VideoMAEForVideoClassification")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be used"):
        VideoMAEModel.from_original(path, num_frames=16, image_size=32)
    torch.save({"model": {}, "args": RunsCode(tmp_path / "ran")}, path)
    with pytest.raises(CheckpointError, match="holds more than tensors"):
        VideoMAEModel.from_original(path, num_frames=16, image_size=32)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ModelNotFound, match="is no file"):
        VideoMAEModel.from_original(tmp_path / "gone.pth", num_frames=16)
