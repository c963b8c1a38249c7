"""VideoMAEConfig has the reference's keys and defaults, keeps the others, and names wrong ones."""

from __future__ import annotations

import dataclasses
import json

import pytest
import transformers

from vidx.embedder.videomae import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEModel
from vidx.errors import CheckpointError, ModelNotFound

# Keys that every transformers config has, whatever the model.
GENERAL = {"model_type", "id2label", "label2id", "architectures", "dtype", "transformers_version"}


def test_keys_and_defaults_are_those_of_the_reference() -> None:
    theirs = json.loads(transformers.VideoMAEConfig().to_json_string(use_diff=False))
    config = VideoMAEConfig.from_dict(theirs)
    assert dataclasses.replace(config, further={}) == VideoMAEConfig()
    ours = VideoMAEConfig().to_dict()
    own_to_theirs = {
        f.name
        for f in dataclasses.fields(transformers.VideoMAEConfig)
        if f.name not in {g.name for g in dataclasses.fields(transformers.PreTrainedConfig)}
    }
    assert {"qv_bias" if name == "qkv_bias" else name for name in ours} >= own_to_theirs
    for name in own_to_theirs - {"qv_bias"}:
        assert ours[name] == theirs[name]


def test_further_keys_survive_the_round_trip() -> None:
    values = {"model_type": "videomae", "my_key": {"a": [1]}, "torch_dtype": "float32"}
    written = VideoMAEConfig.from_dict(values).to_dict()
    assert written["my_key"] == {"a": [1]}
    assert written["torch_dtype"] == "float32"
    through_json = json.loads(json.dumps(written))
    assert VideoMAEConfig.from_dict(through_json) == VideoMAEConfig.from_dict(values)


def test_every_value_survives_the_round_trip() -> None:
    config = VideoMAEConfig(
        image_size=(32, 48),
        patch_size=(8, 16),
        hidden_dropout_prob=0.1,
        qkv_bias=False,
        problem_type="regression",
        labels=("a", "b", "c"),
    )
    assert VideoMAEConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert VideoMAEConfig.from_dict(config.to_dict()) == config


def test_the_reference_reads_our_keys() -> None:
    config = VideoMAEConfig(qkv_bias=False, decoder_hidden_size=192, labels=("x", "y", "z"))
    theirs = transformers.VideoMAEConfig(**config.to_dict())
    assert theirs.qv_bias is False
    assert theirs.decoder_hidden_size == 192
    assert theirs.id2label == {0: "x", 1: "y", 2: "z"} == config.id2label
    assert theirs.label2id == config.label2id


def test_labels_come_from_names_or_their_number() -> None:
    base = {"model_type": "videomae"}
    assert VideoMAEConfig.from_dict(base | {"num_labels": 1}).labels == ("LABEL_0",)
    named = {"id2label": {"1": "b", "0": "a"}, "num_labels": 2}
    assert VideoMAEConfig.from_dict(base | named).labels == ("a", "b")


def test_qv_bias_and_qkv_bias_mean_the_same() -> None:
    for name in ("qv_bias", "qkv_bias"):
        config = VideoMAEConfig.from_dict({"model_type": "videomae", name: False})
        assert config.qkv_bias is False


def test_it_is_read_from_a_folder_that_holds_nothing_else(tmp_path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "videomae", "num_frames": 8}')
    assert VideoMAEConfig.from_pretrained(tmp_path).num_frames == 8
    with pytest.raises(ModelNotFound, match="does not exist"):
        VideoMAEConfig.from_pretrained(tmp_path / "gone")
    with pytest.raises(ModelNotFound, match="neither a folder nor a hub id"):
        VideoMAEConfig.from_pretrained("not/a/hub/id")


def test_oblong_frames_and_patches_have_their_grid() -> None:
    config = VideoMAEConfig(image_size=(32, 48), patch_size=(8, 16))
    assert config.grid == (8, 4, 3)
    assert config.num_tokens == 96
    assert config.values_per_tubelet == 2 * 8 * 16 * 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 100, "num_attention_heads": 3}, "hidden_size 100 is not a multiple of"),
        ({"num_frames": 15}, "num_frames 15 is not a multiple of tubelet_size 2"),
        ({"image_size": 225}, "image_size (225, 225) is no multiple of patch_size (16, 16)"),
        ({"hidden_act": "swish"}, "hidden_act is 'swish', known are gelu"),
        ({"model_type": "vit"}, "model_type is 'vit', not 'videomae'"),
        ({"model_type": None}, "model_type is None"),
        ({"num_channels": 0}, "num_channels is 0"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"hidden_size": "768"}, "hidden_size is '768', it must be of type int"),
        ({"num_hidden_layers": True}, "num_hidden_layers is True, it must be of type int"),
        ({"norm_pix_loss": 1}, "norm_pix_loss is 1, it must be of type bool"),
        ({"layer_norm_eps": -1.0}, "layer_norm_eps is -1.0"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob is 1.5"),
        ({"attention_probs_dropout_prob": -0.1}, "attention_probs_dropout_prob is -0.1"),
        ({"image_size": [224]}, "image_size is [224]"),
        ({"image_size": True}, "image_size is True"),
        ({"problem_type": "ranking"}, "problem_type is 'ranking', known are regression"),
        ({"id2label": {"0": "a", "2": "b"}}, "without a gap"),
        ({"id2label": ["a", "b"]}, "without a gap"),
        ({"num_labels": 0}, "num_labels is 0"),
        ({"num_labels": 3, "id2label": {"0": "a"}}, "num_labels is 3, but id2label names 1"),
    ],
)
def test_an_impossible_config_is_named(values, message) -> None:
    with pytest.raises(CheckpointError) as caught:
        VideoMAEConfig.from_dict({"model_type": "videomae"} | values)
    assert message in caught.value.problem
    assert caught.value.next_step


def test_what_is_wrong_for_pretraining_only_is_named_there_only() -> None:
    small = {"hidden_size": 24, "num_hidden_layers": 1, "intermediate_size": 24}
    odd_decoder = VideoMAEConfig(decoder_hidden_size=100, **small)
    VideoMAEModel(odd_decoder)
    with pytest.raises(CheckpointError, match="decoder_hidden_size 100 is not a multiple"):
        VideoMAEForPreTraining(odd_decoder)
    with pytest.raises(CheckpointError, match="norm_pix_loss is False with num_channels 1"):
        VideoMAEForPreTraining(VideoMAEConfig(num_channels=1, norm_pix_loss=False, **small))
