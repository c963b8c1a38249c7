from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from made_collections import change_catalogue, commit, draw_video
from sqlalchemy import text

from vidx.errors import CollectionDamaged, CollectionTooNew
from vidx.store import migrate, sqlite
from vidx.store.catalogue import Catalogue
from vidx.store.layout import Layout, read_manifest
from vidx.store.tables import metadata
from vidx.store.writer import open_writer


@pytest.mark.sqlite
def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    engine = sqlite.open_for_writing(tmp_path / "catalogue.sqlite")
    with engine.begin() as connection:
        assert migrate.revision(connection) is None
        migrate.upgrade(connection)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert migrate.revision(connection) == migrate.HEAD


@pytest.mark.sqlite
def test_foreign_keys_cascade_as_the_tables_say(tmp_path: Path) -> None:
    engine = sqlite.open_for_writing(tmp_path / "catalogue.sqlite")
    with engine.begin() as connection:
        migrate.upgrade(connection)
        made = {
            (table, row[3], row[2], row[6])
            for table in metadata.tables
            for row in connection.execute(text(f"PRAGMA foreign_key_list({table})"))
        }
    assert made == {
        ("takes", "video", "videos", "CASCADE"),
        ("parts", "take", "takes", "CASCADE"),
        ("locations", "video", "videos", "CASCADE"),
        ("video_metadata", "video", "videos", "CASCADE"),
    }


def test_head_is_the_newest_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [migrate.HEAD]


@pytest.mark.sqlite
def test_a_failed_migration_leaves_nothing(tmp_path: Path) -> None:
    engine = sqlite.open_for_writing(tmp_path / "catalogue.sqlite")
    with pytest.raises(RuntimeError), engine.begin() as connection:
        migrate.upgrade(connection)
        raise RuntimeError
    with engine.connect() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master"))
        assert tables.scalars().all() == []


def set_revision(layout: Layout, revision: str) -> None:
    change_catalogue(layout, f"UPDATE alembic_version SET version_num = '{revision}'")


def test_a_later_schema_is_refused_by_readers_and_writers(layout: Layout) -> None:
    commit(layout, draw_video("a"))
    set_revision(layout, "9999")
    with pytest.raises(CollectionTooNew, match="9999"):
        Catalogue(layout, read_manifest(layout))
    with pytest.raises(CollectionTooNew, match="9999"), open_writer(layout):
        pass


@pytest.mark.sqlite
def test_readers_do_not_migrate(layout: Layout) -> None:
    commit(layout, draw_video("a"))
    set_revision(layout, "0000")
    before = layout.catalogue.read_bytes()
    with pytest.raises(CollectionDamaged, match="brings the schema up to date"):
        Catalogue(layout, read_manifest(layout))
    assert layout.catalogue.read_bytes() == before
