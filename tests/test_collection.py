"""The front door from Python: what comes back, what changes, and what never mixes."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from stored_clips import stored_clips

import vidx


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine similarity of two vectors."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 8, "workers": 0},
        {"batch_size": 1, "workers": 2},
        {"batch_size": 8, "workers": 1},
    ],
)
def test_vectors_do_not_depend_on_batches_workers_or_order(
    options, library, tiny_checkpoint, tmp_path, embedded_once
) -> None:
    expected = stored_clips(embedded_once)
    collection = vidx.open(tmp_path / "new", create=True)
    files = [path for path in library.rglob("*") if path.suffix.lower() in (".mp4", ".mkv", ".avi")]
    for path in sorted(files, reverse=True):  # one run each, the other way round
        collection.embed(path, vidx.EmbedOptions(model=tiny_checkpoint, **options))
    found = stored_clips(tmp_path / "new")
    assert found.keys() == expected.keys()
    for key, (vector, _) in found.items():
        assert cosine(vector, expected[key].vector) >= 0.99999


def test_a_collection_is_a_context_manager_and_lists_what_it_holds(embedded, library) -> None:
    with vidx.open(embedded) as collection:
        ids, vectors = collection.vectors()
        clips = collection.clips()
        assert ids.dtype == np.int64
        assert vectors.dtype == np.float32
        assert vectors.shape == (clips.num_rows, collection.info().space.dim)
        assert clips.column("clip_id").to_pylist() == ids.tolist()
        assert collection.videos().num_rows == 4
        assert collection.failures().num_rows == 1
        info = collection.info()
        assert (info.num_videos, info.num_locations, info.num_clips) == (4, 5, len(ids))
        assert info.num_indexed_clips == len(ids)
        assert collection.verify() == []


def test_info_tells_what_made_the_vectors_of_two_precisions_in_one_space(
    embedded, library, make_video, tmp_path
) -> None:
    collection = vidx.open(embedded)
    before = collection.info()
    collection.embed(
        make_video(tmp_path / "new.mp4", seed=8), vidx.EmbedOptions(dtype="bfloat16", workers=0)
    )
    info = collection.info()
    assert info.space == before.space
    assert info.origins[:1] == before.origins
    assert [origin.provenance["dtype"] for origin in info.origins] == ["float32", "bfloat16"]
    assert sum(origin.num_shards for origin in info.origins) == info.num_shards
    assert sum(origin.num_clips for origin in info.origins) == info.num_clips
    hits = collection.search(tmp_path / "new.mp4", k=1, options=vidx.SearchOptions(dtype="float32"))
    assert hits[0].path == str(tmp_path / "new.mp4")
    assert hits[0].score >= 0.9999


def test_info_tells_the_same_after_a_rebuild(embedded) -> None:
    collection = vidx.open(embedded)
    before = collection.info()
    for part in embedded.glob("catalogue.sqlite*"):
        part.unlink()
    collection.rebuild()
    assert collection.info().origins == before.origins


def test_clip_times_cover_the_video_and_end_with_it(embedded, library) -> None:
    clips = vidx.open(embedded).clips().to_pylist()
    times = [
        (round(clip["start_seconds"], 3), round(clip["end_seconds"], 3))
        for clip in clips
        if clip["path"] == str(library / "bowl.mp4")
    ]
    assert times == [(0.0, 2.133), (2.133, 4.267), (2.867, 5.0)]


def test_what_is_passed_over_is_in_the_report_and_can_be_taken(
    make_video, tiny_checkpoint, tmp_path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for seed, name in enumerate(["a.mp4", "b.MP", "c.LRV"]):
        make_video(folder / name, seed=seed, seconds=1.0, format="mp4")
    options = vidx.EmbedOptions(model=tiny_checkpoint, workers=0)
    any_ending = dataclasses.replace(options, any_ending=True)
    with vidx.open(tmp_path / "new", create=True) as collection:
        report = collection.embed(folder, options)
        others = (str(folder / "b.MP"), str(folder / "c.LRV"))
        assert (report.embedded, report.num_files) == (1, 1)
        assert (report.passed_over.paths, report.num_passed_over) == (others, 2)
        statuses = {one.source.path: one.status for one in collection.survey(folder, options)}
        assert statuses == {
            str(folder / "a.mp4"): vidx.FileStatus.UNCHANGED,
            **dict.fromkeys(others, vidx.FileStatus.PASSED_OVER),
        }
        named = collection.embed([folder, others[0]], options)
        assert (named.embedded, named.passed_over.paths) == (1, others[1:])
        rest = collection.embed(folder, any_ending)
        assert (rest.embedded, rest.unchanged, rest.num_passed_over) == (1, 2, 0)
        limited = dataclasses.replace(any_ending, limit=2)
        assert [one.source.path for one in collection.survey(folder, limited)] == [
            str(folder / "a.mp4"),
            others[0],
        ]


def test_many_endings_are_told_by_the_first_ones() -> None:
    paths = tuple(f"/a/{number}.{number:03}" for number in range(90))
    shown = ", ".join(f".{number:03}" for number in range(10))
    assert f"90 files that hold video under other endings ({shown}, 80 more);" in str(
        vidx.PassedOver(paths)
    )


def test_searching_by_id_needs_no_model_and_finds_the_clip_itself(embedded) -> None:
    shutil.rmtree(embedded / "staging")
    collection = vidx.open(embedded)
    [hit] = collection.search_by_id(np.int64(2), k=1)
    assert (hit.clip_id, hit.rank) == (2, 1)
    assert hit.score == pytest.approx(1.0, abs=1e-6)
    assert (hit.query_start_seconds, hit.query_end_seconds) == (hit.start_seconds, hit.end_seconds)


def test_a_span_is_searched_for_by_itself(embedded, library) -> None:
    collection = vidx.open(embedded)
    [hit] = collection.search(
        library / "bowl.mp4", k=1, options=vidx.SearchOptions(start_seconds=2.8667, end_seconds=5.0)
    )
    assert hit.start_seconds == pytest.approx(2.867, abs=0.001)
    assert hit.query_start_seconds == pytest.approx(2.8667)
    assert hit.score >= 0.999


def test_a_damaged_query_finds_by_what_is_left_and_says_so_in_hits_and_log(
    embedded, library, make_video, cut_short, tmp_path, caplog
) -> None:
    query = cut_short(make_video(tmp_path / "query.mkv", seed=1, seconds=10.0))
    collection = vidx.open(embedded)
    with caplog.at_level(logging.WARNING, "vidx"):
        hits = collection.search(query, k=3)
    problem = hits[0].query_problem
    assert problem is not None
    assert problem.reason == "truncated"
    assert {hit.query_problem for hit in hits} == {problem}
    assert hits[0].path == str(library / "bowl.mp4")
    [told] = caplog.messages
    assert told.startswith(f"{str(query)!r} is damaged and was searched for in part: truncated: ")

    caplog.clear()
    with caplog.at_level(logging.WARNING, "vidx"):
        whole = collection.search(library / "bowl.mp4", k=3)
        [stored] = collection.search_by_id(hits[0].clip_id, k=1)
    assert {hit.query_problem for hit in (*whole, stored)} == {None}
    assert caplog.messages == []


def test_hits_by_video_name_each_video_once(embedded) -> None:
    hits = vidx.open(embedded).search_by_id(0, k=10, options=vidx.SearchOptions(by="video"))
    assert len({hit.video_id for hit in hits}) == len(hits) == 4


def test_exclude_self_leaves_out_the_content_under_every_path(embedded, library, tmp_path) -> None:
    elsewhere = shutil.copy(library / "bowl.mp4", tmp_path / "renamed.bin")
    hits = vidx.open(embedded).search(
        elsewhere, k=50, options=vidx.SearchOptions(exclude_self=True)
    )
    assert hits
    assert not any("bowl.mp4" in hit.path and "sub" not in hit.path for hit in hits)


def test_filters_give_k_hits_when_k_exist(embedded, library) -> None:
    collection = vidx.open(embedded)
    all_clips = collection.clips().to_pylist()
    for glob in ("sub/*", str(library / "*.MKV"), "*copy of*"):
        hits = collection.search_by_id(0, k=3, options=vidx.SearchOptions(path_glob=glob))
        assert hits
        expected = {
            clip["clip_id"]
            for clip in all_clips
            if any(_matches(glob, library, Path(path)) for path in _places(collection, clip))
        }
        assert {hit.clip_id for hit in hits} <= expected
        assert len(hits) == min(3, len(expected))


def _places(collection: vidx.Collection, clip: dict[str, object]) -> list[str]:
    videos = {video["video_id"]: video for video in collection.videos().to_pylist()}
    return videos[clip["video_id"]]["locations"]


def _matches(glob: str, library: Path, path: Path) -> bool:
    inside = path.relative_to(library)
    return {
        "sub/*": inside.parts[0] == "sub",
        "*copy of*": "copy of" in path.name,
    }.get(glob, path.suffix == ".MKV")


def test_equal_names_in_different_folders_are_different_videos(embedded, library) -> None:
    videos = vidx.open(embedded).videos().to_pylist()
    paths = [video["path"] for video in videos]
    assert str(library / "bowl.mp4") in paths
    assert str(library / "sub/bowl.mp4") in paths


def test_moved_touched_and_changed_files(
    make_video: Callable[..., Path], tiny_checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        make_video(folder / f"{name}.mp4", seed=seed, seconds=2.5)
    collection = vidx.open(tmp_path / "new", create=True)
    collection.embed(folder, vidx.EmbedOptions(model=tiny_checkpoint))
    ids = collection.vectors()[0].tolist()

    (folder / "a.mp4").rename(folder / "moved.mp4")
    os.utime(folder / "b.mp4")
    make_video(folder / "c.mp4", seed=4, seconds=2.5)
    report = collection.embed(folder)
    assert (report.moved, report.unchanged, report.embedded) == (1, 1, 1)
    paths = sorted(collection.videos().column("path").to_pylist())
    assert paths == [str(folder / name) for name in ("b.mp4", "c.mp4", "moved.mp4")]
    now = collection.vectors()[0].tolist()
    assert len(now) == len(ids)
    assert max(now) == max(ids) + 2  # the changed file's clips are new, and its old ones are gone
    assert collection.verify() == []
    assert collection.embed(folder).unchanged == 3


def test_a_file_that_broke_keeps_no_vectors_of_what_it_held(
    make_video, tiny_checkpoint, tmp_path
) -> None:
    video = make_video(tmp_path / "a.mp4", seed=1)
    collection = vidx.open(tmp_path / "new", create=True)
    collection.embed(video, vidx.EmbedOptions(model=tiny_checkpoint))
    video.write_bytes(b"broken" * 99)
    assert collection.embed(video).failed == 1
    assert collection.videos().num_rows == 0
    make_video(video, seed=1)
    assert collection.embed(video).embedded == 1
    assert collection.failures().num_rows == 0
    assert collection.verify() == []


def test_another_stride_cuts_the_videos_anew(embedded, library) -> None:
    collection = vidx.open(embedded)
    before = collection.info().num_clips
    report = collection.embed(library / "bowl.mp4", vidx.EmbedOptions(stride_seconds=1.0))
    assert report.embedded == 1
    clips = [c for c in collection.clips().to_pylist() if c["path"] == str(library / "bowl.mp4")]
    assert [round(clip["start_seconds"], 3) for clip in clips] == [0.0, 1.0, 2.0, 2.867]
    assert collection.info().num_clips == before + 1
    assert collection.verify() == []


@pytest.fixture
def in_part(make_video, tiny_checkpoint, tmp_path) -> vidx.Collection:
    """A collection of a video that was cut short, at two paths, and of a whole one after it."""
    folder = tmp_path / "videos"
    folder.mkdir()
    video = make_video(folder / "a.mkv", seed=1, seconds=8.0)
    video.write_bytes(video.read_bytes()[: video.stat().st_size * 5 // 8])
    shutil.copy(video, folder / "copy of a.mkv")
    make_video(folder / "whole.mp4", seed=2)
    collection = vidx.open(tmp_path / "new", create=True)
    report = collection.embed(folder, vidx.EmbedOptions(model=tiny_checkpoint, workers=1))
    assert (report.partial, report.duplicate, report.embedded) == (1, 1, 1)
    return collection


def clips_at(collection: vidx.Collection, path: Path) -> dict[tuple[float, float], int]:
    """The ids of a video's clips, by their times."""
    return {
        (clip["start_seconds"], clip["end_seconds"]): clip["clip_id"]
        for clip in collection.clips().to_pylist()
        if clip["path"] == str(path)
    }


