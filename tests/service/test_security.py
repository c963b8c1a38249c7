"""One test a promise of the guard and the bounds."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import vidx
from vidx.service.security import same
from vidx.service.server import bound, url_of, with_token
from vidx.service.settings import Limits, Settings

TOKEN = "a token of some length"


@pytest.fixture(scope="module")
def guarded(serving, drawn: Path) -> Iterator:
    """A server that takes a token."""
    with serving(drawn, Settings(port=0, token=TOKEN, names=("videos.example.org",))) as service:
        yield service


@pytest.fixture
def bounded(serving, drawn: Path, narrow: Limits) -> Iterator:
    """A server with narrow limits."""
    with serving(drawn, Settings(port=0, limits=narrow)) as service:
        yield service


@pytest.mark.parametrize(
    "path", ["/v1/clips", "/v1/openapi.json", "/metrics", "/v1/clips/1/preview", "/v1/none"]
)
def test_nothing_is_told_without_the_token(guarded, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": f"vidx-session={TOKEN}"}):
        got = guarded.ask(path, headers=headers)
        assert (got.status, got.json["type"]) == (401, "urn:vidx:token_needed")
    assert guarded.ask(path, headers={"authorization": f"Bearer {TOKEN}"}).status in (200, 404)


def test_signs_of_life_need_no_token(guarded) -> None:
    assert [guarded.ask(path).status for path in ("/healthz", "/readyz", "/")] == [200] * 3


@pytest.mark.parametrize("way", ["/v1/login", "/login"])
def test_a_login_gives_a_cookie_that_is_not_the_token(guarded, way: str) -> None:
    if way == "/login":
        got = guarded.ask(f"/login?token={TOKEN.replace(' ', '%20')}")
    else:
        got = guarded.ask(way, {"token": TOKEN})
    cookie = got.headers["set-cookie"]
    assert TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict"} <= set(cookie.replace("; ", ";").split(";"))
    assert guarded.ask("/v1/info", headers={"cookie": cookie.partition(";")[0]}).status == 200


def test_wrong_tokens_are_told_apart_from_too_many(bounded) -> None:
    statuses = [bounded.ask("/v1/login", {"token": "guess"}).status for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert same("é" * 20, "é" * 20)
    assert not same("\ud800", TOKEN)
    assert len(compared) == 2


def test_any_other_address_than_this_machines_gets_a_token() -> None:
    assert with_token(Settings()).token is None
    assert with_token(Settings("::1")).token is None
    for host in ("0.0.0.0", "192.0.2.1", "::", "example.org"):
        made = with_token(Settings(host)).token
        assert made is not None
        assert len(made) >= 32
        assert with_token(Settings(host, token=TOKEN)).token == TOKEN
    with pytest.raises(vidx.UsageError, match="16 or more"):
        with_token(Settings(token="short"))


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "evil.example.com:8000",
        "",
        "192.0.2.1",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
    ],
)
def test_a_foreign_name_does_not_reach_a_local_server(service, host: str) -> None:
    for path in ("/v1/clips", "/", "/healthz"):
        assert service.ask(path, headers={"host": host}).status == 421


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]:8000", "LOCALHOST:1"])
def test_a_name_of_this_machine_reaches_it(service, host: str) -> None:
    assert service.ask("/v1/clips", headers={"host": host}).status == 200


def test_a_name_that_was_given_reaches_it(guarded) -> None:
    headers = {"host": "Videos.example.org", "authorization": f"Bearer {TOKEN}"}
    assert guarded.ask("/v1/info", headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example.com"},
        {"origin": "null"},
        {"origin": "https://127.0.0.1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"x-vidx": None},
    ],
)
def test_a_change_from_another_page_is_refused(service, headers: dict) -> None:
    body = b'{"on": "clip_id", "columns": {"clip_id": [1], "split": ["x"]}}'
    own = {"x-vidx": "1", "content-type": "text/plain", **headers}
    kept = {name: value for name, value in own.items() if value is not None}
    for path in ("/v1/metadata", "/v1/uploads", "/v1/search", "/v1/jobs", "/v1/login"):
        from http.client import HTTPConnection

        connection = HTTPConnection("127.0.0.1", service.port)
        connection.request("POST", path, body, kept)
        assert connection.getresponse().status == 403
        connection.close()


def test_a_change_from_the_own_page_is_taken(service) -> None:
    headers = {"origin": service.url, "sec-fetch-site": "same-origin"}
    body = {"on": "clip_id", "columns": {"clip_id": [1], "split": ["x"]}}
    assert service.ask("/v1/metadata", body, headers=headers).status == 200


def test_a_page_behind_a_proxy_with_tls_is_the_own_one_under_a_name_that_was_given(guarded) -> None:
    body = {"query": {"clip_id": 1}}
    for host, origin, status in (
        ("videos.example.org", "https://videos.example.org", 200),
        ("Videos.example.org:8443", "https://Videos.example.org:8443", 200),
        ("videos.example.org", "https://videos.example.org:8443", 403),
        ("videos.example.org", "https://evil.example.com", 403),
        ("127.0.0.1", "https://127.0.0.1", 403),
    ):
        headers = {"host": host, "origin": origin, "sec-fetch-site": "same-origin"}
        headers["authorization"] = f"Bearer {TOKEN}"
        assert guarded.ask("/v1/search", body, headers=headers).status == status


@pytest.mark.parametrize("path", ["/", "/v1/clips", "/v1/none", "/v1/clips/1/preview"])
def test_every_answer_has_the_headers_that_close_browsers_doors(service, path: str) -> None:
    headers = service.ask(path, headers={"origin": "http://evil.example.com"}).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("access-control-")]


def test_cors_is_closed(service) -> None:
    headers = {"origin": "http://evil.example.com", "access-control-request-method": "POST"}
    got = service.ask("/v1/search", method="OPTIONS", headers=headers)
    assert got.status == 405
    assert not [name for name in got.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/v1/../../etc/passwd",
        "/v1/videos/..%2f..%2f..%2fetc%2fpasswd/source",
        "/v1/clips/..%2f1/preview",
        "/v1/uploads/..%2f..%2fetc%2fpasswd",
        "/v1/jobs/..%2f..%2fetc%2fpasswd",
        "/index.html/../../server.py",
        "/..%5c..%5cserver.py",
    ],
)
def test_no_path_leads_out_of_the_page(service, path: str) -> None:
    got = service.ask(path)
    assert 400 <= got.status < 500
    assert b"root:" not in got.body
    assert b"import" not in got.body


def test_a_body_that_is_too_large_is_refused_as_it_comes(bounded) -> None:
    vectors = {"query": {"vectors": [[0.5] * 8] * 1000}}
    assert bounded.ask("/v1/search", vectors).status == 413
    assert bounded.ask("/v1/uploads", b"x" * 60_000).status == 413
    assert bounded.ask("/healthz").status == 200


def test_uploads_are_bounded_in_number_and_in_sum_and_deleted_at_the_end(
    serving, drawn: Path, narrow: Limits
) -> None:
    place = Path(os.environ["VIDX_CACHE_DIR"]) / "uploads"
    before = set(place.iterdir()) if place.exists() else set()
    with serving(drawn, Settings(port=0, limits=narrow)) as service:
        got = [service.ask("/v1/uploads", b"x" * 40_000) for _ in range(5)]
        assert [one.status for one in got] == [201, 201, 503, 503, 429]
        sizes = [path.stat().st_size for path in place.rglob("*") if path.is_file()]
        assert [size for size in sizes if size] == [40_000, 40_000]
        assert service.ask(f"/v1/uploads/{got[0].json['upload_id']}", method="DELETE").status == 204
        assert service.ask(f"/v1/uploads/{got[0].json['upload_id']}", method="DELETE").status == 404
    assert set(place.iterdir()) == before


def test_an_upload_that_nobody_asks_for_goes_by_itself(serving, drawn: Path) -> None:
    place = Path(os.environ["VIDX_CACHE_DIR"]) / "uploads"
    with serving(drawn, Settings(port=0, limits=Limits(upload_kept_seconds=0.5))) as service:
        name = service.ask("/v1/uploads", b"x" * 1000).json["upload_id"]
        [path] = place.rglob(name)
        until = time.monotonic() + 10
        while path.exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        assert service.ask("/v1/search", {"query": {"upload": name}}).status == 404


def test_an_emptied_cache_folder_costs_nothing(serving, drawn: Path) -> None:
    with serving(drawn) as service:
        shutil.rmtree(Path(os.environ["VIDX_CACHE_DIR"]) / "uploads")
        assert service.ask("/v1/uploads", b"x" * 1000).status == 201


def test_a_client_that_leaves_in_the_middle_is_no_bug(
    bounded, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1:{bounded.port}\r\nX-Vidx: 1\r\n"
    with socket.create_connection(("127.0.0.1", bounded.port)) as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\nabc".encode())
    until = time.monotonic() + 10
    while b'route="/v1/uploads",status="499"' not in bounded.ask("/metrics").body:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert not [one for one in caplog.records if one.exc_info]


def test_lists_that_are_told_may_be_longer_than_questions(bounded) -> None:
    body = {"name": "some", "clip_ids": list(range(4000))}
    assert bounded.ask("/v1/search", body).status == 413
    assert bounded.ask("/v1/snapshots", body).status == 404  # it was read: no such clips


def test_what_a_killed_server_left_of_uploads_is_removed(serving, drawn: Path) -> None:
    left = Path(os.environ["VIDX_CACHE_DIR"]) / "uploads" / "left"
    left.mkdir(parents=True)
    (left / "something").write_bytes(b"x")
    with serving(drawn):
        assert not left.exists()


def test_a_client_that_sends_slowly_is_let_go(bounded) -> None:
    head = f"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1:{bounded.port}\r\nX-Vidx: 1\r\n"
    for sent in ("GET /healthz HT", "", f"{head}Content-Length: 1000\r\n\r\nabc"):
        with socket.create_connection(("127.0.0.1", bounded.port), timeout=20) as connection:
            connection.sendall(sent.encode())
            began = time.monotonic()
            with suppress(ConnectionResetError):
                while connection.recv(4096):
                    pass
            assert time.monotonic() - began < 10


def test_a_client_that_drips_is_let_go(bounded) -> None:
    head = f"POST /v1/uploads HTTP/1.1\r\nHost: 127.0.0.1:{bounded.port}\r\nX-Vidx: 1\r\n"
    with socket.create_connection(("127.0.0.1", bounded.port), timeout=20) as connection:
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        began = time.monotonic()
        with suppress(OSError):
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.1)
        assert time.monotonic() - began < 8  # body_seconds is 2


def test_many_idle_connections_keep_nobody_out(bounded) -> None:
    idle = [socket.create_connection(("127.0.0.1", bounded.port)) for _ in range(100)]
    assert bounded.ask("/healthz").status == 200
    for one in idle:
        one.close()


def test_no_traceback_leaves_the_server(service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(vidx.Collection, "info", broken)
    got = service.ask("/v1/info")
    assert (got.status, got.json["type"]) == (500, "urn:vidx:bug")
    assert b"secret" not in got.body
    assert got.headers["x-content-type-options"] == "nosniff"


def test_a_taken_port_is_told() -> None:
    listener = bound(Settings(port=0))
    listener.listen()
    port = listener.getsockname()[1]
    with pytest.raises(vidx.VidxError, match="is taken"):
        bound(Settings(port=port))
    listener.close()
    with pytest.raises(vidx.VidxError, match="cannot be listened at"):
        bound(Settings("192.0.2.1", 0))


def test_the_link_logs_in_whatever_the_token_has(serving, drawn: Path) -> None:
    settings = Settings(port=0, token="abcdefgh+ij&k#l%4m/")
    with serving(drawn, settings) as service:
        url = url_of(service.server._listener, settings)
        got = service.ask(url.removeprefix(service.url))
        assert (got.status, "set-cookie" in got.headers) == (303, True)


def test_a_signal_ends_the_command_when_what_runs_is_done(drawn: Path) -> None:
    command = [sys.executable, "-m", "vidx", "serve", "--port", "0", "--collection", str(drawn)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        line = process.stderr.readline()
        assert "Serving" in line
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_the_token_that_is_made_is_told_once_in_a_link(drawn: Path) -> None:
    command = [sys.executable, "-m", "vidx", "serve", "--port", "0", "--host", "0.0.0.0"]
    own = {name: value for name, value in os.environ.items() if name != "VIDX_TOKEN"}
    with subprocess.Popen(
        [*command, "--collection", str(drawn)], stderr=subprocess.PIPE, text=True, env=own
    ) as process:
        assert process.stderr
        line = process.stderr.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)/login\?token=(\S{32,})", line)
        assert found
        url, token = found.groups()
        assert vidx.Client(url, token).info().num_clips == 50
        with pytest.raises(vidx.VidxError, match="takes a token"):
            vidx.Client(url, "").info()
        process.terminate()
        assert token not in process.stderr.read()


def test_a_missing_collection_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vidx", "serve", "--collection", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "no collection" in done.stderr) == (4, True)
    assert "Traceback" not in done.stderr


def test_a_missing_extra_is_told(drawn: Path) -> None:
    code = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'uvicorn' else real(name, *a)\n"
        "from vidx.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "serve", "--collection", str(drawn)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "pip install 'vidx[serve]'" in done.stderr
