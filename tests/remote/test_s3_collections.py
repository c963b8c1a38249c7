"""A collection in a bucket: the same promises as in a folder, for all who share it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_collections import PROVENANCE, SPACE, draw_video, path_of
from made_servers import FaultyWay
from shared_collection import ADDRESS, BUCKET, NAME, On

import vidx
from vidx.errors import CollectionDamaged, CollectionLocked, VidxError
from vidx.store import working_copy
from vidx.store.layout import Layout
from vidx.store.writer import Batch, open_writer

pytestmark = pytest.mark.usefixtures("s3", "short_waits")


def commit(layout: Layout, *names: str) -> None:
    """Commit drawn videos, as somebody does who opens the collection for that."""
    working_copy.has_news(layout)
    with open_writer(layout, SPACE) as writer:
        writer.commit(Batch(videos=[draw_video(name) for name in names]), PROVENANCE)


def paths() -> list[str]:
    """Where the collection's videos are, as this machine sees it."""
    with vidx.open(ADDRESS) as collection:
        return [Path(row["path"]).stem for row in collection.videos().to_pylist()]


def objects(s3: Any, folder: str = "") -> dict[str, str]:
    """The objects of the collection, with the version of each."""
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{NAME}/{folder}").get("Contents", ())
    return {one["Key"].removeprefix(f"{NAME}/"): one["ETag"] for one in found}


def test_what_one_machine_commits_another_sees(on: On, tmp_path: Path) -> None:
    commit(on("one"), "a", "b")
    commit(on("one"), "c")
    with vidx.open(ADDRESS) as collection:
        removed = collection.remove(path_of("a"))
        table = {"path": [path_of("b")], "split": ["train"]}
        collection.set_metadata(table)
        collection.where("split = 'train'").save("mine")
    on("two")
    assert paths() == ["b", "c"]
    with vidx.open(ADDRESS) as collection:
        assert [row["number"] for row in collection.commits().to_pylist()] == [5, 4, 3, 2, 1]
        assert collection.where("split = 'train'").clip_ids().tolist() == [3, 4, 5]
        assert collection.snapshots().to_pylist()[0]["name"] == "mine"
        query = draw_video("c").embedded.embeddings[1]
        assert collection.search_by_vector(query, k=1)[0].clip_id == 7
        assert collection.restore(removed.commit).num_locations == 1
        collection.delete_snapshot("mine")
        assert collection.info().path == ADDRESS
    on("one")
    assert paths() == ["a", "b", "c"]
    with vidx.open(ADDRESS) as collection:
        assert collection.snapshots().num_rows == 0
        assert collection.verify() == []


def test_a_working_copy_opened_by_its_folder_is_the_same_collection(on: On, s3: Any) -> None:
    commit(on("one"), "a")
    with vidx.open(on("one").root) as collection:
        collection.remove(path_of("a"))
    assert len(objects(s3, "commits/")) == 2


def test_a_lost_or_damaged_working_copy_is_made_anew(on: On) -> None:
    layout = on("one")
    commit(layout, "a")
    commit(layout, "b")
    with vidx.open(ADDRESS) as collection:
        collection.remove(path_of("a"))
    layout.catalogue.write_bytes(b"no catalogue" * 1000)
    shard = layout.shards / "clips-000000000000.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with vidx.open(ADDRESS) as collection:
        assert collection.rebuild().commit == 3
        assert collection.verify() == []
    assert paths() == ["b"]
    shutil.rmtree(layout.root)
    assert paths() == ["b"]


def test_verify_compares_with_the_bucket(on: On, s3: Any) -> None:
    commit(on("one"), "a")
    (shard,) = objects(s3, "shards/")
    s3.put_object(Bucket=BUCKET, Key=f"{NAME}/shards/left.parquet", Body=b"x")
    s3.delete_object(Bucket=BUCKET, Key=f"{NAME}/{shard}")
    with vidx.open(ADDRESS) as collection:
        missing, orphan = collection.verify()
    assert missing == f"bucket: {shard} is missing"
    assert orphan.startswith("bucket: shards/left.parquet belongs to no commit")


