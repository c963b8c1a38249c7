"""What a client is told when something is wrong: problem bodies (RFC 9457), never a traceback."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.requests import ClientDisconnect

from vidx import errors

logger = logging.getLogger("vidx")

CLIENT_LEFT = 499  # for the metrics, as nobody hears it
MEDIA_TYPE = "application/problem+json"
_STATUSES: dict[type[errors.VidxError], int] = {
    errors.UnknownId: 404,
    errors.UsageError: 422,
    errors.VideoError: 422,
    errors.FingerprintMismatch: 409,
    errors.CollectionLocked: 409,
    errors.VidxError: 503,
}


class Problem(BaseModel):
    """What is wrong, as RFC 9457 has it.

    Attributes:
        type: `urn:vidx:` and the name of the error in `vidx.errors`, or of the refusal.
        title: The HTTP status in words.
        status: The HTTP status.
        detail: The value at fault and the rule that it breaks.
        next_step: What to do about it; empty where the detail says it all.
        reason: Of a video that cannot be read, the short code.
    """

    type: str
    title: str
    status: int
    detail: str
    next_step: str = ""
    reason: str | None = None


class Refused(HTTPException):
    """A request that is not carried out.

    Args:
        status: HTTP status.
        name: Short name for programs, such as `too_large`.
        detail: The value at fault and the rule that it breaks.
        next_step: What to do about it.
        headers: To be sent along.
    """

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        next_step: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.name, self.next_step = name, next_step


@contextmanager
def refusing(status: int) -> Iterator[None]:
    """Let what a client asked be at fault, where an error does not say more than that it is one."""
    try:
        yield
    except errors.VidxError as error:
        if type(error) is errors.VidxError:
            raise Refused(status, "VidxError", error.problem, error.next_step) from None
        raise


def not_found(what: str) -> Refused:
    """Nothing is there."""
    return Refused(404, "not_found", f"no {what} here", "Lists and searches tell what there is.")


def response(
    status: int,
    name: str,
    detail: str,
    next_step: str = "",
    *,
    reason: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A problem body."""
    body = Problem(
        type=f"urn:vidx:{name}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_sendable(detail),
        next_step=_sendable(next_step),
        reason=reason,
    )
    told = body.model_dump(exclude_none=True)
    return JSONResponse(told, status, headers, MEDIA_TYPE)


def of_error(error: errors.VidxError) -> JSONResponse:
    """The problem body of an error of vidx's own."""
    status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    reason = error.reason if isinstance(error, errors.VideoError) else None
    detail = error.message if isinstance(error, errors.VideoError) else error.problem
    return response(status, type(error).__name__, detail, error.next_step, reason=reason)


def _of_vidx(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, errors.VidxError)  # noqa: S101 - it is installed for these
    return of_error(error)


def _of_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AnyHTTPException)  # noqa: S101 - it is installed for these
    headers = dict(error.headers or {})
    if isinstance(error, Refused):
        return response(
            error.status_code, error.name, str(error.detail), error.next_step, headers=headers
        )
    name = re.sub(r"\W+", "_", HTTPStatus(error.status_code).phrase.lower())
    return response(error.status_code, name, str(error.detail), headers=headers)


def _of_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is installed for these
    told = [f"{_place(one)}: {one['msg']}" for one in error.errors()[:5]]
    return response(422, "invalid_request", "; ".join(told), "See /v1/openapi.json.")


def _place(error: dict[str, Any]) -> str:
    return ".".join(map(str, error["loc"]))[:200]


def _of_bug(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s", request.method, request.url.path, exc_info=error)
    return response(500, "bug", "an unexpected error", "The server's log has more.")


def _of_leaving(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def install(app: FastAPI) -> None:
    """Let an app answer with problem bodies, whatever goes wrong."""
    app.add_exception_handler(errors.VidxError, _of_vidx)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(AnyHTTPException, _of_http)
    app.add_exception_handler(ClientDisconnect, _of_leaving)
    app.add_exception_handler(Exception, _of_bug)
