"""`vidx train` and `vidx adapt`: what they print, how they end, and that they go on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from made_servers import WebServer

import vidx as package
from vidx.cli.train import RECIPES

TRAIN_KEYS = ["model", "recipe", "steps", "losses", "validation", "seconds"]
ADAPT_KEYS = [
    "model", "source", "fps", "steps", "videos", "training_clips", "held_out_clips",
    "held_out_before", "held_out_after", "left_out", "seconds",
]  # fmt: skip
# What runs in the background of a shell is told to ignore Ctrl-C, and so are its children.
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from vidx.cli import main; main(sys.argv[1:])"
)


@pytest.fixture(scope="module")
def films(
    tmp_path_factory: pytest.TempPathFactory,
    make_video: Callable[..., Path],
    tiny_checkpoint: Path,
) -> Path:
    """A folder with six videos and their collection; never write to it."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "videos").mkdir()
    for seed in range(6):
        make_video(folder / f"videos/{seed}.mp4", seed=seed, seconds=5.0, size=(64, 48))
    with package.open(folder / "collection", create=True) as collection:
        collection.embed(
            folder / "videos", package.EmbedOptions(model=tiny_checkpoint, workers=1, fps=8.0)
        )
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict, str]:
    """The short recipe's folder, what the command said at its end, and meanwhile."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    command = [sys.executable, "-m", "vidx", "train", folder, "--recipe", "minute", "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # other tests run beside it
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return folder, json.loads(done.stdout), done.stderr


def test_the_recipes_of_the_command_are_those_there_are() -> None:
    from vidx.training.recipe import RECIPES as THERE

    assert tuple(THERE) == RECIPES


@pytest.mark.long
def test_train_says_where_the_model_is_and_its_last_losses(trained) -> None:
    folder, report, _ = trained
    assert list(report) == TRAIN_KEYS
    assert report["model"] == str(folder / "model")
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    last, validation = (
        {n: v for n, v in line.items() if n not in ("stage", "step")} for line in log[-2:]
    )
    assert (report["losses"], report["validation"]) == (last, validation)
    assert list(validation) == ["nearest", "trimmed", "cropped", "brightened"]
    last = log[-1]
    assert report["steps"] == last["step"] + 1
    assert (folder / "model/model.safetensors").exists()


@pytest.mark.long
def test_progress_tells_stage_rate_and_loss_in_plain_lines(trained) -> None:
    _, report, err = trained
    last = err.splitlines()[-1]
    assert last.startswith(f"{report['steps']}/{report['steps']} steps, finetuning, ")
    assert "steps/s, ETA 0:00:00, " in last
    assert f"loss {report['losses']['loss']:.4f}" in last


@pytest.mark.long
def test_a_finished_run_is_told_again_and_another_seed_is_refused(vidx, trained) -> None:
    folder, report, _ = trained
    code, out, err = vidx("train", folder, "--recipe", "minute")
    assert (code, err) == (0, "")
    assert f"loss {report['losses']['loss']:.4f}" in out
    assert str(folder / "model") in out
    assert vidx("train", folder, "--recipe", "minute", "--quiet") == (0, "", "")
    code, out, err = vidx("train", folder, "--recipe", "minute", "--seed", 1)
    assert (code, out) == (4, "")
    assert "seed was 0, now 1" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train"], 2, "Missing argument"),
        (["train", "run", "--recipe", "hour"], 2, "'minute', 'cpu', 'gpu'"),
        (["train", "run", "--minutes", "0"], 2, "minutes=0: a run takes from 0.5 to 10000"),
        (["train", "run", "--seed", str(2**63)], 2, "it is from 0 to 9223372036854775807"),
        (["train", "run", "--seed", str(2**64)], 2, "it is from 0 to 9223372036854775807"),
        (["train", "run", "--device", "cuda:99"], 4, "cuda:99"),
        (["train", "run", "--device", "abacus"], 2, "unknown"),
        (["train", "full"], 2, "none of a training run's"),
        (["adapt", "run"], 4, "no collection"),
        (["adapt", "run", "--collection", "FILMS", "--steps", "0"], 2, "not in the range"),
        (["adapt", "run", "--collection", "FILMS", "--device", "cuda:99"], 4, "cuda:99"),
        (["adapt", "run", "--collection", "FILMS", "--model", "./nowhere"], 4, "does not exist"),
        (["adapt", "full", "--collection", "FILMS"], 2, "none of a training run's"),
    ],
)
def test_wrong_use_gets_one_clear_message_and_writes_nothing(
    vidx, films, tmp_path, monkeypatch, arguments, code, words
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.txt").write_text("mine")
    got, out, err = vidx(*(one.replace("FILMS", str(films / "collection")) for one in arguments))
    assert (got, out) == (code, "")
    assert words in err
    assert [str(path) for path in Path().rglob("*")] == ["full", "full/thesis.txt"]


@pytest.mark.long
def test_interrupted_training_ends_with_130_and_goes_on(tmp_path) -> None:
    command = [sys.executable, "-c", COMMAND, "train", tmp_path / "run", "--recipe", "minute"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while not (tmp_path / "run/state.pt").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # Python ends itself by the signal when the interrupt came within an exec(): 130 to a shell.
    assert process.returncode in (130, -signal.SIGINT)
    assert b"Traceback" not in err
    assert b"run goes on from its last state" in err
    before = len((tmp_path / "run/log.jsonl").read_text().splitlines())
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while len((tmp_path / "run/log.jsonl").read_text().splitlines()) <= before + 1:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()


@pytest.mark.long
def test_adapt_gives_a_model_that_a_new_collection_takes(vidx, films, tmp_path) -> None:
    where = ("--collection", films / "collection")
    run = ("adapt", tmp_path / "run", *where, "--steps", 3)
    code, out, err = vidx(*run, "--json")
    report = json.loads(out)
    assert code == 0
    assert list(report) == ADAPT_KEYS
    assert (report["videos"], report["steps"], report["left_out"]) == (6, 6, [])
    assert (report["training_clips"], report["held_out_clips"]) == (15, 3)
    assert "6/6 videos, reading" in err
    assert "6/6 steps, adapting" in err

    code, out, err = vidx(*run)
    assert code == 0
    after = f"{report['held_out_before']:.4f} before, {report['held_out_after']:.4f} after"
    assert after in out
    assert f"vidx embed PATH... --model {tmp_path / 'run/model'} --fps 8 --collection NEW" in out
    assert vidx(*run, "--quiet") == (0, "", "")

    model = ("--model", tmp_path / "run/model", "--fps", 8)
    code, _, err = vidx("embed", films / "videos", *model, *where)
    assert code == 4
    assert "cannot be compared" in err
    code, out, _ = vidx("embed", films / "videos", *model, "--collection", tmp_path / "new")
    assert code == 0


def test_adapt_names_the_videos_that_are_gone_or_others(vidx, films, tmp_path, monkeypatch) -> None:
    folder = shutil.copytree(films / "videos", tmp_path / "videos")
    shutil.copytree(films / "collection", tmp_path / "collection")
    with package.open(tmp_path / "collection") as collection:
        collection.embed(folder)  # now each has two locations, and those here come later
        collection.remove(films / "videos")
    (folder / "0.mp4").unlink()
    other = folder / "1.mp4"
    other.write_bytes(b"?" * other.stat().st_size)
    code, out, _ = vidx(
        "adapt", tmp_path / "run", "--collection", tmp_path / "collection", "--steps", 1, "--json"
    )
    report = json.loads(out)
    assert code == 0
    assert report["videos"] == 4
    assert {one["path"]: one["reason"] for one in report["left_out"]} == {
        str(folder / "0.mp4"): "unreadable",
        str(other): "changed_while_reading",
    }
    monkeypatch.chdir(tmp_path)
    code, out, _ = vidx("adapt", "run", "--collection", tmp_path / "collection", "--steps", 1)
    assert "Left out: 2 videos." in out
    assert "videos/0.mp4" in out


def test_adapt_learns_from_videos_at_urls_that_are_what_they_were(
    films: Path, web: WebServer, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    files = sorted((films / "videos").iterdir())
    web.content |= {f"/{file.name}": file.read_bytes() for file in files}
    urls = [f"{web.url}/{file.name}" for file in files]
    with package.open(tmp_path / "collection", create=True) as collection:
        collection.embed(urls, package.EmbedOptions(model=tiny_checkpoint, workers=0))
        web.content["/0.mp4"] = b"?" * len(web.content["/0.mp4"])
        report = package.adapt(collection, tmp_path / "run", steps=1, device="cpu")
    assert report.videos == 5
    [left] = report.left_out
    assert (left.path, left.reason) == (urls[0], "changed_while_reading")


def test_adapt_refuses_a_collection_that_is_too_small(vidx, embedded, tmp_path) -> None:
    code, out, err = vidx("adapt", tmp_path / "run", "--collection", embedded)
    assert (code, out) == (4, "")
    assert "too little to learn from (videos: 4, clips: " in err
    assert "Embed further videos" in err
    assert os.listdir(tmp_path / "run") == ["lock"]
