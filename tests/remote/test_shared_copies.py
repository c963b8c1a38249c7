"""A working copy of a bucket that several processes use, or that was left in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from shared_collection import (
    ADDRESS,
    BUCKET,
    CLIPS,
    NAMES,
    Bound,
    On,
    Room,
    commit,
    objects,
    put_all_out,
    taken,
)

import vidx
from vidx.errors import CollectionDamaged, CollectionLocked, VidxError
from vidx.store import working_copy
from vidx.store.at_hand import at_hand, make_room
from vidx.store.catalogue import Catalogue
from vidx.store.layout import read_manifest
from vidx.store.lock import writing

pytestmark = pytest.mark.usefixtures("s3", "short_waits")
FIRST = "clips-000000000000.parquet"
PLENTY = 10**9


def num_vectors() -> int:
    with vidx.open(ADDRESS) as collection:
        return len(collection.vectors()[0])


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[None]:
    """Have a folder mounted as `mount` is told."""
    try:
        done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no `mount`")
    if done.returncode:
        pytest.skip("mounting takes root")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_first_look_that_is_killed_before_there_is_a_table_is_made_anew(
    on: On, room_for: Room
) -> None:
    room_for(100)
    layout = on("two")
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, signal, vidx\n"
            "from vidx.store import migrate\n"
            "migrate.upgrade = lambda connection: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"vidx.open({ADDRESS!r})",
        ],
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert layout.catalogue.exists()
    assert num_vectors() == CLIPS * len(NAMES)


def test_who_comes_while_another_makes_the_working_copy_is_told_to_wait(
    on: On, room_for: Room
) -> None:
    room_for(100)
    layout = on("two")
    working_copy.has_news(layout)  # this begins it
    layout.catalogue.touch()
    with writing(layout), pytest.raises(CollectionLocked, match="is being written by process"):
        vidx.open(ADDRESS)
    assert num_vectors() == CLIPS * len(NAMES)


def test_who_comes_while_another_fetches_what_is_new_has_the_state_before_and_is_told(
    on: On, room_for: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room_for(100)
    layout = on("two")
    num_vectors()
    commit(on("one"), "new")
    on("two")
    with writing(layout):
        assert num_vectors() == CLIPS * len(NAMES)
    assert "answers are of an earlier state than the bucket's" in caplog.text
    assert num_vectors() == CLIPS * (len(NAMES) + 1)


def test_what_the_bucket_has_lost_is_not_put_out(
    on: On, room_for: Room, bound: Bound, s3: Any
) -> None:
    room_for(100)
    layout = on("one")
    s3.delete_object(Bucket=BUCKET, Key=objects(s3)[0])
    bound(0)
    assert num_vectors() == CLIPS * len(NAMES)
    assert [path.name for path in layout.shards.iterdir()] == [FIRST]


def test_shards_without_a_note_are_put_out_too(on: On, room_for: Room, bound: Bound) -> None:
    room_for(100)
    layout = on("one")
    layout.objects.unlink()
    commit(layout, "more")  # it is noted alone
    bound(0)
    with vidx.open(ADDRESS):
        pass
    assert taken(layout) == 0


def test_a_working_copy_on_a_disk_that_is_read_alone_can_be_read(on: On, room_for: Room) -> None:
    room_for(100)
    folder = on("one").root
    with mounted(folder, "--bind", str(folder)):
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
        with pytest.raises(OSError, match="Read-only file system"):
            (folder / "new").touch()
        assert num_vectors() == CLIPS * len(NAMES)
        with vidx.open(ADDRESS) as collection:
            assert list(collection.previews([0])) == [0]
            assert collection.verify() == []


@pytest.mark.parametrize("free_kilobytes", [16, 32, 96, 240])
def test_a_first_look_that_finds_no_room_goes_on_when_there_is_some(
    on: On, room_for: Room, tmp_path: Path, free_kilobytes: int
) -> None:
    room_for(100)
    disk = tmp_path / "three"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=3m", "tmpfs"):
        on("three")
        there = os.statvfs(disk)
        filling = there.f_bavail * there.f_bsize - free_kilobytes * 1024
        (disk / "filling").write_bytes(b"x" * filling)
        with pytest.raises(VidxError) as told:
            num_vectors()
        assert not isinstance(told.value, CollectionDamaged)
        (disk / "filling").unlink()
        assert num_vectors() == CLIPS * len(NAMES)


def test_a_rebuild_takes_no_shard_from_who_has_just_fetched_it(
    on: On, room_for: Room, bound: Bound, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_for(100)
    layout = on("one")
    put_all_out(layout, bound)
    bound(PLENTY)
    manifest, pinned = read_manifest(layout), working_copy.pinned
    has_it, may_go = threading.Event(), threading.Event()
    was_there: list[bool] = []

    def read() -> None:
        with at_hand(layout, manifest, FIRST) as path:
            has_it.set()
            assert may_go.wait(60)
            was_there.append(path.exists())

    reader = threading.Thread(target=read)

    @contextmanager
    def fetched_after_the_look(path: Path) -> Iterator[bool]:
        with pinned(path) as is_there:
            if path.name == FIRST and reader.ident is None:
                assert not is_there
                reader.start()
                assert has_it.wait(60)
            yield is_there

    def later(*asked: Any) -> None:
        may_go.set()
        make_room(*asked)

    monkeypatch.setattr(working_copy, "pinned", fetched_after_the_look)
    monkeypatch.setattr(working_copy, "make_room", later)
    with vidx.open(ADDRESS) as collection:
        collection.rebuild()
    reader.join(60)
    assert was_there == [True]


def test_verify_misses_no_shard_that_is_fetched_meanwhile(
    on: On, room_for: Room, bound: Bound, monkeypatch: pytest.MonkeyPatch
) -> None:
    room_for(100)
    layout = on("one")
    put_all_out(layout, bound)
    bound(PLENTY)
    check = Catalogue.self_check

    def after_a_fetch(catalogue: Catalogue) -> list[str]:
        with at_hand(layout, read_manifest(layout), FIRST):
            return check(catalogue)

    monkeypatch.setattr(Catalogue, "self_check", after_a_fetch)
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []


def _counted(answers: Any) -> None:
    try:
        answers.put(num_vectors())
    except VidxError as error:
        answers.put(str(error))


def test_a_forked_child_reads_what_its_parent_reads(on: On, room_for: Room, bound: Bound) -> None:
    room_for(0.5)
    on("one")
    assert num_vectors() == CLIPS * len(NAMES)
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    child = fork.Process(target=_counted, args=(answers,))
    child.start()
    child.join(60)
    assert answers.get() == CLIPS * len(NAMES)
    assert child.exitcode == 0
    assert os.getpid() != child.pid
