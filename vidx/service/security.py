"""Guard: who may ask for what. It stands before the app, and sees every request and answer."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders

from vidx.service import problems

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from vidx.service.settings import Settings

COOKIE = "vidx-session"
OWN_HEADER = "x-vidx"  # a foreign page cannot send it: CORS is closed
READING = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = frozenset({"/healthz", "/readyz", "/v1/login"})
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; "
    "worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """Checks the Host header, the token and the origin of changes, and adds headers to answers.

    Args:
        app: What it guards.
        settings: Whom it lets in.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                message = {**message, "headers": headers.raw}
            await send(message)

        refusal = self._refusal(scope, Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if not self._settings.knows(_name(headers.get("host", ""))):
            return problems.response(
                421, "unknown_host", "the Host header names no host of this server",
                "Use its address, or start it with --name.",
            )  # fmt: skip
        if not _is_page(scope) and not self._is_known(headers):
            return problems.response(
                401, "token_needed", "this server takes a token",
                "Send it as 'Authorization: Bearer TOKEN', or log in.",
                headers={"www-authenticate": "Bearer"},
            )  # fmt: skip
        if scope["method"] not in READING and not self._is_own(scope, headers):
            return problems.response(
                403, "foreign_origin", "a request that is not from this server's own page",
                "A program sends the header 'X-Vidx: 1'.",
            )  # fmt: skip
        return None

    def _is_own(self, scope: Scope, headers: Headers) -> bool:
        """Whether a change comes from our own page, or a program; not from another's page.

        A proxy that others reach by TLS asks without, under one of the names that we were told.
        """
        host = headers.get("host", "")
        own = {f"{scope['scheme']}://{host}"}
        if _name(host).lower() in map(str.lower, self._settings.names):
            own.add(f"https://{host}")
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and origin not in own:
            return False
        if site is not None and site not in ("same-origin", "none"):
            return False
        return OWN_HEADER in headers

    def _is_known(self, headers: Headers) -> bool:
        token = self._settings.token
        if token is None:
            return True
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        bearer = scheme.lower() == "bearer" and same(shown.strip(), token)
        return bearer or same(_cookie(headers), session(token))


def same(shown: str, secret: str) -> bool:
    """Whether two texts are one, in a time that tells nothing of where they differ."""
    return hmac.compare_digest(shown.encode("utf-8", "replace"), secret.encode())


def session(token: str) -> str:
    """What a browser keeps in place of the token, which it cannot be guessed from."""
    return hmac.new(token.encode(), b"vidx session", hashlib.sha256).hexdigest()


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _cookie(headers: Headers) -> str:
    try:
        jar: Mapping[str, object] = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return getattr(jar.get(COOKIE), "value", "")


def _is_page(scope: Scope) -> bool:
    """Whether it is of what is the same for everybody: signs of life, the page's own files."""
    path: str = scope["path"]
    return path in OPEN_PATHS or (
        scope["method"] in READING and not path.startswith(("/v1/", "/metrics"))
    )
