"""Training lowers its losses, goes on after any kill, and never leaves a broken checkpoint."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vidx.embedder import encoder
from vidx.embedder.videomae import VideoMAEForVideoClassification
from vidx.errors import CheckpointError, UsageError, VidxError
from vidx.training.course import Course
from vidx.training.loop import save
from vidx.training.recipe import RECIPES, Recipe
from vidx.training.run import LOG_FILE, MODEL_FOLDER, STATE_FILE, Run
from vidx.training.train import _pretraining, train

CPU = torch.device("cpu")
WEIGHTS = "model.safetensors"
BRIEF = replace(
    RECIPES["minute"],
    pretraining_steps=4,
    pretraining_clips=3,
    steps=6,
    motions=2,
    uses=8,
    ahead=4,
    measured=4,
)
COMMAND = """
import sys
from pathlib import Path
import torch
from vidx.training import course
from vidx.training.recipe import RECIPES
from vidx.training.train import train
torch.set_num_threads(1)
course.SAVES = 4  # a state every 5 and every 10 steps, so that steps are lost
for _ in train(RECIPES["minute"], Path(sys.argv[1]), torch.device("cpu")):
    pass
"""


def run_through(recipe: Recipe, folder: Path) -> list[dict[str, float]]:
    for _ in train(recipe, folder, CPU):
        pass
    return log_of(folder)


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", COMMAND, str(folder)])


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A whole run of the short recipe, and its seconds."""
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    began = time.monotonic()
    assert start(folder).wait() == 0
    return folder, time.monotonic() - began


@pytest.mark.long
def test_the_short_recipe_lowers_its_loss_in_less_than_a_minute(
    undisturbed: tuple[Path, float],
) -> None:
    folder, seconds = undisturbed
    assert seconds < 60
    log = log_of(folder)
    losses = [entry["loss"] for entry in log[:-1] if entry["stage"] == "finetuning"]
    assert mean(losses[-5:]) < 0.95 * mean(losses[:5])


@pytest.mark.long
def test_what_a_run_gives_embeds_and_names_motions(undisturbed: tuple[Path, float]) -> None:
    loaded = encoder.load(undisturbed[0] / MODEL_FOLDER)
    embeddings, logits = loaded.encode(np.zeros((2, 16, 112, 112, 3), np.uint8))
    assert embeddings.shape == (2, 64)
    assert np.isfinite(embeddings).all()
    assert "moves left" in loaded.space.labels
    assert logits is not None


@pytest.mark.long
def test_runs_killed_at_any_step_go_on_to_the_same_losses(
    undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    whole = log_of(undisturbed[0])
    folder = tmp_path / "run"
    for lines in (3, 12, 27, 46):  # before the first state, and in both stages
        process = start(folder)
        while process.poll() is None and lines_of(folder) < lines:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert lines_of(folder) < len(whole)
    assert start(folder).wait() == 0
    again = log_of(folder)
    assert [entry["step"] for entry in again] == [entry["step"] for entry in whole]
    for one, other in zip(again, whole, strict=True):
        assert one.pop("stage") == other.pop("stage")
        assert one == pytest.approx(other, rel=1e-4), other["step"]
    assert_same_weights(folder, undisturbed[0])


def lines_of(folder: Path) -> int:
    path = folder / LOG_FILE
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def assert_same_weights(one: Path, other: Path) -> None:
    models = [
        VideoMAEForVideoClassification.from_pretrained(folder / MODEL_FOLDER).state_dict()
        for folder in (one, other)
    ]
    for name, value in models[0].items():
        torch.testing.assert_close(value, models[1][name], rtol=1e-2, atol=1e-3)


@pytest.mark.long
def test_a_finished_run_is_left_as_it_is(tmp_path: Path) -> None:
    first = run_through(BRIEF, tmp_path / "run")
    state = (tmp_path / "run" / STATE_FILE).read_bytes()
    assert run_through(BRIEF, tmp_path / "run") == first
    assert (tmp_path / "run" / STATE_FILE).read_bytes() == state
    assert sys.float_info.min / 2 != 0.0  # numbers of who trains stay exact


@pytest.mark.long
def test_another_recipe_is_refused_and_named(tmp_path: Path) -> None:
    run_through(BRIEF, tmp_path / "run")
    with pytest.raises(CheckpointError, match="steps was 6, now 7"):
        run_through(replace(BRIEF, steps=7), tmp_path / "run")


def test_a_folder_that_holds_something_else_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"thesis.txt.*is none of a training run"):
        run_through(BRIEF, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "files",
    [
        {"model/model.safetensors": "mine", "log.jsonl": '{"step":3}'},
        {"model/model.safetensors": "mine", "log.jsonl": '{"step":3}', "lock": "mine"},
        {"model/model.safetensors": "mine"},
        {"model.partial/model.safetensors": "mine"},
        {"log.jsonl": ""},
        {"log.jsonl/part": "mine", "lock": ""},
        {"state.pt/part": "mine"},
        {"model": "mine", "lock": ""},
    ],
)
def test_what_bears_the_names_of_a_run_and_is_none_is_left_as_it_is(
    tmp_path: Path, files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match="is none of a training run"):
        run_through(BRIEF, tmp_path)
    after = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert {str(path.relative_to(tmp_path)): path.read_text() for path in after} == files


