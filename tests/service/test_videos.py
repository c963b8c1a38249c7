"""Real videos: uploads are searched for, clips are shown, new videos are embedded."""

from __future__ import annotations

import io
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import av
import pytest

import vidx
from vidx.service.settings import Settings
from vidx.together import Question


@pytest.fixture(scope="module")
def videos(
    tmp_path_factory: pytest.TempPathFactory, library: Path, embedded_once: Path
) -> tuple[Path, Path]:
    """A copy of `library`, and a collection of it."""
    folder = tmp_path_factory.mktemp("served")
    copied = shutil.copytree(library, folder / "library")
    collection = shutil.copytree(embedded_once, folder / "collection")
    with vidx.open(collection) as opened:
        opened.embed(copied, vidx.EmbedOptions(workers=1))
        opened.remove(library)
    return copied, collection


@pytest.fixture(scope="module")
def viewed(serving, videos: tuple[Path, Path]) -> Iterator:
    """A server of them, that may embed what lies beside."""
    with serving(videos[1], Settings(port=0, roots=(videos[0],))) as service:
        yield service


def clip_at(service, ending: str) -> dict:
    """The first clip of a video, by the end of its path."""
    clips = service.ask("/v1/clips?limit=1000").json["clips"]
    return next(one for one in clips if one["path"].endswith(ending))


def uploaded(service, content: bytes) -> str:
    return service.ask("/v1/uploads", content).json["upload_id"]


@pytest.mark.parametrize("filters", [{}, {"by": "segment", "k": 2}, {"start_seconds": 1.0, "k": 3}])
def test_an_upload_is_searched_for_as_its_file(viewed, videos, filters: dict) -> None:
    file = videos[0] / "bowl.mp4"
    upload = uploaded(viewed, file.read_bytes())
    told = viewed.ask("/v1/search", {"query": {"upload": upload}, **filters}).json["hits"]
    with vidx.open(videos[1]) as collection:
        options = {name: value for name, value in filters.items() if name != "k"}
        hits = collection.search(file, filters.get("k", 10), vidx.SearchOptions(**options))
    assert told == json.loads(json.dumps([asdict(hit) for hit in hits]))
    assert told[0]["score"] > 0.999


def test_an_upload_is_an_example_and_leaves_out_its_own_content(viewed, videos) -> None:
    upload = uploaded(viewed, (videos[0] / "bowl.mp4").read_bytes())
    body = {"like": [{"upload": upload}], "unlike": [{"clip_id": 0}], "exclude_self": True}
    got = viewed.ask("/v1/search", body)
    assert got.status == 200
    own = clip_at(viewed, "library/bowl.mp4")["video_id"]
    assert own not in [one["video_id"] for one in got.json["hits"]]


def test_a_span_behind_the_end_costs_that_search_alone(viewed, videos) -> None:
    upload = uploaded(viewed, (videos[0] / "bowl.mp4").read_bytes())
    got = viewed.ask("/v1/search", {"query": {"upload": upload}, "start_seconds": 100.0})
    assert (got.status, got.json["type"]) == (422, "urn:vidx:UsageError")


def test_files_that_are_searched_for_together_are_answered_as_each_alone(videos) -> None:
    late = vidx.SearchOptions(start_seconds=100.0)
    files = [videos[0] / name for name in ("bowl.mp4", "broken.mp4", "Dance.MKV", "sub/bowl.mp4")]
    with vidx.open(videos[1]) as collection:
        asked = [Question((file,), k=3) for file in files]
        got = collection.search_together([*asked, Question((files[0],), options=late)])
        alone = [collection.search(file, 3) for file in files if "broken" not in file.name]
    assert [got[0], got[2], got[3]] == alone
    assert [type(got[1]), type(got[4])] == [vidx.VideoError, vidx.UsageError]


@pytest.mark.parametrize(
    "content", [b"no video" * 100, b"\0" * 5000, b"#EXTM3U\nfile:///etc/passwd\n"]
)
def test_an_upload_that_is_no_video_is_told(viewed, content: bytes) -> None:
    got = viewed.ask("/v1/search", {"query": {"upload": uploaded(viewed, content)}})
    assert (got.status, got.json["type"]) == (422, "urn:vidx:VideoError")
    assert got.json["reason"] == "not_a_video"
    assert str(os.environ["VIDX_CACHE_DIR"]) not in got.body.decode()


def test_an_empty_upload_is_refused(viewed) -> None:
    assert viewed.ask("/v1/uploads", b"").status == 422


@pytest.mark.long
def test_every_bad_video_is_told_and_the_service_stays(viewed, media: Path) -> None:
    for file in sorted(path for path in (media / "bad").rglob("*") if path.is_file()):
        sent = viewed.ask("/v1/uploads", file.read_bytes())
        if sent.status == 429:
            time.sleep(2)
            sent = viewed.ask("/v1/uploads", file.read_bytes())
        if sent.status == 201:
            got = viewed.ask("/v1/search", {"query": {"upload": sent.json["upload_id"]}})
            assert got.status in (200, 422), (file, got.body)
    assert viewed.ask("/readyz").status == 200


