"""Several devices give what one gives, also when one of them dies."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from vidx.embedder.encoder import Encoder, load
from vidx.errors import CheckpointError, DeviceError


@pytest.fixture
def team(tiny_checkpoint):
    encoder = load(tiny_checkpoint, device="cpu,cpu")
    yield encoder
    encoder.close()


def embeddings_of(encoder: Encoder, clips: np.ndarray) -> np.ndarray:
    """In seven batches that are all under way at once."""
    pending = [encoder.start(clip[None]) for clip in clips]
    return np.concatenate([one.result().embeddings for one in pending])


def test_two_devices_give_the_vectors_and_logits_of_one(tiny_checkpoint, team, clips) -> None:
    alone = load(tiny_checkpoint, device="cpu")
    assert team.space == alone.space
    assert (team.device, team.provenance()["device"]) == ("cpu,cpu", "cpu,cpu")
    np.testing.assert_allclose(embeddings_of(team, clips), embeddings_of(alone, clips), atol=1e-5)
    np.testing.assert_allclose(team.encode(clips).logits, alone.encode(clips).logits, atol=1e-5)
    assert team.ahead >= 3
    assert team.batch_size == alone.batch_size


def test_both_devices_work(team, clips) -> None:
    pids = [member.process.pid for member in team.engine.members]
    before = [psutil.Process(pid).cpu_times().user for pid in pids]
    for _ in range(20):
        embeddings_of(team, clips)
    after = [psutil.Process(pid).cpu_times().user for pid in pids]
    assert all(b > a for a, b in zip(before, after, strict=True))


def test_a_device_that_dies_costs_a_warning_and_nothing_else(team, clips, caplog) -> None:
    expected = embeddings_of(team, clips)
    pending = [team.start(clip[None]) for clip in clips]
    os.kill(team.engine.members[0].process.pid, signal.SIGKILL)
    with caplog.at_level(logging.WARNING, "vidx"):
        found = np.concatenate([one.result().embeddings for one in pending])
        np.testing.assert_allclose(embeddings_of(team, clips), expected, atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert caplog.messages == ["the process of cpu ended by SIGKILL: going on with cpu"]


def test_when_all_have_died_it_is_a_device_error(team, clips) -> None:
    for member in team.engine.members:
        os.kill(member.process.pid, signal.SIGKILL)
    with pytest.raises(DeviceError, match="cpu failed: its process ended by SIGKILL"):
        embeddings_of(team, clips)


def test_an_error_of_a_device_reaches_the_caller(team, monkeypatch) -> None:
    wrong = np.zeros((1, 16, 31, 32, 3), np.uint8)
    with pytest.raises(Exception, match="they must be uint8 of shape"):
        team.engine.start(wrong).result()


def test_closing_leaves_no_process(team) -> None:
    pids = [member.process.pid for member in team.engine.members]
    team.close()
    assert not any(psutil.pid_exists(pid) for pid in pids)


FORGOTTEN = """
import sys, time
from vidx.embedder.encoder import load

encoder = load(sys.argv[1], device="cpu,cpu")
print(*[member.process.pid for member in encoder.engine.members], flush=True)
time.sleep(60)
"""


def test_a_killed_parent_leaves_no_process(tiny_checkpoint) -> None:
    command = [sys.executable, "-c", FORGOTTEN, str(tiny_checkpoint)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    deadline = time.monotonic() + 10
    while any(map(_is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_is_running, pids))


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_checkpoint_that_changes_meanwhile_is_refused(
    tiny_checkpoint, make_checkpoint, tmp_path, monkeypatch
) -> None:
    from vidx.embedder.inference import team as module

    folder = make_checkpoint(tmp_path / "made")
    setup = module.Setup(str(folder), "float32", 16, 7.5, load(folder).space.fingerprint)
    make_checkpoint(folder, seed=1)
    with pytest.raises(CheckpointError, match="changed while it was being loaded"):
        module.Team(["cpu", "cpu"], setup)


def test_devices_of_which_one_is_not_there_are_refused_before_any_process_starts(
    tiny_checkpoint,
) -> None:
    with pytest.raises(DeviceError, match="'cuda:99' is not to be had here"):
        load(tiny_checkpoint, device="cpu,cuda:99")
    assert not psutil.Process().children()
