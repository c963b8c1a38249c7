"""A vector database is kept in step with a collection, and asked; the collection decides."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from made_collections import DIM, commit, draw_video, path_of
from made_indexes import clustered

import vidx
from vidx.databases.address import parse
from vidx.databases.milvus import Milvus, connected
from vidx.databases.record import BLOCK, Record
from vidx.index import normalized
from vidx.store.layout import Layout

pymilvus = pytest.importorskip("pymilvus")

VIDEOS, CLIPS = 170, 25  # 4250 clips: more than a block
VECTORS = np.ascontiguousarray(clustered(2 * VIDEOS * CLIPS)[:, :DIM])


def add(layout: Layout, first: int, count: int) -> None:
    videos = []
    for number in range(first, first + count):
        vectors = VECTORS[number * CLIPS : (number + 1) * CLIPS]
        videos.append(draw_video(f"v{number}", CLIPS, vectors=vectors))
    commit(layout, *videos)


def tell(collection: vidx.Collection, first: int, count: int) -> None:
    numbers = range(first, first + count)
    collection.set_metadata(
        {
            "path": [path_of(f"v{number}") for number in numbers],
            "side": ["odd" if number % 2 else "even" for number in numbers],
        }
    )


@pytest.fixture(scope="module")
def pushed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection with metadata, of which nothing was removed, and a database that has it."""
    folder = tmp_path_factory.mktemp("pushed")
    add(Layout(folder / "collection"), 0, VIDEOS)
    with vidx.open(folder / "collection") as collection:
        tell(collection, 0, VIDEOS)
        report = collection.push_index(f"milvus://{folder}/a.db")
    assert report == vidx.PushReport(f"milvus://{folder}/a.db", VIDEOS * CLIPS, VIDEOS * CLIPS, 0)
    return folder


@pytest.fixture
def collection(pushed_once: Path, tmp_path: Path) -> Iterator[vidx.Collection]:
    """A collection without a database, which may be changed."""
    shutil.copytree(pushed_once / "collection", tmp_path / "collection")
    shutil.rmtree(tmp_path / "collection" / "databases")
    with vidx.open(tmp_path / "collection") as collection:
        yield collection


@pytest.fixture
def small(tmp_path: Path) -> Iterator[vidx.Collection]:
    """One of 500 clips."""
    add(Layout(tmp_path / "small"), 0, 20)
    with vidx.open(tmp_path / "small") as collection:
        yield collection


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"milvus://{tmp_path}/b.db"


def stored(address: str, condition: str = "clip_id >= 0") -> set[int]:
    """The clips that the database itself says it has."""
    with connected(parse(address)) as database:
        rows = database._client.query(
            "vidx", filter=condition, output_fields=["clip_id"], limit=16_000
        )
        return {row["clip_id"] for row in rows}


def living(collection: vidx.Collection, where: str = "true") -> set[int]:
    return set(collection.where(where).clip_ids().tolist())


def recall_of(collection: vidx.Collection, options: vidx.SearchOptions, step: int = 220) -> float:
    """The share of true neighbours among the hits, which all must be allowed and rightly scored."""
    ids, vectors = (collection.where(options.where) if options.where else collection).vectors()
    unit = normalized(vectors)
    queries = normalized(VECTORS[::step] + np.float32(0.01))
    truth = -np.sort(-(queries @ unit.T), axis=1)[:, :10]
    own = dict(zip(ids.tolist(), unit, strict=True))
    found = []
    report = collection.search_many(queries, 10, options)
    for row in report.hits.to_pylist():
        query = row["query"]
        score = row["score"]
        assert score == pytest.approx(float(queries[query] @ own[row["clip_id"]]), abs=1e-5)
        found.append(score >= truth[query, -1] - 1e-6)
    assert len(found) == 10 * len(queries)
    return float(np.mean(found))