@pytest.mark.parametrize("ending", ["bowl.mp4", "Dance.MKV", ".avi"])
def test_a_preview_is_a_picture_of_the_clip(viewed, ending: str) -> None:
    got = viewed.ask(f"/v1/clips/{clip_at(viewed, ending)['clip_id']}/preview")
    assert (got.status, got.headers["content-type"]) == (200, "image/webp")
    with av.open(io.BytesIO(got.body)) as picture:
        [frame] = picture.decode(video=0)
    assert (frame.width, frame.height) == (128, 96)


@pytest.mark.parametrize("ending", ["bowl.mp4", ".avi"])
def test_a_span_is_a_film_of_the_clip_and_no_more(viewed, ending: str) -> None:
    clip = clip_at(viewed, ending)
    path = f"/v1/clips/{clip['clip_id']}/span"
    got = viewed.ask(path)
    assert (got.status, got.headers["content-type"]) == (200, "video/mp4")
    with av.open(io.BytesIO(got.body)) as film:
        assert film.streams.video[0].codec_context.name == "h264"
        shown = sum(1 for _ in film.decode(video=0)) / 25
    assert abs(shown - (clip["end_seconds"] - clip["start_seconds"])) < 0.1
    part = viewed.ask(path, headers={"range": "bytes=4-7"})
    assert (part.status, part.body) == (206, b"ftyp")


def test_a_browser_keeps_pictures_of_the_collection_that_it_names_alone(viewed) -> None:
    """At the same address there may be another collection tomorrow, with clips of these numbers."""
    uuid = viewed.ask("/v1/info").json["uuid"]
    for what in ("preview", "span"):
        path = f"/v1/clips/{clip_at(viewed, 'library/bowl.mp4')['clip_id']}/{what}"
        for of, kept in (("", "no-store"), (f"?of={uuid}", "private, max-age=86400")):
            assert viewed.ask(path + of).headers["cache-control"] == kept
        assert viewed.ask(f"{path}?of={'0' * 32}").headers["cache-control"] == "no-store"


def test_how_much_there_is_is_told_without_it(viewed) -> None:
    clip = clip_at(viewed, "library/bowl.mp4")
    base = f"/v1/clips/{clip['clip_id']}"
    for path in (f"{base}/preview", f"{base}/span", f"/v1/videos/{clip['video_id']}/source"):
        got, head = viewed.ask(path), viewed.ask(path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(got.body))


def test_a_file_that_browsers_play_is_given_in_parts(viewed, videos) -> None:
    clip = clip_at(viewed, "library/bowl.mp4")
    path = f"/v1/videos/{clip['video_id']}/source"
    whole = (videos[0] / "bowl.mp4").read_bytes()
    assert viewed.ask(path).body == whole
    part = viewed.ask(path, headers={"range": "bytes=100-199"})
    assert (part.status, part.body) == (206, whole[100:200])
    assert viewed.ask(path, headers={"range": "bytes=99999999-"}).status == 416
    other = clip_at(viewed, ".avi")
    assert viewed.ask(f"/v1/videos/{other['video_id']}/source").status == 415


def test_a_source_that_is_gone_or_another_has_a_plain_picture(
    serving, embedded_once: Path, tmp_path: Path, make_video: Callable[..., Path]
) -> None:
    film = make_video(tmp_path / "film.mp4", seed=11, seconds=2.5)
    collection = shutil.copytree(embedded_once, tmp_path / "collection")
    with vidx.open(collection) as opened:
        opened.embed(film, vidx.EmbedOptions(workers=1))
    with serving(collection) as service:
        clip = clip_at(service, "film.mp4")
        film.write_bytes(b"a secret of somebody")
        preview = f"/v1/clips/{clip['clip_id']}/preview"
        for path in (preview, f"/v1/videos/{clip['video_id']}/source"):
            assert b"secret" not in service.ask(path).body
        film.unlink()
        got = service.ask(preview)
        assert (got.status, got.headers["content-type"]) == (200, "image/svg+xml")
        assert b"source gone" in got.body
        assert service.ask(f"/v1/clips/{clip['clip_id']}/span").json["reason"] == "unreadable"
        assert service.ask(f"/v1/videos/{clip['video_id']}/source").status == 404


def test_a_stored_picture_is_shown_also_when_its_source_is_gone(
    tmp_path: Path, tiny_checkpoint: Path, make_video: Callable[..., Path], serving
) -> None:
    collection, film = tmp_path / "collection", make_video(tmp_path / "film.mp4", seconds=2.5)
    how = vidx.EmbedOptions(model=tiny_checkpoint, workers=1, previews=True)
    with vidx.open(collection, create=True) as opened:
        opened.embed(film, how)
        stored = opened.previews([0])[0]
    film.unlink()
    with serving(collection) as service:
        got = service.ask("/v1/clips/0/preview")
        assert (got.status, got.headers["content-type"]) == (200, "image/jpeg")
        assert got.body == stored
        assert service.ask("/v1/clips/7/preview").status == 404


