"""The index of a collection in a bucket: made on one machine, and fetched by the others."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_collections import PROVENANCE, SPACE, draw_video
from made_servers import FaultyWay
from shared_collection import ADDRESS, BUCKET, NAME, On

import vidx
from vidx.index import building, normalized
from vidx.index.codes import Codes
from vidx.store import working_copy
from vidx.store.layout import Layout
from vidx.store.writer import Batch, open_writer

IVF = vidx.IndexOptions(kind="ivf")
VIDEOS, CLIPS = 60, 6
pytestmark = pytest.mark.usefixtures("s3", "short_waits")


@pytest.fixture(autouse=True)
def few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuning is quick, as it is not what is tested here."""
    monkeypatch.setattr(building, "NUM_TUNED", 60)
    monkeypatch.setattr(building, "NUM_MEASURED", 30)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when it is called no codes are trained, nor tuned."""

    def forbid() -> None:
        def refuse(*_args: Any, **_options: Any) -> None:
            raise AssertionError("an index was made that is there already")

        monkeypatch.setattr(Codes, "train", refuse)
        monkeypatch.setattr(building, "tuned", refuse)

    return forbid


def fill(layout: Layout, first: int = 0, count: int = VIDEOS) -> None:
    """Commit drawn videos, as somebody does who opens the collection for that."""
    working_copy.has_news(layout)
    drawn = [draw_video(f"v{number}", CLIPS) for number in range(first, first + count)]
    with open_writer(layout, SPACE) as writer:
        writer.commit(Batch(videos=drawn), PROVENANCE)


def make(asked: vidx.IndexOptions = IVF, at: str | Path = ADDRESS) -> vidx.IndexReport:
    with vidx.open(at) as collection:
        return collection.index(asked)


def objects(s3: Any, folder: str = "index/") -> dict[str, str]:
    """The objects of a folder, with the version of each."""
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{NAME}/{folder}").get("Contents", ())
    return {one["Key"].removeprefix(f"{NAME}/"): one["ETag"] for one in found}


def records(s3: Any) -> list[str]:
    return [name for name in objects(s3) if name.endswith(".json")]


def record(s3: Any, number: int) -> dict[str, Any]:
    key = f"{NAME}/index/{number:012d}.json"
    found: dict[str, Any] = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    return found


def put_record(s3: Any, number: int, values: dict[str, Any]) -> None:
    key = f"{NAME}/index/{number:012d}.json"
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(values).encode())


def header_of(layout: Layout) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((layout.index / "index.json").read_bytes())
    return found


def made_files(layout: Layout) -> list[str]:
    """The digests of the files that took time to make, and are in use."""
    header = header_of(layout)
    names = [part["file"] for one in header["codes"].values() for part in one["parts"]]
    names += [header["copy"]["transform"]] if "copy" in header["codes"] else []
    return sorted(hashlib.sha256((layout.index / name).read_bytes()).hexdigest() for name in names)


def found(likeness: str = "similar", k: int = 10) -> list[list[tuple[int, float]]]:
    """What some queries find on this machine."""
    options = vidx.SearchOptions(likeness=likeness)  # type: ignore[arg-type]
    with vidx.open(ADDRESS) as collection:
        asked = [draw_video(f"v{number}", CLIPS).embedded.embeddings for number in (3, 17, 40)]
        return [
            [
                (hit.clip_id, round(hit.score, 4))
                for hit in collection.search_by_vector(one, k, options)
            ]
            for one in asked
        ]


def check_promise(least: float = 0.9) -> None:
    """See to it that searches find what comparing all finds, as often as was measured."""
    with vidx.open(ADDRESS) as collection:
        ids, vectors = collection.vectors()
        normal = normalized(vectors)
        right = total = 0
        for row in range(0, len(ids), 7):
            truth = np.sort(normal @ normal[row])[-10]
            hits = collection.search_by_vector(vectors[row], 10)
            assert {hit.clip_id for hit in hits} <= set(ids.tolist())
            assert hits[0].clip_id == ids[row]
            right += sum(hit.score >= truth - 1e-5 for hit in hits)
            total += 10
        assert right >= least * total


def kind() -> str:
    with vidx.open(ADDRESS) as collection:
        return str(collection.info().index.kind)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    told = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    caplog.clear()
    return told


def test_another_machine_fetches_the_index_and_trains_nothing(
    on: On, s3: Any, no_training: Callable[[], None]
) -> None:
    fill(on("one"))
    report = make()
    assert report.kind == "ivf"
    one = made_files(on("one"))
    expected = {likeness: found(likeness) for likeness in ("similar", "copy")}
    assert len(records(s3)) == 1
    no_training()
    two = on("two")
    for likeness, hits in expected.items():
        assert found(likeness) == hits
    assert kind() == "ivf"
    assert made_files(two) == one
    again = make()  # what is asked is there
    assert (again.kind, again.parameters) == ("ivf", report.parameters)
    assert len(records(s3)) == 1
    check_promise()
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []


def test_vectors_are_not_sent(on: On, s3: Any) -> None:
    fill(on("one"))
    make()
    kinds = {name.partition("/")[2].partition("-")[0] for name in objects(s3)}
    assert kinds == {"000000000001.json", "similar", "copy", "whitening"}


def test_a_newer_index_takes_the_place_of_an_older_one_whose_objects_go(on: On, s3: Any) -> None:
    fill(on("one"))
    make()
    fill(on("two"), VIDEOS, VIDEOS)
    make()
    assert len(records(s3)) == 2
    newest = made_files(on("two"))
    on("one")
    assert kind() == "ivf"
    assert made_files(on("one")) == newest
    make(vidx.IndexOptions(kind="ivf", num_parts=2))
    assert records(s3) == ["index/000000000002.json", "index/000000000003.json"]
    old = {file["name"] for number in (2, 3) for file in record(s3, number)["files"]}
    assert objects(s3).keys() == old | set(records(s3))
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []


def test_clips_that_came_after_the_index_are_added_without_training(
    on: On, no_training: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "LATE_ROWS", 10)
    fill(on("one"))
    make()
    fill(on("one"), VIDEOS, 20)
    no_training()
    two = on("two")
    assert kind() == "ivf"
    codes = header_of(two)["codes"].values()
    rows = {sum(part["rows"] for part in one["parts"]) for one in codes}
    assert rows == {(VIDEOS + 20) * CLIPS}
    check_promise()


def test_what_embed_makes_by_itself_is_shared_too(
    on: On, s3: Any, no_training: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "LEAST_BYTES", 1)
    fill(on("one"))
    with vidx.open(ADDRESS) as collection, collection._writer(None):
        collection._tend_index()
    assert len(records(s3)) == 1
    no_training()
    on("two")
    with vidx.open(ADDRESS) as collection:
        with collection._writer(None):
            collection._tend_index()
        assert collection.rebuild().commit == 1
    assert kind() == "ivf"
    assert len(records(s3)) == 1


def test_an_index_in_parts_is_shared(on: On, no_training: Callable[[], None]) -> None:
    fill(on("one"))
    make(vidx.IndexOptions(kind="ivf", num_parts=3))
    hits = found()
    no_training()
    on("two")
    with vidx.open(ADDRESS) as collection:
        assert collection.info().index.parameters["num_parts"] == 3
    assert found() == hits


def test_what_was_asked_on_a_machine_holds_there(on: On) -> None:
    fill(on("one"))
    wishes = {
        "exact": vidx.IndexOptions(kind="exact"),
        "small": vidx.IndexOptions(max_memory_bytes=1000),
        "sure": vidx.IndexOptions(target_recall=1.0),
    }
    for machine, own in wishes.items():
        on(machine)
        make(own)
    on("one")
    make()
    for machine in wishes:
        on(machine)
        assert kind() == "exact"
    on("two")
    assert kind() == "ivf"


def test_an_index_of_other_rows_is_passed_over_without_a_word(
    on: On, s3: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fill(on("one"))
    make()
    values = record(s3, 1)
    put_record(s3, 1, values | {"made": values["made"] | {"ids_sha256": "0" * 64}})
    on("two")
    assert kind() == "exact"
    check_promise(1.0)
    assert warnings(caplog) == []


def test_a_second_open_costs_one_listing_more(on: On, s3_way: FaultyWay) -> None:
    fill(on("one"))
    make()
    on("two")
    kind()
    asked: list[tuple[str, str]] = []
    s3_way.before = lambda method, path: asked.append((method, path))
    with vidx.open(ADDRESS):
        pass
    assert [method for method, path in asked if "index" in path] == ["GET"]
    assert len(asked) == 4  # collection.json is looked at and read, and two folders are listed


def codes_key(s3: Any) -> str:
    """Of the object that has the codes of the vectors."""
    (name,) = (name for name in objects(s3) if name.startswith("index/similar"))
    return f"{NAME}/{name}"


def body(s3: Any, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


def lose(s3: Any) -> None:
    s3.delete_object(Bucket=BUCKET, Key=codes_key(s3))


def change(s3: Any) -> None:
    key = codes_key(s3)
    sound = body(s3, key)
    s3.put_object(Bucket=BUCKET, Key=key, Body=sound[:-1] + bytes([sound[-1] ^ 1]))


def cut(s3: Any) -> None:
    key = codes_key(s3)
    s3.put_object(Bucket=BUCKET, Key=key, Body=body(s3, key)[:-1])


def be_of_another_faiss(s3: Any) -> None:
    key = codes_key(s3)
    other = b"NewF" + body(s3, key)[4:]
    s3.put_object(Bucket=BUCKET, Key=key, Body=other)
    values = record(s3, 1)
    for file in values["files"]:
        if key.endswith(file["name"]):
            file["sha256"] = hashlib.sha256(other).hexdigest()
    put_record(s3, 1, values)


def be_of_a_later_vidx(s3: Any) -> None:
    put_record(s3, 1, record(s3, 1) | {"format_version": 99})


def have_a_later_header(s3: Any) -> None:
    values = record(s3, 1)
    values["made"]["header"]["format_version"] = 99
    put_record(s3, 1, values)


def be_nonsense(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"{NAME}/index/000000000001.json", Body=b"[1]")


def be_another_collection_s(s3: Any) -> None:
    put_record(s3, 1, record(s3, 1) | {"collection": "another"})


def lead_elsewhere(s3: Any) -> None:
    values = record(s3, 1)
    values["files"][0]["name"] = "shards/../away-1.faiss"
    put_record(s3, 1, values)


def name_too_little(s3: Any) -> None:
    values = record(s3, 1)
    put_record(s3, 1, values | {"files": values["files"][1:]})


DAMAGES = (lose, change, be_of_another_faiss, be_nonsense)
FURTHER = (
    cut, be_of_a_later_vidx, have_a_later_header, be_another_collection_s, lead_elsewhere,
    name_too_little,
)  # fmt: skip


@pytest.mark.parametrize(
    "damage", [*DAMAGES, *(pytest.param(one, marks=pytest.mark.long) for one in FURTHER)]
)
def test_an_index_that_cannot_be_had_costs_one_warning(
    on: On, s3: Any, damage: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    fill(on("one"))
    make()
    damage(s3)
    two = on("two")
    assert kind() == "exact"
    (told,) = warnings(caplog)
    assert "the index in the bucket is not fetched" in told
    assert "vidx index" in told
    check_promise(1.0)
    assert warnings(caplog) == []  # once is enough
    left = {path.name.partition("-")[0] for path in two.index.iterdir()}
    assert "similar" not in left
    assert make().kind == "ivf"
    on("three")
    assert kind() == "ivf"
    assert warnings(caplog) == []


def test_verify_names_what_is_wrong_with_the_index_in_the_bucket(on: On, s3: Any) -> None:
    fill(on("one"))
    make()
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []
        (lost,) = (name for name in objects(s3) if name.startswith("index/similar"))
        s3.put_object(Bucket=BUCKET, Key=f"{NAME}/index/left-1.npy", Body=b"x")
        s3.delete_object(Bucket=BUCKET, Key=f"{NAME}/{lost}")
        missing, orphan = collection.verify()
        assert missing.startswith(f"bucket: {lost} is missing")
        assert orphan.startswith("bucket: index/left-1.npy belongs to no index")
        s3.put_object(Bucket=BUCKET, Key=f"{NAME}/index/000000000001.json", Body=b"{}")
        assert "does not describe an index" in collection.verify()[0]


def once(way: FaultyWay, method: str, part: str, do: Callable[[], object]) -> None:
    """Have something done before the first request of a kind is passed on."""
    did: list[str] = []

    def look(asked: str, path: str) -> None:
        if asked == method and part in path and not did:
            did.append(path)
            do()

    way.before = look


@pytest.mark.long
def test_of_two_who_make_an_index_at_once_neither_overwrites_the_other(
    on: On, s3: Any, s3_way: FaultyWay, caplog: pytest.LogCaptureFixture
) -> None:
    fill(on("one"))
    two = on("two")
    kind()
    mine = vidx.IndexOptions(kind="ivf", num_parts=2)
    once(s3_way, "PUT", "/index/000000000001.json", lambda: make(mine, two.root))
    on("one")
    make()
    assert records(s3) == ["index/000000000001.json", "index/000000000002.json"]
    parts = [len(record(s3, one)["made"]["header"]["codes"]["similar"]["parts"]) for one in (1, 2)]
    assert parts == [2, 1]
    hits = found()
    for machine in ("one", "two", "three"):
        on(machine)
        assert found() == hits
        check_promise()
        with vidx.open(ADDRESS) as collection:
            assert collection.info().index.parameters.get("num_parts", 1) == 1
            assert collection.verify() == []
    assert warnings(caplog) == []


@pytest.mark.long
def test_an_index_that_goes_while_it_is_fetched_gives_way_to_the_newer_one(
    on: On, s3: Any, s3_way: FaultyWay, caplog: pytest.LogCaptureFixture
) -> None:
    one = on("one")
    fill(one)
    make()

    def make_two_more() -> None:
        for num_parts in (2, 3):
            make(vidx.IndexOptions(kind="ivf", num_parts=num_parts), one.root)

    once(s3_way, "GET", "/index/similar-", make_two_more)
    on("two")
    with vidx.open(ADDRESS) as collection:
        assert collection.info().index.parameters["num_parts"] == 3
    assert "index/000000000001.json" not in records(s3)
    assert warnings(caplog) == []
    check_promise()


def test_a_bucket_that_takes_nothing_leaves_an_index_here_and_one_warning(
    on: On, s3: Any, s3_way: FaultyWay, caplog: pytest.LogCaptureFixture
) -> None:
    fill(on("one"))
    on("two")
    kind()
    s3_way.statuses["PUT"] = 403
    assert make().kind == "ivf"
    (told,) = warnings(caplog)
    assert "the index is not shared" in told
    assert "403 Forbidden" in told
    check_promise()
    assert objects(s3) == {}


@pytest.mark.long
def test_an_index_of_its_own_is_never_taken_for_the_one_that_was_fetched(
    on: On, s3_way: FaultyWay
) -> None:
    fill(on("one"))
    make()
    on("two")
    kind()
    s3_way.statuses["PUT"] = 403
    for num_parts in (2, 1):
        report = make(vidx.IndexOptions(kind="ivf", num_parts=num_parts))
        assert report.parameters.get("num_parts", 1) == num_parts
    make(vidx.IndexOptions(kind="ivf", num_parts=2))
    assert "num_parts" not in make().parameters


@pytest.mark.long
def test_a_bucket_that_deletes_nothing_keeps_older_indexes_and_tells(
    on: On, s3: Any, s3_way: FaultyWay, caplog: pytest.LogCaptureFixture
) -> None:
    fill(on("one"))
    s3_way.statuses["DELETE"] = 403
    for num_parts in (1, 2, 3):
        make(vidx.IndexOptions(kind="ivf", num_parts=num_parts))
    (told,) = warnings(caplog)
    assert "older indexes stay in the bucket" in told
    assert len(records(s3)) == 3
    s3_way.statuses.clear()
    make()
    assert len(records(s3)) == 2
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []


@pytest.mark.long
def test_a_disk_that_is_full_while_an_index_is_fetched_costs_a_warning(
    on: On, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from vidx.index import shared

    fill(on("one"))
    make()

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    two = on("two")
    with monkeypatch.context() as patch:
        patch.setattr(shared, "whiten", full)
        assert kind() == "exact"
        check_promise(1.0)
    assert all("No space left" in told for told in warnings(caplog))
    assert not list(two.index.glob("*.faiss"))
    assert kind() == "ivf"


@pytest.mark.parametrize(
    "fault", ["fails_every", pytest.param("loses_every", marks=pytest.mark.long)]
)
def test_one_request_in_ten_that_fails_costs_nothing(
    on: On, s3: Any, s3_way: FaultyWay, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    setattr(s3_way, fault, 10)
    fill(on("one"))
    make()
    one = made_files(on("one"))
    for number in range(2):
        two = on(f"two{number}")
        assert kind() == "ivf"
        assert made_files(two) == one
        check_promise()
    for num_parts in (2, 3):
        make(vidx.IndexOptions(kind="ivf", num_parts=num_parts))
    assert len(records(s3)) == 2
    assert s3_way.faults > 3
    assert warnings(caplog) == []
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []


@contextmanager
def stopped(way: FaultyWay, moment: str, method: str, part: str, script: str) -> Iterator[None]:
    """Run a script in a process that is killed around a request."""
    reached, go_on = threading.Event(), threading.Event()

    def stop(asked: str, path: str) -> None:
        if asked == method and part in path and not reached.is_set():
            reached.set()
            go_on.wait(60)
            raise ConnectionAbortedError

    setattr(way, moment, stop)
    child = subprocess.Popen([sys.executable, "-c", script], env=os.environ.copy())
    assert reached.wait(60)
    child.send_signal(signal.SIGKILL)
    child.wait()
    setattr(way, moment, lambda _method, _path: None)
    go_on.set()
    yield


MAKE = f"import vidx; vidx.open({ADDRESS!r}).index(vidx.IndexOptions(kind='ivf'))"
KILLS = (
    ("before", "/index/similar-", "exact"),
    ("after", "/index/copy-", "exact"),
    ("before", "/index/000000000001.json", "exact"),
    ("after", "/index/000000000001.json", "ivf"),
)


@pytest.mark.long
@pytest.mark.parametrize(("moment", "part", "expected"), KILLS)
def test_a_kill_while_an_index_is_sent(
    on: On,
    s3: Any,
    s3_way: FaultyWay,
    moment: str,
    part: str,
    expected: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(on("one"))
    with stopped(s3_way, moment, "PUT", part, MAKE):
        assert kind() == "ivf"  # here it is made
        check_promise()
        sent = {name for name in objects(s3) if not name.endswith(".json")}
        with vidx.open(ADDRESS) as collection:
            orphans = collection.verify()
        assert len(orphans) == (0 if expected == "ivf" else len(sent))
        assert all("belongs to no index" in one for one in orphans)
        on("two")
        assert kind() == expected
        check_promise()
        make(vidx.IndexOptions(kind="ivf", num_parts=2))
        on("three")
        with vidx.open(ADDRESS) as collection:
            assert collection.info().index.parameters["num_parts"] == 2
            assert len(collection.verify()) == len(orphans)
        check_promise()
    assert warnings(caplog) == []


@pytest.mark.long
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("part", ["/index/similar-", "/index/whitening-", "/index/000000000001"])
def test_a_kill_while_an_index_is_fetched(
    on: On,
    s3_way: FaultyWay,
    moment: str,
    part: str,
    no_training: Callable[[], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(on("one"))
    make()
    one = made_files(on("one"))
    no_training()
    two = on("two")
    with stopped(s3_way, moment, "GET", part, f"import vidx; vidx.open({ADDRESS!r})"):
        assert header_of(two)["codes"] == {}
        assert kind() == "ivf"
        assert made_files(two) == one
        codes = header_of(two)["codes"].values()
        named = {part["file"] for one in codes for part in one["parts"]}
        assert {path.name for path in two.index.glob("*.faiss")} == named
        assert not list(two.index.glob(".*.tmp"))
        check_promise()
    assert warnings(caplog) == []


@pytest.mark.long
def test_machines_that_embed_and_index_at_once_share_one_index_in_the_end(
    on: On, s3: Any, s3_way: FaultyWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "LEAST_BYTES", 1)
    s3_way.fails_every = 10
    machines = {name: on(name) for name in ("one", "two", "three")}
    fill(machines["one"])

    def work(start: int, layout: Layout) -> None:
        for number in range(3):
            for _attempt in range(30):
                try:
                    fill(layout, VIDEOS + 1000 * start + 40 * number, 40)
                    break
                except vidx.CollectionLocked:
                    continue
            with vidx.open(layout.root) as collection, collection._writer(None):
                collection._tend_index()

    threads = [
        threading.Thread(target=work, args=(start, layout))
        for start, layout in enumerate(machines.values())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= len(records(s3)) <= 4  # who deletes may see those of others
    for machine in (*machines, "four"):
        on(machine)
        assert kind() == "ivf"
        check_promise()
        with vidx.open(ADDRESS) as collection:
            assert collection.info().num_clips == (VIDEOS + 9 * 40) * CLIPS
            assert all("belongs to no commit" in one for one in collection.verify())


@pytest.mark.long
def test_the_command_tells_that_an_index_is_not_shared(on: On, s3_way: FaultyWay) -> None:
    fill(on("one"))
    kind()
    s3_way.statuses["PUT"] = 403
    command = (sys.executable, "-m", "vidx", "index", "--collection", ADDRESS, "--kind", "ivf")
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "recall at 10" in done.stdout
    assert done.stderr.count("the index is not shared") == 1
    assert "Traceback" not in done.stderr
