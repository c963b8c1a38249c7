"""Routes to embedding jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

from vidx.options import EmbedOptions
from vidx.service.bodies import Job
from vidx.service.core import Core, Given

router = APIRouter(prefix="/v1", tags=["jobs"])

LOOK_SECONDS = 0.2
SIGN_OF_LIFE = 50  # looks without news


class JobBody(BaseModel):
    """How a job is, as `JobState` has it; `progress` and `report` are those of `embed`."""

    job_id: str
    paths: list[str]
    status: Literal["running", "done", "failed", "cancelled"]
    progress: dict[str, Any] | None
    report: dict[str, Any] | None
    error: str
    next_step: str


class JobList(BaseModel):
    """The jobs of this server, the latest first."""

    jobs: list[JobBody]


@router.post("/jobs", response_model=JobBody, status_code=202)
async def start(core: Given, body: Job) -> Response:
    """Have videos embedded that lie where the server may read."""
    settings = core.settings
    options = EmbedOptions(
        model=settings.model,
        device=settings.device,
        dtype=settings.dtype,
        retry_failed=body.retry_failed,
        any_ending=body.any_ending,
        previews=body.previews,
    )
    state = await core.desk.ask(lambda: core.jobs.start(body.paths, options))
    return JSONResponse(asdict(state), 202)


@router.get("/jobs", response_model=JobList)
async def jobs(core: Given) -> Response:
    """The jobs."""
    return JSONResponse({"jobs": [asdict(state) for state in core.jobs.states()]})


@router.get("/jobs/{job_id}", response_model=JobBody)
async def job(core: Given, job_id: str) -> Response:
    """How one job is."""
    return JSONResponse(asdict(core.jobs.state(job_id)))


@router.delete("/jobs/{job_id}", response_model=JobBody, status_code=202)
async def cancel(core: Given, job_id: str) -> Response:
    """Cancel a job; what it has finished is committed."""
    return JSONResponse(asdict(core.jobs.cancel(job_id)), 202)


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(core: Given, job_id: str) -> Response:
    """How one job is, told whenever it changes, up to its end."""
    core.jobs.state(job_id)
    return StreamingResponse(_events(core, job_id), media_type="text/event-stream")


async def _events(core: Core, job_id: str) -> AsyncIterator[str]:
    told, quiet = None, 0
    while True:
        state = core.jobs.state(job_id)
        if state != told:
            told, quiet = state, 0
            yield f"event: {state.status}\ndata: {json.dumps(asdict(state))}\n\n"
        if state.status != "running" or core.is_closing:
            return
        quiet += 1
        if quiet % SIGN_OF_LIFE == 0:
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_SECONDS)
