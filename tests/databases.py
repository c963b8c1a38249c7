"""A real PostgreSQL of the tests' own; VIDX_TEST_DATABASE=postgresql keeps all catalogues there.

A test marked `sqlite` is about the file of SQLite, and is not run then.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

SWITCH = "VIDX_TEST_DATABASE"


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, where it is found."""
    named = shutil.which("initdb")
    folders = [Path(named).parent] if named else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((one for one in folders if (one / "initdb").exists()), None)


class Server:
    """A server of one's own.

    Args:
        folder: For its data; an empty one that others may enter.
        options: Settings, as `name=value`.

    Attributes:
        address: Of its database.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder, self._data = folder, folder / "data"
        self._port = _free_port()
        self.address = f"postgresql://vidx@127.0.0.1:{self._port}/postgres"
        # It refuses to run as root.
        self._them: dict[str, Any] = {"cwd": folder}
        if os.getuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
            self._them |= {"user": "nobody", "group": "nogroup", "extra_groups": []}
        quiet = "dynamic_shared_memory_type=mmap"  # other tests look at what is in /dev/shm
        sockets = f"unix_socket_directories={folder}"
        given = ("listen_addresses=127.0.0.1", sockets, quiet, *options)
        self._options = [part for one in given for part in ("-c", one)]
        made = ("-D", self._data, "-U", "vidx", "--auth=trust", "-E", "UTF8", "-N")
        command = [_program("initdb"), *made, "--locale=C.UTF-8"]
        subprocess.run(command, check=True, capture_output=True, **self._them)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [_program("postgres"), "-D", self._data, "-p", str(self._port), *self._options]
        with open(self._folder / "log", "a") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._them)
        until = time.monotonic() + 60
        while True:
            try:
                return self.run("SELECT 1")
            except psycopg.OperationalError as error:
                if "password" in str(error):
                    return None  # it answers, if not to us
                assert self._process.poll() is None and time.monotonic() < until, "no server"
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, as a loss of power would."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(60)

    def run(self, statement: str) -> None:
        """Say something to its database."""
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(statement)

    def ask_for_passwords(self) -> None:
        """Let nobody in without one."""
        rules = "host all all 127.0.0.1/32 scram-sha-256\n"
        (self._data / "pg_hba.conf").write_text(rules)
        self.stop()
        self.start()


@contextmanager
def server(*options: str) -> Iterator[Server]:
    """A server that runs, with settings of one's own."""
    folder = Path(tempfile.mkdtemp(prefix="vidx-postgresql-"))
    try:
        own = Server(folder, *options)
        own.start()
        try:
            yield own
        finally:
            own.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> Path:
    folder = binaries()
    assert folder is not None
    return folder / name


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a database for all tests of a session."""
    if binaries() is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    with server("fsync=off", "full_page_writes=off") as own:
        yield own.address


@pytest.fixture(scope="session", autouse=True)
def database_of_tests(request: pytest.FixtureRequest, own_environment: None) -> None:
    """Keeps the catalogues of new collections where the environment wants the tests to."""
    os.environ.pop("VIDX_CATALOGUE", None)
    if os.environ.get(SWITCH) == "postgresql":
        os.environ["VIDX_CATALOGUE"] = request.getfixturevalue("postgresql")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get(SWITCH) == "postgresql":
        others = [item for item in items if item.get_closest_marker("sqlite")]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