def test_a_run_that_was_killed_before_its_first_state_goes_on(tmp_path: Path) -> None:
    run = run_of(BRIEF, tmp_path / "run")
    with run.held():
        run.begin_log(0)
        run.log({"stage": "pretraining", "step": 0, "loss": 1.0})
        run.save_model(lambda folder: folder.mkdir())
    with run.held():
        assert run.load() is None


def test_a_run_without_its_lock_goes_on_from_its_state(tmp_path: Path) -> None:
    run = run_of(BRIEF, tmp_path / "run")
    with run.held():
        stage = _pretraining(BRIEF, CPU, Course(BRIEF.pretraining_steps))
        save(stage, run, 1)
    (tmp_path / "run/lock").unlink()
    state = run.load()
    assert state is not None
    assert state["step"] == 1


@pytest.mark.parametrize("damage", [b"", b"no state" * 100])
def test_a_damaged_state_is_an_error_and_stays(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / STATE_FILE).write_bytes(damage)
    with pytest.raises(CheckpointError, match="is no state of a training run"):
        run_through(BRIEF, tmp_path)
    assert (tmp_path / STATE_FILE).read_bytes() == damage


def run_of(recipe: Recipe, folder: Path) -> Run:
    return Run(folder, {"device": "cpu"} | asdict(recipe))


def test_a_run_that_diverges_stops_and_leaves_only_finite_weights(tmp_path: Path) -> None:
    wild = replace(BRIEF, rate=1e30, matrix_rate=1e30, warmup_steps=1)
    with pytest.raises(VidxError, match=r"(is no number|the loss is).* at step"):
        run_through(wild, tmp_path / "run")
    state = run_of(wild, tmp_path / "run").load()
    if state is not None:
        assert all(value.isfinite().all() for value in state["module"].values())
        load_file(tmp_path / "run" / MODEL_FOLDER / "model.safetensors")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 70_000.0])
def test_weights_that_float16_cannot_hold_are_never_saved(tmp_path: Path, bad: float) -> None:
    recipe = replace(BRIEF, pretraining_steps=2)
    run = run_of(recipe, tmp_path / "run")
    with run.held():
        stage = _pretraining(recipe, CPU, Course(recipe.pretraining_steps))
        save(stage, run, 1)
        next(stage.module.parameters()).data.view(-1)[0] = bad
        with pytest.raises(VidxError, match="is no number of float16 at step 2"):
            save(stage, run, 2)
    state = run.load()
    assert state is not None
    assert state["step"] == 1


@pytest.mark.long
def test_a_model_that_got_lost_is_there_after_the_next_state(tmp_path: Path) -> None:
    run_through(BRIEF, tmp_path / "run")
    state = torch.load(tmp_path / "run" / STATE_FILE)
    run_of(BRIEF, tmp_path / "run").save({**state, "step": BRIEF.steps - 1})
    shutil.rmtree(tmp_path / "run" / MODEL_FOLDER)
    run_through(BRIEF, tmp_path / "run")
    encoder.load(tmp_path / "run" / MODEL_FOLDER)


@pytest.fixture
def little_room() -> Iterator[None]:
    """No file can get longer than 100 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def begun(tmp_path: Path) -> Run:
    """A run of `BRIEF` that has ended."""
    run_through(BRIEF, tmp_path / "run")
    return run_of(BRIEF, tmp_path / "run")


@pytest.mark.long
@pytest.mark.usefixtures("begun", "little_room")
def test_a_disk_that_gets_full_leaves_the_last_state_and_model_whole(begun: Run) -> None:
    names = sorted(os.listdir(begun.folder))
    before = [
        (begun.folder / name).read_bytes() for name in (STATE_FILE, f"{MODEL_FOLDER}/{WEIGHTS}")
    ]
    with pytest.raises(VidxError, match="cannot be written to"):
        begun.save({"weights": torch.zeros(100_000)})
    model = VideoMAEForVideoClassification(BRIEF.config())
    with pytest.raises(VidxError, match="cannot be written to: File too large"):
        begun.save_model(model.save_pretrained)
    after = [
        (begun.folder / name).read_bytes() for name in (STATE_FILE, f"{MODEL_FOLDER}/{WEIGHTS}")
    ]
    assert before == after
    assert sorted(os.listdir(begun.folder)) == names


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    run = run_of(BRIEF, tmp_path / "run")
    with run.held(), pytest.raises(VidxError, match="another process is training in"):
        run_through(BRIEF, tmp_path / "run")


@pytest.mark.long
def test_a_run_does_not_go_on_with_another_kind_of_device(begun: Run) -> None:
    other = Run(begun.folder, {**begun.recipe, "device": "cuda"})
    with pytest.raises(CheckpointError, match="device was cpu, now cuda"):
        other.load()
