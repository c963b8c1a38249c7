"""Bringing a catalogue's schema up to date. Only writers do; readers look at the revision alone."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

_ONE_AT_A_TIME = threading.Lock()  # Alembic's context belongs to the whole process

HEAD = "0002"  # the newest file in migrations/versions
READABLE = ("0001", HEAD)  # 0001 lacks the table of snapshots, and nothing else


def revision(connection: Connection) -> str | None:
    """The schema's revision, or None for a database that has none."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def has_snapshots(connection: Connection) -> bool:
    """Whether the schema knows of snapshots; one that no writer has brought up to date may not."""
    return inspect(connection).has_table("snapshots")


def upgrade(connection: Connection) -> None:
    """Run the migrations that this database has not seen."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(config, "head")
