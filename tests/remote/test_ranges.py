"""Of an object of which a span is asked for, its index is read, and what the span takes."""

from __future__ import annotations

import dataclasses
import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_servers import WebServer
from numbered_videos import Numbered, make, number_in

import vidx
from vidx import SearchOptions, VideoError
from vidx.embedder.decoding.geometry import FrameGeometry
from vidx.embedder.decoding.handout import DecodedClip, DecodedVideo
from vidx.embedder.decoding.sampling import READ_WHOLE, Plan, Sampling
from vidx.embedder.decoding.video import decode_clips
from vidx.records import Span
from vidx.remote import copies
from vidx.remote.copies import partial_copy

pytestmark = pytest.mark.usefixtures("short_waits")
SAMPLING, GEOMETRY = Sampling(), FrameGeometry(resize_to=(48, 64))
SECONDS, FPS = 24.0, 15
SPAN = Plan(start_seconds=14.3, end_seconds=17.0)
FORMATS = {
    "b-frames-and-sound.mp4": Numbered(b_frames=2, sound="aac", gop=20),
    "index-in-front.mp4": Numbered(b_frames=1, options={"movflags": "faststart"}),
    "fragments.mp4": Numbered(gop=90, options={"movflags": "frag_keyframe+empty_moov"}),
    "late.mp4": Numbered(b_frames=2, start_seconds=0.7),
    "uneven.mp4": Numbered(times=[n / 15 + 0.017 * (n % 3) for n in range(360)]),
    "pictures-alone.mov": Numbered(codec="mjpeg"),
}
SHORT = ("b-frames-and-sound.mp4", "fragments.mp4")  # the others are left to the long tests


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """These films are small, too."""
    monkeypatch.setattr(copies, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(copies, "MOST_BLOCKS", 4)
    copies._last_copy.cache_clear()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    folder = tmp_path_factory.mktemp("ranges")

    def one(name: str) -> Path:
        if not (folder / name).exists():
            how = FORMATS.get(name, Numbered(b_frames=2))
            make(folder / name, dataclasses.replace(how, fps=FPS, seconds=SECONDS))
        return folder / name

    return one


def serve(web: WebServer, path: Path) -> str:
    web.content[f"/{path.name}"] = path.read_bytes()
    return f"{web.url}/{path.name}"


def decoded(place: object, plan: Plan) -> tuple[list[tuple[Any, ...]], DecodedVideo]:
    """Clips with their facts and pixels, and what is told at the end."""
    *parts, end = decode_clips(str(place), SAMPLING, plan, GEOMETRY)
    assert isinstance(end, DecodedVideo)
    clips = [
        (part.clip, part.facts, part.frames.tobytes() if isinstance(part, DecodedClip) else None)
        for part in parts
    ]
    return clips, end


def notes(end: DecodedVideo) -> list[str]:
    return [note for note in end.info.notes if note.startswith(READ_WHOLE)]


@pytest.mark.parametrize(
    "name",
    [name if name in SHORT else pytest.param(name, marks=pytest.mark.long) for name in FORMATS],
)
def test_a_span_gives_the_frames_that_the_file_gives_with_fewer_bytes(
    web: WebServer, film: Callable[[str], Path], name: str
) -> None:
    path = film(name)
    url = serve(web, path)
    assert decoded(url, SPAN) == decoded(path, SPAN)
    assert web.sent_bytes == partial_copy(url, lambda: None).fetched_bytes
    assert web.sent_bytes < 0.75 * path.stat().st_size


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2, 3, 4))]
)
def test_spans_anywhere_give_the_frames_that_the_file_gives(
    web: WebServer, film: Callable[[str], Path], seed: int
) -> None:
    rng = random.Random(seed)
    for name in ("b-frames-and-sound.mp4", "uneven.mp4"):
        path = film(name)
        start = rng.uniform(0.5 * SECONDS, SECONDS - 1)
        end = rng.choice([None, start + rng.uniform(0.1, 5.0), 99.0])
        plan = Plan(rng.choice([None, 0.7]), start, end)
        assert decoded(serve(web, path), plan) == decoded(path, plan), (name, plan)


def test_several_spans_take_no_more_than_they_need(
    web: WebServer, film: Callable[[str], Path]
) -> None:
    path = film("b-frames-and-sound.mp4")
    plan = Plan.of_spans(None, [Span(3.0, 4.0), Span(11.0, 12.0), Span(22.5, None)])
    assert decoded(serve(web, path), plan) == decoded(path, plan)
    assert web.sent_bytes < 0.75 * path.stat().st_size


@pytest.mark.long
def test_the_bitstream_says_where_decoding_begins_whatever_the_index_says(
    web: WebServer, film: Callable[[str], Path], tmp_path: Path
) -> None:
    content = film("b-frames-and-sound.mp4").read_bytes()
    assert content.count(b"stss") == 1
    path = tmp_path / "all-are-keys.mp4"
    path.write_bytes(content.replace(b"stss", b"free"))
    assert decoded(serve(web, path), SPAN) == decoded(path, SPAN)
    assert web.sent_bytes < 0.75 * path.stat().st_size


def test_a_span_that_begins_after_the_end_costs_the_index_alone(
    web: WebServer, film: Callable[[str], Path]
) -> None:
    path = film("pictures-alone.mov")
    with pytest.raises(VideoError, match=r"a span that starts at 99 s: the video ends at 24.000 s"):
        decoded(serve(web, path), Plan(start_seconds=99.0))
    assert web.sent_bytes < 0.5 * path.stat().st_size


