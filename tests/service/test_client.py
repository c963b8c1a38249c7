"""The client and the collection give equal answers for the same calls."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import vidx
from vidx import SearchOptions
from vidx.service.settings import Limits, Settings


@pytest.fixture(scope="module")
def both(
    serving: Callable, tmp_path_factory: pytest.TempPathFactory, library: Path, embedded_once: Path
) -> Iterator[tuple[vidx.Client, vidx.Collection, Path]]:
    """A client and a collection, of the same folder."""
    folder = shutil.copytree(embedded_once, tmp_path_factory.mktemp("client") / "collection")
    with serving(folder) as service, vidx.open(folder) as collection:
        collection.where("start_seconds = 0").save("kept")
        collection.concept("taught", [0, 1], [4, 6])
        yield vidx.Client(service.url), collection, library


def dim_of(one) -> int:
    return one.info().space.dim


CALLS = {
    "a file": lambda one, videos: one.search(videos / "bowl.mp4", 5),
    "a span": lambda one, videos: one.search(
        videos / "bowl.mp4", 2, SearchOptions(start_seconds=1.0, end_seconds=3.0)
    ),
    "segments": lambda one, videos: one.search(videos / "bowl.mp4", 3, SearchOptions(by="segment")),
    "a broken file": lambda one, videos: one.search(videos / "broken.mp4"),
    "no file": lambda one, videos: one.search(videos / "none.mp4"),
    "a clip": lambda one, _: one.search_by_id(2, 4, SearchOptions(by="video")),
    "no clip": lambda one, _: one.search_by_id(999),
    "a clip below all": lambda one, _: one.search_by_id(-1),
    "a clip above all": lambda one, _: one.search_like([0, 1 << 63]),
    "an expression": lambda one, _: one.search_by_id(
        np.int64(0), 4, SearchOptions(where="start_seconds > 0", exclude_self=True)
    ),
    "a wrong expression": lambda one, _: one.search_by_id(0, 4, SearchOptions(where="nothing = 1")),
    "a path": lambda one, _: one.search_by_id(0, 4, SearchOptions(path_glob="*.avi")),
    "a vector": lambda one, _: one.search_by_vector(np.linspace(-1, 1, dim_of(one)), 3),
    "a wrong vector": lambda one, _: one.search_by_vector([1.0, 2.0]),
    "examples": lambda one, videos: one.search_like(
        [0, videos / "Dance.MKV", np.ones(dim_of(one), np.float32)], [3], 4
    ),
    "one example": lambda one, _: one.search_like(1, k=2),
    "no examples": lambda one, _: one.search_like([]),
    "k of none": lambda one, _: one.search_by_id(0, 0),
    "clips": lambda one, _: one.clips(),
    "some clips": lambda one, _: one.clips(3),
    "videos": lambda one, _: one.videos(),
    "remarked videos": lambda one, _: one.videos(remarked=True),
    "failures": lambda one, _: one.failures(),
    "info": lambda one, _: one.info(),
    "a part": lambda one, _: one.where("start_seconds > 0").where("width > 0").clips(3),
    "videos of a part": lambda one, _: one.where("path glob '*.mp4'").videos(),
    "a part of nothing": lambda one, _: one.where("nothing = 1").clips(),
    "no snapshot": lambda one, _: one.selection("none").clips(),
    "duplicate clips": lambda one, _: one.duplicates(-1.0, within_videos=True),
    "duplicate clips of other videos": lambda one, _: one.duplicates(-1.0),
    "duplicate videos": lambda one, _: one.duplicates(by="video"),
    "duplicate spans": lambda one, _: one.duplicates(0.8, by="segment"),
    "duplicates by what is not": lambda one, _: one.duplicates(by="day"),
    "duplicates of none": lambda one, _: one.where("clip_id < 0").duplicates(),
    "leakage into a snapshot": lambda one, _: one.where("start_seconds > 0").leakage(
        other=one.selection("kept"), threshold=0.2
    ),
    "leakage into no snapshot": lambda one, _: one.leakage(other=one.selection("none")),
    "leakage two ways": lambda one, _: one.leakage("split", other=one.selection("kept")),
    "a split": lambda one, _: told(one.split({"b": 0.6, "a": 0.4}, threshold=0.99)),
    "the same split, otherwise": lambda one, _: told(one.split({"a": 0.4, "b": 0.6}, seed=2)),
    "a split of a part": lambda one, _: told(
        one.where("start_seconds > 0").split({"b": 0.5, "a": 0.5}, stratify="label", seed=2)
    ),
    "a split in one": lambda one, _: one.split({"a": 1.0}),
    "a split of too much": lambda one, _: one.split({"a": 0.6, "b": 0.6}),
    "a split by no column": lambda one, _: one.split({"a": 0.5, "b": 0.5}, "no such"),
    "a split in too many": lambda one, _: one.split({str(n): 0.05 for n in range(20)}),
    "a split that is written nowhere": lambda one, _: one.split({"a": 0.5, "b": 0.5}, write="a\n"),
    "concepts": lambda one, _: one.concepts(),
    "a concept": lambda one, _: one.where("concept('taught') > 0.4").clips(),
    "a concept that was taught": lambda one, _: one.concept("taught").clips(),
    "suggested examples": lambda one, _: one.suggest("taught", 3),
    "suggested examples of nothing": lambda one, _: one.suggest("none"),
    "no suggested examples": lambda one, _: one.suggest("taught", 0),
    "a judged concept": lambda one, _: one.evaluate("taught"),
    "a judged concept that is none": lambda one, _: one.evaluate("none"),
    "a concept by one example": lambda one, _: one.concept("new", [0]),
    "a concept by no clip": lambda one, _: one.concept("new", [0], [999]),
    "a concept of no name": lambda one, _: one.concept("", [0], [1]),
    "a concept of a bad name": lambda one, _: one.concept("a\n", [0], [1]),
    "no concept to forget": lambda one, _: one.delete_concept("none"),
    "leakage by no column": lambda one, _: one.leakage("no such"),
    "clusters": lambda one, _: one.clusters(2, seed=3),
    "clusters of a part": lambda one, _: one.where("start_seconds > 0").clusters(),
    "too many clusters": lambda one, _: one.clusters(900),
    "outliers": lambda one, _: one.outliers(3),
    "a sample": lambda one, _: one.sample(3).clips(),
    "a sample of a part": lambda one, _: one.where("start_seconds > 0").sample(2).clips(1),
    "a random sample": lambda one, _: one.sample(4, "random", seed=5).clip_ids().tolist(),
    "a sample by no column": lambda one, _: one.sample(2, "balanced", column="no such"),
    "a sample by a column it does not take": lambda one, _: one.sample(2, column="n"),
    "a sample of nonsense": lambda one, _: one.sample(2, "nonsense"),
    "a sample of too many": lambda one, _: one.sample(900),
    "a sample of none": lambda one, _: one.sample(0),
    "a comparison": lambda one, _: one.compare(one.selection("kept"), 4, seed=1),
    "a comparison of a part": lambda one, _: one.where("start_seconds > 0").compare(
        one.selection("kept")
    ),
    "a comparison with no snapshot": lambda one, _: one.compare(one.selection("none")),
    "a comparison with a name": lambda one, _: one.compare("kept"),
    "a comparison of too many regions": lambda one, _: one.compare(one.selection("kept"), 900),
    "quality": lambda one, _: one.quality(blurred=1.0),
    "quality of nonsense": lambda one, _: one.quality(black=-1),
    "label issues": lambda one, _: one.label_issues(),
    "label counts": lambda one, _: one.label_counts(),
    "map": lambda one, _: one.map(),
    "proposal": lambda one, _: one.propose(one.duplicates(by="video"), "first").table,
    "proposal of clips": lambda one, _: one.propose(one.duplicates(0.5, within_videos=True)),
    "proposal of nonsense": lambda one, _: one.propose(one.duplicates(by="video"), "nonsense"),
    "proposal of no groups": lambda one, _: one.propose(one.videos()),
    "undone of nothing": lambda one, _: one.undo(0),
    "snapshots": lambda one, _: one.snapshots(),
    "difference of none": lambda one, _: one.diff("a", "b"),
    "no snapshot to forget": lambda one, _: one.delete_snapshot("none"),
    "metadata of nothing": lambda one, _: one.set_metadata(
        {"clip_id": [999], "split": ["a"]}, on="clip_id"
    ),
    "metadata that are no columns": lambda one, _: one.set_metadata(
        {"clip_id": 1, "b": 2}, on="clip_id"
    ),
}


def told(report) -> tuple:
    """A report of a split, to be compared."""
    return report.table, report.proof, report.num_groups, report.written


def outcome(call, one, videos: Path) -> object:
    """What a call gives, or the kind of error that it raises."""
    try:
        return call(one, videos)
    except vidx.VidxError as error:
        return type(error)


@pytest.mark.parametrize("name", CALLS)
def test_the_client_gives_what_the_collection_gives(both, name: str) -> None:
    client, collection, videos = both
    expected = outcome(CALLS[name], collection, videos)
    assert outcome(CALLS[name], client, videos) == expected


def test_what_is_asked_makes_a_difference(both) -> None:
    _, collection, _ = both
    assert collection.duplicates(-1.0) != collection.duplicates(-1.0, within_videos=True)
    assert collection.duplicates(by="video") != collection.duplicates(0.8, by="segment")


def test_what_the_client_tells_is_known_then(both) -> None:
    client, collection, _ = both
    table = {"clip_id": [0, 1], "split": ["train", None], "good": [True, False], "n": [1, 2]}
    report = client.set_metadata(table, on="clip_id")
    assert (report.num_values, report.new_columns[0].type) == (5, "text")
    rows = collection.clips(2).to_pylist()
    assert [(row["split"], row["good"], row["n"]) for row in rows] == [
        ("train", True, 1), (None, False, 2)
    ]  # fmt: skip
    assert client.clips() == collection.clips()
    assert client.info().metadata == collection.info().metadata


def test_what_the_client_saves_and_drops_is_gone_and_comes_back(both) -> None:
    client, collection, _ = both
    saved = client.where("start_seconds = 0").save("first")
    assert (saved.name, saved.num_clips) == ("first", collection.selection("first").count())
    assert client.selection("first").clips() == collection.selection("first").clips()
    assert client.snapshots() == collection.snapshots()
    client.where("snapshot('first') and path glob '*.mp4'").save("second")
    assert client.diff("first", "second") == collection.diff("first", "second")
    some = client.sample(3, "random")
    assert some.save("third").num_clips == some.count() == 3
    assert client.selection("third").clips() == some.clips()
    hits = client.search_by_id(0, 50, SearchOptions(where="snapshot('first')"))
    assert len(hits) == saved.num_clips

    proposal = client.propose(collection.duplicates(by="video"), "first")
    dropped = proposal.apply()
    assert [path.rsplit("/", 1)[1] for path in dropped.paths] == ["copy of bowl.mp4"]
    with pytest.raises(vidx.UsageError, match="applied already"):
        proposal.apply()
    with pytest.raises(vidx.UsageError, match="leaves files as they are"):
        proposal.apply("delete")
    assert client.duplicates(by="video") == collection.duplicates(by="video")
    assert client.duplicates(by="video").num_rows == 0
    assert client.undo(dropped.commit).num_locations == 1
    assert client.duplicates(by="video").num_rows == 2
    with pytest.raises(vidx.UsageError, match="taken back already"):
        client.undo(dropped.commit)
    assert client.delete_snapshot("second") == collection.commits(1)["number"].to_pylist()[0]


def test_what_the_client_teaches_is_known_then_and_forgotten(both) -> None:
    client, collection, _ = both
    found = client.concept("it's", np.array([0, 2]), [5])
    assert found.clips() == collection.concept("it's").clips()
    assert client.concepts()["name"].to_pylist() == ["taught", "it's"]
    assert client.concepts() == collection.concepts()
    hits = client.search_by_id(0, 50, SearchOptions(where="concept('it''s') > 0.5"))
    assert len(hits) == found.clips().num_rows > 0
    assert client.delete_concept("it's") == collection.commits(1)["number"].to_pylist()[0]
    assert collection.concepts()["name"].to_pylist() == ["taught"]


def test_a_split_is_written_once_and_told(both, monkeypatch: pytest.MonkeyPatch) -> None:
    client, collection, _ = both
    monkeypatch.setattr("vidx.client.MOST_ROWS", 2)
    before = collection.commits(1)["number"].to_pylist()[0]
    report = client.split({"left": 0.5, "right": 0.5}, write="side")
    assert report.table == collection.split({"left": 0.5, "right": 0.5}).table
    assert report.written
    assert report.written.commit == before + 1 == collection.commits(1)["number"].to_pylist()[0]
    split = report.table.select(["path", "split"]).to_pylist()
    sides = {(row["path"], row["split"]) for row in split}
    assert {(row["path"], row["side"]) for row in collection.videos().to_pylist()} >= sides
    assert client.leakage("side") == collection.leakage("side")


def test_long_lists_are_read_page_by_page(both, monkeypatch: pytest.MonkeyPatch) -> None:
    client, collection, _ = both
    monkeypatch.setattr("vidx.client.MOST_ROWS", 2)
    assert client.clips() == collection.clips()
    assert client.clips(5) == collection.clips(5)
    assert client.clusters(2) == collection.clusters(2)
    kept = (client.selection("kept"), collection.selection("kept"))
    assert client.compare(kept[0], 6) == collection.compare(kept[1], 6)


def test_what_cannot_be_sent_is_refused(both) -> None:
    client, collection, _ = both
    for options in (SearchOptions(device="cpu"), SearchOptions(where=collection.where("repeats"))):
        with pytest.raises(vidx.UsageError):
            client.search_by_id(0, options=options)
    with pytest.raises(vidx.UsageError):
        client.set_metadata("file.csv")
    with pytest.raises(vidx.UsageError, match="is no snapshot"):
        client.compare(client.selection("kept").where("start_seconds > 0"))
    with pytest.raises(vidx.UsageError, match="limit=-1: it takes 1 or more"):
        client.clips(-1)


NO_URLS = ["", "localhost:8000", "file:///etc/passwd", "ftp://x"]
NO_ADDRESSES = ["http://[::1", "http://x:port", "http://x:99999", "http://x/a b", "http://x..y"]


@pytest.mark.parametrize("url", [*NO_URLS, *NO_ADDRESSES, "http://x/\u4e00"])
def test_a_client_takes_the_url_of_a_service_alone(url: str) -> None:
    with pytest.raises(vidx.UsageError, match="no URL of a service"):
        vidx.Client(url)


def test_where_nobody_answers_it_is_told() -> None:
    with pytest.raises(vidx.VidxError, match="no service answers"):
        vidx.Client("http://127.0.0.1:9").info()


@pytest.mark.parametrize("token", ["a\nb", "\u4e00", "a\0"])
def test_a_token_that_cannot_be_sent_is_refused_and_not_told(token: str) -> None:
    with pytest.raises(vidx.UsageError, match="cannot be sent") as refused:
        vidx.Client("http://127.0.0.1:9", token=token)
    assert token not in str(refused.value)


def test_white_space_around_a_token_is_left_out(
    serving: Callable, drawn: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDX_TOKEN", " t\u00e9st\n")
    with serving(drawn, Settings(port=0, token="t\u00e9st")) as service:
        assert vidx.Client(service.url).info().num_videos == 10


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that is still being sent when the service has made up its mind."""
    file = tmp_path / "large.mp4"
    with file.open("wb") as content:
        content.truncate(40_000_000)
    return file


