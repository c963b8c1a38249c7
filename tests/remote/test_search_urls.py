"""What is searched for may lie at a URL; a decoding worker reads it by ranges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_servers import WebServer

import vidx
from vidx import SearchOptions, VideoError
from vidx.embedder.decoding.source import RemoteSource, Source
from vidx.remote import copies
from vidx.remote.copies import PartialCopy
from vidx.remote.objects import look

pytestmark = pytest.mark.usefixtures("short_waits")


@pytest.fixture
def collection(embedded_once: Path) -> vidx.Collection:
    return vidx.open(embedded_once)


@pytest.fixture
def url(web: WebServer, library: Path) -> str:
    web.content["/bowl.mp4"] = (library / "bowl.mp4").read_bytes()
    return f"{web.url}/bowl.mp4"


@pytest.mark.parametrize("kind", ["whole", "segment", "without ranges", "without lengths"])
def test_a_url_finds_what_its_file_finds(
    web: WebServer, url: str, library: Path, collection: vidx.Collection, kind: str
) -> None:
    web.gives_ranges, web.gives_lengths = kind != "without ranges", kind != "without lengths"
    options = SearchOptions(by="segment" if kind == "segment" else "clip")
    found = collection.search(url, 5, options)
    assert found == collection.search(library / "bowl.mp4", 5, options)
    assert found[0].score > 0.99
    if web.gives_lengths:  # else each look at it begins to read it
        assert web.sent_bytes == len(web.content["/bowl.mp4"]), "each byte travels once"


def test_its_own_video_can_be_left_out(url: str, collection: vidx.Collection) -> None:
    hits = collection.search(url, 5, SearchOptions(exclude_self=True))
    assert hits
    assert not any(hit.path.endswith(("library0/bowl.mp4", "copy of bowl.mp4")) for hit in hits)


def test_an_example_and_one_of_several_may_be_urls(
    web: WebServer, url: str, library: Path, collection: vidx.Collection
) -> None:
    assert collection.search_like([url], k=1)[0].score > 0.9
    web.statuses["/forbidden.mp4"] = 403
    report = collection.search_many([url, library / "Dance.MKV", f"{web.url}/forbidden.mp4"], k=1)
    assert len(report.failed) == 1
    assert report.failed[0].path == f"{web.url}/forbidden.mp4"


@pytest.mark.long
def test_a_trouble_of_the_server_is_told(
    web: WebServer, url: str, collection: vidx.Collection
) -> None:
    web.breaks_at = 1000
    with pytest.raises(VideoError, match=r"unreadable: .*the connection broke off"):
        collection.search(url)
    with pytest.raises(VideoError, match="404 Not Found"):
        collection.search(f"{web.url}/absent.mp4")


def test_a_server_that_fails_one_request_in_ten_changes_nothing(
    web: WebServer, url: str, collection: vidx.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = collection.search(url)
    web.content["/bowl2.mp4"], web.fails_every = web.content["/bowl.mp4"], 10
    assert [hit.clip_id for hit in collection.search(f"{web.url}/bowl2.mp4")] == [
        hit.clip_id for hit in expected
    ]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "BLOCK_BYTES", 1000)


def test_a_remote_source_reads_as_a_local_one_does(
    web: WebServer, url: str, library: Path, small_blocks: None
) -> None:
    local, remote = Source(str(library / "bowl.mp4")), RemoteSource(url, lambda: None)
    assert remote.size == local.size
    for offset, whence in ((0, 0), (5000, 0), (-700, 2), (300, 1), (-1200, 1), (10, 2)):
        assert remote.seek(offset, whence) == local.seek(offset, whence)
        for size in (1, 999, 2500):
            if local.tell() < local.size:
                assert remote.read(size) == local.read(size)
            assert remote.tell() == local.tell()
    assert remote.read_at(local.size - 5, 100) == local.read_at(local.size - 5, 100)
    assert remote.read_at(local.size + 5, 100) == b""
    local.close()


def test_only_what_is_asked_for_travels_and_once(
    web: WebServer, url: str, small_blocks: None
) -> None:
    copy, content = PartialCopy(look(url)), web.content["/bowl.mp4"]
    for position, size in ((0, 100), (50_000, 10), (0, 1000), (50_500, 400)):
        assert copy.read_at(position, size, lambda: None) == content[position : position + size]
    assert web.sent_bytes == copy.fetched_bytes == 2000


def test_reading_in_order_takes_fewer_and_fewer_requests(
    web: WebServer, url: str, small_blocks: None
) -> None:
    copy, content = PartialCopy(look(url)), web.content["/bowl.mp4"]
    read = b"".join(copy.read_at(n, 700, lambda: None) for n in range(0, len(content), 700))
    assert read == content
    assert web.reads("/bowl.mp4") < len(content) / 1000 / 8
    assert web.sent_bytes == len(content)


def test_a_second_pass_reads_what_is_at_hand_unless_the_object_has_changed(
    web: WebServer, url: str
) -> None:
    for _ in range(2):
        RemoteSource(url, lambda: None).read(1 << 20)
    assert web.reads("/bowl.mp4") == 1
    web.content["/bowl.mp4"] = b"other"
    assert RemoteSource(url, lambda: None).read(1 << 20) == b"other"


def test_whoever_waits_for_a_server_gives_signs_of_life(web: WebServer, url: str) -> None:
    signs: list[int] = []
    source = RemoteSource(url, lambda: signs.append(len(web.asked)))
    web.fails_every = 1
    with pytest.raises(VideoError):
        source.read(10)
    assert len(signs) >= 6, "one before each try"
    with pytest.raises(VideoError):
        source.check()


def test_an_object_of_a_store_is_found(
    s3: Any, library: Path, collection: vidx.Collection, cli: Callable[..., tuple[int, str, str]]
) -> None:
    s3.upload_file(str(library / "bowl.mp4"), "films", "bowl.mp4")
    code, out, _ = cli("search", "s3://films/bowl.mp4", "-k", "1", "--collection", collection.path)
    assert (code, "bowl.mp4" in out) == (0, True)
