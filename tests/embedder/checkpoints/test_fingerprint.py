"""The fingerprint changes with what changes vectors, and with nothing else."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from vidx.embedder.checkpoints import fingerprint as module
from vidx.embedder.encoder import load


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "own-cache"
    monkeypatch.setenv("VIDX_CACHE_DIR", str(folder))
    return folder


def fingerprint(folder, **options) -> str:
    return load(folder, **{"device": "cpu", "dtype": "float32"} | options).space.fingerprint


def drop_prefix(tensors: dict) -> None:
    for name in list(tensors):
        tensors[name.removeprefix("videomae.")] = tensors.pop(name)


def test_layout_prefix_format_place_and_precision_do_not_count(
    make_checkpoint, edited, tmp_path, tiny_checkpoint
) -> None:
    new = make_checkpoint(tmp_path / "new", old_layout=False)
    old = make_checkpoint(tmp_path / "old", old_layout=True)
    prints = {
        fingerprint(tiny_checkpoint),
        fingerprint(new),
        fingerprint(old),
        fingerprint(edited(old, pickle=True)),
        fingerprint(edited(new, drop_prefix)),
        fingerprint(new, dtype="bfloat16"),
        fingerprint(edited(new, qkv_bias=True, qv_bias=None, transformers_version="4.30")),
        fingerprint(edited(new, id2label={str(i): f"renamed {i}" for i in range(5)})),
    }
    assert len(prints) == 1
    assert len(prints.pop()) == 64


def test_what_changes_vectors_changes_it(edited, tiny_checkpoint) -> None:
    def nudge(tensors: dict) -> None:
        tensors["videomae.encoder.layer.1.output.dense.bias"][7] += 1e-6

    prints = [
        fingerprint(tiny_checkpoint),
        fingerprint(edited(tiny_checkpoint, nudge)),
        fingerprint(edited(tiny_checkpoint, num_attention_heads=4)),
        fingerprint(edited(tiny_checkpoint, hidden_act="relu")),
        fingerprint(edited(tiny_checkpoint, layer_norm_eps=1e-6)),
        fingerprint(edited(tiny_checkpoint, preprocessor={"resample": 3})),
        fingerprint(edited(tiny_checkpoint, preprocessor={"image_mean": [0.4, 0.5, 0.5]})),
        fingerprint(tiny_checkpoint, num_frames=8),
        fingerprint(tiny_checkpoint, fps=15.0),
    ]
    assert len(set(prints)) == len(prints)


def test_the_name_of_a_tensor_its_dtype_and_its_shape_count() -> None:
    value = torch.zeros(4)
    digests = [
        module.digest_tensors({"a": value}),
        module.digest_tensors({"b": value}),
        module.digest_tensors({"a": value.int()}),
        module.digest_tensors({"a": value.view(2, 2)}),
    ]
    assert len(set(digests)) == 4


def test_weights_are_hashed_once_until_their_file_changes(
    tiny_checkpoint, tmp_path, monkeypatch
) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "copy")
    hashed = []
    real = module.digest_tensors
    monkeypatch.setattr(module, "digest_tensors", lambda t: hashed.append(1) or real(t))
    first = fingerprint(folder)
    assert fingerprint(folder) == first
    assert len(hashed) == 1
    os.utime(folder / "model.safetensors", (1, 1))
    assert fingerprint(folder) == first
    assert len(hashed) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"x": 1}'])
def test_a_corrupt_cache_is_harmless(own_cache, tiny_checkpoint, content) -> None:
    first = fingerprint(tiny_checkpoint)
    (cache,) = own_cache.iterdir()
    cache.write_bytes(content)
    assert fingerprint(tiny_checkpoint) == first
    assert list(json.loads(cache.read_text()))


def test_an_entry_of_another_form_is_not_believed(own_cache, tiny_checkpoint) -> None:
    first = fingerprint(tiny_checkpoint)
    (cache,) = own_cache.iterdir()
    cache.write_text(json.dumps({str(tiny_checkpoint / "model.safetensors"): {"digest": 1}}))
    assert fingerprint(tiny_checkpoint) == first


def test_an_unwritable_cache_is_harmless(tmp_path, monkeypatch, tiny_checkpoint) -> None:
    first = fingerprint(tiny_checkpoint)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VIDX_CACHE_DIR", str(tmp_path / "file"))
    assert fingerprint(tiny_checkpoint) == first


def test_the_fingerprint_of_the_same_checkpoint_stays_over_versions() -> None:
    from vidx.embedder.videomae import VideoMAEConfig
    from vidx.embedder.videomae.preprocess import Preprocessing

    digest = module.digest_tensors({"a": torch.arange(3.0), "b": torch.ones(2, 1).half()})
    assert digest == "3fc3ed134130d0493ece23a421f0a5ac0eda67988f22e0ebc0de9c4cc58b8862"
    config = VideoMAEConfig.from_dict({"model_type": "videomae"})
    assert (
        module.fingerprint(digest, config, Preprocessing.from_dict({}), 7.5)
        == "c1c45d0148a8e5cb5f8f3dd73cece9f9cb49d8ed8a111c9f7adf8557c812610b"
    )
