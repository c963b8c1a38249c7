"""A long video is committed in parts: whatever ends a run, the next one goes on behind them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stored_clips import Key, Stored, stored_clips

import vidx
from vidx.cli import main
from vidx.records import EmbedProgress
from vidx.store import shards

PART = 3
NUM_CLIPS = 11  # so there are four parts
POLICY = vidx.CommitPolicy(seconds=0, part_clips=PART)

# Embeds, and is killed at the chosen step of the chosen commit.
COMMAND = """
import os, signal, sys, vidx
from vidx.store import registry, writer
from vidx.store.writer import Writer
videos, folder, model, step, number = sys.argv[1:]
holder, name = {
    "before": (Writer, "commit"), "staged": (Writer, "_name"), "named": (registry, "enter_shard"),
    "entered": (writer.changes, "apply_after"),
}[step]
wrapped, calls = getattr(holder, name), []
def at(*arguments, **keywords):
    calls.append(name)
    if len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return wrapped(*arguments, **keywords)
setattr(holder, name, at)
policy = vidx.CommitPolicy(seconds=0, part_clips=3)
options = vidx.EmbedOptions(model=model, workers=1, batch_size=1, commit=policy)
vidx.open(folder, create=True).embed(videos, options)
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "long.mp4", seed=1, seconds=22.0, fps=10, size=(64, 48))
    return folder


@pytest.fixture(scope="module")
def options(tiny_checkpoint: Path) -> vidx.EmbedOptions:
    return vidx.EmbedOptions(model=tiny_checkpoint, workers=0, batch_size=1, commit=POLICY)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, videos: Path, tiny_checkpoint: Path
) -> dict[Key, Stored]:
    """What is stored when the video is committed whole."""
    folder = tmp_path_factory.mktemp("undisturbed") / "collection"
    plain = vidx.EmbedOptions(model=tiny_checkpoint, workers=0)
    assert vidx.open(folder, create=True).embed(videos, plain).num_clips == NUM_CLIPS
    assert len(list((folder / "shards").iterdir())) == 1
    return stored_clips(folder)


@pytest.fixture
def own(tmp_path: Path, videos: Path) -> Path:
    """A folder with the long video, to do with as one likes."""
    return shutil.copytree(videos, tmp_path / "videos")


@pytest.fixture
def collection(tmp_path: Path) -> vidx.Collection:
    return vidx.open(tmp_path / "collection", create=True)


def assert_undisturbed(folder: Path, expected: dict[Key, Stored]) -> None:
    rows = stored_clips(folder)
    assert [key[1:] for key in rows] == [key[1:] for key in expected]
    for stored, wanted in zip(rows.values(), expected.values(), strict=True):
        np.testing.assert_allclose(stored.vector, wanted.vector, rtol=0, atol=1e-4)
        assert stored.labels == pytest.approx(wanted.labels, abs=1e-3)
    with vidx.open(folder) as collection:
        assert collection.verify() == []
        assert collection.info().num_unfinished == 0


def interrupt(
    collection: vidx.Collection, path: Path, options: vidx.EmbedOptions, after: int = 2 * PART
) -> None:
    """Begin a run and interrupt it once so many clips are there."""

    def stop(progress: EmbedProgress) -> None:
        if progress.num_clips >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collection.embed(path, options, progress=stop)


def told_by_info(collection: vidx.Collection, capfd: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit):
        main(["info", "--collection", str(collection.path)])
    return capfd.readouterr().out


KILLS = [
    (step, number) for number in (2, 3, 4) for step in ("named", "before", "staged", "entered")
]


def check_kill(
    step: str,
    number: int,
    videos: Path,
    folder: Path,
    options: vidx.EmbedOptions,
    undisturbed: dict[Key, Stored],
) -> None:
    """Kill a run in one of its commits, look at what is there, and go on."""
    arguments = [str(videos), str(folder), str(options.model), step, str(number)]
    killed = subprocess.run([sys.executable, "-c", COMMAND, *arguments], check=False)
    assert killed.returncode == -signal.SIGKILL
    with vidx.open(folder) as collection:
        assert (collection.info().num_clips, collection.info().num_videos) == (0, 0)
        report = collection.embed(videos, options)
    there = number - 1 if step in ("before", "staged") else number  # a named shard is adopted
    rest = max(0, NUM_CLIPS - PART * there)
    assert (report.num_clips, report.embedded) == (rest, 1 if rest else 0)
    assert_undisturbed(folder, undisturbed)