RETRY = vidx.EmbedOptions(retry_failed=True, workers=1)


def test_a_partial_video_that_is_tried_again_loses_no_clip_and_no_id_comes_back(
    in_part, tmp_path
) -> None:
    folder = tmp_path / "videos"
    videos, before = in_part.videos(), clips_at(in_part, folder / "a.mkv")
    ids, vectors = in_part.vectors()
    report = in_part.embed(folder)
    assert (report.unchanged, report.commit) == (3, None)

    report = in_part.embed(folder, RETRY)
    assert (report.partial, report.duplicate, report.unchanged) == (1, 1, 1)
    assert (report.num_clips, report.commit) == (len(before), 2)
    after = clips_at(in_part, folder / "a.mkv")
    assert after.keys() == before.keys()
    assert min(after.values()) > max(ids)
    assert in_part.videos() == videos, "its two paths and why it is not whole are as before"
    now = dict(zip(*in_part.vectors(), strict=True))
    of_old = dict(zip(ids, vectors, strict=True))
    assert len(now) == len(of_old)
    for span, clip_id in after.items():
        assert cosine(now[clip_id], of_old[before[span]]) >= 0.99999
    assert in_part.verify() == []
    assert in_part.search(folder / "a.mkv", k=1)[0].clip_id in after.values()