def test_a_search_through_a_database_finds_what_comparing_all_finds(
    pushed_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    nearest = Milvus.nearest
    monkeypatch.setattr(
        Milvus,
        "nearest",
        lambda self, vectors, count: asked.append(count) or nearest(self, vectors, count),
    )
    via = f"milvus://{pushed_once}/a.db"
    with vidx.open(pushed_once / "collection") as collection:
        assert stored(via) == living(collection)
        for where in (None, "side = 'odd'", "clip_id % 50 = 0"):
            assert recall_of(collection, vidx.SearchOptions(where=where, via=via)) >= 0.95
        assert asked == [40, 80]  # where few are allowed these are compared at once
        found = collection.search_by_id(7, 3, vidx.SearchOptions(via=via))
        own = collection.search_by_id(7, 3)
        assert [hit.clip_id for hit in found] == [hit.clip_id for hit in own]
        assert [hit.path for hit in found] == [hit.path for hit in own]
        by_video = vidx.SearchOptions(by="video", via=via)
        assert len({hit.video_id for hit in collection.search_by_id(7, 20, by_video)}) == 20


def test_metadata_are_there_for_others_to_filter_by(pushed_once: Path) -> None:
    via = f"milvus://{pushed_once}/a.db"
    with vidx.open(pushed_once / "collection") as collection:
        assert stored(via, "side == 'odd'") == living(collection, "side = 'odd'")
        path = path_of("v3")
        assert stored(via, f"path == '{path}' and start_seconds < 4") == living(
            collection, f"path = '{path}' and start_seconds < 4"
        )


def test_a_push_again_puts_in_and_takes_out_what_changed_alone(
    collection: vidx.Collection, address: str
) -> None:
    collection.push_index(address)
    again = collection.push_index(address)
    assert (again.num_put, again.num_removed) == (0, 0)
    collection.remove([path_of(f"v{number}") for number in range(0, VIDEOS, 10)])
    report = collection.push_index(address)
    assert report.num_removed == VIDEOS // 10 * CLIPS
    assert report.num_clips == VIDEOS // 10 * 9 * CLIPS
    assert stored(address) == living(collection)
    collection.set_metadata({"path": [path_of("v169")], "side": ["neither"]})
    assert collection.push_index(address).num_put < BLOCK  # its block alone
    assert stored(address, "side == 'neither'") == living(collection, "side = 'neither'")


def test_clips_that_are_not_pushed_yet_are_found_and_told_and_removed_ones_never(
    collection: vidx.Collection, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    layout = Layout(collection.path)
    collection.push_index(address)
    via = vidx.SearchOptions(via=address)
    removed = collection.remove([path_of(f"v{number}") for number in range(0, VIDEOS, 10)])
    add(layout, VIDEOS, 30)
    assert len(stored(address)) == VIDEOS * CLIPS  # the database lags behind
    assert recall_of(collection, via) >= 0.95
    assert f"750 of {VIDEOS // 10 * 9 * CLIPS + 750} clips are not in" in caplog.text
    collection.push_index(address)
    collection.restore(removed.commit)  # they live again, and are not in the database
    assert stored(address) < living(collection)
    assert recall_of(collection, via) >= 0.95
    collection.push_index(address)
    assert stored(address) == living(collection)


@pytest.mark.long
@pytest.mark.parametrize("steps", range(6))
def test_a_push_that_was_killed_is_gone_on_with_and_searches_are_right_meanwhile(
    collection: vidx.Collection, address: str, steps: int
) -> None:
    code = """
import os, signal, sys, vidx
from vidx.databases import milvus, record
left = int(sys.argv[3])
def counted(method):
    def step(*arguments):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(*arguments)
    return step
milvus.Milvus.put = counted(milvus.Milvus.put)
milvus.Milvus.keep_only = counted(milvus.Milvus.keep_only)
record.Record.clear, record.Record.note = counted(record.Record.clear), counted(record.Record.note)
vidx.open(sys.argv[1]).push_index(sys.argv[2])
"""
    collection.push_index(address)
    collection.remove([path_of(f"v{number}") for number in range(0, VIDEOS, 10)])
    add(Layout(collection.path), VIDEOS, 5)
    tell(collection, 0, VIDEOS + 5)
    release(address)
    command = [sys.executable, "-c", code, str(collection.path), address, str(steps)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert recall_of(collection, vidx.SearchOptions(via=address), 440) >= 0.95
    collection.push_index(address)
    assert stored(address) == living(collection)
    assert stored(address, "side == 'odd'") == living(collection, "side = 'odd'")
    assert collection.push_index(address).num_put == 0


def release(address: str) -> None:
    """Let go of a file of embedded Milvus, which a process keeps to itself until it ends."""
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(parse(address).uri)


@pytest.mark.long
def test_a_hundred_thousand_clips_are_pushed_with_kills_and_removals(tmp_path: Path) -> None:
    layout, address, videos = Layout(tmp_path / "collection"), f"milvus://{tmp_path}/b.db", 4000
    for first in range(0, videos, 160):
        vectors = clustered(160 * CLIPS, seed=first)[:, :DIM].reshape(160, CLIPS, DIM)
        numbered = enumerate(np.ascontiguousarray(vectors), first)
        commit(layout, *(draw_video(f"v{number}", CLIPS, vectors=own) for number, own in numbered))
    code = "import sys, vidx; vidx.open(sys.argv[1]).push_index(sys.argv[2])"
    command = [sys.executable, "-c", code, str(layout.root), address]
    with vidx.open(layout.root) as collection:
        tell(collection, 0, videos)
        for seconds in (4, 6, 8):
            if seconds == 6:
                collection.remove([path_of(f"v{number}") for number in range(0, videos, 10)])
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(command, check=True, timeout=seconds)  # and killed
        subprocess.run(command, check=True)
        assert collection.push_index(address).num_put == 0
        for where in (None, "side = 'odd'", "clip_id % 50 = 0"):
            options = vidx.SearchOptions(where=where, via=address)
            assert recall_of(collection, options) >= 0.95


@pytest.mark.long
def test_a_lost_note_and_a_database_made_anew_cost_a_push_and_no_hit(
    small: vidx.Collection, address: str
) -> None:
    small.push_index(address)
    for path in (Path(small.path) / "databases").iterdir():
        path.unlink()
    assert recall_of(small, vidx.SearchOptions(via=address), 440) >= 0.95
    assert small.push_index(address).num_put == 500
    with connected(parse(address)) as database:
        database._client.drop_collection("vidx")
    with pytest.raises(vidx.VidxError, match="has no vectors yet"):
        small.search_by_id(0, 3, vidx.SearchOptions(via=address))
    assert small.push_index(address).num_put == 500
    assert stored(address) == living(small)


def test_vectors_of_another_collection_or_length_are_refused(
    small: vidx.Collection, address: str, tmp_path: Path
) -> None:
    small.push_index(address)
    add(Layout(tmp_path / "other"), 0, 1)
    with vidx.open(tmp_path / "other") as other:
        for ask in (
            other.push_index,
            lambda via: other.search_by_id(0, 1, vidx.SearchOptions(via=via)),
        ):
            with pytest.raises(vidx.VidxError, match="of the collection"):
                ask(address)
    with connected(parse(address)) as database:
        with pytest.raises(vidx.VidxError, match="of 8 dimensions"):
            database.copy(small._manifest().uuid, 16)
        database._client.drop_collection("vidx")
        database._client.create_collection("vidx", dimension=DIM)
    with pytest.raises(vidx.VidxError, match="was not made by vidx"):
        small.push_index(address)


@contextmanager
def refusing_server() -> Iterator[int]:
    """What answers any call as Milvus does where user or password are wrong."""
    import grpc

    class Refusing(grpc.GenericRpcHandler):
        def service(self, _details: object) -> object:
            return grpc.unary_unary_rpc_method_handler(
                lambda _request, context: context.abort(
                    grpc.StatusCode.UNAUTHENTICATED, "auth check failure"
                )
            )

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Refusing()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def test_a_database_that_cannot_be_had_is_told_with_what_to_do(
    small: vidx.Collection, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(vidx.VidxError, match="cannot be reached"):
        small.push_index(f"milvus://127.0.0.1:{port}/clips")
    with refusing_server() as port, pytest.raises(vidx.VidxError, match="VIDX_MILVUS_TOKEN"):
        small.push_index(f"milvus://127.0.0.1:{port}/clips")
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(vidx.VidxError, match="cannot be opened"):
        small.push_index(f"milvus://{tmp_path}/text.db")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("postgresql://host/db", "no address"),
        ("milvus://host", "names the collection"),
        ("milvus://host/9lives", "names the collection"),
        ("milvus://host:port/name", "no address"),
        ("milvus://user:secret@host/name", "VIDX_MILVUS_TOKEN"),
        ("milvus:///nowhere/at/all/a.db", "folder that is there"),
        ("milvus:///tmp/a.txt", "ends in .db"),
    ],
)
def test_addresses_that_are_none_are_told_without_their_secrets(address: str, message: str) -> None:
    with pytest.raises(vidx.UsageError, match=message) as told:
        parse(address)
    assert "secret" not in str(told.value)


def test_copies_and_segments_are_not_asked_of_a_database() -> None:
    for wrong in ({"likeness": "copy"}, {"by": "segment"}):
        with pytest.raises(vidx.UsageError, match="via="):
            vidx.SearchOptions(via="milvus://host/name", **wrong)


def test_notes_are_of_whole_blocks_and_a_torn_one_says_nothing(tmp_path: Path) -> None:
    record, live = Record(tmp_path / "notes" / "a.blocks"), np.arange(BLOCK) % 3 == 0
    assert (len(record), record.read(0)) == (0, None)
    assert not record.there(np.array([0, 5])).any()
    record.note(1, b"0123456789abcdef", live)
    assert (len(record), record.read(0)) == (2, None)
    digest, noted = record.read(1)
    assert (digest, noted.tolist()) == (b"0123456789abcdef", live.tolist())
    ids = np.array([0, BLOCK, BLOCK + 1, BLOCK + 3, 5 * BLOCK])
    assert record.there(ids).tolist() == [False, True, False, True, False]
    content = bytearray((tmp_path / "notes" / "a.blocks").read_bytes())
    content[-100] ^= 1
    (tmp_path / "notes" / "a.blocks").write_bytes(content)
    assert record.read(1) is None
    assert not record.there(ids).any()


def test_a_column_that_milvus_takes_not_is_left_out_and_told(
    small: vidx.Collection, address: str, caplog: pytest.LogCaptureFixture
) -> None:
    small.set_metadata({"path": [path_of("v0")], "$meta": ["x"], "side": ["left"]})
    small.push_index(address)
    assert "no column named $meta: it is left out" in caplog.text
    assert stored(address) == living(small)
    assert stored(address, "side == 'left'") == living(small, "side = 'left'")