def test_of_two_writers_at_once_one_is_refused_and_nothing_overwritten(
    on: On, s3: Any, s3_way: FaultyWay
) -> None:
    one, two = on("one"), on("two")
    commit(one, "a")
    before = objects(s3)
    did: list[str] = []

    def other_first(method: str, path: str) -> None:
        if method == "PUT" and "/commits/000000000002.json" in path and not did:
            did.append(path)
            commit(two, "b")

    s3_way.before = other_first
    with open_writer(one) as writer:
        batch = Batch(videos=[draw_video("c")])
        with pytest.raises(CollectionLocked, match="another writer has made commit 2"):
            writer.commit(batch, PROVENANCE)
        writer.commit(batch, PROVENANCE)
    after = objects(s3)
    assert before.items() <= after.items()
    assert len(objects(s3, "commits/")) == 3
    for machine in ("one", "two"):
        on(machine)
        assert paths() == ["a", "b", "c"]
        with vidx.open(ADDRESS) as collection:
            (orphan,) = collection.verify()  # what was sent in vain
            assert "belongs to no commit" in orphan


def test_of_two_who_make_a_collection_one_is_refused_and_goes_on_with_the_other_s(
    on: On, s3: Any, s3_way: FaultyWay
) -> None:
    one, two = on("one"), on("two")
    did: list[str] = []

    def other_first(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/collection.json") and not did:
            did.append(path)
            commit(two, "b")

    s3_way.before = other_first
    with pytest.raises(CollectionLocked, match="was just made"):
        commit(one, "a")
    commit(one, "a")
    assert paths() == ["a", "b"]


@pytest.mark.long
def test_writers_who_try_again_all_get_through(on: On, s3_way: FaultyWay) -> None:
    s3_way.loses_every = 10
    machines = {name: on(name) for name in ("one", "two", "three")}
    commit(machines["one"], "first")

    def work(name: str, layout: Layout) -> None:
        for number in range(4):
            for _attempt in range(30):
                try:
                    commit(layout, f"{name}{number}")
                    break
                except CollectionLocked:
                    continue

    threads = [threading.Thread(target=work, args=item) for item in machines.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = sorted(["first", *(f"{name}{i}" for name in machines for i in range(4))])
    for name in machines:
        on(name)
        assert paths() == expected
        with vidx.open(ADDRESS) as collection:
            assert all("belongs to no commit" in one for one in collection.verify())
            assert len(collection.commits()) == 13


@pytest.mark.parametrize("fault", ["fails_every", "loses_every"])
def test_requests_that_fail_cost_nothing(on: On, s3_way: FaultyWay, fault: str) -> None:
    setattr(s3_way, fault, 5)
    s3_way.slow_seconds = 0.02
    for name in "abc":
        commit(on("one"), name)
    with vidx.open(ADDRESS) as collection:
        collection.remove(path_of("b"))
    on("two")
    assert paths() == ["a", "c"]
    with vidx.open(ADDRESS) as collection:
        collection.rebuild()
        assert collection.verify() == []
    assert s3_way.faults > 3


def test_a_commit_that_the_bucket_does_not_take_is_not_made(on: On, s3_way: FaultyWay) -> None:
    layout = on("one")
    commit(layout, "a")
    s3_way.statuses["PUT"] = 403
    with open_writer(layout) as writer, pytest.raises(VidxError, match="403 Forbidden"):
        writer.commit(Batch(videos=[draw_video("b")]), PROVENANCE)
    s3_way.statuses.clear()
    assert paths() == ["a"]
    commit(layout, "c")
    assert paths() == ["a", "c"]


@pytest.mark.long
@pytest.mark.parametrize(("moment", "left"), [("before", ["a", "b"]), ("after", ["b"])])
def test_a_kill_around_the_commit_point(
    on: On, s3: Any, s3_way: FaultyWay, moment: str, left: list[str]
) -> None:
    commit(on("one"), "a", "b")
    reached, go_on = threading.Event(), threading.Event()

    def stop(method: str, path: str) -> None:
        if method == "PUT" and "/commits/" in path:
            reached.set()
            go_on.wait(60)
            raise ConnectionAbortedError

    setattr(s3_way, moment, stop)
    script = f"import vidx; vidx.open({ADDRESS!r}).remove({path_of('a')!r})"
    child = subprocess.Popen([sys.executable, "-c", script], env=os.environ.copy())
    assert reached.wait(60)
    child.send_signal(signal.SIGKILL)
    child.wait()
    setattr(s3_way, moment, lambda _method, _path: None)
    go_on.set()
    assert paths() == left
    commit(on("one"), "c")
    for machine in ("one", "two"):
        on(machine)
        assert paths() == [*left, "c"]
    with vidx.open(ADDRESS) as collection:
        orphans = collection.verify()
    assert len(orphans) == (1 if moment == "before" else 0)


def test_a_server_that_keeps_no_writers_apart_is_refused(
    on: On, s3: Any, s3_way: FaultyWay
) -> None:
    s3_way.ignores_conditions = True
    with pytest.raises(VidxError, match="lets one writer overwrite another"):
        commit(on("one"), "a")
    assert objects(s3) == {}


def test_what_cannot_be_opened_is_told(on: On, cli: Callable[..., tuple[int, str, str]]) -> None:
    on("one")
    for address, expected, said in (
        ("s3://absent/x", 4, "404 Not Found, NoSuchBucket"),
        ("s3://films/none", 4, "no collection in s3://films/none"),
        ("s3://films", 2, "cannot be a collection"),
        ("gs://films/x", 2, "cannot be a collection"),
    ):
        code, _, error = cli("info", "--collection", address)
        assert code == expected
        assert said in error


def test_credentials_that_fail_are_told(on: On, s3_way: FaultyWay) -> None:
    commit(on("one"), "a")
    s3_way.statuses["GET"] = 403
    with pytest.raises(VidxError, match="403 Forbidden; see to the rights"):
        vidx.open(ADDRESS)


@pytest.mark.long
def test_a_server_that_is_away_is_told(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    from vidx.remote import file_systems

    commit(on("one"), "a")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    file_systems._store.cache_clear()
    with pytest.raises(VidxError, match="cannot be reached"):
        vidx.open(ADDRESS)


def test_another_collection_at_the_address_is_refused(on: On, s3: Any) -> None:
    commit(on("one"), "a")
    for name in objects(s3):
        s3.delete_object(Bucket=BUCKET, Key=f"{NAME}/{name}")
    with pytest.raises(CollectionDamaged, match="holds no collection any more"):
        vidx.open(ADDRESS)
    commit(on("two"), "b")
    on("one")
    with pytest.raises(CollectionDamaged, match="holds another collection"):
        vidx.open(ADDRESS)


def test_a_lost_commit_is_told(on: On, s3: Any) -> None:
    commit(on("one"), "a")
    commit(on("one"), "b")
    s3.delete_object(Bucket=BUCKET, Key=f"{NAME}/commits/000000000001.json")
    on("two")
    with pytest.raises(CollectionDamaged, match=r"has lost commits/000000000001\.json"):
        vidx.open(ADDRESS)


def test_an_object_that_was_changed_is_told_and_a_record_leads_nowhere_else(
    on: On, s3: Any
) -> None:
    commit(on("one"), "a")
    (shard,) = objects(s3, "shards/")
    sound = s3.get_object(Bucket=BUCKET, Key=f"{NAME}/{shard}")["Body"].read()
    s3.put_object(Bucket=BUCKET, Key=f"{NAME}/{shard}", Body=sound[:-1] + b"X")
    on("two")
    with pytest.raises(CollectionDamaged, match="is not what was committed"):
        vidx.open(ADDRESS)
    key = f"{NAME}/commits/000000000001.json"
    record = json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
    record["files"][0]["place"] = "shards/../../away.parquet"
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(record))
    with pytest.raises(CollectionDamaged, match="does not describe a commit"):
        vidx.open(ADDRESS)


def test_what_cannot_be_done_in_a_bucket_is_refused(
    on: On, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDX_CATALOGUE", "postgresql://me@127.0.0.1/x")
    with pytest.raises(VidxError, match="VIDX_CATALOGUE is for collections in folders"):
        commit(on("one"), "a")
    monkeypatch.delenv("VIDX_CATALOGUE")
    commit(on("one"), "a")
    with vidx.open(ADDRESS) as collection:
        with pytest.raises(VidxError, match="compact` is for collections in folders"):
            collection.compact()
        with pytest.raises(VidxError, match="moving the catalogue"):
            collection.move_catalogue("postgresql://me@127.0.0.1/x")


@pytest.mark.long
def test_videos_are_embedded_and_found_through_one_request_in_ten_failing(
    on: On,
    s3_way: FaultyWay,
    library: Path,
    tiny_checkpoint: Path,
    cli: Callable[..., tuple[int, str, str]],
) -> None:
    on("one")
    s3_way.fails_every, s3_way.slow_seconds = 10, 0.1
    named = ("--collection", ADDRESS)
    code, _, error = cli("embed", library, *named, "--model", tiny_checkpoint, "--workers", "1")
    assert code == 3, error  # one of them is broken
    on("two")
    code, out, error = cli("search", library / "bowl.mp4", *named, "--json")
    assert code == 0, error
    assert json.loads(out)[0]["path"].endswith("bowl.mp4")
    assert cli("verify", *named)[0] == 0
    on("one")
    assert cli("embed", library, *named, "--workers", "1")[0] == 3
    with vidx.open(ADDRESS) as collection:
        assert len(collection.commits()) == 1
