"""Real servers on this machine, each of one collection, in threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from made_collections import commit, draw_video, path_of
from made_collections import video_id as id_of

import vidx
from vidx.records import Problem, Source
from vidx.service.server import Server, bound
from vidx.service.settings import Limits, Settings
from vidx.store.journal import Failed
from vidx.store.layout import Layout

OWN = {"x-vidx": "1"}


@dataclass
class Answer:
    """What a server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Service:
    """A server that runs."""

    port: int
    collection: Path
    server: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, path: str, body: Any = None, *, method: str = "", headers: dict | None = None
    ) -> Answer:
        """One request; a body that is no bytes goes as JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        is_json = body is not None and not isinstance(body, bytes)
        content = json.dumps(body).encode() if is_json else body
        own = OWN | ({"content-type": "application/json"} if is_json else {})
        try:
            connection.request(
                method or ("GET" if body is None else "POST"), path, content, own | (headers or {})
            )
            got = connection.getresponse()
            told = {name.lower(): value for name, value in got.getheaders()}
            return Answer(got.status, told, got.read())
        finally:
            connection.close()


@contextmanager
def running(collection: Path, settings: Settings | None = None) -> Iterator[Service]:
    """A server, from its start to its end."""
    chosen = settings or Settings(port=0)
    listener, up = bound(chosen), threading.Event()
    port = listener.getsockname()[1]
    server = Server(vidx.open(collection), chosen, listener, up.set)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert up.wait(60)
        yield Service(port, collection, server)
    finally:
        server.stop()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def serving() -> Callable[..., Any]:
    """A context with a server: `with serving(folder, settings) as service`."""
    return running


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection of drawn vectors: ten videos of five clips, one partial, and two failures."""
    folder = tmp_path_factory.mktemp("drawn") / "collection"
    videos = [draw_video(f"v{number}", clips=5) for number in range(9)]
    partial = draw_video("v9", clips=5, problem=Problem("truncated", "cut short"))
    failed = [
        Failed(Source(path_of(name), 10, "1"), id_of(name), Problem("not_a_video", "no media"))
        for name in ("broken", "text")
    ]
    commit(Layout(folder), *videos, partial, failed=failed)
    return folder


@pytest.fixture(scope="module")
def service(drawn: Path) -> Iterator[Service]:
    """A server of `drawn`."""
    with running(drawn) as service:
        yield service


@pytest.fixture
def narrow() -> Limits:
    """Limits that a test reaches quickly."""
    return Limits(
        most_body_bytes=10_000,
        most_list_bytes=100_000,
        most_upload_bytes=50_000,
        most_kept_bytes=80_000,
        uploads_a_minute=4,
        logins_a_minute=3,
        body_seconds=2.0,
        stall_seconds=0.5,
        head_seconds=0.5,
        search_seconds=20.0,
    )