@pytest.mark.parametrize(
    "options",
    [
        {"workers": 1},
        {"workers": 0, "batch_size": 1},  # the copy is come upon when the video is done
        {"workers": 0, "batch_size": 1, "commit": vidx.CommitPolicy(num_clips=1)},  # committed, too
    ],
)
def test_a_partial_video_that_was_moved_is_known_by_its_new_path_alone_when_tried_again(
    in_part, tmp_path, options
) -> None:
    folder = tmp_path / "videos"
    for name in ("a.mkv", "copy of a.mkv"):
        (folder / name).rename(folder / f"moved {name}")
    report = in_part.embed(folder, vidx.EmbedOptions(retry_failed=True, **options))
    assert (report.partial, report.duplicate, report.unchanged) == (1, 1, 1)
    first, last = in_part.videos().to_pylist()
    assert first["locations"] == [str(folder / "moved a.mkv"), str(folder / "moved copy of a.mkv")]
    assert last["status"] == "whole"
    assert in_part.verify() == []


def test_what_a_second_look_finds_replaces_what_the_first_found(in_part, tmp_path) -> None:
    """As when a vidx that could decode less had embedded it."""
    from dataclasses import replace

    from made_collections import draw_video

    from vidx.embedder.decoding.sampling import Plan, Sampling
    from vidx.records import Problem, Source
    from vidx.store.writer import Batch, open_writer

    whole, space = tmp_path / "videos/whole.mp4", in_part.info().space
    [video] = (one for one in in_part.videos().to_pylist() if one["path"] == str(whole))
    before = clips_at(in_part, whole)
    status = whole.stat()
    problem = Problem("decode_error", "1 of 2 clips damaged")
    with open_writer(in_part._layout) as writer:
        seen = draw_video(
            "x", 1, dim=space.dim, labels=space.labels, problem=problem, notes=("Old.",)
        )
        place = Source(str(whole), status.st_size, str(status.st_mtime_ns))
        plan = Plan().digest(Sampling(space.num_frames, space.fps))
        old = replace(seen, video_id=video["video_id"], plan=plan, sources=[place])
        writer.commit(Batch(videos=[old]), {})
    assert len(clips_at(in_part, whole)) == 1
    assert in_part.info().num_partial == 2

    report = in_part.embed(whole, RETRY)
    assert (report.embedded, report.partial) == (1, 0)
    assert clips_at(in_part, whole).keys() == before.keys()
    told = in_part.videos()
    assert video in told.to_pylist(), "all that was told of it before, too"
    for part in in_part.path.glob("catalogue.sqlite*"):
        part.unlink()
    in_part.close()
    in_part.rebuild()
    assert in_part.videos() == told
    assert in_part.verify() == []


