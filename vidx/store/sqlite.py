"""All that is special to SQLite: how it is opened, what its errors mean, how it checks itself."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    ExceptionContext,
    create_engine,
    event,
    func,
    text,
)
from sqlalchemy.pool import QueuePool

from vidx.errors import CollectionDamaged, VidxError

_IN_PLACE = ""  # how a writer opens the file: SQLite's own locks, chosen by the platform
BUSY_TIMEOUT_MS = 30_000  # how long to wait for another connection's transaction

# A commit touches leaves all over the indexes: they stay in memory, and the log takes some commits
# before they are written to their places.
_ROOM = ("cache_size = -65536", "wal_autocheckpoint = 16384")  # KiB; pages of 4 KiB

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

_PATH = "vidx path"  # where a connection keeps it, for messages

_PARTS = ("", "-wal", "-shm")  # endings of the files of a catalogue

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}

_OURS = (sqlite3.IntegrityError, sqlite3.ProgrammingError)  # tell of a mistake in vidx

# Seen by a reader that may not write, while a writer opens the file or after one was killed.
_BEING_SET_UP = {
    sqlite3.SQLITE_READONLY_CANTINIT,
    sqlite3.SQLITE_READONLY_CANTLOCK,
    sqlite3.SQLITE_READONLY_RECOVERY,
}


@dataclass(frozen=True, slots=True)
class File:
    """A catalogue as a file.

    Attributes:
        path: The file's; its write-ahead log lies beside it.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def exists(self) -> bool:
        """Whether there is a catalogue, sound or not."""
        return self.path.is_file()

    def open_for_writing(self) -> Engine:
        """An engine that may create and change the file."""
        return open_for_writing(self.path)

    def open_for_reading(self) -> Engine:
        """An engine that never changes the file."""
        return open_for_reading(self.path)

    def close(self, engine: Engine) -> None:
        """Close an engine for writing."""
        close(engine, self.path)

    @contextmanager
    def beside(self) -> Iterator[File]:
        """A blank place for a catalogue in the making, which is gone afterwards."""
        draft = File(self.path.with_name(f"{self.path.name}.draft"))
        try:
            draft.delete()
            yield draft
        finally:
            draft.delete()

    def become(self, draft: File) -> None:
        """Let a draft be the catalogue, at one stroke for those who read it."""
        copy(draft.path, self.path)
        engine = open_for_writing(self.path)
        with engine.begin():
            pass
        close(engine, self.path)

    def set_aside(self) -> str | None:
        """Rename the file and its write-ahead log to a name that is free, and tell which."""
        number = 1
        while (target := self._named(f".damaged-{number}")).exists():
            number += 1
        for suffix in _PARTS:  # a log alone would be replayed
            part = self._named(suffix)
            if part.exists():
                part.rename(target.with_name(target.name + suffix))
        return str(target) if target.exists() else None

    def delete(self) -> None:
        """Delete the file and what lies around it."""
        for suffix in _PARTS:
            self._named(suffix).unlink(missing_ok=True)

    def _named(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def open_for_writing(path: Path) -> Engine:
    """An engine that may create and change the file; in WAL mode, so that readers never wait.

    What it has committed survives a loss of power.
    """
    pragmas = ("synchronous = FULL", *_ROOM)
    return _engine(path, lambda: _IN_PLACE, pragmas, _write_ahead)


def open_for_reading(path: Path) -> Engine:
    """An engine that never changes the file."""
    return _engine(path, lambda: _read_only(path), (), lambda _connection: None)


def close(engine: Engine, path: Path) -> None:
    """Close an engine for writing, and leave the files that readers need who may not make them.

    SQLite deletes its log and the shared memory with the last connection that may write. Where one
    that may only read is the last, they stay; the log is emptied into the catalogue before.
    """
    reader = open_for_reading(path)
    with suppress(VidxError, sqlite3.Error), reader.connect() as last:
        with last.begin():
            pass
        with closing(engine.raw_connection()) as connection:  # not within a transaction
            connection.cursor().execute("PRAGMA busy_timeout = 0")  # a reader may be at work
            connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
    engine.dispose()  # also where there is no room for this: all is safe
    reader.dispose()


def _read_only(path: Path) -> str:
    """How one connection is opened: what is on a file system nobody can write to needs no locks."""
    still = os.statvfs(path.parent).f_flag & os.ST_RDONLY
    return f"?mode=ro{'&immutable=1' if still else ''}"


def _write_ahead(connection: sqlite3.Connection) -> None:
    [granted] = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if granted != "wal":
        raise VidxError(
            f"SQLite keeps no write-ahead log here, but journal mode {granted!r}",
            "Keep the collection on a local disk: network file systems lack what this takes.",
        )


def _engine(
    path: Path,
    options: Callable[[], str],
    pragmas: tuple[str, ...],
    prepare: Callable[[sqlite3.Connection], None],
) -> Engine:
    def connect() -> sqlite3.Connection:
        uri = f"file:{quote(str(path))}{options()}"
        return sqlite3.connect(uri, uri=True, check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, record: Any) -> None:
        record.info[_PATH] = path
        connection.isolation_level = None  # the driver must not choose when transactions begin
        for pragma in (f"busy_timeout = {BUSY_TIMEOUT_MS}", "foreign_keys = ON", *pragmas):
            connection.execute(f"PRAGMA {pragma}")
        prepare(connection)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        try:
            _begin_reading(connection.connection.driver_connection)
        except sqlite3.DatabaseError as error:
            raise _translated(path, error) from error

    @event.listens_for(engine, "handle_error")
    def _translate(context: ExceptionContext) -> None:
        error = context.original_exception
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OURS):
            raise _translated(path, error) from error

    return engine


