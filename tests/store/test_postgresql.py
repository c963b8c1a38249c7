"""A catalogue in PostgreSQL: what is kept where, and what is told when the server is in the way."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import databases
import pytest
from made_collections import PROVENANCE, SPACE, change_catalogue, commit, draw_video, path_of
from sqlalchemy import literal, select

from vidx.errors import CollectionDamaged, UsageError, VidxError
from vidx.store import postgresql as words
from vidx.store import shards
from vidx.store.catalogue import Catalogue
from vidx.store.database import database_of
from vidx.store.layout import Layout, read_manifest
from vidx.store.lock import writing
from vidx.store.rebuild import rebuild
from vidx.store.writer import Batch, open_writer

Findings = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def in_postgresql(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("VIDX_CATALOGUE", postgresql)
    return postgresql


@pytest.fixture
def server_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[databases.Server]:
    with databases.server() as server:
        monkeypatch.setenv("VIDX_CATALOGUE", server.address)
        yield server


def clips_in(layout: Layout) -> int:
    return Catalogue(layout, read_manifest(layout)).counts()["clips"]


def test_a_collection_keeps_the_address_without_the_password(
    layout: Layout, in_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = in_postgresql.replace("vidx@", "vidx:secret@") + "?password=secret&connect_timeout=9"
    monkeypatch.setenv("VIDX_CATALOGUE", secret)
    commit(layout, draw_video("a"))
    kept = json.loads(layout.manifest.read_text())
    assert kept["catalogue"] == f"{in_postgresql}?connect_timeout=9"
    assert kept["format_version"] == 2, "an earlier version must not look for a file"
    assert "secret" not in layout.manifest.read_text()
    assert not layout.catalogue.exists()
    monkeypatch.delenv("VIDX_CATALOGUE")
    commit(layout, draw_video("b"))
    assert clips_in(layout) == 6


def test_what_is_in_a_folder_stays_there_whatever_the_environment_says(
    layout: Layout, in_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDX_CATALOGUE")
    commit(layout, draw_video("a"))
    monkeypatch.setenv("VIDX_CATALOGUE", in_postgresql)
    commit(layout, draw_video("b"))
    assert layout.catalogue.exists()
    assert clips_in(layout) == 6


def test_collections_share_a_database(layout: Layout, tmp_path: Path) -> None:
    other = Layout(tmp_path / "other")
    commit(layout, draw_video("a"))
    commit(other, draw_video("b", 2))
    assert (clips_in(layout), clips_in(other)) == (3, 2)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://somewhere/db", "cannot be kept at mysql://"),
        ("nonsense", "no address"),
        ("postgresql://host", "names no database"),
        ("postgresql://host:port/db", "no address"),
    ],
)
def test_an_address_that_is_none_is_refused(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("VIDX_CATALOGUE", address)
    with pytest.raises(UsageError, match=said):
        commit(layout, draw_video("a"))
    assert not layout.exists()


def test_no_server_or_no_such_database_is_told(
    layout: Layout, in_postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address, step in (
        ("postgresql://vidx@127.0.0.1:1/postgres", "See that the server runs"),
        (in_postgresql.replace("/postgres", "/absent"), "createdb"),
    ):
        monkeypatch.setenv("VIDX_CATALOGUE", address)
        with pytest.raises(VidxError, match=step) as caught:
            commit(layout, draw_video("a"))
        assert caught.value.exit_code == 4
        assert not layout.exists()


def test_a_wrong_password_is_told_and_a_right_one_is_taken_from_where_libpq_looks(
    layout: Layout, server_of_its_own: databases.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = server_of_its_own
    commit(layout, draw_video("a"))
    server.run("ALTER USER vidx PASSWORD 'right'")
    server.ask_for_passwords()
    for password in (None, "wrong"):
        if password:
            monkeypatch.setenv("PGPASSWORD", password)
        with pytest.raises(VidxError, match="PGPASSWORD") as caught:
            clips_in(layout)
        assert caught.value.exit_code == 4
    monkeypatch.setenv("PGPASSWORD", "right")
    assert clips_in(layout) == 3
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("VIDX_CATALOGUE", server.address.replace("vidx@", "vidx:right@"))
    assert clips_in(layout) == 3


def test_a_server_that_goes_in_mid_commit_costs_nothing(
    layout: Layout,
    server_of_its_own: databases.Server,
    monkeypatch: pytest.MonkeyPatch,
    findings: Findings,
) -> None:
    commit(layout, draw_video("a"))
    rename = Path.rename

    def breaks(self: Path, target: Path) -> Path:
        path = rename(self, target)
        if path.name.startswith("clips-"):
            server_of_its_own.stop()
        return path

    with open_writer(layout) as writer:
        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", breaks)
            with pytest.raises(VidxError, match="same command again") as caught:
                writer.commit(Batch([draw_video("b")]), PROVENANCE)
        assert caught.value.exit_code == 4
        with pytest.raises(VidxError, match="same command again"):
            writer.commit(Batch([draw_video("c")]), PROVENANCE)
    server_of_its_own.start()
    assert clips_in(layout) == 3
    commit(layout, draw_video("b"))
    assert clips_in(layout) == 6
    assert findings() == []


def test_an_open_reader_finds_a_server_that_was_restarted(
    layout: Layout, server_of_its_own: databases.Server
) -> None:
    commit(layout, draw_video("a"))
    catalogue = Catalogue(layout, read_manifest(layout))
    before = catalogue.state()
    server_of_its_own.stop()
    with pytest.raises(VidxError, match="same command again"):
        catalogue.state()
    server_of_its_own.start()
    assert catalogue.state() == before
    catalogue.close()


def test_a_server_that_lets_nobody_write_can_be_read(
    layout: Layout, server_of_its_own: databases.Server
) -> None:
    commit(layout, draw_video("a"))
    server_of_its_own.run("ALTER DATABASE postgres SET default_transaction_read_only = on")
    assert clips_in(layout) == 3
    with pytest.raises(VidxError, match="lets nobody write") as caught:
        commit(layout, draw_video("b"))
    assert caught.value.exit_code == 4
    assert len(shards.listed(layout.shards)) == 1


def test_who_may_only_read_reads(
    layout: Layout, server_of_its_own: databases.Server, findings: Findings
) -> None:
    commit(layout, draw_video("a"))
    schema = database_of(layout, read_manifest(layout)).name
    server_of_its_own.run("CREATE USER guest")
    values = json.loads(layout.manifest.read_text())
    values["catalogue"] = values["catalogue"].replace("vidx@", "guest@")
    layout.manifest.write_text(json.dumps(values))
    with pytest.raises(VidxError, match="GRANT"):
        clips_in(layout)
    server_of_its_own.run(f"GRANT USAGE ON SCHEMA {schema} TO guest")
    server_of_its_own.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO guest")
    assert clips_in(layout) == 3
    assert findings() == []
    with pytest.raises(VidxError, match="GRANT") as caught:
        commit(layout, draw_video("b"))
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("damage", ["DROP TABLE clips", "DROP TABLE alembic_version"])
def test_an_unusable_catalogue_is_set_aside_and_made_anew(
    filled: Layout, findings: Findings, damage: str
) -> None:
    change_catalogue(filled, damage)
    with pytest.raises(CollectionDamaged, match="vidx rebuild"):
        findings()
    for number in (1, 2):
        with writing(filled):
            report = rebuild(filled, read_manifest(filled), 0)
        assert str(report.set_aside).endswith(f"_damaged_{number})")
        assert (report.num_clips, findings()) == (8, [])
        change_catalogue(filled, damage)


def test_a_number_too_large_for_the_database_is_told(filled: Layout) -> None:
    import vidx

    collection = vidx.open(filled.root)
    with pytest.raises(UsageError, match="out of range"):
        collection.where("clip_id * 9000000000000000000 > 1 and clip_id = 7").clips()


PATTERNS = ["*", "a*", "?b", "[a-c]x", "[!a-c]x", "[]x]y", "[z-a]", "[!z-a]", "[", "a[", "[^a]",
            "a\\b", ".", "a.b", "(a|b)", "[a\\]b", "[--a]", "^a$", "*\n*", "[[:alpha:]]",
            "ä?"]  # fmt: skip
TEXTS = ["", "a", "ab", "bb", "ax", "dx", "xy", "]y", "z", "[", "a[", "^", "a\\b", ".", "a.b",
         "axb", "(a|b)", "ab\nc", "\\b", "-", "^a$", "äö", "A", "AB", ":"]  # fmt: skip


def test_globs_match_as_fnmatch_has_it(filled: Layout) -> None:
    with Catalogue(filled, read_manifest(filled)).reading() as connection:
        for pattern in PATTERNS:
            tests = [words.glob(literal(one), pattern) for one in TEXTS]
            found = connection.execute(select(*tests)).one()
            assert list(found) == [fnmatch.fnmatchcase(one, pattern) for one in TEXTS], pattern


def test_a_backslash_in_like_is_one_and_only_ascii_has_two_cases(filled: Layout) -> None:
    with Catalogue(filled, read_manifest(filled)).reading() as connection:
        asked = [
            words.like(literal("a\\b"), "a\\_"),
            words.like(literal("A"), "a"),
            words.ilike(literal("A\\B"), "a\\b"),
            words.ilike(literal("Ä"), "ä"),
        ]
        assert list(connection.execute(select(*asked)).one()) == [True, False, True, False]


def test_a_reader_cannot_write(filled: Layout) -> None:
    catalogue = Catalogue(filled, read_manifest(filled))
    with pytest.raises(VidxError, match="read-only"), catalogue.reading() as connection:
        connection.exec_driver_sql("DELETE FROM clips")


def test_a_collection_is_made_by_space_alone(layout: Layout) -> None:
    with open_writer(layout, SPACE) as writer:
        writer.commit(Batch([draw_video("a")]), PROVENANCE)
        assert writer.remove([path_of("a")]).videos == 1
