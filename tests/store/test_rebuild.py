from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_collections import (
    SPACE,
    commit,
    draw_video,
    keep_catalogue,
    lose_catalogue,
    path_of,
    video_id,
)

from vidx.errors import CollectionDamaged, CollectionTooNew, VidxError
from vidx.records import Problem, RebuildReport, Source
from vidx.store import export, journal, rebuild, shards, sqlite
from vidx.store.catalogue import Catalogue, KnownTake
from vidx.store.journal import Failed
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.rebuild import FORGOTTEN
from vidx.store.tables import metadata
from vidx.store.vectors import live_vectors
from vidx.store.writer import open_writer

Open = Callable[[], Catalogue]
Findings = Callable[[], list[str]]
FILES = [shards.file_name(first) for first in (0, 5, 8)]


@pytest.fixture
def filled(filled: Layout) -> Layout:
    """A third shard holds a again, under another plan."""
    commit(filled, draw_video("a", 4, plan="finer"))
    return filled


def run(layout: Layout) -> RebuildReport:
    with writing(layout):
        return rebuild.rebuild(layout, read_manifest(layout), 0)


def state(layout: Layout) -> list[dict[str, Any]]:
    """All that is told of clips, labels included."""
    return export.clips_table(Catalogue(layout, read_manifest(layout))).to_pylist()