SELDOM = [pytest.param(name, marks=pytest.mark.long) for name in ("no list of pictures", "damage")]


@pytest.mark.parametrize("trouble", ["no ranges", *SELDOM])
def test_what_cannot_be_read_by_ranges_is_read_whole_with_a_word_of_it(
    web: WebServer, film: Callable[[str], Path], tmp_path: Path, trouble: str
) -> None:
    path = film("film.mkv" if trouble == "no list of pictures" else "index-in-front.mp4")
    if trouble == "damage":
        path = damaged(path, tmp_path / "damaged.mp4")
    web.gives_ranges = trouble != "no ranges"
    plan = Plan(start_seconds=14.3)
    (clips, end), (from_disk, from_disk_end) = decoded(serve(web, path), plan), decoded(path, plan)
    assert clips == from_disk
    [note] = notes(end)
    reasons = {"no list of pictures": "does not list", "no ranges": "gives no parts"}
    assert reasons.get(trouble, "did not go as its index says") in note
    assert end.problem == from_disk_end.problem


def damaged(path: Path, copy: Path) -> Path:
    """A copy with a hole in the last group of pictures of the span."""
    content = bytearray(path.read_bytes())
    import av

    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    start, size = places[30 * 9 + 3]
    content[start + 8 : start + size] = bytes(size - 8)
    copy.write_bytes(content)
    return copy


@pytest.mark.long
def test_a_whole_video_is_read_without_a_word(web: WebServer, film: Callable[[str], Path]) -> None:
    path = film("index-in-front.mp4")
    clips, end = decoded(serve(web, path), Plan())
    assert (clips, end) == decoded(path, Plan())
    assert not notes(end)
    assert web.sent_bytes == path.stat().st_size


def test_each_frame_of_a_span_is_the_true_one(web: WebServer, film: Callable[[str], Path]) -> None:
    url = serve(web, film("b-frames-and-sound.mp4"))
    clip, *_ = decode_clips(url, SAMPLING, SPAN, FrameGeometry(resize_to=(96, 128)))
    assert isinstance(clip, DecodedClip)
    assert [number_in(frame) for frame in clip.frames] == [
        int((14.3 + sample / 7.5 + 0.001) * FPS) for sample in range(16)
    ]


def test_a_server_that_fails_one_request_in_ten_changes_nothing(
    web: WebServer, film: Callable[[str], Path]
) -> None:
    path, web.fails_every = film("b-frames-and-sound.mp4"), 10
    assert decoded(serve(web, path), SPAN) == decoded(path, SPAN)
    assert web.failed


def test_a_server_that_stops_in_the_middle_is_told(
    web: WebServer, film: Callable[[str], Path]
) -> None:
    url = serve(web, film("index-in-front.mp4"))
    web.breaks_at = 1500
    with pytest.raises(VideoError, match=r"unreadable: .*the connection broke off"):
        decoded(url, SPAN)


@pytest.mark.long
def test_an_object_that_changes_meanwhile_is_told(
    web: WebServer, film: Callable[[str], Path]
) -> None:
    url = serve(web, film("index-in-front.mp4"))
    parts = decode_clips(url, SAMPLING, SPAN, GEOMETRY)
    next(parts)
    web.content["/index-in-front.mp4"] = film("late.mp4").read_bytes()
    with pytest.raises(VideoError, match="changed_while_reading"):
        list(parts)


def test_an_object_of_a_store_is_read_by_ranges(s3: Any, film: Callable[[str], Path]) -> None:
    path = film("b-frames-and-sound.mp4")
    s3.upload_file(str(path), "films", "film.mp4")
    assert decoded("s3://films/film.mp4", SPAN) == decoded(path, SPAN)
    fetched = partial_copy("s3://films/film.mp4", lambda: None).fetched_bytes
    assert fetched < 0.75 * path.stat().st_size


@pytest.fixture(scope="module")
def large_film(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Path]:
    """A film of some megabytes, as a worker reads it, and one that is read whole."""
    folder = tmp_path_factory.mktemp("large")
    how = Numbered(codec="mjpeg", sound="pcm_s16le", fps=5, seconds=50.0)
    return [make(folder / f"film.{ending}", how) for ending in ("mov", "mkv")]


def test_a_search_for_a_span_reads_a_part_and_finds_what_its_file_finds(
    web: WebServer, large_film: Sequence[Path], embedded_once: Path
) -> None:
    collection, path = vidx.open(embedded_once), large_film[0]
    options = SearchOptions(start_seconds=35.0, end_seconds=39.0)
    assert collection.search(serve(web, path), 5, options) == collection.search(path, 5, options)
    assert web.sent_bytes < 0.5 * path.stat().st_size


@pytest.mark.long
def test_a_search_that_reads_an_object_whole_for_a_span_says_so(
    web: WebServer,
    large_film: Sequence[Path],
    embedded_once: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    collection, path = vidx.open(embedded_once), large_film[1]
    options = SearchOptions(start_seconds=35.0, end_seconds=39.0)
    with caplog.at_level(logging.WARNING, "vidx"):
        found = collection.search(serve(web, path), 5, options)
    assert found == collection.search(path, 5, options)
    assert "film.mkv' was read whole, though a span of it was asked for: " in caplog.text
