from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_collections import (
    PROVENANCE,
    SPACE,
    commit,
    draw_video,
    lose_catalogue,
    path_of,
    video_id,
)
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from vidx.errors import CollectionDamaged, VidxError
from vidx.records import Origin, Problem, Source
from vidx.store import labels, sqlite
from vidx.store.catalogue import Catalogue
from vidx.store.database import database_of
from vidx.store.journal import Failed
from vidx.store.layout import Layout, read_manifest
from vidx.store.tables import locations
from vidx.store.vectors import live_vectors
from vidx.store.writer import Batch, open_writer

Open = Callable[[], Catalogue]


@pytest.mark.sqlite
def test_the_catalogue_is_in_wal_mode_and_enforces_foreign_keys(layout: Layout) -> None:
    with open_writer(layout, SPACE) as writer:
        with writer.engine.connect() as connection:
            assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        orphan = {"path": "/x", "video": 7, "size_bytes": 1, "version": "1"}
        with pytest.raises(IntegrityError), writer.engine.begin() as connection:
            connection.execute(insert(locations), orphan)


@pytest.mark.sqlite
def test_a_reader_cannot_write(layout: Layout, open_catalogue: Open) -> None:
    commit(layout, draw_video("a"))
    with pytest.raises(VidxError, match="readonly"), open_catalogue().engine.begin() as connection:
        connection.execute(text("DELETE FROM clips"))


@pytest.mark.parametrize("name", ["a b", "50%?#&=", "ä'\";", "new\nline"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path / name)
    commit(layout, draw_video("a"))
    assert len(Catalogue(layout, read_manifest(layout)).live_clip_ids()) == 3
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_hit_is_told_all_that_is_known(layout: Layout, open_catalogue: Open) -> None:
    video = draw_video("a", paths=("/videos/z", "/videos/b", "/videos/a"))
    commit(layout, video)
    row = open_catalogue().clip_rows([1, 77])[1]
    assert (row.video_id, row.start_seconds, row.end_seconds) == (video_id("a"), 2.0, 4.0)
    assert row.locations == ("/videos/a", "/videos/b", "/videos/z")
    best = labels.top_labels(video.embedded.logits[1:2], SPACE.labels)
    names = [best.names[column] for column in best.columns[0]]
    assert [item.name for item in row.labels] == names
    assert [item.score for item in row.labels] == best.scores[0].tolist()


def test_labels_are_the_softmax_of_the_logits() -> None:
    logits = np.array([[0, 1, 2, 3, 4, 5, 6]], np.float16)
    found = labels.top_labels(logits, "abcdefg")
    expected = np.exp(np.arange(7)) / np.exp(np.arange(7)).sum()
    assert [found.names[column] for column in found.columns[0]] == list("gfedc")
    assert found.scores[0].tolist() == pytest.approx(expected[:1:-1].tolist())


def test_classes_of_one_name_are_one_label() -> None:
    logits = np.log(np.array([[1, 2, 4, 3]], np.float16))
    found = labels.top_labels(logits, ["a", "b", "c", "a"])
    scores = dict(zip((found.names[n] for n in found.columns[0]), found.scores[0], strict=True))
    assert scores == pytest.approx({"a": 0.4, "b": 0.2, "c": 0.4}, abs=1e-3)


def test_questions_about_many_things_are_answered_whole(
    layout: Layout, open_catalogue: Open
) -> None:
    names = [f"v{number}" for number in range(1200)]
    commit(layout, *(draw_video(name, 1) for name in names))
    catalogue = open_catalogue()
    assert len(catalogue.known([path_of(name) for name in names] + ["/else"])) == 1200
    assert len(catalogue.clip_rows(range(1200))) == 1200
    with open_writer(layout) as writer:
        assert writer.remove([path_of(name) for name in names[:1100]]).videos == 1100
    assert catalogue.live_clip_ids().tolist() == list(range(1100, 1200))
    assert catalogue.live_clip_ids(since=1190).tolist() == list(range(1190, 1200))


def test_paths_at_a_folder_are_those_in_it(layout: Layout, open_catalogue: Open) -> None:
    failed = Failed(Source("/v/a/x", 1, "1"), None, Problem("x", "y"))
    commit(layout, draw_video("a", paths=("/v/a/1", "/v/ab/2")), failed=[failed])
    catalogue = open_catalogue()
    assert catalogue.paths_at("/v/a") == ["/v/a/1", "/v/a/x"]
    assert catalogue.paths_at("/v/a/1") == ["/v/a/1"]
    assert catalogue.paths_at("/") == ["/v/a/1", "/v/a/x", "/v/ab/2"]
    assert catalogue.paths_at("/v/a/") == ["/v/a/1", "/v/a/x"]
    assert catalogue.paths_at("/else") == []


def test_a_missing_catalogue_is_pointed_to_rebuild(layout: Layout, open_catalogue: Open) -> None:
    commit(layout, draw_video("a"))
    lose_catalogue(layout)
    with pytest.raises(CollectionDamaged, match="vidx rebuild"):
        open_catalogue()
    with pytest.raises(CollectionDamaged, match="vidx rebuild"), open_writer(layout):
        pass
    assert not database_of(layout, read_manifest(layout)).exists()


@pytest.mark.sqlite
@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 9000])
def test_a_broken_catalogue_is_pointed_to_rebuild(
    layout: Layout, open_catalogue: Open, content: bytes
) -> None:
    commit(layout, draw_video("a"))
    layout.catalogue.write_bytes(content)
    with pytest.raises(CollectionDamaged, match="vidx rebuild"):
        open_catalogue()
    with pytest.raises(CollectionDamaged, match="vidx rebuild"), open_writer(layout):
        pass


