"""All that is special to PostgreSQL: how it is reached, what its errors mean, its own words.

A collection has a schema of its own, named by its uuid, so that many share a database.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    ExceptionContext,
    collate,
    create_engine,
    event,
    func,
    inspect,
    literal,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError

from vidx.errors import CollectionDamaged, UsageError, VidxError
from vidx.store.tables import collection
from vidx.store.tables import metadata as tables

VARIABLE = "VIDX_CATALOGUE"
CONNECT_SECONDS = 10  # how long to wait for a server, unless the address says
LEAVING_SECONDS = 1.0  # that the server may take to see that a writer has died

_SCHEMES = ("postgresql", "postgres")
_AGAIN = "Then run the same command again: what is committed is safe."
_OURS = {"23", "42"}  # classes of SQLSTATE that tell of a mistake in vidx, but for these:
_NO_RIGHT, _READ_ONLY = "42501", "25006"
_NO_TABLE = {"42P01", "3F000"}
_BUSY = {"40001", "40P01", "55P03", "57014"}


def address_of(text: str) -> str:
    """An address as it is kept, without a password.

    >>> address_of("postgres://ann:secret@db.example/videos")
    'postgresql://ann@db.example/videos'

    Raises:
        UsageError: It is none.
    """
    url = _url(text)
    return url._replace(password=None).difference_update_query(["password"]).render_as_string()


def _url(text: str) -> URL:
    """An address in its parts."""
    example = "Such as postgresql://USER@HOST/DATABASE; see `docs/postgresql.md`."
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        shown = f"{text!r} is" if "@" not in text else "that is"  # it may have a password
        raise UsageError(f"{shown} no address of a catalogue", example) from None
    if url.drivername not in _SCHEMES:
        raise UsageError(f"a catalogue cannot be kept at {url.drivername}://", example)
    if not url.database:
        raise UsageError("the address of the catalogue names no database", example)
    return url.set(drivername="postgresql")


def _with_password(address: str) -> URL:
    """An address to connect to: with the environment's password where that names the same place.

    Else libpq looks in PGPASSWORD and .pgpass.
    """
    given = os.environ.get(VARIABLE)
    url = _url(given if given and address_of(given) == address else address)
    return url.set(drivername="postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class Schema:
    """A catalogue in a schema of a database.

    Attributes:
        address: The database's, without a password.
        name: The schema's.
    """

    address: str
    name: str

    @classmethod
    def of(cls, address: str, uuid: str) -> Schema:
        """Where the collection of this uuid has its catalogue."""
        return cls(address, f"vidx_{UUID(uuid).hex}")

    def __str__(self) -> str:
        return f"{self.address} (schema {self.name})"

    def exists(self) -> bool:
        """Whether there is a catalogue, sound or not."""
        with self._plainly() as connection:
            return self._is_there(connection, self.name)

    def open_for_writing(self) -> Engine:
        """An engine that may create and change the catalogue.

        Its transactions see what others have committed meanwhile.
        """
        with self._plainly() as connection:
            # Asked first: who may write to a schema need not have the right to make one.
            if not self._is_there(connection, self.name):
                connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{self.name}"'))
        return self._engine(isolation_level="READ COMMITTED")

    def open_for_reading(self) -> Engine:
        """An engine that never changes the catalogue.

        All reads of a transaction see the state of its beginning. It first takes a lock that only
        a catalogue taking another's place waits for: the state is of one or of the other.
        """
        engine = self._engine(isolation_level="REPEATABLE READ", read_only=True)

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # Named in full, so that who has no right is not told that there is nothing.
            table = f'"{self.name}".collection'
            connection.exec_driver_sql(f"LOCK TABLE {table} IN ACCESS SHARE MODE")
            connection.exec_driver_sql("SELECT 1")  # whose state all further reads see, too

        return engine

    @contextmanager
    def present(self, *, alone: bool) -> Iterator[Presence | None]:
        """Be a writer of the catalogue, until this ends or the process does.

        Args:
            alone: Whether no other may be; else any number of those that take turns.

        Yields:
            The turns; None where others are there that exclude this.
        """
        engine = self._engine(isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                asked = f"pg_try_advisory_lock{'' if alone else '_shared'}"
                presence = Presence(connection, int(self.name.removeprefix("vidx_")[:15], 16))
                until = time.monotonic() + LEAVING_SECONDS
                while not (ours := presence.ask(asked, _WRITERS)) and time.monotonic() < until:
                    time.sleep(LEAVING_SECONDS / 20)
                try:
                    yield presence if ours else None
                finally:
                    presence.leave()
        finally:
            engine.dispose()

    def close(self, engine: Engine) -> None:
        """Close an engine for writing."""
        engine.dispose()

    @contextmanager
    def beside(self) -> Iterator[Schema]:
        """A blank place for a catalogue in the making, which is gone afterwards."""
        draft = replace(self, name=f"{self.name}_draft")
        draft.delete()
        try:
            yield draft
        finally:
            draft.delete()

    def become(self, draft: Schema) -> None:
        """Let a draft take the place of this catalogue, at one stroke for those who read it."""
        with self._plainly() as connection:
            if self._is_there(connection, self.name):
                # Readers begin with this table: whoever is within, is waited for.
                connection.execute(text(f'LOCK TABLE "{self.name}".collection'))
                connection.execute(text(f'DROP SCHEMA "{self.name}" CASCADE'))
            connection.execute(text(f'ALTER SCHEMA "{draft.name}" RENAME TO "{self.name}"'))

    def set_aside(self) -> str | None:
        """Give an unusable catalogue a name that is free, and tell where it is then."""
        with self._plainly() as connection:
            if not self._is_there(connection, self.name):
                return None
            number = 1
            while self._is_there(connection, aside := f"{self.name}_damaged_{number}"):
                number += 1
            connection.execute(text(f'ALTER SCHEMA "{self.name}" RENAME TO "{aside}"'))
        return str(replace(self, name=aside))

    def delete(self) -> None:
        """Delete the catalogue."""
        with self._plainly() as connection:
            if self._is_there(connection, self.name):
                connection.execute(text(f'DROP SCHEMA "{self.name}" CASCADE'))

    @contextmanager
    def _plainly(self) -> Iterator[Connection]:
        """A connection for one transaction, wherever there is no catalogue yet."""
        engine = self._engine(isolation_level="READ COMMITTED")
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def _is_there(self, connection: Connection, name: str) -> bool:
        asked = text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :name")
        return connection.execute(asked, {"name": name}).first() is not None

    def _engine(self, *, isolation_level: Any, read_only: bool = False) -> Engine:
        url = _with_password(self.address)
        try:
            engine = create_engine(
                url,
                isolation_level=isolation_level,
                pool_pre_ping=True,  # a server that was restarted is found again
                # Plans that the server keeps are bound to a connection, which poolers share.
                connect_args={"prepare_threshold": None}
                | ({} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}),
            )
        except ImportError:
            raise VidxError(
                f"the catalogue is at {self.address}, and psycopg is not installed",
                "Install it with: pip install 'vidx[postgres]'",
            ) from None

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, record: Any) -> None:
            record.info[_WHERE] = self
            with connection.cursor() as cursor:
                cursor.execute(f'SET search_path TO "{self.name}"')
            connection.commit()
            if read_only:
                connection.read_only = True

        @event.listens_for(engine, "handle_error")
        def _translate(context: ExceptionContext) -> None:
            if told := _translated(self, context.original_exception):
                raise told from context.original_exception

        return engine


class Presence:
    """A writer among others: the server frees its locks when its connection ends.

    Args:
        connection: Which nothing else uses.
        key: The collection's; of two collections with the same one, one may wait for the other.
    """

    def __init__(self, connection: Connection, key: int) -> None:
        self._connection = connection
        self._key = key

    def ask(self, function: str, what: int) -> bool:
        """Call a function about one of the collection's locks."""
        asked = text(f"SELECT {function}(:key)")  # of our own names alone
        answer = self._connection.execute(asked, {"key": self._key * _LOCKS + what}).scalar()
        return answer is not False

    def leave(self) -> None:
        """Free all locks now: the server is a while behind when a connection has ended."""
        with suppress(VidxError):  # it is gone, and its locks with it
            self._connection.execute(text("SELECT pg_advisory_unlock_all()"))

    @contextmanager
    def turn(self, engine: Engine) -> Iterator[None]:
        """Commit while no other does; in a turn, another may be taken.

        Args:
            engine: Of the catalogue.
        """
        self.ask("pg_advisory_lock", _TURN)
        try:
            with engine.begin() as connection:  # the last commit of one killed may still end
                connection.execute(select(collection.c.uuid).with_for_update())
            yield
        finally:
            self.ask("pg_advisory_unlock", _TURN)

    @contextmanager
    def indexing(self) -> Iterator[bool]:
        """Write the index, if no other does."""
        ours = self.ask("pg_try_advisory_lock", _INDEX)
        try:
            yield ours
        finally:
            if ours:
                self.ask("pg_advisory_unlock", _INDEX)


