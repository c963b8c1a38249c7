"""`builtin:tiny` lies in the package, works anywhere, and is never confused with something else."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import vidx
from vidx.embedder.checkpoints.builtin import DIGESTS_FILE, FOLDER, builtin_names, find_builtin
from vidx.embedder.checkpoints.finding import DEFAULT_MODEL, find, find_config, find_weights
from vidx.embedder.checkpoints.known_models import KNOWN_MODELS, builtin, licence_of
from vidx.embedder.checkpoints.model_check import check, fixed_clip
from vidx.embedder.encoder import load
from vidx.embedder.videomae import (
    VideoMAEConfig,
    VideoMAEForVideoClassification,
    VideoMAEImageProcessor,
    VideoMAEModel,
)
from vidx.errors import CheckpointError, ModelNotFound

NAME = "builtin:tiny"
FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
PACKAGE = Path(vidx.__file__).parent
MEGABYTE = 1_000_000

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def installed_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package in another place, as on another machine; never write to it."""
    place = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(PACKAGE, place / "vidx", ignore=shutil.ignore_patterns("__pycache__"))
    return place


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """run(*arguments, place=folder of the package) -> a finished `python`, with empty caches."""
    empty = tmp_path_factory.mktemp("empty")

    def run(*arguments: object, place: Path = PACKAGE.parent) -> subprocess.CompletedProcess[str]:
        own = {"PYTHONPATH": str(place), "HF_HOME": str(empty / "hf"), "HF_HUB_OFFLINE": "1"}
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=os.environ | own | {"VIDX_CACHE_DIR": str(empty / "cache")},
            cwd=empty,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="module")
def made_here(tmp_path_factory: pytest.TempPathFactory, library: Path, run: Run) -> Path:
    """A collection that `vidx embed --model builtin:tiny` made; never write to it."""
    folder = tmp_path_factory.mktemp("made") / "collection"
    one = library / "bowl.mp4"
    done = run("-m", "vidx", "embed", one, "--model", NAME, "--collection", folder)
    assert done.returncode == 0, done.stderr
    assert "CC-BY-NC" not in done.stderr
    return folder


def test_the_names_are_those_of_the_folders() -> None:
    assert NAME in builtin_names()
    folders = {path.name for path in FOLDER.iterdir() if (path / "config.json").exists()}
    assert builtin_names() == sorted(f"builtin:{name}" for name in folders)


def test_it_embeds_and_labels_clips() -> None:
    encoder = load(NAME, device="cpu")
    height, width = encoder.geometry.crop or (0, 0)
    embeddings, logits = encoder.encode(fixed_clip(encoder.space.num_frames, height, width))
    assert embeddings.shape == (1, encoder.space.dim)
    assert logits is not None
    assert logits.shape == (1, len(encoder.space.labels))
    assert np.isfinite(embeddings).all()
    assert np.isfinite(logits).all()
    assert all(label and not label.startswith("LABEL_") for label in encoder.space.labels)


def test_it_computes_in_float32_from_weights_in_float16() -> None:
    weights = find(NAME).weights
    assert {tensor.dtype for tensor in load_file(weights).values()} == {torch.float16}
    encoder = load(NAME, device="cpu", dtype="float32")
    assert {one.dtype for one in encoder.engine.encoder.parameters()} == {torch.float32}


def test_the_fingerprint_is_the_same_on_every_load_and_in_every_dtype(
    tmp_path, monkeypatch
) -> None:
    fingerprints = set()
    for number, dtype in enumerate(["float32", "float16", "bfloat16", "float32"]):
        monkeypatch.setenv("VIDX_CACHE_DIR", str(tmp_path / str(number % 3)))  # the last is cached
        fingerprints.add(load(NAME, device="cpu", dtype=dtype).space.fingerprint)
    assert len(fingerprints) == 1


def test_every_class_takes_the_name() -> None:
    config = VideoMAEConfig.from_pretrained(NAME)
    assert VideoMAEModel.from_pretrained(NAME).config == config
    classifier = VideoMAEForVideoClassification.from_pretrained(NAME, dtype="float32")
    processor = VideoMAEImageProcessor.from_pretrained(NAME)
    frames = np.zeros((config.num_frames, 90, 160, 3), np.uint8)
    inputs = processor(frames, return_tensors="pt")
    assert classifier(**inputs).logits.shape == (1, config.num_labels)


