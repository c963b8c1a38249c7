"""Videos at URLs are embedded as those on disk are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_servers import WebServer

import vidx
from vidx import EmbedOptions, EmbedReport, UsageError, VidxError
from vidx.remote.copies import Copies
from vidx.remote.objects import look
from vidx.store.layout import Layout
from vidx.store.survey import survey

pytestmark = pytest.mark.usefixtures("short_waits")
Embed = Callable[..., EmbedReport]


@pytest.fixture(scope="module")
def films(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three videos."""
    folder = tmp_path_factory.mktemp("films")
    make_video(folder / "a.mp4", seed=1, seconds=5.0)
    make_video(folder / "b.mkv", seed=2, seconds=3.0)
    make_video(folder / "c.avi", seed=3, seconds=2.5, codec="mjpeg")
    return folder


@pytest.fixture
def collection(tmp_path: Path) -> vidx.Collection:
    return vidx.open(tmp_path / "collection", create=True)


@pytest.fixture
def embed(collection: vidx.Collection, tiny_checkpoint: Path) -> Embed:
    def run(*paths: object, **options: Any) -> EmbedReport:
        asked = EmbedOptions(**{"model": tiny_checkpoint, "workers": 0, **options})
        return collection.embed([str(path) for path in paths], asked)

    return run