_LOCKS = 4  # a collection has so many numbers for its own:
_WRITERS, _TURN, _INDEX = range(3)
_WHERE = "vidx schema"  # where a connection keeps it, for messages


def _translated(schema: Schema, error: BaseException) -> VidxError | None:
    """What a database's error means to the user; None where it tells of a mistake in vidx."""
    import psycopg

    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate or ""
    said = " ".join(str(error).split())
    if state in _NO_TABLE:
        return CollectionDamaged(
            f"the catalogue {schema} is missing: {said}",
            "Run `vidx rebuild`: it makes the catalogue anew from the shards.",
        )
    if isinstance(error, psycopg.DataError):
        step = "Take the NUL out of the text." if "NUL" in said else "Ask for smaller numbers."
        return UsageError(f"the database cannot compute or keep that: {said}", step)
    if state.startswith("XX"):
        return CollectionDamaged(
            f"the catalogue {schema} cannot be read: {said}",
            "Run `vidx rebuild`: it sets it aside and makes one anew from the shards.",
        )
    if (state[:2] in _OURS and state != _NO_RIGHT) or not isinstance(
        error, psycopg.OperationalError | psycopg.DatabaseError
    ):
        return None
    return VidxError(f"the catalogue {schema} cannot be used: {said}", _step(error, state))


