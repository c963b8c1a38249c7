"""Checkpoints in every layout load; what does not fit is an error that lists it."""

from __future__ import annotations

import os
import pickle
import shutil

import pytest
import torch

from vidx.embedder.checkpoints.finding import find
from vidx.embedder.encoder import load
from vidx.errors import CheckpointError, ModelNotFound

CLASSIFIER_BIAS = "classifier.bias"
MLP_WEIGHT = "videomae.encoder.layer.1.intermediate.dense.weight"
PREFIX = "videomae."


def state(folder) -> dict[str, torch.Tensor]:
    return load(folder, device="cpu").model.state_dict()


def assert_equal_states(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def drop_prefix(tensors: dict) -> None:
    for name in [name for name in tensors if name.startswith(PREFIX)]:
        tensors[name.removeprefix(PREFIX)] = tensors.pop(name)


@pytest.mark.parametrize("pickle_file", [True, False], ids=["bin", "safetensors"])
@pytest.mark.parametrize("old_layout", [True, False], ids=["old", "new"])
@pytest.mark.parametrize("prefix", [True, False], ids=["prefix", "bare"])
def test_layouts_prefix_and_file_format_make_no_difference(
    make_checkpoint, edited, tmp_path, tiny_checkpoint, pickle_file, old_layout, prefix
) -> None:
    made = make_checkpoint(tmp_path / "made", old_layout=old_layout)
    folder = edited(made, None if prefix else drop_prefix, pickle=pickle_file)
    assert_equal_states(state(folder), state(tiny_checkpoint))


def test_the_parts_of_pretraining_are_ignored_and_nothing_else(
    make_checkpoint, edited, tmp_path
) -> None:
    folder = make_checkpoint(tmp_path / "made", pretraining=True)
    assert not any("decoder" in name or "mask" in name for name in state(folder))
    other = edited(folder, lambda tensors: tensors.update({"decoded.weight": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=r"unexpected: decoded\.weight"):
        load(other, device="cpu")


def test_without_architectures_the_tensors_tell_whether_there_is_a_head(
    make_checkpoint, edited, tiny_checkpoint, tmp_path
) -> None:
    assert load(edited(tiny_checkpoint, architectures=None), device="cpu").space.labels
    bare = make_checkpoint(tmp_path / "made", head=False)
    assert not load(edited(bare, architectures=None), device="cpu").space.labels


def test_missing_unexpected_and_misshaped_tensors_are_listed(edited, tiny_checkpoint) -> None:
    def spoil(tensors: dict) -> None:
        del tensors[CLASSIFIER_BIAS]
        tensors["videomae.encoder.layer.0.attention.attention.key.scale"] = torch.zeros(64)
        tensors[MLP_WEIGHT] = torch.zeros(128, 63)
        tensors["fc_norm.bias"] = torch.zeros(64, dtype=torch.int64)

    with pytest.raises(CheckpointError) as caught:
        load(edited(tiny_checkpoint, spoil), device="cpu")
    problem = caught.value.problem
    assert "4 tensors do not fit" in problem
    assert "missing: classifier.bias (5,)" in problem
    assert "unexpected: encoder.layer.0.attention.attention.key.scale" in problem
    assert "encoder.layer.1.intermediate.dense.weight is (128, 63), not (128, 64)" in problem
    assert "not floating point: fc_norm.bias is torch.int64" in problem


def test_a_missing_bias_is_named_as_files_of_both_layouts_name_it(
    edited, make_checkpoint, tmp_path
) -> None:
    made = make_checkpoint(tmp_path / "made", old_layout=True)
    name = "videomae.encoder.layer.0.attention.attention.q_bias"
    with pytest.raises(CheckpointError) as caught:
        load(edited(made, lambda tensors: tensors.pop(name)), device="cpu")
    expected = "attention.attention.query.bias, or q_bias in the old layout, (64,)"
    assert f"missing: encoder.layer.0.{expected}" in caught.value.problem


def test_a_long_list_of_misfits_is_cut_and_counted(edited, tiny_checkpoint) -> None:
    with pytest.raises(CheckpointError, match=r"15 tensors do not fit(.|\n)*and 5 more"):
        load(edited(tiny_checkpoint, num_hidden_layers=3), device="cpu")


def test_a_bias_in_both_layouts_is_refused(edited, make_checkpoint, tmp_path) -> None:
    made = make_checkpoint(tmp_path / "made", old_layout=False)
    name = "videomae.encoder.layer.0.attention.attention.q_bias"
    with pytest.raises(CheckpointError, match="twice"):
        load(edited(made, lambda tensors: tensors.update({name: torch.zeros(64)})), device="cpu")


def cut(path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize("pickle_file", [True, False], ids=["bin", "safetensors"])
@pytest.mark.parametrize("damage", [cut, lambda path: path.write_bytes(b"")], ids=["cut", "empty"])
def test_a_damaged_weights_file_is_named(edited, tiny_checkpoint, pickle_file, damage) -> None:
    folder = edited(tiny_checkpoint, pickle=pickle_file)
    damage(find(folder).weights)
    with pytest.raises(CheckpointError, match="cannot be used: it is no") as caught:
        load(folder, device="cpu")
    assert str(find(folder).weights) in caught.value.problem


class RunsCode:
    def __init__(self, marker) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def plain_pickle(value: object, path) -> None:
    path.write_bytes(pickle.dumps(value, protocol=2))


@pytest.mark.parametrize("save", [torch.save, plain_pickle])
def test_a_pickle_that_wants_to_run_code_is_refused(
    edited, tiny_checkpoint, tmp_path, save
) -> None:
    folder = edited(tiny_checkpoint, pickle=True)
    marker = tmp_path / "ran"
    save({"classifier.bias": RunsCode(marker)}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="cannot be used"):
        load(folder, device="cpu")
    assert not marker.exists()


def test_a_pickle_of_something_else_is_refused(edited, tiny_checkpoint) -> None:
    folder = edited(tiny_checkpoint, pickle=True)
    torch.save({"model": {"weight": torch.zeros(1)}}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="something else than named tensors"):
        load(folder, device="cpu")


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe\x00"])
def test_a_config_that_is_no_json_object_is_named(edited, tiny_checkpoint, file, content) -> None:
    folder = edited(tiny_checkpoint)
    (folder / file).write_bytes(content)
    with pytest.raises(CheckpointError, match=file):
        load(folder, device="cpu")


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_folder_that_lacks_a_file_says_which(edited, tiny_checkpoint, file) -> None:
    folder = edited(tiny_checkpoint)
    (folder / file).unlink()
    with pytest.raises(CheckpointError, match=file):
        find(folder)


def test_weights_in_several_files_are_refused_with_a_remedy(edited, tiny_checkpoint) -> None:
    folder = edited(tiny_checkpoint)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(CheckpointError, match="max_shard_size"):
        find(folder)


def test_a_missing_folder_names_three_ways_out(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("./gone", "../gone", "~/gone", str(tmp_path / "gone"), tmp_path / "gone"):
        with pytest.raises(ModelNotFound) as caught:
            find(name)
        assert "does not exist" in caught.value.problem
        for way in ("--model builtin:tiny", "--model ./folder", "hf download"):
            assert way in caught.value.next_step
        assert caught.value.exit_code == 4


def test_a_weights_file_in_place_of_its_folder_is_named(tiny_checkpoint) -> None:
    with pytest.raises(ModelNotFound, match="is a file, not a checkpoint's folder"):
        find(tiny_checkpoint / "model.safetensors")


def test_a_relative_folder_that_looks_like_a_hub_id_is_a_folder(
    tiny_checkpoint, tmp_path, monkeypatch
) -> None:
    shutil.copytree(tiny_checkpoint, tmp_path / "organisation" / "name")
    monkeypatch.chdir(tmp_path)
    found = find("organisation/name")
    assert found.name == str(tmp_path / "organisation" / "name")
    assert found.revision is None


def test_safetensors_are_preferred(edited, tiny_checkpoint) -> None:
    folder = edited(tiny_checkpoint)
    (folder / "pytorch_model.bin").write_bytes(b"never read")
    assert find(folder).weights.name == "model.safetensors"


def test_a_preprocessor_of_another_size_is_refused(edited, tiny_checkpoint) -> None:
    folder = edited(tiny_checkpoint, preprocessor={"crop_size": 224, "size": 224})
    with pytest.raises(CheckpointError, match=r"wants frames of \(32, 32\).*makes \(224, 224\)"):
        load(folder, device="cpu")


def test_frames_of_other_channels_than_rgb_are_refused(make_checkpoint, tmp_path) -> None:
    with pytest.raises(CheckpointError, match="num_channels is 1, but frames are RGB"):
        load(make_checkpoint(tmp_path / "made", num_channels=1), device="cpu")
