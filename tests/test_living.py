"""A library that lives: files vanish, move and come back, and the collection follows."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vidx
from vidx.records import Problem, Source
from vidx.store.journal import Failed
from vidx.store.writer import Batch

QUICK = vidx.EmbedOptions(workers=0)
PRUNE = vidx.EmbedOptions(workers=0, prune=True)


@pytest.fixture
def videos(library: Path, embedded: Path, tmp_path: Path) -> Path:
    """A copy of the library, embedded in `embedded` beside the library itself."""
    folder = shutil.copytree(library, tmp_path / "videos")
    with vidx.open(embedded) as collection:
        assert collection.embed(folder, QUICK).duplicate == 5
        collection.remove(library)
    return folder


@pytest.fixture
def collection(videos: Path, embedded: Path) -> vidx.Collection:
    return vidx.open(embedded)


def paths(collection: vidx.Collection) -> list[str]:
    """All locations."""
    return sorted(path for row in collection.videos()["locations"].to_pylist() for path in row)


def failed(collection: vidx.Collection) -> list[str]:
    return collection.failures()["path"].to_pylist()


def gone(collection: vidx.Collection, where: object) -> list[str]:
    """What a dry run calls gone."""
    findings = collection.survey(where, QUICK)
    return [one.source.path for one in findings if one.status is vidx.FileStatus.GONE]


def test_files_that_vanished_are_told_and_stay_until_they_are_pruned(collection, videos) -> None:
    before = paths(collection)
    for name in ("bowl.mp4", "Dance.MKV", "broken.mp4"):
        (videos / name).unlink()
    vanished = [str(videos / name) for name in ("Dance.MKV", "bowl.mp4", "broken.mp4")]
    assert gone(collection, videos) == vanished
    report = collection.embed(videos, QUICK)
    assert (report.num_files, report.unchanged, report.gone) == (3, 3, 3)
    assert (report.commit, report.removal) == (None, None)
    assert paths(collection) == before

    report = collection.embed(videos, PRUNE)
    assert (report.gone, report.removal) == (3, report.commit)
    assert paths(collection) == sorted(set(before) - set(vanished))
    assert collection.videos().num_rows == 3, "bowl.mp4 has a copy, Dance.MKV had none"
    assert failed(collection) == []
    assert collection.verify() == []
    assert collection.embed(videos, PRUNE).gone == 0

    collection.restore(report.removal)
    assert paths(collection) == before


def test_a_moved_file_is_not_gone(collection, videos) -> None:
    (videos / "bowl.mp4").rename(videos / "sub/away.mp4")
    assert gone(collection, videos) == []
    report = collection.embed(videos, PRUNE)
    assert (report.moved, report.gone) == (1, 0)


def test_a_renamed_folder_embeds_nothing_and_tells_each_failure_once(collection, videos) -> None:
    shutil.copy(videos / "broken.mp4", videos / "sub/broken too.mp4")
    assert collection.embed(videos, QUICK).failed == 1
    new = videos.rename(videos.with_name("renamed"))
    assert gone(collection, new.parent) == []
    report = collection.embed(new, QUICK)
    assert (report.moved, report.failed, report.num_clips, report.gone) == (5, 2, 0, 0)
    assert failed(collection) == [str(new / "broken.mp4"), str(new / "sub/broken too.mp4")]
    assert all(path.startswith(f"{new}/") for path in paths(collection))
    assert collection.embed(new, QUICK).failed_before == 2


def test_a_failure_goes_when_its_content_is_embedded_elsewhere(
    collection, videos, make_video, monkeypatch
) -> None:
    from vidx.embedder import here
    from vidx.records import Problem

    new = make_video(videos / "new.mp4", seed=9, seconds=1.0)
    with monkeypatch.context() as patched:
        problem = Problem("decode_crashed", "?")
        patched.setattr(here, "embed_videos", lambda _, jobs, **__: ((j, problem) for j in jobs))
        assert collection.embed(videos, QUICK).failed == 1
    assert str(new) in failed(collection)
    new.rename(videos / "newer.mp4")
    assert collection.embed(videos, QUICK).embedded == 1
    assert failed(collection) == [str(videos / "broken.mp4")]


def test_a_partial_video_that_moved_and_fails_keeps_its_clips_where_it_is_now(
    collection, videos, make_video, cut_short, monkeypatch
) -> None:
    from vidx.embedder import here
    from vidx.records import Problem

    short = cut_short(make_video(videos / "cut.mkv", seed=8, seconds=6.0))
    assert collection.embed(videos, QUICK).partial == 1
    clips = collection.info().num_clips
    new = short.rename(videos / "moved.mkv")
    with monkeypatch.context() as patched:
        problem = Problem("decode_crashed", "?")
        patched.setattr(here, "embed_videos", lambda _, jobs, **__: ((j, problem) for j in jobs))
        options = vidx.EmbedOptions(workers=0, retry_failed=True, prune=True)
        report = collection.embed(videos, options)
    assert (report.failed, report.gone) == (2, 0)
    assert collection.info().num_clips == clips
    assert str(new) in paths(collection)
    assert str(short) not in paths(collection)


def test_only_what_lies_in_the_places_of_a_run_can_be_gone(collection, videos) -> None:
    for name in ("bowl.mp4", "sub/bowl.mp4"):
        (videos / name).unlink()
    assert gone(collection, videos / "Dance.MKV") == [], "a file that is named"
    assert gone(collection, videos / "sub") == [str(videos / "sub/bowl.mp4")]
    assert gone(collection, f"{videos}/*.[mM]*") == [str(videos / "bowl.mp4")]
    assert gone(collection, f"{videos}/**/b*") == [
        str(videos / "bowl.mp4"), str(videos / "sub/bowl.mp4")
    ]  # fmt: skip
    assert gone(collection, f"{videos}/s*") == [str(videos / "sub/bowl.mp4")]


def test_a_run_with_a_limit_calls_nothing_gone_and_does_not_prune(collection, videos) -> None:
    (videos / "bowl.mp4").unlink()
    assert collection.embed(videos, vidx.EmbedOptions(workers=0, limit=2)).gone == 0
    with pytest.raises(vidx.UsageError, match="cannot tell which are gone"):
        vidx.EmbedOptions(prune=True, limit=2)


def test_a_folder_that_cannot_be_listed_hides_no_file_from_the_collection(
    collection, videos, monkeypatch
) -> None:
    before = paths(collection)
    list_folder = os.scandir
    hidden = str(videos / "sub")

    def refuse(folder: Path) -> object:
        if str(folder) == hidden:
            raise PermissionError(13, "Permission denied")
        return list_folder(folder)

    (videos / "sub/bowl.mp4").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        report = collection.embed(videos, PRUNE)
    assert (report.gone, report.failed) == (0, 1)
    assert paths(collection) == before
    report = collection.embed(videos, PRUNE)
    assert report.gone == 2, "the video, and what was said of the folder"
    assert failed(collection) == [str(videos / "broken.mp4")]


def test_a_path_that_cannot_be_looked_at_is_neither_gone_nor_moved(
    collection, videos, monkeypatch
) -> None:
    """As when a mount is away: its files may be there."""
    look = os.stat
    (videos / "bowl.mp4").rename(videos / "other.mp4")

    def refuse(path: object, **options: object) -> os.stat_result:
        if str(path) == str(videos / "bowl.mp4"):
            raise PermissionError(13, "Permission denied")
        return look(path, **options)

    monkeypatch.setattr(os, "stat", refuse)
    report = collection.embed(videos, PRUNE)
    assert (report.moved, report.duplicate, report.gone) == (0, 1, 0)


def test_an_empty_folder_prunes_nothing(collection, videos) -> None:
    """It may be a disk that is not mounted."""
    before = paths(collection)
    shutil.rmtree(videos)
    videos.mkdir()
    with pytest.raises(vidx.VidxError, match=r"no video files in .*\n`vidx remove`"):
        collection.embed(videos, PRUNE)
    assert paths(collection) == before


LOOK = """
import os, sys
from vidx.collection import open_collection
videos, collection = sys.argv[1:]
opened = []
sys.addaudithook(lambda event, values: event == "open" and opened.append(str(values[0])))
report = open_collection(collection).embed(videos)
assert (report.num_files, report.unchanged, report.failed_before) == (6, 5, 1), report
print(*(path for path in opened if path.startswith(videos)))
print(*({"torch"} & set(sys.modules)))
"""


def test_a_library_without_changes_is_not_read_and_needs_no_model(videos, embedded) -> None:
    command = [sys.executable, "-c", LOOK, videos, embedded]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "\n\n"


def test_a_failure_under_another_plan_hides_nothing_that_is_there_as_asked(
    collection, videos
) -> None:
    path = videos / "bowl.mp4"
    status = path.stat()
    source = Source(str(path), status.st_size, str(status.st_mtime_ns))
    crashed = Failed(source, None, Problem("decode_crashed", "as a run with another stride ended"))
    with collection._writer(None) as writer:
        writer.commit(Batch(failed=[crashed]), {})
    assert str(path) in failed(collection)
    assert collection.embed(path, QUICK).unchanged == 1
    assert str(path) not in failed(collection)


def test_what_has_failed_in_a_folder_of_any_name_can_be_pruned(collection, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"N\xff")
    folder.mkdir()
    for name in ("x.mp4", "y.mp4"):
        (folder / name).write_bytes(name.encode() * 100)
    assert collection.embed(folder, QUICK).failed == 2
    (folder / "x.mp4").unlink()
    assert collection.embed(folder, PRUNE).gone == 1
    assert [path[-5:] for path in failed(collection) if "broken" not in path] == ["y.mp4"]
