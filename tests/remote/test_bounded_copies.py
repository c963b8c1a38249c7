"""The working copy of a bucket: as large as is allowed, whatever the collection is."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_collections import (
    PREVIEWED,
    SPACE,
    change_catalogue,
    draw_video,
    lose_catalogue,
    path_of,
    preview_of,
)
from made_servers import FaultyWay
from shared_collection import (
    ADDRESS,
    BUCKET,
    CLIPS,
    NAME,
    NAMES,
    Bound,
    On,
    commit,
    objects,
    put_all_out,
    sizes,
    taken,
)

import vidx
from vidx.errors import CollectionDamaged, UsageError, VidxError
from vidx.index import building
from vidx.store import layout as layouts
from vidx.store.at_hand import at_hand, make_room
from vidx.store.layout import Layout, read_manifest
from vidx.store.writer import Batch, open_writer

pytestmark = pytest.mark.usefixtures("s3", "short_waits")


def vectors() -> tuple[list[int], np.ndarray]:
    with vidx.open(ADDRESS) as collection:
        ids, found = collection.vectors()
    return ids.tolist(), found


def everything() -> np.ndarray:
    return np.concatenate([draw_video(name, CLIPS).embedded.embeddings for name in NAMES])


def check_all(collection: vidx.Collection, exported: Path) -> None:
    """See to it that every clip is found, read and shown as if all shards were here."""
    drawn = everything()
    ids, stored = collection.vectors()
    assert ids.tolist() == list(range(len(drawn)))
    assert np.array_equal(stored, drawn)
    for clip_id in (0, 10, 23):
        assert collection.search_by_vector(drawn[clip_id], k=1)[0].clip_id == clip_id
    assert len(collection.search_by_id(4, k=30)) == len(drawn)
    found = collection.previews([22, 1, 13])
    assert found == {22: preview_of("h", 1), 1: preview_of("a", 1), 13: preview_of("e", 1)}
    assert collection.where("clip_id >= 6 and clip_id < 8").vectors()[0].tolist() == [6, 7]
    assert collection.export(exported) == len(drawn)


@pytest.mark.long
def test_every_question_is_answered_within_the_bound(
    on: On, room_for: Callable[[float], int], tmp_path: Path
) -> None:
    most = room_for(2.5)
    for done, machine in enumerate(("one", "two")):  # who has made it, and who fetches it
        layout = on(machine)
        with vidx.open(ADDRESS) as collection:
            assert 0 < taken(layout) <= most
            check_all(collection, tmp_path / "all.parquet")
            assert 0 < taken(layout) <= most
            assert collection.verify() == []
            assert collection.rebuild().commit == len(NAMES) + 3 * done
            assert taken(layout) <= most
            check_all(collection, tmp_path / "all.parquet")
            collection.index(vidx.IndexOptions(kind="exact"))
            removed = collection.remove(path_of("a"))
            collection.restore(removed.commit)
            collection.set_metadata({"path": [path_of("b")], "split": ["train"]})
            assert collection.where("split = 'train'").clip_ids().tolist() == [3, 4, 5]
            assert collection.verify() == []
            assert taken(layout) <= most


@pytest.mark.long
def test_a_first_look_goes_in_pieces_and_fetches_each_shard_once(
    on: On,
    room_for: Callable[[float], int],
    s3_way: FaultyWay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most = room_for(2.5)
    layout = on("two")
    fetched: Counter[str] = Counter()
    largest = [0]
    link = os.link

    def look(method: str, path: str) -> None:
        if method == "GET" and "/shards/" in path:
            fetched[path] += 1

    def measured(source: Path, target: Path) -> None:  # when a file that was fetched is whole
        largest[0] = max(largest[0], taken(layout))
        link(source, target)

    s3_way.before = look
    monkeypatch.setattr(os, "link", measured)
    with vidx.open(ADDRESS) as collection:
        assert collection.info().num_clips == len(NAMES) * CLIPS
        assert collection.search_by_vector(everything()[0], k=1)[0].clip_id == 0
    assert set(fetched.values()) == {1}
    assert len(fetched) == len(NAMES)
    assert most / 2 < largest[0] <= most
    with vidx.open(ADDRESS) as collection:
        assert collection.search_by_vector(everything()[0], k=1)[0].clip_id == 0
        assert sum(fetched.values()) == len(NAMES)
        collection.rebuild()
        assert collection.vectors()[1].shape == everything().shape
    assert most / 2 < largest[0] <= most


def test_the_least_recently_used_go_first(
    on: On, room_for: Callable[[float], int], bound: Bound
) -> None:
    room_for(100)
    layout = on("one")
    files = sorted(sizes(layout))
    for place, file in enumerate(files):
        os.utime(layout.shards / file, (place, place))
    with vidx.open(ADDRESS) as collection:
        collection.previews([0])
        bound(3 * max(sizes(layout).values()))
        make_room(layout, read_manifest(layout))
    assert sorted(sizes(layout)) == [files[0], *files[-2:]]


def test_a_bound_that_was_lowered_holds_from_the_next_look_on(
    on: On, room_for: Callable[[float], int], bound: Bound
) -> None:
    room_for(100)
    assert len(sizes(on("one"))) == len(NAMES)
    most = bound(taken(on("one")) // 3)
    with vidx.open(ADDRESS):
        assert taken(on("one")) <= most


@pytest.mark.long
def test_less_room_than_one_shard_takes_still_does(
    on: On, room_for: Callable[[float], int], tmp_path: Path
) -> None:
    room_for(0.2)
    layout = on("two")
    with vidx.open(ADDRESS) as collection:
        check_all(collection, tmp_path / "all.parquet")
        collection.rebuild()
        check_all(collection, tmp_path / "all.parquet")
        assert collection.verify() == []
    assert taken(layout) == 0
    commit(layout, "more")
    assert taken(layout) == 0
    on("one")
    assert len(vectors()[0]) == (len(NAMES) + 1) * CLIPS


def test_what_is_read_is_not_put_out(
    on: On, room_for: Callable[[float], int], bound: Bound
) -> None:
    room_for(100)
    layout = on("one")
    manifest = read_manifest(layout)
    first = min(sizes(layout))
    bound(0)
    with at_hand(layout, manifest, first) as path, at_hand(layout, manifest, first):
        make_room(layout, manifest)
        assert list(sizes(layout)) == [first]
        assert path.exists()
    make_room(layout, manifest)
    assert sizes(layout) == {}


def test_a_lost_catalogue_is_made_anew_of_what_is_in_the_bucket(
    on: On, room_for: Callable[[float], int], bound: Bound
) -> None:
    most = room_for(2.5)
    layout = on("one")
    with vidx.open(ADDRESS):
        pass
    lose_catalogue(layout)
    with vidx.open(ADDRESS) as collection:
        with pytest.raises(CollectionDamaged, match="vidx rebuild"):
            collection.info()
        assert collection.rebuild().num_clips == len(NAMES) * CLIPS
        assert collection.verify() == []
    assert taken(layout) <= most
    put_all_out(layout, bound)
    lose_catalogue(layout)
    assert np.array_equal(vectors()[1], everything())


@pytest.mark.parametrize("left", [None, "", "\n{half of a line"])
def test_a_lost_note_of_objects_is_made_anew(
    on: On, room_for: Callable[[float], int], bound: Bound, left: str | None
) -> None:
    room_for(100)
    layout = on("one")
    put_all_out(layout, bound)
    bound(10**9)
    layout.objects.unlink()
    if left is not None:
        layout.objects.write_text(left)
    assert np.array_equal(vectors()[1], everything())
    layout.objects.unlink()
    put_all_out(layout, bound)
    assert np.array_equal(vectors()[1], everything())


def test_verify_looks_for_the_objects_of_what_was_put_out(
    on: On, room_for: Callable[[float], int], bound: Bound, s3: Any, s3_way: FaultyWay
) -> None:
    room_for(100)
    layout = on("one")
    put_all_out(layout, bound)
    asked: list[str] = []
    s3_way.before = lambda method, path: asked.append(f"{method} {path}")
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []
        assert not [one for one in asked if one.startswith("GET") and "/shards/clips" in one]
        s3.delete_object(Bucket=BUCKET, Key=objects(s3)[3])
        (lost,) = collection.verify()
        assert lost.startswith("bucket: shards/clips-000000000009-")
        assert lost.endswith("is missing")
        change_catalogue(
            layout, "UPDATE shards SET file = 'clips-000000000099.parquet' WHERE first_clip_id = 0"
        )
        unlisted = collection.verify()
        with pytest.raises(CollectionDamaged, match="is missing, and no commit at"):
            collection.vectors()
    assert "shard clips-000000000099.parquet: no commit in the bucket has it" in " ".join(unlisted)


def test_a_shard_that_cannot_be_fetched_is_told(
    on: On,
    room_for: Callable[[float], int],
    bound: Bound,
    s3: Any,
    cli: Callable[..., tuple[int, str, str]],
) -> None:
    room_for(100)
    put_all_out(on("one"), bound)
    key = objects(s3)[2]
    sound = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    s3.delete_object(Bucket=BUCKET, Key=key)
    with vidx.open(ADDRESS) as collection:
        for ask in (collection.vectors, lambda: collection.previews([6])):
            with pytest.raises(VidxError, match=r"clips-000000000006\.parquet is not in") as told:
                ask()
            assert key.removeprefix(f"{NAME}/") in str(told.value)
            assert "404 Not Found" in str(told.value)
        assert collection.previews([0]) == {0: preview_of("a", 0)}
        s3.put_object(Bucket=BUCKET, Key=key, Body=sound[:-1] + b"X")
        with pytest.raises(CollectionDamaged, match="is not what was committed"):
            collection.vectors()
    code, _, error = cli("export", on("one").root / "x.parquet", "--collection", ADDRESS)
    assert code == 4
    assert "is not what was committed" in error
    assert sizes(on("one")) == {}
    assert taken(on("one")) == 0  # nothing that is half fetched stays


@pytest.mark.long
def test_a_server_that_goes_away_is_told_by_who_needs_a_shard(
    on: On, room_for: Callable[[float], int], bound: Bound, s3_way: FaultyWay
) -> None:
    room_for(100)
    put_all_out(on("one"), bound)
    with vidx.open(ADDRESS) as collection:
        s3_way.statuses["GET"] = 403
        assert collection.search_by_vector(everything()[5], k=1)[0].clip_id == 5
        with pytest.raises(VidxError, match=r"cannot be fetched as .*403 Forbidden") as told:
            collection.vectors()
        assert told.value.exit_code == 4


@pytest.mark.long
@pytest.mark.parametrize("fault", ["fails_every", "loses_every"])
def test_one_request_in_ten_that_fails_costs_nothing(
    on: On,
    room_for: Callable[[float], int],
    s3_way: FaultyWay,
    fault: str,
    tmp_path: Path,
) -> None:
    most = room_for(1.5)
    setattr(s3_way, fault, 10)
    layout = on("two")
    with vidx.open(ADDRESS) as collection:
        check_all(collection, tmp_path / "all.parquet")
        collection.rebuild()
        assert collection.verify() == []
    assert taken(layout) <= most
    assert s3_way.faults > 2


@pytest.mark.parametrize("size", ["much", "-1", "20 GiB", "1e9"])
def test_a_bound_that_is_no_size_is_wrong_usage(
    on: On,
    monkeypatch: pytest.MonkeyPatch,
    cli: Callable[..., tuple[int, str, str]],
    size: str,
) -> None:
    commit(on("one"), "a")
    monkeypatch.setenv("VIDX_CACHE_SIZE", size)
    code, _, error = cli("info", "--collection", ADDRESS)
    assert code == 2
    assert f"VIDX_CACHE_SIZE is {size!r}" in error
    assert "Write 500M or 20G" in error
    with pytest.raises(UsageError):
        vidx.open(ADDRESS)
    monkeypatch.setenv("VIDX_CACHE_SIZE", "1.5G")
    assert cli("info", "--collection", ADDRESS)[0] == 0


def test_in_a_folder_the_bound_counts_for_nothing_and_a_missing_shard_is_damage(
    tmp_path: Path, bound: Bound, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound(0)
    layout = layouts.find(tmp_path / "plain")
    for name in "ab":
        commit_in_folder(layout, name)
    monkeypatch.setenv("VIDX_CACHE_SIZE", "nonsense")
    with vidx.open(layout.root) as collection:
        assert len(collection.vectors()[0]) == 2 * CLIPS
        (layout.shards / "clips-000000000003.parquet").unlink()
        assert collection.verify() == ["shard clips-000000000003.parquet: the file is missing"]
        with pytest.raises(CollectionDamaged, match="cannot be read"):
            collection.vectors()
    assert not layout.objects.exists()


def commit_in_folder(layout: Layout, name: str) -> None:
    with open_writer(layout, SPACE) as writer:
        writer.commit(Batch(videos=[draw_video(name, CLIPS)]), PREVIEWED)


READ = f"""
import sys, vidx
with vidx.open({ADDRESS!r}) as collection:
    for _ in range(int(sys.argv[1])):
        ids, vectors = collection.vectors()
        assert len(ids) == {len(NAMES) * CLIPS}, ids
        assert len(collection.previews(list(range(0, 24, 5)))) == 5