@pytest.mark.sqlite
def test_damage_that_shows_only_later_is_told_as_such(layout: Layout, open_catalogue: Open) -> None:
    commit(layout, *(draw_video(f"v{number}", 10) for number in range(300)))
    content = bytearray(layout.catalogue.read_bytes())
    content[len(content) // 4 :] = b"\x5a" * (len(content) - len(content) // 4)
    layout.catalogue.write_bytes(content)
    catalogue = open_catalogue()
    with pytest.raises(CollectionDamaged, match="vidx rebuild"):
        catalogue.clip_rows(range(3000))


@pytest.mark.sqlite
def test_the_catalogue_of_another_collection_is_refused(
    layout: Layout, tmp_path: Path, open_catalogue: Open
) -> None:
    other = Layout(tmp_path / "other")
    commit(layout, draw_video("a"))
    commit(other, draw_video("b"))
    shutil.copy(other.catalogue, layout.catalogue)
    with pytest.raises(CollectionDamaged, match="belongs to collection"):
        open_catalogue()
    with pytest.raises(CollectionDamaged, match="belongs to collection"), open_writer(layout):
        pass


@pytest.mark.sqlite
@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_a_stale_log_beside_the_catalogue_does_no_harm(
    layout: Layout, open_catalogue: Open, suffix: str
) -> None:
    commit(layout, draw_video("a"))
    Path(f"{layout.catalogue}{suffix}").write_bytes(b"stale" * 2000)
    assert len(open_catalogue().live_clip_ids()) == 3
    commit(layout, draw_video("b"))
    assert len(open_catalogue().live_clip_ids()) == 6


def test_a_reader_sees_committed_states_only(
    layout: Layout,
    open_catalogue: Open,
    child: Callable[[str], subprocess.Popen[str]],
) -> None:
    """Each commit replaces the clips of one video and adds another of as many clips."""
    commit(layout, draw_video("a", 5))
    writer = child("""
for number in range(40):
    plan = f"plan {number}"
    commit(layout, draw_video("a", 5, plan=plan), draw_video(f"v{number}", 5))
""")
    seen = []
    while writer.poll() is None:
        catalogue = open_catalogue()
        parts = list(live_vectors(catalogue))
        ids = np.concatenate([part for part, _ in parts])
        assert len(ids) % 5 == 0
        assert len(ids) == len(np.unique(ids))
        assert sum(len(vectors) for _, vectors in parts) == len(ids)
        counts = catalogue.counts()
        assert counts["clips"] == 5 * counts["videos"] >= len(ids)
        seen.append(len(ids))
    assert writer.returncode == 0
    assert seen == sorted(seen)
    assert len(set(seen)) > 5


def test_origins_count_shards_and_live_clips_of_each_provenance(
    layout: Layout, open_catalogue: Open
) -> None:
    single, half = PROVENANCE | {"dtype": "float32"}, PROVENANCE | {"dtype": "bfloat16"}
    with open_writer(layout, SPACE) as writer:
        assert open_catalogue().origins() == []
        for provenance, name, clips_of_it in ((single, "a", 3), (half, "b", 4), (single, "c", 5)):
            writer.commit(Batch([draw_video(name, clips_of_it)]), provenance)
        expected = [Origin(single, 2, 8), Origin(half, 1, 4)]
        assert open_catalogue().origins() == expected
        writer.remove([path_of("b")])
        assert open_catalogue().origins() == [expected[0], Origin(half, 1, 0)]


def test_origins_are_read_without_opening_a_shard(layout: Layout, open_catalogue: Open) -> None:
    commit(layout, draw_video("a", 3))
    shutil.rmtree(layout.shards)
    assert open_catalogue().origins() == [Origin(PROVENANCE, 1, 3)]


@pytest.mark.sqlite
def test_a_locked_database_is_not_called_damaged(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(layout, draw_video("a"))
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 10)
    with open_writer(layout) as writer:
        stranger = sqlite3.connect(layout.catalogue, isolation_level=None)
        stranger.execute("BEGIN IMMEDIATE")
        with pytest.raises(VidxError, match="locked") as caught:
            writer.commit(Batch([draw_video("b")]), PROVENANCE)
        assert type(caught.value) is VidxError
        stranger.close()
