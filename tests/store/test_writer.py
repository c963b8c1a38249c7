from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_collections import PROVENANCE, SPACE, commit, draw_video, path_of, video_id

from vidx.errors import CollectionDamaged, CollectionNotFound, VidxError
from vidx.records import Problem, Source
from vidx.store import changes, journal, shards, sqlite
from vidx.store.catalogue import Catalogue
from vidx.store.journal import Failed
from vidx.store.layout import Layout
from vidx.store.vectors import live_vectors
from vidx.store.writer import Batch, open_writer

COMMIT = """
with open_writer(layout, SPACE) as writer:
    gone = Failed = None
    writer.commit(
        Batch(
            videos=[draw_video("b"), draw_video("c", paths=("/videos/c.mp4", "/videos/c2.mp4"))],
            failed=[journal.Failed(Source("/videos/f.mp4", 1, "1"), None, Problem("x", "y"))],
        ),
        PROVENANCE,
    )
    die()
"""
HALF_STAGED = """
def half(table, path):
    path.write_bytes(b"PAR1" * 100)
    die()
shards.write = half
"""
# Where the process is killed, whether the work is there afterwards, and what is wrong until then.
UNKNOWN = [f"shard {shards.file_name(3)}: the catalogue does not know it"]
UNKNOWN_ENTRY = [f"journal {journal.file_name(2)}: the catalogue does not know it"]
CRASHES = {
    "before staging": ("shards.write = die", False, []),
    "half staged": (HALF_STAGED, False, []),
    "staged": ("Writer._name = die", False, []),
    "renamed": ("writing.sync_folder = die", True, UNKNOWN),
    "renamed and synced": ("writing.journal.write = die", True, UNKNOWN),
    "journalled": ("registry.enter_shard = die", True, UNKNOWN + UNKNOWN_ENTRY),
    "before the SQL commit": ("changes._fail = die", True, UNKNOWN + UNKNOWN_ENTRY),
    "committed": ("", True, []),
}
Child = Callable[[str], subprocess.Popen[str]]


def videos_in(catalogue: Catalogue) -> dict[str, int]:
    """The number of clips of each video."""
    rows = catalogue.clip_rows(catalogue.live_clip_ids().tolist()).values()
    owners = [row.video_id for row in rows]
    return {owner: owners.count(owner) for owner in owners}


def is_agreed(catalogue: Catalogue) -> bool:
    """Whether each live clip has a vector."""
    ids = [clip_id for part, _ in live_vectors(catalogue) for clip_id in part]
    return ids == catalogue.live_clip_ids().tolist()


@pytest.mark.parametrize("point", CRASHES)
def test_a_kill_at_any_step_leaves_all_of_a_batch_or_nothing(
    point: str,
    layout: Layout,
    child: Child,
    findings: Callable[[], list[str]],
    open_catalogue: Callable[[], Catalogue],
) -> None:
    patch, survives, wrong = CRASHES[point]
    commit(layout, draw_video("a"))
    assert child(patch + COMMIT).wait() == -9
    assert findings() == wrong
    before = {video_id("a"): 3}
    assert is_agreed(open_catalogue()), "a reader is not disturbed"

    with open_writer(layout):
        pass
    assert findings() == []
    assert list(layout.staging.iterdir()) == []
    both = {video_id("b"): 3, video_id("c"): 3}
    assert videos_in(open_catalogue()) == before | (both if survives else {})

    commit(layout, draw_video("d"))
    assert findings() == []
    assert open_catalogue().live_clip_ids().tolist() == list(range(12 if survives else 6))


@pytest.mark.long
@pytest.mark.parametrize("point", CRASHES)
def test_a_kill_in_the_very_first_commit_is_no_different(
    point: str,
    layout: Layout,
    child: Child,
    findings: Callable[[], list[str]],
    open_catalogue: Callable[[], Catalogue],
) -> None:
    assert child(CRASHES[point][0] + COMMIT).wait() == -9
    commit(layout, draw_video("b"), draw_video("c"))
    assert findings() == []
    assert videos_in(open_catalogue()) == {video_id("b"): 3, video_id("c"): 3}
    assert is_agreed(open_catalogue())


@pytest.mark.parametrize(
    "patch",
    [
        "writing.migrate.upgrade = die",
        "writing.check_identity = die",
        "writing.write_manifest = die",
        "import vidx.store.layout; vidx.store.layout.replacing = die",
        "os.fsync = die",  # the file that is to become collection.json is written by then
    ],
)
def test_a_kill_while_a_collection_is_made_leaves_none_and_is_mended(
    patch: str,
    layout: Layout,
    child: Child,
    findings: Callable[[], list[str]],
    open_catalogue: Callable[[], Catalogue],
) -> None:
    assert child(patch + COMMIT.replace("die()", "")).wait() == -9
    assert not layout.exists()
    commit(layout, draw_video("a"))
    parts = {"collection.json", "catalogue.sqlite", "shards", "journal", "staging", "writer.lock"}
    found = {path.name.removesuffix("-wal").removesuffix("-shm") for path in layout.root.iterdir()}
    assert found <= parts
    assert list(layout.staging.iterdir()) == []
    assert findings() == []
    assert videos_in(open_catalogue()) == {video_id("a"): 3}


