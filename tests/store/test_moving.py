"""Catalogues that move between the collection's folder and PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made_collections import SPACE, commit, draw_video, path_of
from sqlalchemy import select

import vidx
from vidx.errors import CollectionLocked, UsageError
from vidx.store import copying, moving
from vidx.store.database import Database, database_of
from vidx.store.layout import Layout, Manifest, read_manifest, write_manifest
from vidx.store.lock import taking_turns, writing
from vidx.store.tables import metadata

Findings = Callable[[], list[str]]


def rows(layout: Layout) -> dict[str, list[Any]]:
    """All that the tables hold, but for columns of metadata."""
    engine = database_of(layout, read_manifest(layout)).open_for_reading()
    with engine.begin() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


@pytest.fixture
def lived_in(filled: Layout) -> vidx.Collection:
    """Removals, metadata of all types and a snapshot, in a file of SQLite."""
    collection = vidx.open(filled.root)
    told = {"path": [path_of("a"), path_of("b")], "n": [1, None], "ok": [True, False]}
    collection.set_metadata(told | {"x": [0.1, 1e300], "said": ["it's\ta \\N", "ä"]})
    collection.set_metadata({"clip_id": [3, 6], "rank": [7, 8]}, on="clip_id")
    collection.remove(path_of("b"))
    collection.where("true").save("all")
    return collection


@pytest.fixture(autouse=True)
def at_first_in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDX_CATALOGUE", raising=False)


def test_there_and_back_all_is_as_it_was(
    lived_in: vidx.Collection, layout: Layout, postgresql: str, findings: Findings
) -> None:
    before, clips = rows(layout), lived_in.clips()
    assert "(schema vidx_" in lived_in.move_catalogue(postgresql.replace("vidx@", "vidx:secret@"))
    assert not layout.catalogue.exists()
    assert read_manifest(layout).catalogue == lived_in.info().catalogue == postgresql
    there = database_of(layout, read_manifest(layout))
    assert rows(layout) == before
    assert lived_in.clips().equals(clips), "an open collection sees it where it is"
    with pytest.raises(UsageError, match="already"):
        lived_in.move_catalogue(postgresql)
    [removal] = [row["number"] for row in lived_in.commits().to_pylist() if row["verb"] == "remove"]
    assert lived_in.restore(removal).num_videos == 1
    commit(layout, draw_video("d"))
    assert findings() == []
    now, clips = rows(layout), lived_in.clips()
    assert lived_in.move_catalogue(None) == str(layout.catalogue)
    assert rows(layout) == now
    assert lived_in.clips().equals(clips)
    assert findings() == []
    assert not there.exists(), "deleted where it was"


@pytest.mark.parametrize("moment", ["while it is copied", "before collection.json is written"])
def test_a_move_that_ends_early_has_changed_nothing_and_can_be_made_again(
    lived_in: vidx.Collection,
    layout: Layout,
    postgresql: str,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    before = rows(layout)

    def copies_and_dies(source: Database, target: Database) -> None:
        target.close(target.open_for_writing())
        raise KeyboardInterrupt

    def dies(layout: Layout, manifest: Manifest, by_way_of: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if moment == "while it is copied":
            patched.setattr(copying, "copy", copies_and_dies)
        else:
            patched.setattr(moving, "write_manifest", dies)
        with pytest.raises(KeyboardInterrupt):
            lived_in.move_catalogue(postgresql)
    assert read_manifest(layout).catalogue is None
    assert rows(layout) == before
    lived_in.move_catalogue(postgresql)
    assert rows(layout) == before


def test_a_bad_address_is_refused(layout: Layout) -> None:
    commit(layout, space=SPACE)
    with pytest.raises(UsageError, match="cannot be kept"):
        vidx.open(layout.root).move_catalogue("mysql://a/b")


def test_who_waited_while_it_was_moved_writes_to_neither(
    lived_in: vidx.Collection, layout: Layout, postgresql: str
) -> None:
    lived_in.move_catalogue(postgresql)
    manifest, begun = read_manifest(layout), threading.Event()

    def move() -> None:
        with writing(layout):
            begun.set()
            time.sleep(0.3)
            write_manifest(layout, replace(manifest, catalogue=None), by_way_of=layout.staging)

    mover = threading.Thread(target=move)
    mover.start()
    assert begun.wait(30)
    with pytest.raises(CollectionLocked, match="just moved"), taking_turns(layout):
        pass
    mover.join()