print(vectors.sum())
"""


def readers(count: int, rounds: int) -> list[subprocess.Popen[str]]:
    """Processes that read all there is, each for itself."""
    command = [sys.executable, "-c", READ, str(rounds)]
    pipe = subprocess.PIPE
    return [
        subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=os.environ.copy())
        for _ in range(count)
    ]


def ended_well(children: list[subprocess.Popen[str]]) -> list[str]:
    told = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * len(children), told
    return [out for out, _ in told]


@pytest.mark.long
@pytest.mark.parametrize("shards", [0, 2.5, 5])
def test_one_process_reads_what_another_puts_out(
    on: On, room_for: Callable[[float], int], shards: float
) -> None:
    most = room_for(shards)
    layout = on("two")
    vectors()
    out = ended_well(readers(2, 5))
    assert out[0] == out[1]
    assert taken(layout) <= most
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []


@pytest.mark.long
def test_threads_read_while_others_put_out(
    on: On, room_for: Callable[[float], int], bound: Bound
) -> None:
    room_for(0.5)
    layout = on("two")
    expected = everything()
    vectors()
    manifest = read_manifest(layout)
    wrong: list[object] = []
    done = threading.Event()

    def put_out() -> None:
        while not done.is_set():
            make_room(layout, manifest)

    def read() -> None:
        try:
            with vidx.open(layout.root) as collection:
                for _ in range(2):
                    assert np.array_equal(collection.vectors()[1], expected)
        except Exception as error:
            wrong.append(error)

    putting = threading.Thread(target=put_out)
    reading = [threading.Thread(target=read) for _ in range(3)]
    for thread in (putting, *reading):
        thread.start()
    for thread in reading:
        thread.join()
    done.set()
    putting.join()
    assert wrong == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("machine", "script"),
    [
        ("one", READ),
        ("one", f"import vidx; vidx.open({ADDRESS!r}).rebuild()"),
        ("two", f"import vidx; vidx.open({ADDRESS!r})"),
    ],
    ids=["reading", "rebuilding", "first"],
)
def test_a_kill_while_a_shard_is_fetched(
    on: On,
    room_for: Callable[[float], int],
    bound: Bound,
    s3_way: FaultyWay,
    machine: str,
    script: str,
) -> None:
    most = room_for(2.5)
    put_all_out(on("one"), bound)
    bound(most)
    layout = on(machine)
    reached, go_on = threading.Event(), threading.Event()

    def stop(method: str, path: str) -> None:
        if method == "GET" and "/shards/clips-000000000012" in path and not reached.is_set():
            reached.set()
            go_on.wait(60)
            raise ConnectionAbortedError

    s3_way.before = stop
    child = subprocess.Popen([sys.executable, "-c", script, "1"], env=os.environ.copy())
    assert reached.wait(60)
    child.send_signal(signal.SIGKILL)
    child.wait()
    s3_way.before = lambda _method, _path: None
    go_on.set()
    assert list(layout.staging.rglob("*.tmp"))
    commit(layout, "more")
    assert not list(layout.staging.iterdir())
    with vidx.open(ADDRESS) as collection:
        assert collection.verify() == []
        assert len(collection.vectors()[0]) == (len(NAMES) + 1) * CLIPS
    assert taken(layout) <= most


@pytest.mark.long
def test_an_index_with_codes_is_made_and_fetched_within_the_bound(
    on: On, bound: Bound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "NUM_TUNED", 60)
    monkeypatch.setattr(building, "NUM_MEASURED", 30)
    layout = on("one")
    for first in range(0, 60, 10):
        commit(layout, *(f"v{number}" for number in range(first, first + 10)))
    most = bound(int(1.5 * max(sizes(layout).values())))
    with vidx.open(ADDRESS) as collection:
        assert collection.index(vidx.IndexOptions(kind="ivf")).kind == "ivf"
        assert taken(layout) <= most
    two = on("two")
    with vidx.open(ADDRESS) as collection:
        assert collection.info().index.kind == "ivf"
        assert taken(two) <= most
        ids, stored = collection.vectors()
        for row in range(0, len(ids), 17):
            assert collection.search_by_vector(stored[row], k=1)[0].clip_id == ids[row]
        assert collection.verify() == []
    assert taken(two) <= most


@pytest.mark.long
def test_videos_are_embedded_and_found_within_a_bound_of_nothing(
    on: On,
    bound: Bound,
    library: Path,
    tiny_checkpoint: Path,
    cli: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
) -> None:
    bound(0)
    named = ("--collection", ADDRESS)
    some = shutil.copytree(library, tmp_path / "library")
    (some / "bowl.mp4").rename(tmp_path / "bowl.mp4")
    layout = on("one")
    code, _, error = cli("embed", some, *named, "--model", tiny_checkpoint, "--workers", "1")
    assert code == 3, error  # one of them is broken
    (tmp_path / "bowl.mp4").rename(some / "bowl.mp4")
    assert cli("embed", some, *named, "--workers", "1")[0] == 3
    assert taken(layout) == 0
    layout = on("two")
    code, out, error = cli("search", library / "bowl.mp4", *named, "--json")
    assert code == 0, error
    assert json.loads(out)[0]["path"].endswith("bowl.mp4")
    assert cli("verify", *named)[0] == 0
    assert cli("export", tmp_path / "out.parquet", *named)[0] == 0
    assert taken(layout) == 0