def test_a_commit_that_failed_late_does_not_harm_the_next_one(
    layout: Layout,
    findings: Callable[[], list[str]],
    open_catalogue: Callable[[], Catalogue],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with open_writer(layout, SPACE) as writer:
        with monkeypatch.context() as patched:
            patched.setattr(changes, "_fail", full)
            with pytest.raises(VidxError, match="No space left"):
                writer.commit(Batch([draw_video("a")]), PROVENANCE)
        writer.commit(Batch([draw_video("b")]), PROVENANCE)
        writer.commit(Batch([draw_video("a")]), PROVENANCE)
    with open_writer(layout):
        pass
    assert findings() == []
    assert videos_in(open_catalogue()) == {video_id("a"): 3, video_id("b"): 3}


def test_a_batch_without_videos_makes_no_shard(
    layout: Layout, open_catalogue: Callable[[], Catalogue]
) -> None:
    commit(layout, failed=[Failed(Source("/videos/a", 1, "1"), None, Problem("x", "y"))])
    assert shards.listed(layout.shards) == []
    assert open_catalogue().counts()["failures"] == 1
    assert Batch().is_empty()


def test_ids_go_on_where_they_were(layout: Layout, open_catalogue: Callable[[], Catalogue]) -> None:
    commit(layout, draw_video("a"), draw_video("b", 2))
    with open_writer(layout) as writer:
        assert writer.remove([path_of("a"), path_of("b")]).videos == 2
        writer.commit(Batch([draw_video("a")]), PROVENANCE)
    assert open_catalogue().live_clip_ids().tolist() == [5, 6, 7]
    with open_writer(layout) as writer:
        writer.reserve(20)
        writer.reserve(10)
        writer.commit(Batch([draw_video("c")]), PROVENANCE)
    assert open_catalogue().live_clip_ids().tolist() == [5, 6, 7, 20, 21, 22]
    assert open_catalogue().state().next_clip_id == 23


def test_a_writer_needs_a_collection_or_a_space(layout: Layout) -> None:
    with pytest.raises(CollectionNotFound), open_writer(layout):
        pass
    assert not layout.root.exists()


def test_no_other_collection_is_made_where_clips_have_lost_their_manifest(layout: Layout) -> None:
    commit(layout, draw_video("a"))
    layout.manifest.unlink()
    with pytest.raises(CollectionDamaged, match="is missing"):
        commit(layout, draw_video("b"))
    assert not layout.manifest.exists()


def test_an_unreadable_unknown_shard_stops_the_writer_and_says_what_to_do(
    layout: Layout,
) -> None:
    commit(layout, draw_video("a"))
    stray = layout.shards / shards.file_name(3)
    stray.write_bytes(b"rubbish")
    with pytest.raises(CollectionDamaged, match="move the file away"), open_writer(layout):
        pass
    assert stray.exists()


def test_an_error_while_the_writer_is_open_is_not_taken_for_an_unwritable_place(
    layout: Layout,
) -> None:
    with pytest.raises(BrokenPipeError), open_writer(layout, SPACE):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.sqlite
def test_a_commit_survives_a_loss_of_power(layout: Layout) -> None:
    with open_writer(layout, SPACE) as writer, writer.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


@pytest.mark.sqlite
def test_a_place_where_sqlite_keeps_no_log_is_refused(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite's own way to work on file systems without shared memory.
    monkeypatch.setattr(sqlite, "_IN_PLACE", "?vfs=unix-dotfile")
    with pytest.raises(VidxError, match="write-ahead log") as caught:
        commit(layout, draw_video("a"))
    assert caught.value.exit_code == 4


def test_an_unwritable_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VidxError, match="cannot be written") as caught:
        commit(Layout(tmp_path / "file/collection"), draw_video("a"))
    assert caught.value.exit_code == 4


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting takes root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.sqlite
@pytest.mark.parametrize("free", [0, 8, 30, 70, 150, 300, 900])
def test_a_full_disk_changes_nothing_and_work_goes_on_when_there_is_room(
    small_disk: Path, free: int
) -> None:
    layout = Layout(small_disk / "collection")
    commit(layout, draw_video("a"))
    filler = small_disk / "filler"
    state = os.statvfs(small_disk)
    filler.write_bytes(b"0" * (state.f_bavail * state.f_bsize - free * 1024))

    with pytest.raises(VidxError) as caught:
        commit(layout, draw_video("big", 4000), draw_video("b"))
    assert caught.value.exit_code == 4
    assert type(caught.value) is VidxError, "a full disk is no damage"

    filler.unlink()
    with open_writer(layout) as writer:
        catalogue = Catalogue(layout, writer.manifest)
        assert videos_in(catalogue).keys() - {video_id("big"), video_id("b")} == {video_id("a")}
        assert list(layout.staging.rglob("*.parquet")) == []
        writer.commit(Batch([draw_video("b")]), PROVENANCE)
        assert is_agreed(catalogue)
        assert catalogue.self_check() == []


def test_a_disk_that_is_full_from_the_start_is_told(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"0" * (8 * 1024 * 1024))
    with pytest.raises(VidxError) as caught:
        commit(Layout(small_disk / "collection"), draw_video("a"))
    assert type(caught.value) is VidxError
    (small_disk / "filler").unlink()
    commit(Layout(small_disk / "collection"), draw_video("a"))