@pytest.mark.parametrize(("step", "number"), KILLS[1:2])
def test_a_killed_run_is_gone_on_with_behind_its_parts(
    step, number, videos, tmp_path, options, undisturbed
) -> None:
    check_kill(step, number, videos, tmp_path / "collection", options, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize(("step", "number"), KILLS[:1] + KILLS[2:])
def test_every_killed_run_is_gone_on_with_behind_its_parts(
    step, number, videos, tmp_path, options, undisturbed
) -> None:
    check_kill(step, number, videos, tmp_path / "collection", options, undisturbed)


def test_what_is_begun_is_told_and_not_seen(
    own, tmp_path, collection, options, undisturbed, make_video, capfd
) -> None:
    short = make_video(own / "a.mp4", seed=2, seconds=5.0)
    collection.embed(short, options)
    with vidx.open(collection.path) as reader:
        before = reader.clips(), reader.videos(), reader.search(short, k=50)
        interrupt(collection, own / "long.mp4", options)
        assert (reader.clips(), reader.videos(), reader.search(short, k=50)) == before
        assert reader.where("duration_seconds > 0").count() == len(before[0])
        assert reader.export(tmp_path / "out.parquet") == len(before[0])
        info = reader.info()
        assert (info.num_videos, info.num_clips, info.num_unfinished) == (1, len(before[0]), 1)
        told = told_by_info(reader, capfd)
        assert "1 video, of which parts are stored: embed again to go on" in told
        assert reader.verify() == []
        assert collection.embed(own, options).num_clips == NUM_CLIPS - 2 * PART
        hits = reader.search(own / "long.mp4", k=NUM_CLIPS)
        assert {hit.path for hit in hits} == {str(own / "long.mp4")}
        assert reader.info().num_unfinished == 0
        told = told_by_info(reader, capfd)
        assert "unfinished" not in told
    collection.remove(short)
    assert_undisturbed(collection.path, undisturbed)


def test_what_is_begun_outlives_the_catalogue_and_compacting(
    own, collection, options, undisturbed
) -> None:
    interrupt(collection, own, options)
    collection.compact()
    collection.close()
    for path in collection.path.glob("catalogue.sqlite*"):
        path.unlink()
    assert collection.rebuild().num_clips == 0
    assert collection.info().num_unfinished == 1
    assert collection.embed(own, options).num_clips == NUM_CLIPS - 2 * PART
    assert_undisturbed(collection.path, undisturbed)


def test_a_moved_and_copied_file_is_gone_on_with(own, collection, options, undisturbed) -> None:
    interrupt(collection, own, options)
    shutil.copy(own / "long.mp4", own / "copy.mp4")
    (own / "long.mp4").rename(own / "moved.mp4")
    report = collection.embed(own, options)
    assert (report.num_clips, report.embedded, report.duplicate) == (NUM_CLIPS - 2 * PART, 1, 1)
    [video] = collection.videos().to_pylist()
    assert video["locations"] == [str(own / "copy.mp4"), str(own / "moved.mp4")]
    collection.remove(own / "copy.mp4")
    assert_undisturbed(collection.path, undisturbed)


def test_a_changed_file_makes_its_parts_void(own, collection, options, make_video) -> None:
    interrupt(collection, own, options)
    make_video(own / "long.mp4", seed=3, seconds=5.0)
    report = collection.embed(own, options)
    assert (report.num_clips, report.embedded) == (3, 1)
    assert collection.info().num_unfinished == 0
    collection.compact()
    rows = [shards.read(path).num_rows for path in (collection.path / "shards").iterdir()]
    assert sum(rows) == 3
    assert collection.verify() == []


def test_another_plan_makes_parts_void(own, collection, options, undisturbed) -> None:
    interrupt(collection, own, options)
    interrupt(collection, own, replace(options, stride_seconds=1.5), after=PART)
    assert collection.info().num_unfinished == 1
    report = collection.embed(own, options)
    assert report.num_clips == NUM_CLIPS
    assert_undisturbed(collection.path, undisturbed)


def test_a_video_that_lives_stays_while_it_is_cut_anew(own, collection, options) -> None:
    collection.embed(own, options)
    before = collection.clips()
    finer = replace(options, stride_seconds=1.5)
    interrupt(collection, own, finer)
    assert collection.clips() == before
    assert collection.embed(own, options).unchanged == 1
    collection.embed(own, finer)
    assert collection.info().num_clips > NUM_CLIPS
    assert collection.info().num_unfinished == 0
    assert collection.verify() == []


def test_a_moved_video_that_is_cut_anew_stays(own, collection, options) -> None:
    collection.embed(own, options)
    (own / "long.mp4").rename(own / "moved.mp4")
    report = collection.embed(own, replace(options, stride_seconds=1.5))
    [video] = collection.videos().to_pylist()
    assert (video["path"], video["num_clips"]) == (str(own / "moved.mp4"), report.num_clips)
    assert collection.info().num_unfinished == 0
    assert collection.verify() == []


def test_a_video_that_is_cut_anew_stays_where_it_moves_amid_that(own, collection, options) -> None:
    collection.embed(own, options)
    finer = replace(options, stride_seconds=1.5)
    interrupt(collection, own, finer)
    (own / "long.mp4").rename(own / "moved.mp4")
    collection.embed(own, finer)
    [video] = collection.videos().to_pylist()
    assert (video["path"], video["num_clips"] > NUM_CLIPS) == (str(own / "moved.mp4"), True)
    assert collection.info().num_unfinished == 0


@pytest.mark.parametrize("is_known", [False, True])
def test_a_begun_video_stays_where_another_takes_its_path(
    own, collection, options, make_video, is_known: bool
) -> None:
    other = make_video(own.parent / "other.mp4", seed=3, seconds=5.0)
    if is_known:
        collection.embed(other, options)
    interrupt(collection, own, options)
    (own / "long.mp4").rename(own / "z.mp4")
    shutil.copy(other, own / "long.mp4")
    # The job of the long one is handed out before anything is committed.
    later = replace(options, workers=1, commit=replace(POLICY, seconds=60.0, num_clips=PART))
    report = collection.embed(own, later)
    found = {Path(row["path"]).name: row["num_clips"] for row in collection.videos().to_pylist()}
    assert found.pop("z.mp4") == NUM_CLIPS
    assert list(found.values()) == [3]
    assert report.embedded == 2 - is_known
    assert collection.info().num_unfinished == 0
    assert collection.verify() == []


def test_what_is_begun_can_be_removed(own, collection, options) -> None:
    interrupt(collection, own, options)
    (own / "long.mp4").unlink()
    assert collection.remove(own).paths == (str(own / "long.mp4"),)
    assert collection.info().num_unfinished == 0
    collection.compact()
    assert collection.verify() == []
    assert sum(shards.read(path).num_rows for path in (collection.path / "shards").iterdir()) == 0


def test_a_video_that_fails_late_is_gone_on_with(own, collection, options, undisturbed) -> None:
    """Its time changes while it is read, its bytes do not."""

    def touch(progress: EmbedProgress) -> None:
        if progress.num_clips:
            os.utime(own / "long.mp4", ns=(1, 1))

    report = collection.embed(own, options, progress=touch)
    assert (report.failed, report.num_clips > PART) == (1, True)
    [failure] = collection.failures().to_pylist()
    assert failure["reason"] == "changed_while_reading"
    there = collection.info()
    assert (there.num_unfinished, there.num_clips, there.num_failures) == (1, 0, 1)
    again = collection.embed(own, options)
    assert (again.embedded, again.num_clips) == (1, NUM_CLIPS - report.num_clips)
    assert collection.failures().num_rows == 0
    assert_undisturbed(collection.path, undisturbed)
