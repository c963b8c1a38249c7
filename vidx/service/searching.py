"""Routes that search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from vidx.options import SearchOptions
from vidx.selection import Selection
from vidx.service.bodies import MOST_ID, Example, Filters, Hits, Search, Uploaded
from vidx.service.core import Core, Given
from vidx.service.lanes import in_time
from vidx.service.parts import part_of
from vidx.together import Example as Wanted
from vidx.together import Question

router = APIRouter(prefix="/v1", tags=["search"])


@router.post("/search", response_model=Hits)
async def search(core: Given, body: Search) -> Response:
    """Find the clips that are most similar to an upload, a stored clip, vectors or examples."""
    options = await _options(core, body)
    like = _wanted(core, [body.query] if body.query else body.like or [])
    unlike = _wanted(core, body.unlike)
    is_mixture = body.query is None
    return await _hits(core, Question(like, unlike, body.k, options, is_mixture))


@router.get("/clips/{clip_id}/similar", response_model=Hits)
async def similar(
    core: Given,
    clip_id: Annotated[int, Path(ge=0, le=MOST_ID)],
    asked: Annotated[Filters, Query()],
) -> Response:
    """Find the clips that are most similar to a stored clip."""
    options = await _options(core, asked)
    return await _hits(core, Question((clip_id,), k=asked.k, options=options))


@router.post("/uploads", response_model=Uploaded, status_code=201)
async def upload(core: Given, request: Request) -> Response:
    """Send a video, as the request's body, to be searched for."""
    core.upload_rate.take(request.client.host if request.client else "")
    core.uploads.expire()
    kept = await core.uploads.store(part async for part in request.stream() if part)
    told = Uploaded(
        upload_id=kept.upload_id,
        size_bytes=kept.size_bytes,
        kept_seconds=core.settings.limits.upload_kept_seconds,
    )
    return JSONResponse(told.model_dump(), 201)


@router.delete("/uploads/{upload_id}", status_code=204)
async def drop_upload(core: Given, upload_id: str) -> Response:
    """Delete an upload."""
    core.uploads.remove(upload_id)
    return Response(status_code=204)


async def _options(core: Core, asked: Filters) -> SearchOptions:
    """What is asked, within a snapshot where one is named."""
    options = core.options(asked.options())
    if asked.selection is None:
        return options
    name, where = asked.selection, asked.where
    part = await core.desk.ask(lambda: part_of(core.collection, where, name))
    assert isinstance(part, Selection)  # noqa: S101 - a snapshot is one
    return replace(options, where=part)


def _wanted(core: Core, examples: Sequence[Example]) -> tuple[Wanted, ...]:
    return tuple(_one(core, example) for example in examples)


def _one(core: Core, example: Example) -> Wanted:
    if example.upload is not None:
        return core.uploads.path(example.upload)
    return example.array() if example.clip_id is None else example.clip_id


async def _hits(core: Core, question: Question) -> Response:
    lane, seconds = core.lane_of(question)
    hits = await in_time(lane.ask(question), seconds)
    return JSONResponse({"hits": [hit.as_dict() for hit in hits]})
