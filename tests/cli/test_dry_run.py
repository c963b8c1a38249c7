"""`vidx embed --dry-run`: what a run would take, without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vidx import estimating
from vidx.embedder.decoding.sampling import Sampling
from vidx.embedder.probing import VideoFile, probe


@pytest.fixture(autouse=True)
def short_trial(monkeypatch) -> None:
    monkeypatch.setattr(estimating, "TRIAL_SECONDS", 0.2)


@pytest.fixture(scope="module")
def videos(tmp_path_factory, make_video) -> Path:
    """A folder of three videos, and one in a codec that nobody knows."""
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "a.mp4", seed=1, seconds=7.0)
    make_video(folder / "b.mkv", seed=2, seconds=4.5, codec="mpeg4")
    make_video(folder / "c.avi", seed=3, seconds=3.0, codec="mjpeg")
    odd = make_video(folder / "odd.mp4", seed=4, seconds=1.0)
    odd.write_bytes(odd.read_bytes().replace(b"avc1", b"zzz1"))
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    """All files but those that SQLite needs to read."""
    passing = {"catalogue.sqlite-shm", "catalogue.sqlite-wal"}
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in passing)
    return {path: path.read_bytes() for path in files}


def test_what_is_planned_is_what_a_run_then_does(vidx, videos, tiny_checkpoint, tmp_path) -> None:
    collection = tmp_path / "new"
    command = ("embed", videos, "--model", tiny_checkpoint, "--collection", collection, "--json")
    code, out, _ = vidx(*command, "--dry-run")
    planned = json.loads(out)
    estimate = planned["estimate"]
    assert (code, collection.exists()) == (0, False)
    done = json.loads(vidx(*command)[1])
    assert planned["embedded"] == done["embedded"] + done["failed"] == 4
    assert planned["num_clips"] == pytest.approx(done["num_clips"], abs=1)
    assert planned["video_seconds"] == pytest.approx(done["video_seconds"], rel=0.02)
    size = sum(map(len, contents(collection).values()))
    assert estimate["disk_bytes"] == pytest.approx(size, rel=0.2)
    assert planned["clips_per_second"] > 0
    seconds = planned["num_clips"] / planned["clips_per_second"]
    # It is told in whole milliseconds, of which there are few here.
    assert estimate["embed_seconds"] == pytest.approx(seconds, rel=0.01, abs=0.0006)
    assert (estimate["num_to_embed"], estimate["num_probed"], estimate["no_rate"]) == (4, 4, None)


def test_a_codec_that_cannot_be_decoded_is_named_before_the_run(vidx, videos, tmp_path) -> None:
    command = ("embed", videos, "--collection", tmp_path / "new", "--dry-run")
    [problem] = json.loads(vidx(*command, "--json")[1])["estimate"]["problems"]
    assert Path(problem["path"]).name == "odd.mp4"
    assert problem["reason"] == "no_decoder"
    code, out, _ = vidx(*command)
    assert code == 0
    assert "Cannot be decoded: 1 file." in out
    assert "no_decoder" in out


def test_a_model_that_is_not_here_is_not_fetched_and_that_is_told(vidx, videos, tmp_path) -> None:
    out = vidx("embed", videos, "--collection", tmp_path / "new", "--dry-run")[1]
    assert "Time: not known, as the model MCG-NJU/videomae-base-finetuned-kinetics is not on" in out
    assert "Disk" not in out


def test_what_a_run_would_refuse_is_refused(
    vidx, videos, embedded, tiny_checkpoint, tmp_path
) -> None:
    video = next(path for path in videos.iterdir() if path.suffix == ".mp4")
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(json.dumps({"path": str(video), "take": "one"}) + "\n")
    second.write_text(json.dumps({"path": str(video), "take": 2}) + "\n")
    cases = (  # a column of two types, and a model that is not there, even with nothing to embed
        ((first, second, "--model", tiny_checkpoint), tmp_path / "new"),
        ((first, second), embedded),
        ((videos, "--model", tmp_path / "away"), embedded),
    )
    for arguments, collection in cases:
        command = ("embed", *arguments, "--collection", collection)
        planned, done = vidx(*command, "--dry-run"), vidx(*command)
        assert planned[0] == done[0] == 4
        assert planned[2] == done[2]
    assert not (tmp_path / "new").exists()


def test_rows_that_a_run_would_refuse_are_told(vidx, videos, tiny_checkpoint, tmp_path) -> None:
    video = next(path for path in videos.glob("*.mp4") if path.name != "odd.mp4")
    manifest = tmp_path / "torn.csv"
    manifest.write_text(f"path,split\n{video},a\n{video},\n{video},b\n")
    command = ("embed", manifest, "--collection", tmp_path / "new", "--model", tiny_checkpoint)
    planned, done = vidx(*command, "--json", "--dry-run"), vidx(*command, "--json")
    assert planned[0] == done[0] == 3
    rows = json.loads(planned[1])["refused_rows"]
    assert rows == json.loads(done[1])["refused_rows"]
    assert [row["row"] for row in rows] == [3]


def test_a_collection_is_left_as_it_is(vidx, videos, embedded) -> None:
    before = contents(embedded)
    code, out, _ = vidx("embed", videos, "--collection", embedded, "--dry-run")
    assert code == 0
    assert "To embed: 4 files, 0.00 hours of video, 9 clips, by their headers.\n" in out
    assert "Time: about " in out
    assert "Disk: about 0.0 MB." in out
    assert contents(embedded) == before


def test_of_many_files_a_sample_stands_for_all(videos) -> None:
    paths = [videos / name for name in ("a.mp4", "b.mkv", "c.avi")]
    files = [VideoFile(str(path), path.stat().st_size) for path in paths for _ in range(10)]
    every = probe(files, Sampling(), workers=0)
    some = probe(files, Sampling(), workers=0, most=15)
    assert (every.num_probed, some.num_probed, some.num_files) == (30, 15, 30)
    assert (every.num_clips, every.num_videos) == (10 * (4 + 3 + 2), 30)
    assert some.num_videos == 30
    assert some.num_clips == pytest.approx(every.num_clips, rel=0.1)
    assert some.video_seconds == pytest.approx(every.video_seconds, rel=0.1)


def test_headers_are_read_in_workers(videos) -> None:
    files = [VideoFile(str(path), 1) for path in sorted(videos.iterdir())]
    found = probe(files, Sampling(), workers=2)
    assert [Path(path).name for path in found.sound] == ["a.mp4", "b.mkv", "c.avi"]
    [(path, problem)] = found.problems
    assert (Path(path).name, problem.reason) == ("odd.mp4", "no_decoder")