def finished(service, job_id: str) -> dict:
    """A job's last state, by its events."""
    told = service.ask(f"/v1/jobs/{job_id}/events").body.decode()
    return json.loads(told.strip().splitlines()[-1].removeprefix("data: "))


def test_a_job_embeds_what_lies_below_a_root(viewed, videos, make_video) -> None:
    make_video(videos[0] / "new.mp4", seed=20, seconds=2.5)
    before = viewed.ask("/v1/info").json["num_clips"]
    got = viewed.ask("/v1/jobs", {"paths": [str(videos[0] / "new.mp4")], "previews": True})
    assert (got.status, got.json["status"]) == (202, "running")
    again = viewed.ask("/v1/jobs", {"paths": [str(videos[0])]})
    assert (again.status, again.json["type"]) == (409, "urn:vidx:job_running")
    state = finished(viewed, got.json["job_id"])
    assert (state["status"], state["report"]["embedded"]) == ("done", 1)
    assert viewed.ask("/v1/info").json["num_clips"] > before
    assert clip_at(viewed, "new.mp4")
    assert viewed.ask("/v1/info").json["num_previews"] > 0
    assert viewed.ask("/v1/jobs").json["jobs"][0] == state


def test_a_job_that_is_cancelled_ends(viewed, videos) -> None:
    body = {"paths": [str(videos[0])], "retry_failed": True}
    job_id = viewed.ask("/v1/jobs", body).json["job_id"]
    assert viewed.ask(f"/v1/jobs/{job_id}", method="DELETE").status == 202
    assert finished(viewed, job_id)["status"] in ("cancelled", "done")


def test_a_job_tells_who_holds_the_lock(viewed, videos) -> None:
    from vidx.store.layout import Layout
    from vidx.store.lock import writing

    with writing(Layout(videos[1])):
        job_id = viewed.ask("/v1/jobs", {"paths": [str(videos[0])]}).json["job_id"]
        state = finished(viewed, job_id)
        metadata = {"on": "clip_id", "columns": {"clip_id": [0], "split": ["a"]}}
        got = viewed.ask("/v1/metadata", metadata)
    assert (state["status"], str(os.getpid()) in state["error"]) == ("failed", True)
    assert (got.status, got.json["type"]) == (409, "urn:vidx:CollectionLocked")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/etc", 403),
        ("/etc/passwd", 403),
        ("{root}/../..", 403),
        ("{root}/../collection", 403),
        ("{root}/out", 403),
        ("{root}/none.mp4", 422),
        ("{root}/*.mp4", 422),
        ("http://127.0.0.1/x.mp4", 403),
        ("s3://bucket/x", 403),
        ("a\0b", 403),
        ("", 422),
        ("{root}/" + "x" * 300, 422),
        ("{root}/list.csv", 422),  # which may name any file
    ],
)
def test_a_job_reads_nothing_outside_its_roots(viewed, videos, path: str, status: int) -> None:
    out = videos[0] / "out"
    if not out.is_symlink():
        out.symlink_to("/etc")
    listed = videos[0] / "list.csv"
    listed.write_text("path\n/etc/passwd\n")
    got = viewed.ask("/v1/jobs", {"paths": [path.format(root=videos[0])]})
    out.unlink()
    listed.unlink()
    assert got.status == status


def test_a_job_calls_files_as_the_command_does(
    serving, embedded_once: Path, tmp_path: Path, make_video, tiny_checkpoint: Path
) -> None:
    """Also where a link leads to them: else they would be copies of themselves."""
    (tmp_path / "real").mkdir()
    make_video(tmp_path / "real" / "film.mp4", seed=21, seconds=2.5)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    collection = tmp_path / "collection"
    with vidx.open(collection, create=True) as opened:
        opened.embed(link, vidx.EmbedOptions(model=tiny_checkpoint, workers=1))
    with serving(collection, Settings(port=0, roots=(link,))) as service:
        job_id = service.ask("/v1/jobs", {"paths": [str(link)]}).json["job_id"]
        report = finished(service, job_id)["report"]
    assert (report["unchanged"], report["duplicate"]) == (1, 0)


def test_without_a_root_there_are_no_jobs(service) -> None:
    assert service.ask("/v1/jobs", {"paths": ["/tmp"]}).status == 403


def test_the_model_is_loaded_by_itself(viewed) -> None:
    until = time.monotonic() + 60
    while viewed.ask("/readyz").json["model"] == "loading":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert viewed.ask("/readyz").json == {"is_ready": True, "model": "ready"}
