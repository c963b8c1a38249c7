"""Several devices give what one gives, also when one of them dies."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future

import numpy as np
import psutil
import pytest

from vidx.embedder.encoder import Encoder, load
from vidx.embedder.inference.devices import every_device, find_devices
from vidx.errors import CheckpointError, DeviceError, UsageError


@pytest.fixture
def team(tiny_checkpoint):
    encoder = load(tiny_checkpoint, device="cpu,cpu", dtype="float32")
    yield encoder
    encoder.close()


def embeddings_of(encoder: Encoder, clips: np.ndarray) -> np.ndarray:
    """In seven batches that are all under way at once."""
    pending = [encoder.start(clip[None]) for clip in clips]
    return np.concatenate([one.result().embeddings for one in pending])


def test_two_devices_give_the_vectors_and_logits_of_one(tiny_checkpoint, team, clips) -> None:
    alone = load(tiny_checkpoint, device="cpu", dtype="float32")
    assert team.space == alone.space
    assert (team.device, team.provenance()["device"]) == ("cpu,cpu", "cpu,cpu")
    np.testing.assert_allclose(embeddings_of(team, clips), embeddings_of(alone, clips), atol=1e-5)
    np.testing.assert_allclose(team.encode(clips).logits, alone.encode(clips).logits, atol=1e-5)
    assert team.ahead >= 3
    assert team.batch_size == alone.batch_size


def test_both_devices_work(team, clips, monkeypatch) -> None:
    asked = []
    for member in team.engine.members:
        ask = member.ask
        monkeypatch.setattr(
            member, "ask", lambda batch, ask=ask, own=member: asked.append(own) or ask(batch)
        )
    embeddings_of(team, clips)
    assert {asked.count(member) for member in team.engine.members} == {3, 4}


def test_a_device_that_dies_costs_a_warning_and_nothing_else(team, clips, caplog) -> None:
    expected = embeddings_of(team, clips)
    pending = [team.start(clip[None]) for clip in clips]
    os.kill(team.engine.members[0].process.pid, signal.SIGKILL)
    with caplog.at_level(logging.WARNING, "vidx"):
        found = np.concatenate([one.result().embeddings for one in pending])
        np.testing.assert_allclose(embeddings_of(team, clips), expected, atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert caplog.messages == ["cpu failed: its process ended by SIGKILL; going on with cpu"]


def test_when_all_have_died_it_is_a_device_error(team, clips) -> None:
    for member in team.engine.members:
        os.kill(member.process.pid, signal.SIGKILL)
    with pytest.raises(DeviceError, match="cpu failed: its process ended by SIGKILL"):
        embeddings_of(team, clips)


@pytest.mark.long
def test_a_device_that_reports_its_failure_is_left_out(team, clips, caplog) -> None:
    expected = embeddings_of(team, clips)
    failing = team.engine.members[0]
    failing.channel.send("no batch")  # what the process cannot understand ends it
    with caplog.at_level(logging.WARNING, "vidx"):
        np.testing.assert_allclose(embeddings_of(team, clips), expected, atol=1e-5)
    assert failing not in team.engine.members
    assert caplog.messages[0].startswith("cpu failed: ")


@pytest.mark.long
def test_a_device_error_of_one_device_costs_that_device_only(team, clips, caplog) -> None:
    expected = embeddings_of(team, clips)
    failing = team.engine.members[0]
    pending = team.start(clips[:1])
    pending.future.result()
    pending.future = Future()
    pending.future.set_exception(DeviceError("ECC error"))
    with caplog.at_level(logging.WARNING, "vidx"):
        np.testing.assert_allclose(pending.result().embeddings, expected[:1], atol=1e-5)
    assert failing not in team.engine.members
    assert caplog.messages == ["cpu failed: ECC error; going on with cpu"]


@pytest.mark.long
def test_a_device_that_stops_is_left_out_after_a_while(team, clips, caplog, monkeypatch) -> None:
    from vidx.embedder.inference import team as module

    expected = embeddings_of(team, clips)
    monkeypatch.setattr(module, "SILENCE_SECONDS", 3.0)
    os.kill(team.engine.members[0].process.pid, signal.SIGSTOP)
    with caplog.at_level(logging.WARNING, "vidx"):
        np.testing.assert_allclose(embeddings_of(team, clips), expected, atol=1e-5)
    assert len(caplog.messages) == 1
    assert len(team.engine.members) == 1


def test_a_process_that_dies_while_it_loads_is_a_device_error(tiny_checkpoint, monkeypatch) -> None:
    from vidx.embedder.inference import team as module

    setup = module.Setup(
        str(tiny_checkpoint), "float32", 16, 7.5, load(tiny_checkpoint).space.fingerprint
    )
    started = module._started

    def dead(device: str, sharing: int):
        member = started(device, sharing)
        member.process.kill()
        member.process.wait()
        return member

    monkeypatch.setattr(module, "_started", dead)
    with pytest.raises(DeviceError, match="cpu failed: its process ended by SIGKILL"):
        module.Team(["cpu", "cpu"], setup)


def test_a_team_without_members_says_so(team, clips) -> None:
    team.close()
    with pytest.raises(DeviceError, match="no process is left"):
        team.start(clips[:1])


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
    before = psutil.Process().children()
    with pytest.raises(DeviceError, match="'cuda:99' is not to be had here"):
        load(tiny_checkpoint, device="cuda:99,cuda:98")
    with pytest.raises(UsageError, match="devices of several kinds"):
        load(tiny_checkpoint, device="cpu, cuda:0")
    assert psutil.Process().children() == before


def test_cuda_without_a_number_means_every_device(monkeypatch) -> None:
    import torch

    assert [every_device(name) for name in (None, "cuda", "cpu")] == [None, "cuda", "cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert every_device(None) == every_device("cuda") == "cuda:0,cuda:1,cuda:2"
    assert every_device("cuda:1") == "cuda:1"
    assert find_devices("cuda:0, cuda:2") == ["cuda:0", "cuda:2"]  # their processes try them out