def test_a_second_look_that_finds_nothing_leaves_what_the_first_found(
    in_part, tmp_path, monkeypatch
) -> None:
    from vidx.embedder import pipeline
    from vidx.embedder.decoding import pool

    folder = tmp_path / "videos"
    videos, before = in_part.videos(), in_part.clips()
    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "Limits", lambda: pool.Limits(memory_bytes=0))
        report = in_part.embed(folder, RETRY)
    assert (report.failed, report.partial, report.unchanged) == (2, 0, 1)
    assert (in_part.videos(), in_part.clips()) == (videos, before)
    assert in_part.failures().num_rows == 2
    assert in_part.embed(folder).failed_before == 2
    report = in_part.embed(folder, RETRY)
    assert (report.partial, report.duplicate, report.failed) == (1, 1, 0)
    assert in_part.failures().num_rows == 0
    assert in_part.verify() == []


def test_vectors_that_are_not_finite_are_a_failure(make_video, make_checkpoint, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    model = make_checkpoint(tmp_path / "model")
    tensors = load_file(model / "model.safetensors")
    name = next(name for name in tensors if name.endswith("layer.1.output.dense.bias"))
    tensors[name][0] = float("inf")
    save_file(tensors, model / "model.safetensors", {"format": "pt"})
    collection = vidx.open(tmp_path / "new", create=True)
    report = collection.embed(make_video(tmp_path / "a.mp4"), vidx.EmbedOptions(model=model))
    assert report.failed == 1
    assert collection.failures().column("reason").to_pylist() == ["non_finite"]
    assert collection.info().num_clips == 0


def test_a_path_that_is_not_utf8_is_a_failure_shown_escaped(
    make_video, tiny_checkpoint, tmp_path
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    make_video(tmp_path / "a.mp4").rename(os.fsdecode(os.fsencode(folder) + b"/\xff.mp4"))
    make_video(folder / "good.mp4")
    collection = vidx.open(tmp_path / "new", create=True)
    report = collection.embed(folder, vidx.EmbedOptions(model=tiny_checkpoint))
    assert (report.embedded, report.failed) == (1, 1)
    [failure] = collection.failures().to_pylist()
    assert failure["reason"] == "path_not_utf8"
    assert failure["path"] == f"{folder}/\\xff.mp4"
    assert collection.embed(folder).failed_before == 1


@pytest.mark.long
def test_a_searcher_is_right_all_the_time_while_another_process_embeds(
    make_video, embedded, library, tiny_checkpoint, tmp_path
) -> None:
    for seed in range(10, 22):
        make_video(tmp_path / f"{seed}.mp4", seed=seed, seconds=3.0)
    code = (
        "import sys, vidx\n"
        "options = vidx.EmbedOptions(workers=1, commit=vidx.CommitPolicy(seconds=0.05))\n"
        "vidx.open(sys.argv[1]).embed(sys.argv[2:], options)"
    )
    files = [str(tmp_path / f"{seed}.mp4") for seed in range(10, 22)]
    writer = subprocess.Popen([sys.executable, "-c", code, str(embedded), *files])
    collection = vidx.open(embedded)
    seen = []
    refused = 0
    while writer.poll() is None:
        hits = collection.search_by_id(0, k=1000)
        seen.append(len(hits))
        assert hits[0].clip_id == 0
        assert len({hit.clip_id for hit in hits}) == len(hits)
        if (embedded / "writer.json").exists():
            try:
                vidx.open(embedded).remove(library / "bowl.mp4")
            except vidx.CollectionLocked as error:
                refused += 1
                # The note of a writer goes just before its lock.
                assert str(writer.pid) in str(error) or not (embedded / "writer.json").exists()
            else:
                collection.embed(library / "bowl.mp4")  # the writer had just ended
    assert writer.returncode == 0
    assert refused
    assert seen == sorted(seen)
    assert (
        len(collection.search_by_id(0, k=1000))
        == collection.info().num_clips
        == collection.info().num_indexed_clips
    )


def test_lost_parts_are_named_and_mended_and_ids_stay(embedded, library, tmp_path) -> None:
    collection = vidx.open(embedded)
    ids = collection.vectors()[0].tolist()
    hits = collection.search_by_id(0, k=50)
    told = collection.videos(), collection.failures()
    backup = shutil.copytree(embedded, tmp_path / "backup")

    shutil.rmtree(embedded / "index")
    assert collection.search_by_id(0, k=50) == hits  # complete without an index
    collection.rebuild()
    assert collection.verify() == []

    for part in embedded.glob("catalogue.sqlite*"):
        part.unlink()
    assert any("catalogue" in finding for finding in collection.verify())
    with pytest.raises(vidx.CollectionDamaged, match="rebuild"):
        collection.search_by_id(0)
    with pytest.raises(vidx.CollectionDamaged, match="rebuild"):
        collection.embed(library)
    assert collection.rebuild().lost == ()
    assert collection.verify() == []
    assert (collection.videos(), collection.failures()) == told
    assert collection.vectors()[0].tolist() == ids
    assert [hit.clip_id for hit in collection.search_by_id(0, k=50)] == [
        hit.clip_id for hit in hits
    ]

    # An older backup of the catalogue does not know the shard of a later run.
    collection.embed(library / "notes.txt")
    later = shutil.copy(library / "sub/bowl.mp4", tmp_path / "later.mp4")
    with Path(later).open("ab") as file:
        file.write(b"\0" * 8)  # another content
    collection.embed(later)
    clips = collection.info().num_clips
    for part in embedded.glob("catalogue.sqlite*"):
        part.unlink()
    shutil.copy(backup / "catalogue.sqlite", embedded / "catalogue.sqlite")
    assert any("does not know" in finding for finding in collection.verify())
    collection.rebuild()
    assert collection.verify() == []
    assert collection.info().num_clips == clips


def test_a_restored_removal_gives_the_same_hits_as_before(embedded, library) -> None:
    collection = vidx.open(embedded)
    query = library / "bowl.mp4"
    before, videos = collection.search(query, k=50), collection.videos()
    removed = collection.remove(library / "sub")
    assert (len(removed.paths), removed.num_videos) == (3, 2)
    less = collection.search(query, k=50)
    assert {hit.video_id for hit in less} < {hit.video_id for hit in before}
    assert all("/sub/" not in path for hit in less for path in hit.locations)

    restored = collection.restore(removed.commit)
    assert (restored.restored, restored.num_videos) == (removed.commit, 2)
    assert collection.search(query, k=50) == before
    assert collection.videos() == videos
    assert collection.verify() == []
    report = collection.embed(library)
    assert (report.unchanged, report.commit) == (5, None), "nothing is embedded anew"
    with pytest.raises(vidx.UsageError, match="nothing that can be brought back"):
        collection.restore(removed.commit)


def test_a_path_that_was_removed_before_the_last_one_brings_the_video_back(
    embedded, library
) -> None:
    collection = vidx.open(embedded)
    before = collection.clips().num_rows
    [copy] = library.rglob("copy of bowl.mp4")
    earlier = collection.remove(copy)
    later = collection.remove(library / "bowl.mp4")
    assert (earlier.num_videos, later.num_videos) == (0, 1)
    assert collection.restore(earlier.commit).num_videos == 1
    assert collection.clips().num_rows == before
    assert str(copy) in collection.videos()["path"].to_pylist()
    assert collection.restore(later.commit).num_videos == 0
    assert collection.verify() == []


def test_a_path_that_holds_something_else_since_is_not_restored(
    embedded, library, make_video, tmp_path
) -> None:
    collection = vidx.open(embedded)
    video = make_video(tmp_path / "a.mp4", seed=40)
    collection.embed(video)
    removal = collection.remove(video).commit
    make_video(video, seed=41)
    collection.embed(video)
    paths = collection.videos().column("path").to_pylist()
    assert collection.restore(removal).num_videos == 0
    assert collection.videos().column("path").to_pylist() == paths
    assert collection.search(video, k=1)[0].score >= 0.999
    assert collection.verify() == []


def test_compacting_keeps_hits_and_ids_and_ends_what_can_be_restored(
    embedded, library, make_video, tmp_path
) -> None:
    collection = vidx.open(embedded)
    collection.embed(make_video(tmp_path / "later.mp4", seed=42))
    removal = collection.remove(library / "Dance.MKV").commit
    query = library / "bowl.mp4"
    before = collection.search(query, k=50)
    ids, vectors = collection.vectors()
    bytes_before = sum(path.stat().st_size for path in (embedded / "shards").iterdir())

    report = collection.compact()
    assert (report.num_clips, report.num_shards_before, report.num_shards_after) == (2, 2, 1)
    assert sum(path.stat().st_size for path in (embedded / "shards").iterdir()) < bytes_before
    assert collection.search(query, k=50) == before
    assert vidx.open(embedded).search(query, k=50) == before
    assert collection.vectors()[0].tolist() == ids.tolist()
    assert np.array_equal(collection.vectors()[1], vectors)
    assert collection.verify() == []
    with pytest.raises(vidx.UsageError, match="compacted"):
        collection.restore(removal)
    assert collection.compact().num_clips == 0
    assert collection.embed(library).embedded == 1, "what was dropped is taken in again"
    assert collection.vectors()[0].max() > ids.max()


def test_a_compact_that_was_killed_before_its_index_is_finished_by_the_next(
    embedded, library, monkeypatch
) -> None:
    from vidx import views

    collection = vidx.open(embedded)
    collection.remove(library / "Dance.MKV")
    before = collection.search(library / "bowl.mp4", k=50)

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(views, "build_index", killed)
        collection.compact()
    assert vidx.open(embedded).search(library / "bowl.mp4", k=50) == before
    collection.compact()
    assert vidx.open(embedded).search(library / "bowl.mp4", k=50) == before
    assert collection.verify() == []
    assert collection.info().num_indexed_clips == collection.info().num_clips


def test_each_change_is_a_commit_that_its_report_names(embedded, library) -> None:
    collection = vidx.open(embedded)
    reports = [collection.remove(library / "sub")]
    reports.append(collection.restore(reports[0].commit))
    reports.append(collection.embed(library, vidx.EmbedOptions(retry_failed=True)))
    told = collection.commits()
    assert told.column("number").to_pylist() == [4, 3, 2, 1]
    assert told.column("verb").to_pylist() == ["embed", "restore", "remove", "embed"]
    assert [report.commit for report in reports] == [2, 3, 4]
    assert collection.commits(limit=1) == told.slice(0, 1)
    assert collection.compact().commit == collection.rebuild().commit == 4, "nothing to do"


def test_pieces_are_the_whole_in_order_and_a_limit_is_its_beginning(embedded) -> None:
    collection = vidx.open(embedded)
    clips = collection.clips()
    assert pa.concat_tables(collection.iter_clips()) == clips
    ids, vectors = collection.vectors()
    pieces = list(collection.iter_vectors())
    assert np.array_equal(np.concatenate([some for some, _ in pieces]), ids)
    assert np.array_equal(np.concatenate([some for _, some in pieces]), vectors)
    for ask in (collection.clips, collection.videos, collection.failures, collection.commits):
        assert ask(limit=1) == ask().slice(0, 1)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_list_of_no_rows_is_refused(embedded, limit) -> None:
    collection = vidx.open(embedded)
    part = collection.where("clip_id >= 0")
    lists = (collection.clips, collection.videos, collection.failures, collection.commits)
    for ask in (*lists, part.clips, part.videos, part.outliers):
        with pytest.raises(vidx.UsageError, match=f"limit={limit}: it takes 1 or more"):
            ask(limit=limit)


def test_a_shard_of_another_collection_is_named_and_never_searched(
    embedded, library, tiny_checkpoint, make_video, tmp_path
) -> None:
    other = vidx.open(tmp_path / "other", create=True)
    other.embed(make_video(tmp_path / "x.mp4", seed=9), vidx.EmbedOptions(model=tiny_checkpoint))
    clips = vidx.open(embedded).info().num_clips
    stray = embedded / "shards" / f"clips-{clips:012d}.parquet"  # the very name of the next one
    shutil.copy(tmp_path / "other/shards/clips-000000000000.parquet", stray)
    collection = vidx.open(embedded)
    assert any("another collection" in finding for finding in collection.verify())
    assert len(collection.search_by_id(0, k=1000)) == clips
    report = collection.rebuild()
    assert any("another collection" in name for name in report.ignored)
    collection.embed(make_video(tmp_path / "y.mp4", seed=10))
    assert stray.exists()
    assert collection.search(tmp_path / "y.mp4", k=1)[0].path == str(tmp_path / "y.mp4")
    stray.unlink()
    assert collection.verify() == []


def test_collections_are_found_as_git_finds_its_folder(embedded, tmp_path, monkeypatch) -> None:
    shutil.move(embedded, tmp_path / "project/.vidx")
    (tmp_path / "project/deep/down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project/deep/down")
    assert vidx.open().path == tmp_path / "project/.vidx"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vidx.CollectionNotFound):
        vidx.open()
    monkeypatch.setenv("VIDX_COLLECTION", str(tmp_path / "project"))
    assert vidx.open().path == tmp_path / "project/.vidx"
    assert json.loads((vidx.open().path / "collection.json").read_text())["format_version"] == 1


@pytest.mark.long
def test_one_bad_video_does_not_hold_up_the_rest(
    make_video, tiny_checkpoint, tmp_path, monkeypatch
) -> None:
    """A decoder that hangs: a worker is stopped by a signal in the middle of a video."""
    import psutil

    from vidx.embedder import pipeline
    from vidx.embedder.decoding import pool

    monkeypatch.setattr(pipeline, "Limits", lambda: pool.Limits(deadline_seconds=1.5))
    folder = tmp_path / "videos"
    folder.mkdir()
    for seed in range(6):
        make_video(folder / f"{seed}.mp4", seed=seed, seconds=20.0, size=(320, 240))
    stopped: dict[str, psutil.Process] = {}

    def stop_one(_step: vidx.EmbedProgress) -> None:
        for worker in [] if stopped else psutil.Process().children():
            worker.suspend()
            decoding = [file.path for file in worker.open_files() if file.path.endswith(".mp4")]
            if decoding:  # an idle one, stopped, would prove nothing
                stopped[decoding[0]] = worker
                return
            worker.resume()

    started = time.monotonic()
    collection = vidx.open(tmp_path / "new", create=True)
    report = collection.embed(
        folder, vidx.EmbedOptions(model=tiny_checkpoint, workers=2), progress=stop_one
    )
    [(path, worker)] = stopped.items()
    assert (report.failed, report.embedded) == (1, 5)
    assert time.monotonic() - started < 60
    assert not worker.is_running()
    [failure] = collection.failures().to_pylist()
    assert (failure["path"], failure["reason"]) == (path, "decode_timeout")


def test_ids_are_not_given_out_again_when_catalogue_and_last_shard_are_lost(
    embedded, library, make_video, tmp_path
) -> None:
    collection = vidx.open(embedded)
    collection.embed(make_video(tmp_path / "last.mp4", seed=30))
    highest = collection.vectors()[0].max()
    max((embedded / "shards").iterdir()).unlink()
    for part in embedded.glob("catalogue.sqlite*"):
        part.unlink()
    collection.rebuild()
    collection.embed(make_video(tmp_path / "next.mp4", seed=31))
    assert collection.search(tmp_path / "next.mp4", k=1)[0].clip_id > highest
    assert collection.verify() == []


def test_two_classes_of_the_same_name_are_one_label(make_video, make_checkpoint, tmp_path) -> None:
    model = make_checkpoint(tmp_path / "model", labels=("run", "walk", "run", "sit", "walk"))
    collection = vidx.open(tmp_path / "new", create=True)
    assert (
        collection.embed(make_video(tmp_path / "a.mp4"), vidx.EmbedOptions(model=model)).embedded
        == 1
    )
    for clip in collection.clips().to_pylist():
        assert sorted(label["name"] for label in clip["labels"]) == ["run", "sit", "walk"]
        assert sum(label["score"] for label in clip["labels"]) == pytest.approx(1.0)


def test_files_of_others_in_the_folder_are_left_alone(
    make_video, tiny_checkpoint, tmp_path
) -> None:
    for name in ("staging/mine.txt", "index/notes.tmp", "shards/raw.parquet"):
        (tmp_path / "new" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "new" / name).write_text("mine")
    collection = vidx.open(tmp_path / "new", create=True)
    collection.embed(make_video(tmp_path / "a.mp4"), vidx.EmbedOptions(model=tiny_checkpoint))
    assert collection.verify() == []
    for name in ("staging/mine.txt", "index/notes.tmp", "shards/raw.parquet"):
        assert (tmp_path / "new" / name).read_text() == "mine"


def test_a_collection_made_anew_under_an_open_one_is_not_mixed(
    library, tiny_checkpoint, tmp_path
) -> None:
    collection = vidx.open(tmp_path / "new", create=True)
    collection.embed(library / "bowl.mp4", vidx.EmbedOptions(model=tiny_checkpoint))
    collection.search(library / "bowl.mp4")
    shutil.rmtree(tmp_path / "new")
    vidx.open(tmp_path / "new", create=True).embed(
        library / "bowl.mp4", vidx.EmbedOptions(model=tiny_checkpoint, fps=4.0)
    )
    assert collection.search(library / "bowl.mp4", k=1)[0].score >= 0.999
    assert collection.search(library / "bowl.mp4", k=1)[0].query_end_seconds == 4.0
    with pytest.raises(vidx.FingerprintMismatch):
        collection.embed(library / "sub", vidx.EmbedOptions(model=tiny_checkpoint, fps=7.5))


def test_search_is_complete_when_an_older_catalogue_is_put_back(
    embedded, library, tmp_path
) -> None:
    collection = vidx.open(embedded)
    before = collection.search_by_id(0, k=100)
    collection.info()
    shutil.copy(embedded / "catalogue.sqlite", tmp_path / "backup")
    collection.remove(library / "Dance.MKV")
    collection.rebuild()
    for part in embedded.glob("catalogue.sqlite*"):
        part.unlink()
    shutil.copy(tmp_path / "backup", embedded / "catalogue.sqlite")
    assert collection.search_by_id(0, k=100) == before
    collection.embed(library / "bowl.mp4")
    assert collection.verify() == []


def test_a_copy_of_an_own_shard_changes_nothing(embedded, library) -> None:
    collection = vidx.open(embedded)
    ids = collection.vectors()[0].tolist()
    [shard] = (embedded / "shards").iterdir()
    shutil.copy(shard, shard.with_name("clips-000000000500.parquet"))
    collection.embed(library / "bowl.mp4")
    assert collection.vectors()[0].tolist() == ids
    assert collection.verify() == [
        f"shard clips-000000000500.parquet: is a copy of {shard.name}; move it away"
    ]


def test_the_index_grows_with_every_commit_of_a_run(make_video, tiny_checkpoint, tmp_path) -> None:
    (tmp_path / "videos").mkdir()
    for seed in range(5):
        make_video(tmp_path / f"videos/{seed}.mp4", seed=seed, seconds=3.0)
    seen = []

    def look(_step: vidx.EmbedProgress) -> None:
        with vidx.open(tmp_path / "new") as other:
            info = other.info()
            seen.append(info.num_clips)
            assert (info.num_indexed_clips, info.num_newer_clips) == (info.num_clips, 0)

    options = vidx.EmbedOptions(
        model=tiny_checkpoint, workers=1, commit=vidx.CommitPolicy(num_clips=1)
    )
    with vidx.open(tmp_path / "new", create=True) as collection:
        collection.embed(tmp_path / "videos", options, progress=look)
    assert len(set(seen)) > 3, "committed while it ran"


def test_vectors_are_searched_for_as_clips_are(embedded) -> None:
    collection = vidx.open(embedded)
    ids, vectors = collection.vectors()
    for row in (0, len(ids) - 1):
        by_id = collection.search_by_id(int(ids[row]), k=50)
        by_vector = collection.search_by_vector(3 * vectors[row], k=50)
        assert [hit.clip_id for hit in by_vector] == [hit.clip_id for hit in by_id]
        assert [hit.score for hit in by_vector] == pytest.approx([hit.score for hit in by_id])
        assert by_vector[0].query_start_seconds is None
    both = collection.search_by_vector(vectors[:2].tolist(), k=2)
    assert {hit.clip_id for hit in both} == set(ids[:2].tolist())


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        (np.zeros(3), "of shape (3,)"),
        (np.zeros((0, 32)), "of shape (0, 32)"),
        ([[1.0, 2.0], [3.0]], "no numbers"),
        ("abc", "no numbers"),
    ],
)
def test_vectors_of_another_shape_are_refused(embedded, vectors, said) -> None:
    with pytest.raises(vidx.UsageError) as caught:
        vidx.open(embedded).search_by_vector(vectors)
    assert said in str(caught.value)


