from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from made_collections import commit, draw_video

from vidx.errors import CollectionLocked, VidxError
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import held, writing
from vidx.store.staging import delete_dead, staging
from vidx.store.writer import open_writer

HOLD = """
with open_writer(layout):
    print("held", flush=True)
    sys.stdin.readline()
"""
Child = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def holder(layout: Layout, child: Child) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    commit(layout, draw_video("a"))
    process = child(HOLD)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_is_refused_at_once_and_told_who(
    layout: Layout, holder: subprocess.Popen[str]
) -> None:
    started = time.monotonic()
    with pytest.raises(CollectionLocked, match=f"process {holder.pid} on .* since") as caught:
        commit(layout, draw_video("b"))
    assert time.monotonic() - started < 1
    assert caught.value.exit_code == 4
    holder.communicate("\n")
    commit(layout, draw_video("b"))


def test_a_dead_owner_frees_the_lock(layout: Layout, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with writing(layout):
        note = json.loads((layout.root / "writer.json").read_text())
        assert note["pid"] == os.getpid()


def test_one_process_cannot_write_twice(layout: Layout) -> None:
    commit(layout, draw_video("a"))
    with open_writer(layout), pytest.raises(CollectionLocked), open_writer(layout):
        pass


def test_the_note_goes_with_the_lock_even_after_an_error(layout: Layout) -> None:
    commit(layout, draw_video("a"))
    with pytest.raises(RuntimeError), open_writer(layout):
        raise RuntimeError
    assert not (layout.root / "writer.json").exists()
    commit(layout, draw_video("b"))


@pytest.mark.parametrize("note", ["", "{", "{}", "[]", None])
def test_a_note_that_says_nothing_still_gives_a_clear_message(
    layout: Layout, holder: subprocess.Popen[str], note: str | None
) -> None:
    path = layout.root / "writer.json"
    path.unlink() if note is None else path.write_text(note)
    with pytest.raises(CollectionLocked, match="another process"), writing(layout):
        pass
    holder.communicate("\n")


def test_a_file_system_without_locks_is_refused(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that outlives its owner would keep everybody out after a kill."""
    commit(layout, draw_video("a"))
    layout.lock.unlink()

    def missing(*_arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    with pytest.raises(VidxError, match=r"keeps no locks|not implemented") as caught:
        commit(layout, draw_video("b"))
    assert caught.value.exit_code == 4
    assert "--collection" in str(caught.value)


def test_threads_that_hold_locks_leave_the_filters_of_warnings_as_they_are(tmp_path: Path) -> None:
    before = list(warnings.filters)

    def hold(number: int) -> None:
        for _ in range(200):
            with held(tmp_path / f"lock{number}") as ours:
                assert ours

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(hold, range(8)))
    assert warnings.filters == before


def test_folders_of_runs_that_come_and_go_are_no_trouble_to_who_deletes_dead_ones(
    layout: Layout,
) -> None:
    commit(layout, draw_video("a"))
    manifest, until = read_manifest(layout), time.monotonic() + 1.5

    def come_and_go(_: int) -> None:
        while time.monotonic() < until:
            with staging(layout, manifest):
                pass

    def delete(_: int) -> None:
        while time.monotonic() < until:
            delete_dead(layout)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda act: act(0), (come_and_go, come_and_go, delete, delete)))
    delete_dead(layout)  # a lock may have been made in a folder that was about to go
    assert list(layout.staging.iterdir()) == []
