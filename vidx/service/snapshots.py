"""Routes to snapshots: selections that are kept by name."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vidx.records import SnapshotReport
from vidx.service.bodies import ClipId, Expression, SnapshotName, Strict
from vidx.service.core import Given
from vidx.service.listing import ARROW, Accept, Page, table_page
from vidx.service.parts import part_of
from vidx.service.problems import refusing
from vidx.service.question_bodies import MOST_CHOSEN
from vidx.service.question_rows import Rows

if TYPE_CHECKING:
    import pyarrow as pa

router = APIRouter(prefix="/v1/snapshots", tags=["curation"])


class NewSnapshot(Strict):
    """Clips to be kept by a name: some by their ids, or those of an expression and a snapshot."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "v1", "where": "start_seconds < 2"},
                {"name": "reviewed", "clip_ids": [7, 9]},
            ]
        }
    )

    name: Annotated[str, Field(min_length=1, max_length=200)]
    where: Expression | None = None
    selection: SnapshotName | None = None
    clip_ids: Annotated[list[ClipId], Field(min_length=1, max_length=MOST_CHOSEN)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> NewSnapshot:
        others = (self.where, self.selection)
        if (self.clip_ids is None) == (others == (None, None)):
            raise ValueError("it takes clip_ids alone, or where, selection or both")
        return self


class SnapshotRow(BaseModel):
    """A snapshot, as `Collection.snapshots` has it."""

    name: str
    num_clips: int
    num_missing: int
    state: int
    time: str
    rule: str


class DiffRow(BaseModel):
    """A clip that is in one of two snapshots alone, as `Collection.diff` has it."""

    clip_id: int
    change: Literal["added", "removed"]
    is_missing: bool


class Named(BaseModel):
    """A snapshot."""

    model_config = ConfigDict(extra="forbid")

    name: SnapshotName


class Difference(Page):
    """Two snapshots."""

    before: SnapshotName
    after: SnapshotName


class Deleted(BaseModel):
    """The commit that forgot it."""

    commit: int


@router.get("", response_model=Rows[SnapshotRow], responses=ARROW)
async def snapshots(core: Given, page: Annotated[Page, Query()], accept: Accept = "") -> Response:
    """The snapshots, the oldest first."""
    return await table_page(core, page, "snapshots", core.collection.snapshots, accept)


@router.get("/diff", response_model=Rows[DiffRow], responses=ARROW)
async def diff(core: Given, asked: Annotated[Difference, Query()], accept: Accept = "") -> Response:
    """What two snapshots do not have in common, by clip_id."""

    def rows() -> pa.Table:
        return core.collection.diff(asked.before, asked.after)

    return await table_page(core, asked, "diff", rows, accept)


@router.post("", response_model=SnapshotReport, status_code=201)
async def save(core: Given, body: NewSnapshot) -> Response:
    """Keep clips by a name."""

    def write() -> dict[str, Any]:
        whole = core.collection
        if body.clip_ids is not None:
            part: Any = whole.choose(body.clip_ids)
        else:
            part = part_of(whole, body.where, body.selection)
        with refusing(422):
            return asdict(part.save(body.name))

    return JSONResponse(await core.desk.ask(write), 201)


@router.delete("", response_model=Deleted)
async def delete(core: Given, asked: Annotated[Named, Query()]) -> Response:
    """Forget a snapshot; its clips stay."""
    commit = await core.desk.ask(lambda: core.collection.delete_snapshot(asked.name))
    return JSONResponse({"commit": commit})