def test_a_folder_of_that_name_does_not_win(tmp_path, tiny_checkpoint, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = shutil.copytree(tiny_checkpoint, tmp_path / NAME)
    assert find(NAME).name == NAME
    assert find(NAME).weights.is_relative_to(PACKAGE)
    assert find_config(NAME).is_relative_to(PACKAGE)
    assert find_weights(NAME).is_relative_to(PACKAGE)
    assert licence_of(NAME) == metadata("vidx")["License-Expression"]
    for path in (f"./{NAME}", Path(NAME)):  # said to be a path
        assert find(path).name == str(folder)
        assert licence_of(path) is None


@pytest.mark.parametrize("name", ["builtin:huge", "builtin:", "builtin:../builtin/tiny"])
def test_an_unknown_name_says_what_there_is(name) -> None:
    with pytest.raises(ModelNotFound, match="vidx brings no") as caught:
        find(name)
    assert NAME in caught.value.next_step


def test_the_revision_is_that_of_the_weights() -> None:
    revision = find(NAME).revision
    assert revision
    digests = json.loads(DIGESTS_FILE.read_text())["tiny"]
    assert digests["model.safetensors"].startswith(revision)
    assert find(f"{NAME}@{revision}") == find(NAME)
    with pytest.raises(ModelNotFound, match=f"of revision {revision}, not 0123456789ab"):
        find(f"{NAME}@0123456789ab")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("file", FILES)
def test_damage_to_any_file_is_found(tmp_path, file, damage) -> None:
    copy = shutil.copytree(FOLDER, tmp_path / "builtin")
    spec = importlib.util.spec_from_file_location("copied", copy / "__init__.py")
    assert spec
    assert spec.loader
    copied = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(copied)
    assert copied.find_builtin(NAME, FILES) == (*find_builtin(NAME, FILES)[:2], copy / "tiny")
    damage(copy / "tiny" / file)
    with pytest.raises(CheckpointError, match="the installed package is damaged") as caught:
        copied.find_builtin(NAME, FILES)
    assert str(copy / "tiny" / file) in caught.value.problem
    assert "Install it again" in caught.value.next_step


@pytest.mark.parametrize(
    "damaged", ["tiny/model.safetensors", pytest.param("digests.json", marks=pytest.mark.long)]
)
def test_a_damaged_package_loads_nothing(tmp_path, installed_elsewhere, run, damaged) -> None:
    place = shutil.copytree(installed_elsewhere, tmp_path / "damaged")
    cut(place / "vidx/embedder/checkpoints/builtin" / damaged)
    if damaged == "digests.json":
        cut(place / "vidx/embedder/checkpoints/builtin" / damaged)  # one byte less is still JSON
    done = run("-m", "vidx", "models", "check", NAME, place=place)
    assert done.returncode == 4
    assert f"{damaged} is missing or not as it was shipped" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.long
def test_a_collection_remembers_it_on_another_machine(
    made_here, library, installed_elsewhere, run
) -> None:
    space = json.loads((made_here / "collection.json").read_text())["space"]
    assert (space["model"], space["revision"]) == (NAME, find(NAME).revision)
    search = ("search", library / "bowl.mp4", "--collection", made_here, "--json")
    done = run("-m", "vidx", *search, place=installed_elsewhere)
    assert done.returncode == 0, done.stderr
    best = json.loads(done.stdout)[0]
    assert best["score"] > 0.999
    assert best["labels"][0]["name"] in space["labels"]


def test_a_collection_of_other_weights_than_these_says_so(made_here, library, tmp_path) -> None:
    manifest = shutil.copytree(made_here, tmp_path / "collection") / "collection.json"
    manifest.write_text(manifest.read_text().replace(str(find(NAME).revision), "0123456789ab"))
    with pytest.raises(ModelNotFound, match="not 0123456789ab") as caught:
        vidx.open(manifest.parent).search(library / "bowl.mp4")
    assert str(manifest.parent) in caught.value.problem
    assert "Install the version of vidx" in caught.value.next_step


@pytest.mark.long
def test_other_weights_of_the_same_size_and_time_have_another_fingerprint(
    tmp_path, installed_elsewhere, run
) -> None:
    place = shutil.copytree(installed_elsewhere, tmp_path / "updated")
    weights = place / "vidx/embedder/checkpoints/builtin/tiny/model.safetensors"
    check_it = ("-m", "vidx", "models", "check", NAME, "--json")
    before = json.loads(run(*check_it, place=place).stdout)
    content, stat = weights.read_bytes(), weights.stat()
    changed = content[:-2] + bytes([content[-2] ^ 1, content[-1]])  # the last number's last bit
    weights.write_bytes(changed)
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    digests = place / "vidx/embedder/checkpoints/builtin/digests.json"
    old, new = (hashlib.sha256(one).hexdigest() for one in (content, changed))
    digests.write_text(digests.read_text().replace(old, new))
    after = json.loads(run(*check_it, place=place).stdout)
    assert after["fingerprint"] != before["fingerprint"]


def test_where_the_default_cannot_be_had_it_is_named_and_never_taken(
    tmp_path, library, run
) -> None:
    done = run("-m", "vidx", "embed", library, "--collection", tmp_path / "new")
    assert done.returncode == 4
    assert DEFAULT_MODEL in done.stderr
    assert f"--model {NAME}" in done.stderr
    assert not (tmp_path / "new").exists()


def test_models_lists_it_with_its_own_licence(run) -> None:
    [tiny] = [one for one in builtin() if one.id == NAME]
    space = load(NAME, device="cpu").space
    assert (tiny.dim, tiny.num_labels, tiny.revision) == (
        space.dim,
        len(space.labels),
        space.revision,
    )
    assert tiny.licence == metadata("vidx")["License-Expression"]
    assert all(tiny.licence != published.licence for published in KNOWN_MODELS)
    listed = json.loads(run("-m", "vidx", "models", "--json").stdout)
    assert listed["builtin"][0]["id"] == NAME
    assert f" {NAME} " in run("-m", "vidx", "models").stdout


@pytest.mark.long
def test_a_check_of_it_accounts_for_every_tensor(run, installed_elsewhere) -> None:
    report = check(NAME)
    assert (report.name, report.ignored) == (NAME, ())
    assert report.licence == metadata("vidx")["License-Expression"]
    there = run("-m", "vidx", "models", "check", NAME, "--json", place=installed_elsewhere)
    assert json.loads(there.stdout)["fingerprint"] == report.fingerprint


def test_weights_and_package_stay_small() -> None:
    assert find(NAME).weights.stat().st_size <= 12 * MEGABYTE
    files = [file for file in PACKAGE.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert sum(file.stat().st_size for file in files) < 20 * MEGABYTE


@pytest.fixture
def ship(checkout: Path, tmp_path: Path, installed_elsewhere: Path, run: Run) -> Run:
    """ship(checkpoint): what `tools/ship_builtin.py` does to a checkout of its own, in tmp_path."""
    shutil.copytree(installed_elsewhere, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tools").mkdir()
    script = shutil.copy(checkout / "tools/ship_builtin.py", tmp_path / "tools")
    return lambda checkpoint: run(script, checkpoint, place=tmp_path)


def test_what_is_shipped_is_a_checkpoint_in_float16_that_loads(
    ship, run, make_checkpoint, tmp_path
) -> None:
    made = make_checkpoint(tmp_path / "made", num_frames=8)
    done = ship(made)
    assert done.returncode == 0, done.stderr
    report = json.loads(run("-m", "vidx", "models", "check", NAME, "--json", place=tmp_path).stdout)
    assert (report["dim"], report["num_labels"]) == (64, 5)
    assert report["revision"] != find(NAME).revision
    shipped = tmp_path / "vidx/embedder/checkpoints/builtin/tiny"
    halves = VideoMAEForVideoClassification.from_pretrained(made, dtype="float16").state_dict()
    stored = VideoMAEForVideoClassification.from_pretrained(shipped).state_dict()
    assert all(torch.equal(stored[name], value) for name, value in halves.items())
    assert (shipped / "README.md").exists()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.*") if path.suffix != ".pyc"}


@pytest.mark.parametrize(
    ("checkpoint", "words"),
    [
        ({"hidden_size": 512, "num_hidden_layers": 8}, "the package has room for 12000000"),
        pytest.param({"head": False}, "missing: classifier", marks=pytest.mark.long),
    ],
)
def test_what_cannot_be_shipped_changes_nothing(
    ship, make_checkpoint, tmp_path, checkpoint, words
) -> None:
    before = contents(tmp_path / "vidx/embedder/checkpoints/builtin")
    done = ship(make_checkpoint(tmp_path / "made", **checkpoint))
    assert done.returncode == 1
    assert words in done.stderr
    assert contents(tmp_path / "vidx/embedder/checkpoints/builtin") == before


def test_weights_beyond_float16_are_refused(ship, tiny_checkpoint, edited) -> None:
    big = edited(tiny_checkpoint, lambda tensors: tensors["classifier.bias"].fill_(1e6))
    done = ship(big)
    assert done.returncode == 1
    assert "head.classifier.bias does not fit float16" in done.stderr
