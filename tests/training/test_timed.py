"""Runs that are bound by time end in it with a model, and with the rest of it after a kill."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import vidx
from vidx.embedder import encoder
from vidx.errors import UsageError, VidxError
from vidx.training import course, loop
from vidx.training.loop import TrainProgress
from vidx.training.recipe import ON_A_CPU, RECIPES, Recipe, chosen_recipe
from vidx.training.run import LOG_FILE, MODEL_FOLDER, STATE_FILE
from vidx.training.train import train

CPU = torch.device("cpu")
VALIDATION = {"nearest", "trimmed", "cropped", "brightened"}
SECONDS, TICK = 12.0, 0.1
BRIEF = replace(
    RECIPES["minute"],
    pretraining_steps=4, pretraining_clips=3, steps=6, motions=2, uses=8, ahead=4, measured=4,
)  # fmt: skip
TIMED = replace(BRIEF, minutes=SECONDS / 60, pretraining_steps=20_000, steps=80_000)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on whenever it is looked at, so that other work does not change a run."""
    ticks = itertools.count()
    fake = SimpleNamespace(monotonic=lambda: TICK * next(ticks))
    monkeypatch.setattr(course, "time", fake)


def log_of(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / LOG_FILE).read_text().splitlines()]


def until_the_model_is_measured(steps: Iterator[TrainProgress]) -> None:
    next(step for step in steps if step.validation)


def assert_whole(folder: Path) -> None:
    """The log has each step once, in order, and validation lines; the model embeds."""
    log = log_of(folder)
    steps = [line["step"] for line in log if "loss" in line]
    assert steps == list(range(len(steps)))
    measured = [line for line in log if set(line) >= VALIDATION]
    assert measured[-1] == log[-1]
    assert len(measured) == len({line["step"] for line in measured})
    loaded = encoder.load(folder / MODEL_FOLDER)
    assert np.isfinite(loaded.encode(np.zeros((1, 16, 112, 112, 3), np.uint8))[0]).all()


def seconds_of(folder: Path) -> float:
    seconds: float = torch.load(folder / STATE_FILE)["course"]["seconds"]
    return seconds


@pytest.mark.long
@pytest.mark.usefixtures("ticking")
def test_a_run_bound_by_time_comes_to_its_schedules_end_within_it(tmp_path: Path) -> None:
    told = list(train(TIMED, tmp_path / "run", CPU))
    assert SECONDS - 20 * TICK < seconds_of(tmp_path / "run") <= SECONDS
    assert len(told) > 10
    assert told[-1].position == TIMED.pretraining_steps + TIMED.steps
    assert [step.position for step in told] == sorted(step.position for step in told)
    assert {step.stage for step in told} == {"pretraining", "finetuning"}
    assert_whole(tmp_path / "run")
    state = (tmp_path / "run" / STATE_FILE).read_bytes()
    assert list(train(TIMED, tmp_path / "run", CPU)) == []
    assert (tmp_path / "run" / STATE_FILE).read_bytes() == state


@pytest.mark.usefixtures("ticking")
@pytest.mark.long
def test_a_run_that_was_stopped_has_only_the_rest_of_its_time(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    steps = train(TIMED, folder, CPU)
    until_the_model_is_measured(steps)
    next(steps)  # a step that no state has
    steps.close()  # as a kill, it saves nothing
    state = torch.load(folder / STATE_FILE)
    assert state["stage"] == "finetuning"
    spent = state["course"]["seconds"]
    assert 0 < spent < SECONDS
    assert state["course"]["saving"] > 0  # so that the end is in time after one step, too

    rest = list(train(TIMED, folder, CPU))
    assert rest[0].step == state["course"]["first_step"] + state["step"] + 1
    assert SECONDS - 20 * TICK < seconds_of(folder) <= SECONDS
    assert_whole(folder)


@pytest.mark.long
def test_losses_fetched_in_blocks_are_logged_as_each_step_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = list(train(BRIEF, tmp_path / "one", CPU))
    monkeypatch.setattr(loop, "TOLD", {"cpu": 4})
    monkeypatch.setattr("vidx.training.course.SAVES", 1)
    block = list(train(BRIEF, tmp_path / "block", CPU))
    assert log_of(tmp_path / "one") == log_of(tmp_path / "block")
    assert one == block
    wild = replace(BRIEF, rate=1e30, matrix_rate=1e30, warmup_steps=1)
    with pytest.raises(VidxError, match=r"the loss is (nan|inf) at step"):
        list(train(wild, tmp_path / "wild", CPU))


@pytest.mark.parametrize("minutes", [0, -3, 0.2, 1e9, float("nan")])
def test_minutes_out_of_range_are_refused_with_the_rule(tmp_path: Path, minutes: float) -> None:
    with pytest.raises(UsageError, match=r"minutes=.*: a run takes from 0.5 to 10000\nName a time"):
        vidx.train(tmp_path / "run", "gpu", minutes=minutes, device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_cpu_tries_the_gpu_recipe_with_small_steps_and_keeps_the_others() -> None:
    def changed(one: Recipe, other: Recipe) -> set[str]:
        return {name for name in Recipe.__slots__ if getattr(one, name) != getattr(other, name)}

    assert changed(chosen_recipe("gpu", "cpu"), RECIPES["gpu"]) == set(ON_A_CPU)
    assert chosen_recipe("gpu", "cuda") == RECIPES["gpu"]
    assert chosen_recipe("cpu", "cpu") == RECIPES["cpu"]
    asked = chosen_recipe("cpu", "cpu", minutes=3, seed=7)
    assert changed(asked, RECIPES["cpu"]) == {"minutes", "seed"}


@pytest.mark.long
def test_the_gpu_recipe_gives_a_model_and_its_validation_in_a_minute_on_a_cpu(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "vidx", "train", folder, "--recipe", "gpu"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--device", "cpu", "--minutes", "1", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert time.monotonic() - began < 90  # with the start of Python, and other work beside it
    report = json.loads(done.stdout)
    assert report["seconds"] < 75
    assert set(report["validation"]) == VALIDATION
    assert "trimmed" in done.stderr.splitlines()[-1]
    files = (folder / MODEL_FOLDER).iterdir()
    assert sum(file.stat().st_size for file in files) < 16_000_000
    assert_whole(folder)
