"""Bounds: how much a client may send, and how slowly."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from vidx.service.problems import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from vidx.service.settings import Limits

UPLOAD_PATH = "/v1/uploads"
LIST_PATHS = frozenset({"/v1/snapshots", "/v1/proposals", "/v1/metadata"})
_KEPT_ADDRESSES = 10_000


class Stalled(Exception):
    """A client no longer takes what it asked for."""


class Bounds:
    """Counts the bytes of each body, and ends requests that do not get on.

    Args:
        app: What it stands before.
        limits: How much, and how slowly.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, within bounds."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limits = self._limits
        body = _Body(receive, _most_bytes(scope["path"], limits), limits)

        async def send_in_time(message: Message) -> None:
            try:
                await asyncio.wait_for(send(message), limits.stall_seconds)
            except TimeoutError:
                raise Stalled from None

        try:
            await self._app(scope, body.receive, send_in_time)
        except Stalled:  # the server closes the connection, as the answer is not whole
            return


def _most_bytes(path: str, limits: Limits) -> int:
    """Of the body of a request."""
    if path == UPLOAD_PATH:
        return limits.most_upload_bytes
    return limits.most_list_bytes if path in LIST_PATHS else limits.most_body_bytes


class _Body:
    """A body as it comes in."""

    def __init__(self, receive: Receive, most_bytes: int, limits: Limits) -> None:
        self._receive = receive
        self._most_bytes = most_bytes
        self._limits = limits
        self._bytes = 0
        self._until = time.monotonic() + limits.body_seconds
        self._is_whole = False

    async def receive(self) -> Message:
        """The next part."""
        if self._is_whole:  # what comes now is word of the client's end, which has time
            return await self._receive()
        left = min(self._limits.stall_seconds, self._until - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except TimeoutError:
            raise Refused(
                408, "too_slow", "the request's body did not arrive in time",
                headers={"connection": "close"},
            ) from None  # fmt: skip
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._bytes > self._most_bytes:
            raise Refused(
                413, "too_large", f"the request's body is over {self._most_bytes} bytes",
                headers={"connection": "close"},
            )  # fmt: skip
        return message


class RateLimit:
    """How often each address may do something.

    Args:
        a_minute: That often, and no more at once.
    """

    def __init__(self, a_minute: int) -> None:
        self._most = a_minute
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> None:
        """Count one.

        Raises:
            Refused: It was too often.
        """
        now = time.monotonic()
        left, last = self._left.pop(address, (float(self._most), now))
        left = min(self._most, left + (now - last) * self._most / 60)
        self._left[address] = (max(left - 1, 0) if left >= 1 else left, now)
        if len(self._left) > _KEPT_ADDRESSES:
            self._left.popitem(last=False)
        if left < 1:
            wait = str(int((1 - left) * 60 / self._most) + 1)
            raise Refused(
                429, "too_often", f"more than {self._most} a minute from one address",
                "Wait a little.", {"retry-after": wait},
            )  # fmt: skip
