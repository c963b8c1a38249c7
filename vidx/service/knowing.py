"""Routes to what is known: of the collection as a whole, its labels, and users' metadata."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from vidx.records import CollectionInfo, MetadataColumn, MetadataReport
from vidx.service.bodies import Metadata
from vidx.service.core import Given
from vidx.service.problems import refusing

router = APIRouter(prefix="/v1", tags=["collection"])


class Labels(BaseModel):
    """Names of labels that clips may have."""

    labels: list[str]


class Columns(BaseModel):
    """What users know of videos, and then of clips."""

    columns: list[MetadataColumn]


@router.get("/info", response_model=CollectionInfo)
async def info(core: Given) -> Response:
    """How much the collection holds, and what made its vectors."""
    found = await core.desk.ask(core.collection.info)
    return JSONResponse(asdict(found))


@router.get("/labels", response_model=Labels)
async def labels(core: Given) -> Response:
    """The labels that the model knows."""
    found = await core.desk.ask(core.collection.info)
    return JSONResponse({"labels": list(found.space.labels)})


@router.get("/metadata", response_model=Columns)
async def columns(core: Given) -> Response:
    """The columns of metadata; their values stand in the lists of clips and videos."""
    found = await core.desk.ask(core.collection.info)
    return JSONResponse({"columns": [asdict(one) for one in found.metadata]})


@router.post("/metadata", response_model=MetadataReport)
async def set_metadata(core: Given, body: Metadata) -> Response:
    """Tell what you know of videos or clips; it takes the place of what was there."""

    def write() -> dict[str, Any]:
        given: dict[str, Any] = dict(body.columns)
        with refusing(422):  # what goes wrong is nearly always about the table
            report = core.collection.set_metadata(given, on=body.on, clear_empty=body.clear_empty)
        return asdict(report)

    return JSONResponse(await core.desk.ask(write))