def test_a_wrong_token_is_told_of_a_file_too(serving: Callable, drawn: Path, large: Path) -> None:
    with serving(drawn, Settings(port=0, token="right")) as service:
        for token in ("wrong", ""):
            with pytest.raises(vidx.VidxError, match="this server takes a token"):
                vidx.Client(service.url, token).search(large)


def test_more_than_a_service_takes_is_told_as_that(
    serving: Callable, drawn: Path, narrow: Limits, large: Path
) -> None:
    with serving(drawn, Settings(port=0, limits=narrow)) as service:
        client = vidx.Client(service.url)
        with pytest.raises(vidx.VidxError, match=r"while 40000000 bytes were sent|is over 50000"):
            client.search(large)
        with pytest.raises(
            vidx.VidxError, match=r"while 200000\d\d bytes were sent|is over 100000"
        ):
            client.set_metadata({"path": ["x"], "n": ["n" * 20_000_000]})


def test_an_empty_file_is_told_before_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(vidx.VideoError, match="0 bytes") as told:
        vidx.Client("http://127.0.0.1:9").search(tmp_path / "empty.mp4")
    assert told.value.reason == "empty_file"


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.where("path = '\udce9'").clips(),
        lambda client: client.where("path = '\udce9'").split({"a": 0.5, "b": 0.5}),
        lambda client: client.search_by_id(0, options=SearchOptions(where="path = '\udce9'")),
        lambda client: client.set_metadata({"path": ["\udce9"], "b": [2]}),
        lambda client: client.set_metadata({"clip_id": [1], "b": [datetime.now()]}, on="clip_id"),
        lambda client: client.set_metadata(
            pa.Table.from_arrays([pa.array([0])] * 3, ["clip_id", "b", "b"]), on="clip_id"
        ),
    ],
)
def test_what_cannot_go_into_a_request_is_a_wrong_argument(ask: Callable) -> None:
    with pytest.raises(vidx.UsageError):
        ask(vidx.Client("http://127.0.0.1:9"))


