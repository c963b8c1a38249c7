"""The server: from settings to a socket that answers, and to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType
from urllib.parse import quote

import uvicorn

from vidx.collection import Collection
from vidx.errors import UsageError, VidxError
from vidx.service.app import make_app
from vidx.service.core import Core
from vidx.service.settings import Settings
from vidx.service.slow_clients import patient_for

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
LAST_SECONDS = 30  # for what runs when the end begins
KEEP_ALIVE_SECONDS = 30
MOST_HEAD_BYTES = 256 << 10  # the longest expression, with three bytes for each of its own
BACKLOG = 512
LEAST_TOKEN = 16


def with_token(settings: Settings) -> Settings:
    """The settings with a token, where others than this machine can reach the server.

    Raises:
        UsageError: The token is so short that it can be guessed.
    """
    if settings.token is not None and len(settings.token) < LEAST_TOKEN:
        raise UsageError(
            f"a token of {len(settings.token)} characters: it takes {LEAST_TOKEN} or more.",
            "Leave it out, and one is made.",
        )
    if settings.token is None and not settings.is_local:
        return replace(settings, token=secrets.token_urlsafe(24))
    return settings


def bound(settings: Settings) -> socket.socket:
    """A socket at the address, which nobody listens at yet.

    Raises:
        VidxError: The port is taken, or the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio sends each answer at once; else it may wait 40 ms for an ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        place = f"{settings.host} port {settings.port}"
        if error.errno == errno.EADDRINUSE:
            raise VidxError(f"{place} is taken", "Choose another with --port.") from None
        raise VidxError(
            f"{place} cannot be listened at: {error.strerror}", "Choose another with --host."
        ) from None
    listener.set_inheritable(False)
    return listener


def url_of(listener: socket.socket, settings: Settings) -> str:
    """Where a browser on this machine finds the server; with the token, if it takes one."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - it is told
    shown = f"[{name}]" if ":" in name else name
    login = f"login?token={quote(settings.token, safe='')}" if settings.token else ""
    return f"http://{shown}:{port}/{login}"


class Server:
    """A collection that is served.

    Args:
        collection: Which; the server closes it at the end.
        settings: How.
        listener: As `bound` gives it.
        started: Called once requests are answered.
    """

    def __init__(
        self,
        collection: Collection,
        settings: Settings,
        listener: socket.socket,
        started: Callable[[], None] = lambda: None,
    ) -> None:
        limits = settings.limits
        self._listener = listener
        self._core = Core(collection, settings)
        config = uvicorn.Config(
            make_app(self._core),
            http=patient_for(limits.head_seconds),
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            limit_concurrency=limits.most_connections,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=LAST_SECONDS,
            h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        )
        self._uvicorn = _Uvicorn(config, started, self._core)

    def run(self) -> None:
        """Serve until a signal to end comes, or `stop` is called; then finish what runs."""
        try:
            asyncio.run(self._uvicorn.serve([self._listener]))
        finally:
            self._core.close()
            self._listener.close()

    def stop(self) -> None:
        """Begin to end; another thread may call it."""
        self._uvicorn.end()


class _Uvicorn(uvicorn.Server):
    """Tells when it has started, and takes a signal to end for no more than that."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], core: Core) -> None:
        super().__init__(config)
        self._tell_started = started
        self._core = core

    def end(self) -> None:
        """Take no more requests, and finish those that run."""
        self._core.is_closing = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._core.is_closing = True
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sig: signal.signal(sig, self.handle_exit) for sig in END_SIGNALS}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)
