"""The app: all routes, behind what guards them."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry

from vidx.service import (
    concepts,
    job_routes,
    knowing,
    listing,
    media,
    problems,
    proposing,
    questions,
    searching,
    snapshots,
    status,
)
from vidx.service.bounds import Bounds
from vidx.service.core import Core
from vidx.service.metrics import Metrics
from vidx.service.security import Guard

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PAGE = Path(__file__).parent / "page"
ROUTERS = (
    searching.router,
    listing.router,
    media.router,
    knowing.router,
    questions.router,
    snapshots.router,
    concepts.router,
    proposing.router,
    job_routes.router,
    status.router,
)
_PROBLEM = {
    "description": "What is wrong.",
    "content": {problems.MEDIA_TYPE: {"schema": problems.Problem.model_json_schema()}},
}


def make_app(core: Core) -> ASGIApp:
    """Put the routes together.

    Args:
        core: What they share.

    Returns:
        An ASGI app. Whoever runs it closes the core.
    """
    app = FastAPI(
        title="vidx",
        version=version("vidx"),
        description="Search a collection of clip vectors.",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page would come from another server
        redoc_url=None,
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
    )
    app.state.core = core
    app.state.metrics = CollectorRegistry()
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.mount("/", StaticFiles(directory=PAGE, html=True), name="page")
    limits = core.settings.limits
    return Guard(Metrics(Bounds(app, limits), app.state.metrics), core.settings)