@pytest.mark.parametrize("ids", [np.arange(3), pa.chunked_array([[0], [1, 2]])])
@pytest.mark.parametrize(
    "values",
    [
        np.array([1.5, np.nan, 2.0], np.float32),
        pa.array(["a", None, "a"]).dictionary_encode(),
        [Decimal("0.25"), None, Decimal("2.50")],
    ],
    ids=["numbers", "words", "decimals"],
)
def test_the_client_takes_the_columns_that_the_collection_takes(
    both, request: pytest.FixtureRequest, ids: object, values: object
) -> None:
    client, collection, _ = both
    name = request.node.callspec.id
    sent, own = f"sent {name}", f"own {name}"
    theirs = client.set_metadata({"clip_id": ids, sent: values}, on="clip_id")
    ours = collection.set_metadata(pa.table({"clip_id": ids, own: values}), on="clip_id")
    assert theirs.num_values == ours.num_values == 2
    assert theirs.new_columns[0].type == ours.new_columns[0].type
    rows = collection.clips(3)
    assert rows[sent].equals(rows[own])


@contextmanager
def answering(
    answers: dict[str, tuple[int, bytes]],
    missing_bytes: int = 0,
    silent: threading.Event | None = None,
) -> Iterator[str]:
    """The URL of what gives answers by method and path, or `*`; not whole, where bytes miss."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_DELETE(self) -> None:
            self.answer()

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, body = answers.get(f"{self.command} {self.path}") or answers["*"]
            self.send_response(status)
            self.send_header("content-length", str(len(body) + missing_bytes))
            self.end_headers()
            self.wfile.write(body)
            if silent:
                silent.wait(10)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            if silent:
                silent.set()
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [200, 404])
def test_an_answer_that_breaks_off_is_told(status: int) -> None:
    with answering({"*": (status, b'{"hi')}, missing_bytes=9) as url:
        told = "breaks off: IncompleteRead" if status == 200 else "answers 404"
        with pytest.raises(vidx.VidxError, match=told):
            vidx.Client(url).info()


def test_an_answer_that_stalls_is_told() -> None:
    silent = threading.Event()
    with (
        answering({"*": (200, b"{")}, missing_bytes=9, silent=silent) as url,
        pytest.raises(vidx.VidxError, match="breaks off: timed out"),
    ):
        vidx.Client(url, timeout_seconds=0.1).info()


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[1]", b"null", b"\xff", b""])
def test_what_is_no_service_of_vidx_is_told_as_that(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"video")
    with answering({"*": (200, body)}) as url:
        client = vidx.Client(url)
        for ask in (
            client.info,
            client.clips,
            lambda: client.search_by_id(0),
            lambda: client.search(tmp_path / "video.mp4"),
            lambda: client.set_metadata({"clip_id": [0], "a": [1]}, on="clip_id"),
        ):
            with pytest.raises(vidx.VidxError, match="is no vidx service"):
                ask()


def test_an_upload_that_stays_changes_nothing_of_the_answer(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"video")
    answers = {
        "POST /v1/uploads": (201, b'{"upload_id": "a"}'),
        "POST /v1/search": (200, b'{"hits": []}'),
        "*": (500, b""),
    }
    with answering(answers) as url:
        assert vidx.Client(url).search(tmp_path / "video.mp4") == []
        told = {"type": "urn:vidx:UsageError", "detail": "a wrong k"}
        answers["POST /v1/search"] = (422, json.dumps(told).encode())
        with pytest.raises(vidx.UsageError, match="a wrong k"):
            vidx.Client(url).search(tmp_path / "video.mp4")