def _begin_reading(connection: Any) -> None:
    """Begin a transaction, of which all reads see the state of this moment.

    A reader who may not write can but wait while another process sets up the shared memory.
    """
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        connection.execute("BEGIN")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if connection.in_transaction:  # a full disk ends it
                connection.execute("ROLLBACK")
            passing = error.sqlite_errorcode in _BEING_SET_UP
            if not passing or time.monotonic() > until:
                raise
            time.sleep(0.005)
        else:
            return


def _translated(path: Path, error: sqlite3.DatabaseError) -> VidxError:
    """What a database's error means to the user."""
    if _primary_code(error) in _OBSTACLES:
        return VidxError(
            f"the catalogue {path} cannot be used: {error}",
            f"Free some space in {path.parent}, or see that you may read and write there; where "
            "you may only read, let its owner run `vidx info` once. Then run the same command "
            "again.",
        )
    return CollectionDamaged(
        f"the catalogue {path} cannot be read: {error}",
        "Run `vidx rebuild`: it sets the file aside and makes one anew from the shards.",
    )


def read_rows(
    connection: Connection, statement: str, values: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """The rows that the driver itself gives: where they are few, all else takes longer than they.

    Args:
        connection: In a transaction.
        statement: In SQLite's words, with a `?` for each value.
        values: As the driver takes them.
    """
    driver: Any = connection.connection.driver_connection
    try:
        rows: list[tuple[Any, ...]] = driver.execute(statement, values).fetchall()
    except _OURS:
        raise
    except sqlite3.DatabaseError as error:
        raise _translated(connection.info[_PATH], error) from error
    return rows


def insert_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Insert many rows without looking at each: a shard has tens of thousands.

    Args:
        connection: In a transaction.
        table: Its name.
        columns: Names of those that are given.
        rows: Their values, in that order.
    """
    many = list(rows)
    if many:
        marks = ", ".join("?" * len(columns))
        # Names of our own tables and columns alone come here.
        names = ", ".join(f'"{one}"' for one in columns)
        statement = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
        connection.exec_driver_sql(statement, many)


def upsert_rows(
    connection: Connection, statement: Callable[[str], str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run a statement with a mark for each value, for many rows."""
    connection.exec_driver_sql(statement("?"), list(rows))


def copy(source: Path, target: Path) -> None:
    """Make a catalogue the same as another, at one stroke for those who read it.

    Args:
        source: The one to copy.
        target: The other one; it is made if it is not there.

    Raises:
        VidxError: The disk is full, or another process holds one of them for too long.
        CollectionDamaged: One of them is broken.
    """
    until = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            _copy(source, target, until)
        except sqlite3.DatabaseError as error:
            # Some ways of being busy end a copy at once: it begins anew.
            if _primary_code(error) in _BUSY and time.monotonic() < until:
                time.sleep(0.02)
                continue
            raise _translated(target, error) from error
        return


def _copy(source: Path, target: Path, until: float) -> None:
    def give_up(status: int, _remaining: int, _total: int) -> None:
        if status in _BUSY and time.monotonic() > until:  # by itself it would wait for ever
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = status
            raise error

    with (
        closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as here,
        closing(sqlite3.connect(target, timeout=0)) as there,
    ):
        here.backup(there, progress=give_up, sleep=0.02)


def _primary_code(error: sqlite3.Error) -> int:
    """What went wrong, without the details."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def self_check(connection: Connection) -> list[str]:
    """What SQLite itself finds wrong with the file; empty when nothing is."""
    findings = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check"))]
    broken = connection.execute(text("PRAGMA foreign_key_check")).all()
    return [finding for finding in findings if finding != "ok"] + [
        f"a row of {row[0]} refers to a missing row of {row[2]}" for row in broken
    ]


def like(value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """SQL's LIKE, which tells upper from lower case: SQLite's own does not.

    Args:
        value: What is compared.
        pattern: `%` stands for anything, `_` for one character.
    """
    return value.op("GLOB", is_comparison=True)("".join(map(_of_like, pattern)))


def ilike(value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """As `like`, the letters of ASCII being the same in either case."""
    return value.ilike(pattern)


def lower(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Text with the letters of ASCII in lower case; all others stay."""
    return func.lower(value)


def _of_like(character: str) -> str:
    return {"%": "*", "_": "?"}.get(character) or _itself(character)


def glob(value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Whether text matches a glob, as `fnmatch` has it, upper and lower case being two.

    Args:
        value: What is compared.
        pattern: `*` stands for anything, `?` for one character, `[a-z]` for one of these and
            `[!a-z]` for one of all others; a bracket that is not closed is itself.
    """
    parts = re.split(r"(\[!?+(?:\][^\]]*|[^\]]+)\])", pattern)  # every other one is in brackets
    parts[1::2] = [_brackets(part[1:-1]) for part in parts[1::2]]
    parts[::2] = [part.replace("[", "[[]") for part in parts[::2]]
    return value.op("GLOB", is_comparison=True)("".join(parts))


def _brackets(inside: str) -> str:
    """One of some characters: SQLite says ^ where globs say !, and takes a ^ in front for that."""
    if inside.startswith("!"):
        return f"[^{inside[1:]}]"
    if inside.startswith("^"):
        return f"[{inside[1:]}^]" if inside[1:] else "^"
    return f"[{inside}]"


def _itself(character: str) -> str:
    return f"[{character}]" if character in "*?[" else character