def test_vectors_that_are_not_finite_are_refused(embedded) -> None:
    collection = vidx.open(embedded)
    with pytest.raises(vidx.UsageError, match="infinite or undefined"):
        collection.search_by_vector(np.full(collection.info().space.dim, np.nan))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": -1}, "limit=-1: it takes 1 or more."),
        ({"num_frames": 0}, "num_frames=0: it takes 1 or more."),
        ({"batch_size": 0}, "batch_size=0: it takes 1 or more."),
        ({"workers": -1}, "workers=-1: it takes 0 or more."),
        ({"fps": 0}, "fps=0: it takes a number above 0."),
        ({"stride_seconds": float("nan")}, "stride_seconds=nan: it takes a number above 0."),
    ],
)
def test_options_of_embed_are_checked_when_they_are_made(options, said) -> None:
    with pytest.raises(vidx.UsageError) as caught:
        vidx.EmbedOptions(**options)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path_glob": ""}, "an empty pattern matches no path"),
        ({"by": "shot"}, "it is 'clip', 'video' or 'segment'"),
        ({"start_seconds": -1}, "start_seconds=-1: it takes 0 or more."),
        ({"end_seconds": 0}, "end_seconds=0: it takes a number above 0."),
    ],
)
def test_options_of_search_are_checked_when_they_are_made(options, said) -> None:
    with pytest.raises(vidx.UsageError) as caught:
        vidx.SearchOptions(**options)
    assert said in str(caught.value)