def lose_journal(layout: Layout) -> None:
    for path in layout.journal.iterdir():
        path.unlink()


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A shard of another collection of the same space."""
    other = Layout(tmp_path / "other")
    commit(other, draw_video("z", 5))
    return other.shards / FILES[0]


def test_a_lost_catalogue_is_made_anew_with_the_same_ids_and_labels(
    filled: Layout, findings: Findings
) -> None:
    before = state(filled)
    lose_catalogue(filled)
    report = run(filled)
    assert state(filled) == before
    assert report == RebuildReport(tuple(FILES), (), (), None, (FORGOTTEN,), 9, 3)
    assert findings() == []


def test_what_was_done_beside_adding_clips_comes_back_from_the_journal(
    filled: Layout, open_catalogue: Open, findings: Findings
) -> None:
    commit(
        filled,
        places=[(video_id("c"), Source("/moved/c.mp4", 1000, "42"))],
        failed=[Failed(Source("/f", None, ""), None, Problem("x", "y"))],
    )
    commit(filled, draw_video("d", 2, paths=("/d", "/also/d")), gone=[path_of("c")])
    with open_writer(filled) as writer:
        removal = writer.remove([path_of("b")]).commit
        writer.remove([path_of("a")])
        writer.restore(removal)
    before, told = state(filled), all_tables(open_catalogue())
    lose_catalogue(filled)
    assert run(filled).lost == ()
    assert findings() == []
    assert state(filled) == before
    assert all_tables(open_catalogue()) == told
    assert open_catalogue().content(video_id("c")).places == ("/moved/c.mp4",)
    assert open_catalogue().content(video_id("d")).places == ("/also/d", "/d")
    assert open_catalogue().content(video_id("a")).take is None


def test_what_is_told_of_videos_comes_back_from_the_shards_alone(
    layout: Layout, open_catalogue: Open
) -> None:
    notes = ("The clock \"jumps\" at 3 s;\nit was joined, \\ 'so'.", "Après l'autre: 映画 🎞")
    partial = Problem("decode_error", "l'œil\n\"")
    commit(layout, draw_video("a"), draw_video("b", is_mirrored=True, notes=notes, problem=partial))
    told = export.videos_table(open_catalogue())
    assert told["notes"].to_pylist() == [[], list(notes)]
    assert told["is_mirrored"].to_pylist() == [False, True]
    lose_catalogue(layout)
    lose_journal(layout)
    run(layout)
    assert export.videos_table(open_catalogue()) == told


def all_tables(catalogue: Catalogue) -> dict[str, list[Any]]:
    """Every row of the catalogue, but for when and with what versions it was committed."""
    with catalogue.engine.connect() as connection:
        rows = {
            table.name: sorted(map(tuple, connection.execute(table.select())), key=str)
            for table in metadata.sorted_tables
        }
    rows["commits"] = [(number, verb) for number, _, verb, _ in rows["commits"]]
    rows["collection"] = [(row[0], row[2]) for row in rows["collection"]]
    rows["locations"] = [row[1:] for row in rows["locations"]]
    return rows


def test_a_commit_of_several_shards_keeps_its_number(layout: Layout) -> None:
    with open_writer(layout, SPACE) as writer:
        staged = [writer.staging.write([draw_video(name)], {}) for name in "ab"]
        writer.enter(staged, journal.Change(), {})
        removal = writer.remove([path_of("a")])
        writer.restore(removal.commit)
    before = state(layout)
    assert len(before) == 6
    lose_catalogue(layout)
    run(layout)
    assert state(layout) == before
    assert Catalogue(layout, read_manifest(layout)).state().commit == removal.commit + 1


def test_a_broken_entry_of_the_journal_is_named_and_the_rest_replayed(
    filled: Layout, open_catalogue: Open, findings: Findings
) -> None:
    with open_writer(filled) as writer:
        writer.remove([path_of("a")])
        writer.remove([path_of("b")])
    broken = filled.journal / journal.file_name(4)
    broken.write_bytes(b"rubbish")
    assert ["cannot be read" in finding for finding in findings()] == [True]
    lose_catalogue(filled)
    report = run(filled)
    assert report.ignored[0].startswith(broken.name)
    assert open_catalogue().content(video_id("a")).take == KnownTake("finer", None), (
        "its removal is lost"
    )
    assert open_catalogue().content(video_id("b")).take is None


def test_a_sound_catalogue_is_kept(filled: Layout) -> None:
    with open_writer(filled) as writer:
        writer.remove([path_of("b")])
    before = state(filled)
    assert run(filled) == RebuildReport((), (), (), None, (), 7, 4)
    assert state(filled) == before


@pytest.mark.sqlite
@pytest.mark.parametrize("damage", ["garbage", "blank", "pages", "foreign"])
def test_an_unusable_catalogue_is_set_aside_and_made_anew(
    filled: Layout, foreign: Path, findings: Findings, damage: str
) -> None:
    before, sound = state(filled), filled.catalogue.read_bytes()
    broken = {
        "garbage": b"garbage" * 999,
        "blank": b"",
        "pages": sound[: len(sound) // 4] + b"\x5a" * (len(sound) - len(sound) // 4),
        "foreign": (foreign.parent.parent / "catalogue.sqlite").read_bytes(),
    }[damage]
    lose_catalogue(filled)
    filled.catalogue.write_bytes(broken)
    with pytest.raises(CollectionDamaged):
        findings()
    report = run(filled)
    assert report.set_aside
    assert Path(report.set_aside).exists()
    assert state(filled) == before
    assert findings() == []
    again = filled.catalogue.write_bytes(b"garbage")
    assert again
    assert run(filled).set_aside != report.set_aside, "nothing set aside is overwritten"


@pytest.mark.sqlite
def test_a_catalogue_of_a_later_version_is_not_touched(filled: Layout) -> None:
    import sqlite3

    database = sqlite3.connect(filled.catalogue)
    database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.commit()
    database.close()
    before = filled.catalogue.read_bytes()
    with pytest.raises(CollectionTooNew):
        run(filled)
    assert filled.catalogue.read_bytes() == before


@pytest.mark.sqlite
def test_a_sound_catalogue_that_cannot_be_opened_now_is_not_set_aside(
    filled: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sqlite3

    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_MS", 10)
    stranger = sqlite3.connect(filled.catalogue, isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")
    stranger.execute("DELETE FROM failures")
    lost = filled.shards / FILES[1]
    lost.rename(filled.root / "elsewhere")
    with pytest.raises(VidxError, match="locked"):
        run(filled)
    stranger.close()
    assert not list(filled.root.glob("*damaged*"))


def test_an_older_catalogue_put_back_catches_up(
    filled: Layout, tmp_path: Path, findings: Findings
) -> None:
    put_back = keep_catalogue(filled)
    commit(filled, draw_video("d", 2))
    commit(filled, draw_video("b", 1, plan="coarse"))
    before = state(filled)
    put_back()
    assert any("does not know" in finding for finding in findings())
    commit(filled, draw_video("e", 2))
    after = state(filled)
    assert after[:-2] == before
    assert [row["clip_id"] for row in after[-2:]] == [15, 16]
    assert findings() == []


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EACCES])
def test_a_shard_that_cannot_be_read_just_now_is_not_taken_for_lost(
    filled: Layout, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = state(filled)

    def fails(*_arguments: object, **_keywords: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(shards.pq, "read_table", fails)
        with pytest.raises(VidxError, match="cannot be read now") as caught:
            run(filled)
    assert caught.value.exit_code == 4
    assert state(filled) == before
    assert run(filled).dropped == ()
    assert not list(filled.root.glob("*draft*"))


def test_a_shard_copied_over_another_of_its_length_is_not_taken_for_it(
    layout: Layout, open_catalogue: Open, findings: Findings
) -> None:
    commit(layout, draw_video("a"))
    commit(layout, draw_video("b"))
    shutil.copy(layout.shards / shards.file_name(0), layout.shards / shards.file_name(3))
    with pytest.raises(CollectionDamaged, match="another shard"):
        list(live_vectors(open_catalogue()))
    assert ["is a copy of" in finding for finding in findings()] == [True]
    assert run(layout).dropped == (shards.file_name(3),)
    assert open_catalogue().live_clip_ids().tolist() == [0, 1, 2]


def test_the_order_in_which_shards_are_found_does_not_matter(filled: Layout) -> None:
    """A shard put back after a later one was adopted does not undo it."""
    before = state(filled)
    first = filled.shards / FILES[0]
    first.rename(filled.root / "away")
    lose_catalogue(filled)
    run(filled)
    (filled.root / "away").rename(first)
    assert run(filled).adopted == (FILES[0],)
    assert state(filled) == before


def test_a_shard_put_back_does_not_undo_what_its_path_holds_since(
    layout: Layout, open_catalogue: Open, findings: Findings
) -> None:
    commit(layout, draw_video("a", paths=("/1",)), draw_video("b", paths=("/2",)))
    commit(layout, draw_video("c", paths=("/1",)))
    first = layout.shards / shards.file_name(0)
    first.rename(layout.root / "away")
    run(layout)
    (layout.root / "away").rename(first)
    assert findings() == [f"shard {first.name}: the catalogue does not know it"]
    run(layout)
    assert open_catalogue().live_clip_ids().tolist() == [3, 4, 5, 6, 7, 8]
    assert findings() == []


def test_a_lost_shard_takes_its_clips_along_and_its_ids_are_not_reused(
    filled: Layout, open_catalogue: Open, findings: Findings
) -> None:
    (filled.shards / FILES[2]).unlink()
    assert findings() == [f"shard {FILES[2]}: the file is missing"]
    assert run(filled).dropped == (FILES[2],)
    assert findings() == []
    assert open_catalogue().content(video_id("a")).take is None, "to be embedded anew"
    commit(filled, draw_video("d", 1))
    assert open_catalogue().live_clip_ids().tolist() == [3, 4, 5, 6, 7, 12]


def test_an_unreadable_shard_is_dropped_but_not_deleted(
    filled: Layout, open_catalogue: Open
) -> None:
    path = filled.shards / FILES[1]
    path.write_bytes(path.read_bytes()[:-100])
    report = run(filled)
    assert report.dropped == (FILES[1],)
    assert report.ignored[0].startswith(FILES[1])
    assert path.exists()
    assert open_catalogue().live_clip_ids().tolist() == [3, 4, 8, 9, 10, 11]


@pytest.mark.parametrize("name", [FILES[1], shards.file_name(12), shards.file_name(13)])
def test_a_shard_of_another_collection_is_never_read_and_never_deleted(
    filled: Layout, foreign: Path, open_catalogue: Open, findings: Findings, name: str
) -> None:
    stray = filled.shards / name
    content = foreign.read_bytes()
    stray.write_bytes(content)
    told = [f"shard {name}: belongs to another collection"]
    assert [finding.partition(" (")[0] for finding in findings()] == told
    if name == FILES[1]:  # it stands where a shard of ours did
        with pytest.raises(CollectionDamaged, match="another collection"):
            list(live_vectors(open_catalogue()))
    report = run(filled)
    assert report.dropped == ((name,) if name == FILES[1] else ())
    assert report.ignored == (f"{name}: belongs to another collection",)
    commit(filled, draw_video("d", 3))
    assert stray.read_bytes() == content
    catalogue = open_catalogue()
    rows = catalogue.clip_rows(catalogue.live_clip_ids().tolist()).values()
    assert video_id("z") not in {row.video_id for row in rows}
    assert next(row.clip_id for row in rows if row.video_id == video_id("d")) >= 12
    assert [finding.partition(" (")[0] for finding in findings()] == told


def test_a_shard_of_another_space_is_left_alone(filled: Layout, findings: Findings) -> None:
    path = filled.shards / FILES[2]
    table = shards.read(path)
    other = {**table.schema.metadata, b"vidx.fingerprint": b"e" * 64}
    shards.write(table.replace_schema_metadata(other), filled.shards / shards.file_name(12))
    assert ["another space" in finding for finding in findings()] == [True]
    assert run(filled).adopted == ()


def test_shards_that_share_ids_are_not_both_taken(filled: Layout) -> None:
    table = shards.read(filled.shards / FILES[2])
    told = {**table.schema.metadata, b"vidx.shard": b"another"}
    shards.write(table.replace_schema_metadata(told), filled.shards / shards.file_name(10))
    report = run(filled)
    assert report.adopted == ()
    assert "the ids of" in report.ignored[0]


def test_a_copy_of_a_shard_is_not_taken_for_another(filled: Layout) -> None:
    before = state(filled)
    shutil.copy(filled.shards / FILES[2], filled.shards / shards.file_name(100))
    report = run(filled)
    assert report.adopted == ()
    assert "is a copy of" in report.ignored[0]
    assert state(filled) == before


def test_a_journal_that_is_lost_with_the_catalogue_is_told(layout: Layout) -> None:
    commit(layout, draw_video("a", paths=("/videos/x.mp4",)))
    moved = Source("/videos/y.mp4", 1000, "42")
    commit(layout, places=[(video_id("a"), moved)], gone=["/videos/x.mp4"])
    commit(layout, draw_video("b", paths=("/videos/x.mp4",)))
    lose_catalogue(layout)
    lose_journal(layout)
    assert run(layout).lost == (FORGOTTEN,)


def test_columns_that_a_later_version_adds_are_passed_over(
    filled: Layout, findings: Findings
) -> None:
    import pyarrow as pa

    before = state(filled)
    for name in FILES:
        table = shards.read(filled.shards / name)
        more = pa.field("mood", pa.string())
        values = pa.nulls(table.num_rows, pa.string())
        shards.write(table.append_column(more, values), filled.shards / name)
    assert findings() == []
    lose_catalogue(filled)
    run(filled)
    assert state(filled) == before


def test_an_empty_collection_can_be_rebuilt(layout: Layout) -> None:
    commit(layout)
    lose_catalogue(layout)
    assert run(layout) == RebuildReport((), (), (), None, (), 0, 0)


def test_a_file_that_changed_since_keeps_its_newer_content(
    layout: Layout, open_catalogue: Open
) -> None:
    commit(layout, draw_video("a", paths=("/1",)))
    commit(layout, draw_video("b", paths=("/1",)))
    lose_catalogue(layout)
    run(layout)
    assert open_catalogue().live_clip_ids().tolist() == [3, 4, 5]


def test_labels_come_back_only_where_there_is_a_head(tmp_path: Path) -> None:
    from dataclasses import replace

    layout = Layout(tmp_path / "headless")
    commit(layout, draw_video("a", labels=()), space=replace(SPACE, labels=()))
    lose_catalogue(layout)
    run(layout)
    assert [row["labels"] for row in state(layout)] == [[]] * 3
