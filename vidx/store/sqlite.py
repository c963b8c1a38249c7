"""All that is special to SQLite: how it is opened, what its errors mean, how it checks itself."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, text
from sqlalchemy.pool import NullPool

from vidx.errors import CollectionDamaged, VidxError

BUSY_TIMEOUT_MS = 30_000  # how long to wait for another connection's transaction

# What lies around the file is in the way; the file itself may be sound.
_OBSTACLES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}


def open_for_writing(path: Path) -> Engine:
    """An engine that may create and change the file; in WAL mode, so that readers never wait."""
    return _engine(path, "", ("journal_mode = WAL", "synchronous = NORMAL"))


def open_for_reading(path: Path) -> Engine:
    """An engine that never changes the file, and works in a folder that cannot be written."""
    # There SQLite cannot make its -shm file. Nobody else can be writing either, and unless a
    # killed writer left a log behind, the file alone holds all there is.
    log = path.with_name(f"{path.name}-wal")
    still = not os.access(path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
    return _engine(path, f"?mode=ro{'&immutable=1' if still else ''}", ())


def _engine(path: Path, options: str, pragmas: tuple[str, ...]) -> Engine:
    uri = f"file:{quote(str(path))}{options}"
    engine = create_engine(
        "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=NullPool
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver must not choose when transactions begin
        for pragma in (*pragmas, "foreign_keys = ON", f"busy_timeout = {BUSY_TIMEOUT_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN")  # reads of one transaction see one state

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        error = context.original_exception
        # The two others tell of a mistake in vidx.
        ours = isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError)
        if isinstance(error, sqlite3.DatabaseError) and not ours:
            raise _translated(path, error) from error

    return engine


def _translated(path: Path, error: sqlite3.DatabaseError) -> VidxError:
    """What a database's error means to the user."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # the primary code
    if code in _OBSTACLES:
        return VidxError(
            f"the catalogue {path} cannot be used: {error}",
            f"Free some space in {path.parent}, or see that you may read and write there; "
            "then run the same command again.",
        )
    return CollectionDamaged(
        f"the catalogue {path} cannot be read: {error}",
        "Run `vidx rebuild`: it sets the file aside and makes one anew from the shards.",
    )


def self_check(connection: Connection) -> list[str]:
    """What SQLite itself finds wrong with the file; empty when nothing is."""
    findings = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    return [finding for finding in findings if finding != "ok"] + [
        f"a row of {row[0]} refers to a missing row of {row[2]}" for row in broken
    ]