@pytest.fixture(scope="module")
def from_disk(
    films: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    """The vectors of each video, embedded from disk."""
    collection = vidx.open(tmp_path_factory.mktemp("disk") / "collection", create=True)
    collection.embed(films, EmbedOptions(model=tiny_checkpoint, workers=1))
    return vectors(collection)


def vectors(collection: vidx.Collection) -> dict[str, np.ndarray]:
    """The vectors of each video, by the last part of its path."""
    names = [str(path).rpartition("/")[2] for path in collection.clips().to_pydict()["path"]]
    _, every = collection.vectors()
    return {name: every[[one == name for one in names]] for name in sorted(set(names))}


def serve(web: WebServer, folder: Path) -> list[str]:
    """Put all files of a folder on a server, and give their URLs."""
    web.content |= {f"/{file.name}": file.read_bytes() for file in folder.iterdir()}
    return [f"{web.url}/{file.name}" for file in sorted(folder.iterdir())]


def paths(collection: vidx.Collection) -> list[str]:
    return sorted(set(collection.clips().to_pydict()["path"]))


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(np.allclose(one[n], other[n], atol=1e-5) for n in one)


def failures(collection: vidx.Collection) -> dict[str, tuple[str, str]]:
    rows = collection.failures().to_pylist()
    return {row["path"]: (row["reason"], row["message"]) for row in rows}


def test_objects_of_the_web_give_the_vectors_that_files_give(
    web: WebServer, films: Path, embed: Embed, collection: vidx.Collection, from_disk: dict
) -> None:
    urls = serve(web, films)
    report = embed(*urls, workers=2)
    assert (report.embedded, report.failed) == (3, 0)
    assert paths(collection) == urls
    assert same(vectors(collection), from_disk)
    assert web.sent_bytes == sum(map(len, web.content.values())), "each byte travels once"


def test_a_run_over_unchanged_objects_reads_none(web: WebServer, films: Path, embed: Embed) -> None:
    urls = serve(web, films)
    embed(*urls)
    web.asked.clear()
    assert embed(*urls).unchanged == 3
    assert web.asked == [("HEAD", f"/{name}") for name in ("a.mp4", "b.mkv", "c.avi")]


@pytest.mark.parametrize("gives_versions", [True, False])
def test_a_changed_object_is_embedded_anew(
    web: WebServer, films: Path, embed: Embed, collection: vidx.Collection, gives_versions: bool
) -> None:
    web.gives_versions, web.last_modified = gives_versions, "Mon, 02 Nov 2026 10:00:00 GMT"
    web.content["/x.mp4"] = (films / "a.mp4").read_bytes()
    embed(f"{web.url}/x.mp4")
    before = vectors(collection)["x.mp4"]
    assert embed(f"{web.url}/x.mp4").unchanged == 1
    web.content["/x.mp4"] = (films / "b.mkv").read_bytes()
    web.last_modified = "Mon, 02 Nov 2026 10:00:01 GMT"
    assert embed(f"{web.url}/x.mp4").embedded == 1
    assert len(vectors(collection)["x.mp4"]) != len(before)


def test_an_object_without_a_version_is_read_each_time_and_known_by_its_bytes(
    web: WebServer, films: Path, embed: Embed
) -> None:
    web.gives_versions = False
    [url, *_] = serve(web, films)
    embed(url)
    report = embed(url)
    assert (report.unchanged, report.embedded) == (1, 0)
    assert web.reads("/a.mp4") == 2


def test_a_server_that_fails_one_request_in_ten_costs_nothing(
    web: WebServer,
    films: Path,
    embed: Embed,
    collection: vidx.Collection,
    from_disk: dict,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vidx.remote.reading.PIECE_BYTES", 4 << 10)
    urls = serve(web, films)
    web.fails_every = 10
    report = embed(*urls)
    assert web.failed > 3, "it has to fail now and then"
    assert (report.num_files, report.embedded, report.failed) == (3, 3, 0)
    assert same(vectors(collection), from_disk)


def test_a_server_without_ranges_is_read_through(
    web: WebServer,
    films: Path,
    embed: Embed,
    collection: vidx.Collection,
    from_disk: dict,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vidx.remote.reading.PIECE_BYTES", 4 << 10)
    urls = serve(web, films)
    web.gives_ranges = False
    assert embed(*urls).embedded == 3
    assert same(vectors(collection), from_disk)


def test_a_server_that_tells_no_lengths_is_read_through(
    web: WebServer, films: Path, embed: Embed, collection: vidx.Collection, from_disk: dict
) -> None:
    web.gives_lengths = False
    assert embed(*serve(web, films)).embedded == 3
    assert same(vectors(collection), from_disk)


def test_each_trouble_is_told_as_the_files_own_and_the_rest_goes_on(
    web: WebServer, films: Path, embed: Embed, collection: vidx.Collection
) -> None:
    serve(web, films)
    web.statuses = {"/forbidden.mp4": 403, "/busy.mp4": 503, "/odd.mp4": 418}
    web.redirects = {
        "/moved.mp4": f"{web.url}/b.mkv?signature=SECRET",
        "/lost.mp4": "/gone?s=SECRET",
    }
    names = ("a.mp4", "absent.mp4", "busy.mp4", "forbidden.mp4", "lost.mp4", "moved.mp4", "odd.mp4")
    report = embed(*(f"{web.url}/{name}" for name in names))
    assert (report.num_files, report.embedded, report.failed) == (7, 2, 5)
    told = {path.rpartition("/")[2]: problem for path, problem in failures(collection).items()}
    assert told == {
        "absent.mp4": ("unreadable", "the server says 404 Not Found"),
        "busy.mp4": ("unreadable", "the server says 503 Service Unavailable, 5 times in a row"),
        "forbidden.mp4": (
            "unreadable",
            "the server says 403 Forbidden; see to the rights of your credentials; a public bucket "
            "takes FSSPEC_S3_ANON=true",
        ),
        "lost.mp4": ("unreadable", "the server says 404 Not Found"),
        "odd.mp4": ("unreadable", "the server says 418 I'm a Teapot"),
    }
    stored = (Layout(collection.path).catalogue).read_bytes()
    assert b"SECRET" not in stored


@pytest.mark.parametrize("gives_ranges", [True, False])
def test_a_server_that_stops_in_the_middle_is_told(
    web: WebServer, films: Path, embed: Embed, collection: vidx.Collection, gives_ranges: bool
) -> None:
    [url, *_] = serve(web, films)
    web.breaks_at, web.gives_ranges = 1000, gives_ranges
    assert embed(url).failed == 1
    [(reason, message)] = failures(collection).values()
    assert reason == "unreadable"
    assert message.startswith("the connection broke off")
    web.breaks_at = None
    assert embed(url).embedded == 1, "what failed for a moment is tried again"


def test_a_server_that_is_not_there_is_told(embed: Embed, collection: vidx.Collection) -> None:
    embed("http://127.0.0.1:1/x.mp4")
    assert failures(collection) == {
        "http://127.0.0.1:1/x.mp4": (
            "unreadable",
            "the server cannot be reached or asked: Connection refused, 5 times in a row",
        )
    }


def test_a_server_that_falls_silent_is_not_waited_for(
    web: WebServer,
    films: Path,
    embed: Embed,
    collection: vidx.Collection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vidx.remote import file_systems

    monkeypatch.setattr(file_systems, "SILENCE_SECONDS", 0.1)
    monkeypatch.setattr("vidx.remote.troubles.TRIES", 2)
    file_systems._web.cache_clear()
    [url, *_] = serve(web, films)
    web.silent_seconds = 0.5
    embed(url)
    file_systems._web.cache_clear()
    [problem] = failures(collection).values()
    assert problem == ("unreadable", "the server does not answer in time, 2 times in a row")


def test_an_object_that_changes_while_it_is_read_is_told_and_tried_again(
    web: WebServer,
    films: Path,
    embed: Embed,
    collection: vidx.Collection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vidx.remote.reading import Reading

    [url, *_] = serve(web, films)
    check = Reading.check_unchanged

    def change_and_check(reading: Reading) -> None:
        web.content["/a.mp4"] += b"more"
        check(reading)

    with monkeypatch.context() as patch:
        patch.setattr(Reading, "check_unchanged", change_and_check)
        embed(url)
    assert failures(collection)[url][0] == "changed_while_reading"
    assert embed(url).embedded == 1
    assert not failures(collection)


def test_objects_are_copied_ahead_only_as_far_as_the_disk_is_to_hold(
    web: WebServer, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidx.store.survey._BYTES_AHEAD", 1)
    urls = serve(web, films)
    copies = Copies({url: look(url) for url in urls}, tmp_path)
    for finding in survey(urls, None, "", copies=copies):
        assert len(list(tmp_path.iterdir())) <= 2
        copy = Path(copies.place(finding.source.path))
        assert copy.read_bytes() == web.content["/" + finding.source.path.rpartition("/")[2]]
        copies.drop(finding.source.path)


def test_a_copy_on_disk_of_an_object_is_a_duplicate_and_not_its_new_place(
    web: WebServer, films: Path, embed: Embed, collection: vidx.Collection
) -> None:
    [url, *_] = serve(web, films)
    embed(url)
    report = embed(films / "a.mp4")
    assert (report.duplicate, report.moved) == (1, 0)
    del web.content["/a.mp4"]
    web.content["/new.mp4"] = (films / "a.mp4").read_bytes()
    assert embed(f"{web.url}/new.mp4").moved == 1


def test_a_server_that_is_down_costs_no_vectors(
    web: WebServer, films: Path, embed: Embed, collection: vidx.Collection
) -> None:
    [url, *_] = serve(web, films)
    embed(url)
    before = collection.info().num_clips
    web.statuses["/a.mp4"] = 503
    assert embed(url).failed == 1
    assert collection.info().num_clips == before
    web.statuses.clear()
    assert embed(url).failed == 0
    assert not failures(collection)


def test_no_copy_stays_on_the_disk(
    web: WebServer, films: Path, collection: vidx.Collection, tiny_checkpoint: Path
) -> None:
    web.content["/bad.mp4"] = b"no video" * 1000
    web.content["/twin.mp4"] = (films / "a.mp4").read_bytes()
    staging, left = Layout(collection.path).staging, []
    collection.embed(
        [*serve(web, films), f"{web.url}/bad.mp4", f"{web.url}/twin.mp4"],
        EmbedOptions(model=tiny_checkpoint, workers=0),
        progress=lambda _: left.append(len(list(staging.rglob("copy-*")))),
    )
    assert left[0] > 0
    assert left[-1] == 0, "each goes with its video, not only with the run"
    assert list(staging.iterdir()) == []


def test_copies_of_a_run_that_was_killed_go_with_the_next_one(
    films: Path, embed: Embed, collection: vidx.Collection
) -> None:
    embed(films / "a.mp4")
    left = Layout(collection.path).staging / ("0" * 32)
    left.mkdir()
    (left / "copy-3.mp4").write_bytes(b"half a film")
    embed(films / "b.mkv")
    assert not left.exists()


def test_a_dry_run_keeps_nothing_and_says_what_would_be_done(
    web: WebServer, films: Path, collection: vidx.Collection
) -> None:
    urls = serve(web, films)
    findings = collection.survey(urls)
    assert [(one.source.path, one.status.value) for one in findings] == [(u, "embed") for u in urls]
    assert findings[0].video_id == hashlib.sha256(web.content["/a.mp4"]).hexdigest()
    assert not collection.path.exists()


@pytest.mark.parametrize(
    "url",
    [
        "https://user:SECRET@host/x.mp4",
        "https://SECRET@host/x.mp4",
        "https://host/x.mp4?X-Amz-Signature=SECRET",
        "https://host/x.mp4#SECRET",
        "s3://AKIA:SECRET@bucket/x.mp4",
        "ftp://user:SECRET@host/x.mp4",
    ],
)
def test_an_address_that_may_hold_a_secret_is_refused_and_told_without_it(
    url: str, embed: Embed, collection: vidx.Collection
) -> None:
    for run in (embed, collection.remove):
        with pytest.raises(VidxError) as refused:
            run(url)
        assert "SECRET" not in str(refused.value)
    with pytest.raises(UsageError):
        embed(url)


def test_what_was_at_a_url_can_be_removed(
    web: WebServer, films: Path, embed: Embed, collection: vidx.Collection
) -> None:
    urls = serve(web, films)
    embed(*urls)
    collection.remove(urls[0])
    assert paths(collection) == urls[1:]
    collection.remove(web.url)
    assert paths(collection) == []


def put(s3: Any, folder: Path, prefix: str) -> None:
    for file in folder.iterdir():
        s3.put_object(Bucket="films", Key=f"{prefix}{file.name}", Body=file.read_bytes())


def test_objects_below_a_prefix_give_the_vectors_that_files_give(
    s3: Any, films: Path, embed: Embed, collection: vidx.Collection, from_disk: dict
) -> None:
    put(s3, films, "some/deep/")
    for key in ("some/notes.txt", "some/.hidden/d.mp4", "someone/else.mp4", "some/folder/"):
        s3.put_object(Bucket="films", Key=key, Body=b"")
    report = embed("s3://films/some")
    assert (report.num_files, report.embedded) == (3, 3)
    assert paths(collection) == [f"s3://films/some/deep/{n}" for n in ("a.mp4", "b.mkv", "c.avi")]
    assert same(vectors(collection), from_disk)
    assert embed("s3://films/some/").unchanged == 3


def test_one_listing_tells_that_nothing_below_a_prefix_has_changed(
    s3: Any, films: Path, embed: Embed, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3, films, "x/")
    embed("s3://films/x")

    def fetch(*args: object) -> str:
        raise AssertionError("read")

    monkeypatch.setattr("vidx.remote.copies.Copies.fetch", fetch)
    assert embed("s3://films/x").unchanged == 3
    s3.put_object(Bucket="films", Key="x/a.mp4", Body=b"other")
    with pytest.raises(AssertionError, match="read"):
        embed("s3://films/x")


def test_a_pattern_names_objects(s3: Any, films: Path, embed: Embed) -> None:
    put(s3, films, "x/")
    assert embed("s3://films/x/*.m*").num_files == 2
    assert embed("s3://films/x/c.avi").num_files == 1


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("x/?.mp4", ["a.mp4"]),
        ("x/[ab].m*", ["a.mp4", "b.mkv"]),
        ("x/*", ["a.mp4", "b.mkv", "c.avi", "c[1].mp4", "deep/a.mp4", "deep/b.mkv", "deep/c.avi"]),
        ("x/de*", ["deep/a.mp4", "deep/b.mkv", "deep/c.avi"]),
        ("x/**/a.mp4", ["a.mp4", "deep/a.mp4"]),
        ("x/.h*", [".hidden.mp4"]),
        ("x/c[1].mp4", ["c[1].mp4"]),  # it is there by this very name
    ],
)
def test_what_a_pattern_matches_is_taken_as_in_a_folder(
    s3: Any, films: Path, collection: vidx.Collection, pattern: str, names: list[str]
) -> None:
    put(s3, films, "x/")
    put(s3, films, "x/deep/")
    for key in ("x/notes.txt", "x/.hidden.mp4", "x/c[1].mp4", "x/deep/.thumbs/a.mp4"):
        s3.put_object(Bucket="films", Key=key, Body=b"")
    found = [finding.source.path for finding in collection.survey(f"s3://films/{pattern}")]
    assert found == [f"s3://films/x/{name}" for name in names]


def test_a_pattern_that_matches_nothing_is_told_whatever_else_there_is(
    s3: Any, films: Path, embed: Embed
) -> None:
    put(s3, films, "x/")
    with pytest.raises(vidx.UsageError, match=r"s3://films/x/z\*\.mp4 matches nothing"):
        embed("s3://films/x/z*.mp4", "s3://films/x/a.mp4")


def test_a_slash_at_the_end_means_what_is_below(
    s3: Any, films: Path, collection: vidx.Collection
) -> None:
    put(s3, films, "x/")
    s3.put_object(Bucket="films", Key="x", Body=b"an object of the same name")
    below = [f"s3://films/x/{name}" for name in ("a.mp4", "b.mkv", "c.avi")]
    assert [one.source.path for one in collection.survey("s3://films/x/")] == below
    assert [one.source.path for one in collection.survey("s3://films/x")] == ["s3://films/x"]


def test_what_a_store_refuses_is_told_without_credentials(
    s3: Any, films: Path, embed: Embed, collection: vidx.Collection, tmp_path: Path
) -> None:
    embed("s3://films/absent.mp4", "s3://nowhere/x.mp4", films / "a.mp4")
    told = failures(collection)
    assert told["s3://films/absent.mp4"] == ("unreadable", "the server says 404 Not Found")
    assert told["s3://nowhere/x.mp4"] == (
        "unreadable",
        "the server says 404 Not Found, NoSuchBucket",
    )
    embed("s3://Bad_Bucket!/x.mp4", "http://127.0.0.1:99999/x.mp4")
    for url in ("s3://Bad_Bucket!/x.mp4", "http://127.0.0.1:99999/x.mp4"):
        assert failures(collection)[url] == ("unreadable", "the address is not valid")


def test_an_object_of_a_store_that_changes_while_it_is_read_is_told(
    s3: Any, films: Path, embed: Embed, collection: vidx.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidx.remote.reading import Reading

    put(s3, films, "")
    monkeypatch.setattr("vidx.remote.reading.PIECE_BYTES", 64 << 10)
    read = Reading.range

    def change_and_read(reading: Reading, start: int, size: int) -> bytes:
        if start:
            s3.put_object(Bucket="films", Key="a.mp4", Body=b"0" * (1 << 20))
        return read(reading, start, size)

    monkeypatch.setattr(Reading, "range", change_and_read)
    embed("s3://films/a.mp4")
    assert [reason for reason, _ in failures(collection).values()] == ["changed_while_reading"]


def test_a_lack_of_credentials_is_told(
    s3: Any, embed: Embed, collection: vidx.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("HOME", "/nowhere")
    embed("s3://films/x.mp4")
    [(reason, message)] = failures(collection).values()
    assert (reason, message.partition(";")[0]) == ("unreadable", "no credentials were found")


def test_what_is_to_be_installed_is_said(
    cli: Callable[..., tuple[int, str, str]], embedded_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    import fsspec  # noqa: F401 - its registry is a name of a module and of a mapping

    from vidx.remote import file_systems

    monkeypatch.setenv("VIDX_COLLECTION", str(embedded_once))
    for name in ("s3fs", "aiohttp", "gcsfs"):
        monkeypatch.setitem(sys.modules, name, None)
    for scheme in ("s3", "gs"):
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    file_systems._store.cache_clear()
    file_systems._web.cache_clear()
    for url, library in (("s3://b/x", "vidx[remote]"), ("https://h/x", "vidx[remote]")):
        code, _, error = cli("embed", url)
        assert (code, f"pip install '{library}'" in error) == (2, True)
    assert "pip install 'gcsfs'" in cli("search", "gs://b/x")[2]
