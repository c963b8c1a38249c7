"""Routes to proposals: what to keep and drop, made, looked at, applied and undone."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vidx.proposal import Proposal
from vidx.records import ApplyReport, UndoReport
from vidx.service.bodies import Name, Strict, VideoId
from vidx.service.core import Given
from vidx.service.cursors import cursor, place
from vidx.service.listing import ARROW, Accept, Page, page_told
from vidx.service.problems import refusing
from vidx.service.question_rows import Rows
from vidx.store.proposals import applied_by
from vidx.store.told import table_of_columns

if TYPE_CHECKING:
    import pyarrow as pa

router = APIRouter(prefix="/v1", tags=["curation"])

MOST_FILES = 100_000
MOST_COMMIT = (1 << 63) - 1

ProposalId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class GroupColumns(Strict):
    """The members of groups, a place in each column one."""

    group: Annotated[list[Annotated[int, Field(ge=0, le=MOST_FILES)]], Field(max_length=MOST_FILES)]
    path: Annotated[list[Annotated[str, Field(max_length=8192)]], Field(max_length=MOST_FILES)]
    video_id: Annotated[list[VideoId], Field(max_length=MOST_FILES)]
    score: Annotated[list[float | None], Field(max_length=MOST_FILES)] | None = None
    share: Annotated[list[float | None], Field(max_length=MOST_FILES)] | None = None
    start_seconds: Annotated[list[float | None], Field(max_length=MOST_FILES)] | None = None
    end_seconds: Annotated[list[float | None], Field(max_length=MOST_FILES)] | None = None
    offset_seconds: Annotated[list[float | None], Field(max_length=MOST_FILES)] | None = None
    compared_seconds: Annotated[list[float | None], Field(max_length=MOST_FILES)] | None = None

    @model_validator(mode="after")
    def _is_table(self) -> GroupColumns:
        if len({len(column) for column in self.columns().values()}) > 1:
            raise ValueError("columns are of one length")
        return self

    def columns(self) -> dict[str, list[Any]]:
        """Those that are given."""
        return {name: column for name, column in self.model_dump().items() if column is not None}


class Groups(Strict):
    """Groups of files that show the same, and what of each is kept.

    Attributes:
        groups: Columns of one length: `group`, `path` and `video_id`, as `GET /v1/duplicates` with
            `by=video` tells them, and if you like `score`, `share`, `start_seconds`, `end_seconds`,
            `offset_seconds` and `compared_seconds`: with these what the kept one does not show
            whole is kept too.
        keep: As for `Collection.propose`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "groups": {
                        "group": [0, 0],
                        "path": ["/videos/a.mp4", "/videos/copy of a.mp4"],
                        "video_id": ["0" * 64, "1" * 64],
                    },
                    "keep": "first",
                }
            ]
        }
    )

    groups: GroupColumns
    keep: Annotated[Name, Field(min_length=1)] = "longest"


class ProposalBody(BaseModel):
    """A proposal.

    Attributes:
        proposal_id: Its name.
        keep: How it was chosen what is kept.
        num_keep: Files that stay.
        num_drop: Files that go.
        commit: The collection's state that it was made of.
        applied: The commit that applied it, which undo takes back; null where none did.
    """

    proposal_id: str
    keep: str
    num_keep: int
    num_drop: int
    commit: int
    applied: int | None


class ProposalList(BaseModel):
    """The proposals of this server that are remembered, the latest first."""

    proposals: list[ProposalBody]


class ProposalRow(BaseModel):
    """A file, and what is to become of it."""

    group: int
    action: Literal["keep", "drop"]
    path: str
    beside: str | None
    why: str
    score: float | None
    share: float | None
    video_id: str
    duration_seconds: float
    width: int
    height: int
    size_bytes: int | None
    version: str | None


@router.post("/proposals", response_model=ProposalBody, status_code=201)
async def propose(core: Given, body: Groups) -> Response:
    """Propose what to keep of each group and what to drop; nothing is done yet."""

    def make() -> ProposalBody:
        with refusing(409):
            groups = table_of_columns(body.groups.columns())
            proposal = core.collection.propose(groups, body.keep)
        core.proposals.add(proposal)
        return _told(proposal)

    return JSONResponse((await core.desk.ask(make)).model_dump(), 201)


@router.get("/proposals", response_model=ProposalList)
async def proposals(core: Given) -> Response:
    """The proposals that were made here."""
    told = await core.desk.ask(lambda: [_told(one).model_dump() for one in core.proposals.all()])
    return JSONResponse({"proposals": told})


@router.get("/proposals/{proposal_id}", response_model=ProposalBody)
async def proposal(core: Given, proposal_id: ProposalId) -> Response:
    """One of them."""
    told = await core.desk.ask(lambda: _told(core.proposals.get(proposal_id)))
    return JSONResponse(told.model_dump())


@router.delete("/proposals/{proposal_id}", status_code=204)
async def forget(core: Given, proposal_id: ProposalId) -> Response:
    """Forget it; what it has done stays."""
    core.proposals.forget(proposal_id)
    return Response(status_code=204)


@router.get("/proposals/{proposal_id}/rows", response_model=Rows[ProposalRow], responses=ARROW)
async def rows(
    core: Given, proposal_id: ProposalId, page: Annotated[Page, Query()], accept: Accept = ""
) -> Response:
    """What it would keep and drop, and why."""

    def cut() -> tuple[pa.Table, str | None]:
        table, uuid = core.proposals.get(proposal_id).table, core.collection.uuid
        first = int(place(page.cursor, proposal_id, uuid, int) or 0)
        end = first + page.limit
        more = cursor(proposal_id, uuid, end) if end < table.num_rows else None
        return table.slice(first, page.limit), more

    table, following = await core.desk.ask(cut)
    return await page_told(core, "rows", table, following, accept)


@router.post("/proposals/{proposal_id}/apply", response_model=ApplyReport)
async def apply(core: Given, proposal_id: ProposalId) -> Response:
    """Take what it drops out of the collection; the files themselves stay as they are."""

    def write() -> dict[str, Any]:
        with refusing(409):
            return asdict(core.proposals.get(proposal_id).apply())

    return JSONResponse(await core.desk.ask(write))


@router.post("/commits/{commit}/undo", response_model=UndoReport)
async def undo(core: Given, commit: Annotated[int, Path(ge=0, le=MOST_COMMIT)]) -> Response:
    """Take back a commit that applied a proposal."""

    def write() -> dict[str, Any]:
        with refusing(409):
            return asdict(core.collection.undo(commit))

    return JSONResponse(await core.desk.ask(write))


def _told(made: Proposal) -> ProposalBody:
    actions = made.table["action"].to_pylist()
    return ProposalBody(
        proposal_id=made.told["id"],
        keep=made.told["keep"],
        num_keep=actions.count("keep"),
        num_drop=actions.count("drop"),
        commit=made.told["commit"],
        applied=applied_by(made.collection._catalogue(), made.told["id"]),
    )
