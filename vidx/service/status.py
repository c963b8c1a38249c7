"""Routes that tell how the service is, and the one that lets browsers in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from vidx.errors import VidxError
from vidx.service import problems
from vidx.service.bodies import Login
from vidx.service.core import Core, Given
from vidx.service.problems import Refused
from vidx.service.security import COOKIE, same, session

router = APIRouter(tags=["service"])


class Readiness(BaseModel):
    """Whether searches are answered.

    Attributes:
        is_ready: Whether the collection can be read.
        model: `loading`, `ready`, or why searches for uploads cannot be answered.
    """

    is_ready: bool
    model: str


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the service lives."""
    return {"status": "alive"}


@router.get("/readyz", response_model=Readiness)
async def readyz(core: Given) -> Response:
    """Whether the collection can be searched, and whether the model is loaded."""
    try:
        await core.desk.ask(lambda: core.collection.clips(1))
    except VidxError as error:
        return problems.of_error(error)
    return JSONResponse({"is_ready": True, "model": core.model})


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Numbers for Prometheus."""
    content = generate_latest(request.app.state.metrics)
    return Response(content, media_type=CONTENT_TYPE_LATEST)


@router.post("/v1/login", status_code=204)
async def login(core: Given, request: Request, body: Login) -> Response:
    """Have the token kept in a cookie, for browsers."""
    _check(core, request, body.token)
    return _with_cookie(core, Response(status_code=204))


@router.get("/login", include_in_schema=False)
async def login_by_link(
    core: Given, request: Request, token: Annotated[str, Query(max_length=1000)]
) -> Response:
    """The same by the link that is printed at the start."""
    _check(core, request, token)
    return _with_cookie(core, RedirectResponse("/", 303))


def _check(core: Core, request: Request, token: str) -> None:
    expected = core.settings.token
    if expected is None or not same(token, expected):
        core.login_rate.take(request.client.host if request.client else "")
        raise Refused(401, "wrong_token", "this is not the token", "It is told at the start.")


def _with_cookie(core: Core, response: Response) -> Response:
    response.set_cookie(
        COOKIE, session(core.settings.token or ""), httponly=True, samesite="strict", path="/"
    )
    return response
