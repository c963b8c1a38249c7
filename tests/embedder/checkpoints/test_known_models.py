"""What vidx knows of published checkpoints, of those in the hub's cache, and of one it checks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vidx.embedder.checkpoints.finding import DEFAULT_MODEL
from vidx.embedder.checkpoints.known_models import KNOWN_MODELS, licence_of
from vidx.embedder.checkpoints.model_check import check, fixed_clip
from vidx.embedder.encoder import load
from vidx.errors import CheckpointError, ModelNotFound
from vidx.model_records import CachedModel

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_every_known_model_is_described() -> None:
    assert len({model.id for model in KNOWN_MODELS}) == len(KNOWN_MODELS) == 13
    for model in KNOWN_MODELS:
        assert model.id.startswith(f"MCG-NJU/videomae-{model.shape}")
        assert ("ssv2" in model.id) == (model.training_set == "Something-Something V2")
        assert model.licence == "CC-BY-NC-4.0"
    by_id = {model.id: (model.dim, model.num_labels) for model in KNOWN_MODELS}
    assert by_id[DEFAULT_MODEL] == (768, 400)
    assert by_id["MCG-NJU/videomae-small-finetuned-ssv2"] == (384, 174)
    assert by_id["MCG-NJU/videomae-large"] == (1024, 0)
    assert by_id["MCG-NJU/videomae-huge-finetuned-kinetics"] == (1280, 400)


def test_the_licence_of_a_known_model_is_said_and_of_no_other(tmp_path) -> None:
    assert licence_of(DEFAULT_MODEL) == licence_of(f"{DEFAULT_MODEL}@{COMMIT}") == "CC-BY-NC-4.0"
    assert licence_of("someone/videomae-base") is None
    assert licence_of(tmp_path) is None


def in_cache(home: Path, repo_id: str, source: Path, *, leave_out: str = "") -> None:
    """Lay a checkpoint out as the hub's client does: blobs, and snapshots that link to them."""
    repo = home / "hub" / f"models--{repo_id.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    for folder in (snapshot, repo / "blobs", repo / "refs"):
        folder.mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for file in source.iterdir():
        if file.name != leave_out:
            shutil.copy(file, repo / "blobs" / file.name)
            (snapshot / file.name).symlink_to(repo / "blobs" / file.name)


def cached_in(home: Path) -> list[CachedModel] | str:
    """What `cached` lists in a process of its own, or the error; the hub cannot be reached."""
    code = (
        "import json, sys, dataclasses\n"
        "from vidx.embedder.checkpoints.known_models import cached\n"
        "from vidx.errors import UsageError\n"
        "assert 'torch' not in sys.modules\n"
        "try: print(json.dumps([dataclasses.astuple(model) for model in cached()]))\n"
        "except UsageError as error: print(json.dumps(str(error)))\n"
    )
    env = os.environ | {"HF_HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        env.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    return answer if isinstance(answer, str) else [CachedModel(*values) for values in answer]


def test_videomae_checkpoints_in_the_cache_are_listed_and_others_not(tmp_path, tiny_checkpoint):
    in_cache(tmp_path, "someone/whole", tiny_checkpoint)
    in_cache(tmp_path, "someone/half", tiny_checkpoint, leave_out="model.safetensors")
    in_cache(tmp_path, "someone/raw", tiny_checkpoint, leave_out="preprocessor_config.json")
    in_cache(tmp_path, "someone/configless", tiny_checkpoint, leave_out="config.json")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    in_cache(tmp_path, "someone/other", other)
    size = sum(file.stat().st_size for file in tiny_checkpoint.iterdir())
    weights = (tiny_checkpoint / "model.safetensors").stat().st_size
    preprocessor = (tiny_checkpoint / "preprocessor_config.json").stat().st_size
    assert cached_in(tmp_path) == [
        CachedModel("someone/half", COMMIT, False, size - weights),
        CachedModel("someone/raw", COMMIT, False, size - preprocessor),
        CachedModel("someone/whole", COMMIT, True, size),
    ]


def test_no_cache_is_an_empty_list_and_a_file_in_its_place_is_named(tmp_path) -> None:
    assert cached_in(tmp_path) == []
    (tmp_path / "hub").write_text("")
    assert "the hub's cache is no folder" in cached_in(tmp_path)


def test_a_check_accounts_for_every_tensor(tmp_path, make_checkpoint) -> None:
    from safetensors import safe_open

    folder = make_checkpoint(tmp_path / "model", pretraining=True)
    report = check(folder)
    with safe_open(folder / "model.safetensors", "pt") as file:
        stored = {name.removeprefix("videomae.") for name in file.keys()}  # noqa: SIM118
    assert not set(report.used) & set(report.ignored)
    assert set(report.used) | set(report.ignored) == stored
    assert "mask_token" in report.ignored
    assert all(name.startswith(("decoder", "encoder_to", "mask")) for name in report.ignored)
    assert (report.num_labels, report.top_label) == (0, None)


def test_a_check_reports_what_the_encoder_does_with_a_fixed_clip(tiny_checkpoint) -> None:
    report = check(tiny_checkpoint)
    encoder = load(tiny_checkpoint, device="cpu", dtype="float32")
    embeddings, logits = encoder.encode(fixed_clip(16, 32, 32))
    assert report == check(str(tiny_checkpoint))
    assert report.fingerprint == encoder.space.fingerprint
    assert (report.dim, report.num_labels, report.ignored) == (64, 5, ())
    assert report.num_parameters == sum(p.numel() for p in encoder.model.parameters())
    assert report.embedding_norm == pytest.approx(np.linalg.norm(embeddings[0]), rel=1e-5)
    assert report.embedding_start == pytest.approx(embeddings[0, :4].tolist(), rel=1e-4)
    assert report.top_label == encoder.space.labels[int(logits[0].argmax())]
    assert (report.revision, report.licence) == (None, None)


def test_the_fixed_clip_never_changes() -> None:
    clip = fixed_clip(2, 3, 5)
    assert (clip.shape, clip.dtype) == ((1, 2, 3, 5, 3), np.uint8)
    assert clip.ravel()[:8].tolist() == [95, 130, 194, 217, 207, 235, 15, 163]


def test_a_checkpoint_that_cannot_be_used_is_named(tmp_path, tiny_checkpoint, edited) -> None:
    with pytest.raises(ModelNotFound):
        check(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="unexpected: more"):
        check(
            edited(
                tiny_checkpoint,
                lambda tensors: tensors.update(more=tensors["classifier.bias"].clone()),
            )
        )

    def poison(tensors: dict) -> None:
        tensors["classifier.bias"][0] = float("nan")

    with pytest.raises(CheckpointError, match="gives output that is not finite"):
        check(edited(tiny_checkpoint, poison))
