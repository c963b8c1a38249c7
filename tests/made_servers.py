"""Servers on this machine that can misbehave: one of the web, and one of S3 with a way to it."""

from __future__ import annotations

import hashlib
import http.client
import itertools
import os
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest


@dataclass
class WebServer:
    """What a server of the web gives, and how it misbehaves; `asked` is what it was asked for.

    Attributes:
        content: The objects, by path.
        fails_every: Each so many requests one is answered with 503; 0: none is.
        gives_ranges: Whether it gives parts of objects.
        gives_versions: Whether it tells ETags; else it tells a time of last change, or nothing.
        gives_lengths: Whether it tells how long an object is.
        breaks_at: It hangs up at this byte of an answer; None: never.
        silent_seconds: How long it says nothing, before each part of an object.
        redirects: From path to URL.
        statuses: Paths that are answered with a status alone.
        last_modified: When all changed last, as the server writes that.
    """

    content: dict[str, bytes] = field(default_factory=dict)
    fails_every: int = 0
    gives_ranges: bool = True
    gives_versions: bool = True
    gives_lengths: bool = True
    breaks_at: int | None = None
    silent_seconds: float = 0.0
    redirects: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    last_modified: str = ""
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    sent_bytes: int = 0
    failed: int = 0
    counter: Any = field(default_factory=lambda: itertools.count(1))

    def reads(self, path: str) -> int:
        """How often an object's bytes were asked for."""
        return self.asked.count(("GET", path))


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(has_body=False)

    def do_GET(self) -> None:
        self._answer(has_body=True)

    def _answer(self, *, has_body: bool) -> None:
        web = self.server.web
        path = self.path.partition("?")[0]
        web.asked.append((self.command, path))
        if web.fails_every and next(web.counter) % web.fails_every == 0:
            web.failed += 1
            self._status(503)
        elif path in web.redirects:
            self._status(302, Location=web.redirects[path])
        elif path in web.statuses:
            self._status(web.statuses[path])
        elif path not in web.content:
            self._status(404)
        else:
            self._give(web, web.content[path], has_body=has_body)

    def _status(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _give(self, web: WebServer, content: bytes, *, has_body: bool) -> None:
        start, end = 0, len(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and web.gives_ranges:
            start, end = int(asked[1]), min(int(asked[2] or end) + 1, end)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        else:
            self.send_response(200)
        if web.gives_versions:
            self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        if web.last_modified:
            self.send_header("Last-Modified", web.last_modified)
        if web.gives_lengths:
            self.send_header("Content-Length", str(end - start))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if not has_body:
            return
        time.sleep(web.silent_seconds)
        body = content[start:end]
        if web.breaks_at is not None and len(body) > web.breaks_at:
            body = body[: web.breaks_at]
            self.close_connection = True
        web.sent_bytes += len(body)
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    web: WebServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # who asked has gone


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """A server of the web, which has nothing yet and behaves well."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = _Server(("127.0.0.1", 0), _Handler)
    server.web = WebServer(url=f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.web
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are asked again at once."""
    from vidx.remote import troubles

    monkeypatch.setattr(troubles, "FIRST_WAIT_SECONDS", 0.001)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of an S3 server with a bucket called `films`, which vidx finds too."""
    import boto3
    from moto.server import ThreadedMotoServer

    from vidx.remote import file_systems

    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    reset = urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()  # its buckets are the process's
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "AKIAVIDXTESTS",
        "AWS_SECRET_ACCESS_KEY": "SECRETOFVIDX",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    file_systems._store.cache_clear()
    client = boto3.client("s3")
    client.create_bucket(Bucket="films")
    yield client
    server.stop()
    file_systems._store.cache_clear()


@dataclass
class FaultyWay:
    """What stands before the server of S3, and how it misbehaves.

    Attributes:
        fails_every: Each so many requests one is answered with 503, and not passed on; 0: none is.
        loses_every: Each so many requests one is passed on, and its answer lost.
        slow_seconds: How long each tenth request waits.
        ignores_conditions: Whether the server behind gets to know no If-None-Match.
        before: Called with method and path before a request is passed on.
        after: The like, before its answer is.
        statuses: Methods that are answered with a status alone.
        faults: How often it failed or lost something.
    """

    server: str
    fails_every: int = 0
    loses_every: int = 0
    slow_seconds: float = 0.0
    ignores_conditions: bool = False
    before: Callable[[str, str], object] = lambda _method, _path: None
    after: Callable[[str, str], object] = lambda _method, _path: None
    statuses: dict[str, int] = field(default_factory=dict)
    faults: int = 0
    counter: Any = field(default_factory=lambda: itertools.count(1))

    def is_due(self, number: int, every: int) -> bool:
        """Whether this request is one of each so many."""
        due = bool(every) and number % every == 0
        self.faults += due
        return due


class _WayHandler(BaseHTTPRequestHandler):
    server: _Way
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def _pass_on(self) -> None:
        way, number = self.server.way, next(self.server.way.counter)
        body = self._body()
        if number % 10 == 0:
            time.sleep(way.slow_seconds)
        if way.is_due(number, way.fails_every):
            self._answer(503, [], b"")
        elif self.command in way.statuses:
            self._answer(way.statuses[self.command], [], b"")
        else:
            way.before(self.command, self.path)
            status, headers, content = self._ask(way, body)
            way.after(self.command, self.path)
            if way.is_due(number, way.loses_every):
                self.close_connection = True
            else:
                self._answer(status, headers, content)

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _ask(self, way: FaultyWay, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"transfer-encoding", "content-length", "expect", "connection"}
            and not (way.ignores_conditions and name.lower() == "if-none-match")
        }
        connection = http.client.HTTPConnection(urlsplit(way.server).netloc, timeout=30)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), content

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        left_out = {"connection", "transfer-encoding", "date", "server"}
        length = next((v for n, v in headers if n.lower() == "content-length"), len(content))
        for name, value in headers:
            if name.lower() not in {*left_out, "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class _Way(ThreadingHTTPServer):
    daemon_threads = True
    way: FaultyWay

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # who asked has gone


@pytest.fixture
def s3_way(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyWay]:
    """What all requests to the server of S3 pass from now on."""
    from vidx.remote import file_systems

    server = _Way(("127.0.0.1", 0), _WayHandler)
    server.way = FaultyWay(os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    file_systems._store.cache_clear()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.way
    server.shutdown()
    thread.join()
    server.server_close()