def test_no_labels_and_none_are_the_same(embedded) -> None:
    collection = vidx.open(embedded)
    none, empty = (vidx.SearchOptions(labels=labels) for labels in (None, ()))
    assert collection.search_by_id(0, options=none) == collection.search_by_id(0, options=empty)


def test_what_a_query_has_not_cannot_be_asked_of_it(embedded) -> None:
    collection = vidx.open(embedded)
    with pytest.raises(vidx.UsageError, match="A span is of a file"):
        collection.search_by_id(0, options=vidx.SearchOptions(end_seconds=1))
    with pytest.raises(vidx.UsageError, match="a vector has neither"):
        collection.search_by_vector([1.0] * 32, options=vidx.SearchOptions(exclude_self=True))
    with pytest.raises(vidx.UsageError, match="k=0"):
        collection.search_by_id(0, k=0)


def test_odd_arguments_get_an_answer(embedded) -> None:
    collection = vidx.open(embedded)
    clips = collection.info().num_clips
    assert len(collection.search_by_id(0, k=10**30)) == clips
    assert collection.search_by_id(
        0, options=vidx.SearchOptions(labels="archery")
    ) == collection.search_by_id(0, options=vidx.SearchOptions(labels=["archery"]))
    for clip_id in (-1, 10**30):
        with pytest.raises(vidx.UsageError, match="no clip"):
            collection.search_by_id(clip_id)
    with pytest.raises(vidx.UsageError, match="empty name"):
        vidx.open("")


def test_two_threads_make_two_collections(make_video, tiny_checkpoint, tmp_path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    video = make_video(tmp_path / "a.mp4")

    def make(number: int) -> int:
        collection = vidx.open(tmp_path / str(number), create=True)
        return collection.embed(video, vidx.EmbedOptions(model=tiny_checkpoint, workers=0)).embedded

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(make, range(4))) == [1, 1, 1, 1]