def _step(error: Any, state: str) -> str:
    """What to do about a database that cannot be used."""
    if state == _READ_ONLY:
        return f"The server lets nobody write: name the one that does in collection.json. {_AGAIN}"
    if state == _NO_RIGHT:
        return f"Let the database's owner GRANT what is lacking. {_AGAIN}"
    if state.startswith("53"):
        return f"Free some space, memory or connections on the server. {_AGAIN}"
    if state in _BUSY:
        return "Others are at work on it. Run the same command again: what is committed is safe."
    if state.startswith("28") or "password" in str(error):
        return (
            f"Give the password in PGPASSWORD, ~/.pgpass or {VARIABLE}, and see that the user may "
            f"connect. {_AGAIN}"
        )
    if state == "3D000" or "does not exist" in str(error):
        return f"Make it with `createdb`, or name another in collection.json. {_AGAIN}"
    return f"See that the server runs and can be reached from here. {_AGAIN}"


@contextmanager
def _told(connection: Connection) -> Iterator[None]:
    """Tell of the driver's own errors as of those that come by way of SQLAlchemy."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        if told := _translated(connection.info[_WHERE], error):
            raise told from error
        raise


def insert_rows(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]
) -> None:
    """Insert many rows, by COPY.

    Args:
        connection: In a transaction.
        table: Its name.
        columns: Names of those that are given.
        rows: Their values, in that order.
    """
    many = list(rows)
    if not many:
        return
    driver: Any = connection.connection.driver_connection
    names = ", ".join(f'"{one}"' for one in columns)
    statement = f'COPY "{table}" ({names}) FROM STDIN'  # of our own tables and columns alone
    with _told(connection), driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in many:
            copy.write_row(row)


def upsert_rows(
    connection: Connection, statement: Callable[[str], str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run a statement with a mark for each value, for many rows."""
    connection.exec_driver_sql(statement("%s"), list(rows))


def self_check(connection: Connection) -> list[str]:
    """What is missing; the server checks pages as it reads them, and keys as they change."""
    there = set(inspect(connection).get_table_names())
    return [f"the table {one} is missing" for one in tables.tables if one not in there]


def like(value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """SQL's LIKE, in which a backslash is one.

    Args:
        value: What is compared.
        pattern: `%` stands for anything, `_` for one character.
    """
    return value.like(_plain(pattern))


def ilike(value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """As `like`, the letters of ASCII being the same in either case."""
    return lower(value).like(lower(literal(_plain(pattern))))


def _plain(pattern: str) -> str:
    return pattern.replace("\\", "\\\\")


def lower(value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Text with the letters of ASCII in lower case, as SQLite has it; all others stay."""
    return func.lower(collate(value, "C"))


def glob(value: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Whether text matches a glob, as a regular expression.

    Args:
        value: What is compared.
        pattern: `*` stands for anything, `?` for one character, `[a-z]` for one of these and
            `[!a-z]` for one of all others; a bracket that is not closed is itself.
    """
    parts = re.split(r"(\[!?+(?:\][^\]]*|[^\]]+)\])", pattern)  # every other one is in brackets
    parts[1::2] = [_brackets(part[1:-1]) for part in parts[1::2]]
    parts[::2] = ["".join(map(_of_glob, part)) for part in parts[::2]]
    return value.op("~", is_comparison=True)(f"^(?:{''.join(parts)})$")


def _of_glob(character: str) -> str:
    return {"*": ".*", "?": "."}.get(character) or _itself(character)


def _brackets(inside: str) -> str:
    """One of some characters, or one of all others; a range that runs backwards has none."""
    others = inside.startswith("!")
    one_of = re.findall(r"(?s)(.)-(.)|(.)", inside.removeprefix("!") if others else inside)
    spans = [(first, last) if first else (one, one) for first, last, one in one_of]
    kept = "".join(f"{_itself(a)}-{_itself(b)}" for a, b in spans if a <= b)
    if not kept:
        return "." if others else "(?!.|$)$"
    return f"[{'^' if others else ''}{kept}]"


def _itself(character: str) -> str:
    """A character of a regular expression that stands for itself, in brackets too."""
    plain = character.isascii() and (character.isalnum() or character == " ")
    return character if plain else f"\\U{ord(character):08x}"
