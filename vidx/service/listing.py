"""Routes that list what there is: clips, videos, failures, labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from vidx.errors import UnknownId
from vidx.service.bodies import (
    MOST_ID,
    MOST_ROWS,
    ClipBody,
    ClipPage,
    Expression,
    FailurePage,
    SnapshotName,
    VideoBody,
    VideoId,
    VideoPage,
)
from vidx.service.core import Core, Given
from vidx.service.cursors import cursor, place
from vidx.service.parts import part_of
from vidx.service.problems import not_found
from vidx.store.wire import ARROW_TYPE, as_stream, figures_of, plain_rows

if TYPE_CHECKING:
    import pyarrow as pa

router = APIRouter(prefix="/v1", tags=["lists"])

NEXT = "x-next-cursor"
ARROW: dict[int | str, dict[str, Any]] = {
    200: {"content": {ARROW_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}


class Page(BaseModel):
    """Which part of a list."""

    model_config = ConfigDict(extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 100
    cursor: Annotated[str | None, Field(max_length=10_000, pattern="^[A-Za-z0-9_-]*$")] = None


class Filtered(Page):
    """Which part of a list, of what an expression and a snapshot leave."""

    where: Expression | None = None
    selection: SnapshotName | None = None


class OfVideos(Filtered):
    """Which part of the list of videos."""

    remarked: Annotated[bool, Field(description="Only partial ones, or with notes.")] = False


Accept = Annotated[str, Header(include_in_schema=False)]


@router.get("/clips", response_model=ClipPage, responses=ARROW)
async def clips(core: Given, page: Annotated[Filtered, Query()], accept: Accept = "") -> Response:
    """The clips by clip_id."""

    def rows(after: Any) -> pa.Table:
        return part_of(core.collection, page.where, page.selection).clips(page.limit, after=after)

    return await _page(core, page, ("clips", "clip_id", int), rows, accept)


@router.get("/videos", response_model=VideoPage, responses=ARROW)
async def videos(core: Given, page: Annotated[OfVideos, Query()], accept: Accept = "") -> Response:
    """The videos by path."""

    def rows(after: Any) -> pa.Table:
        part = part_of(core.collection, page.where, page.selection)
        return part.videos(page.limit, after=after, remarked=page.remarked)

    return await _page(core, page, ("videos", "path", str), rows, accept)


@router.get("/failures", response_model=FailurePage, responses=ARROW)
async def failures(core: Given, page: Annotated[Page, Query()], accept: Accept = "") -> Response:
    """The files that could not be embedded, by path."""

    def rows(after: Any) -> pa.Table:
        return core.collection.failures(page.limit, after=after)

    return await _page(core, page, ("failures", "path", str), rows, accept)


@router.get("/clips/{clip_id}", response_model=ClipBody)
async def clip(core: Given, clip_id: Annotated[int, Path(ge=0, le=MOST_ID)]) -> Response:
    """One clip."""
    found = await core.desk.ask(lambda: plain_rows(core.collection.clips(1, after=clip_id - 1)))
    if not found or found[0]["clip_id"] != clip_id:
        raise UnknownId.of(clip_id)
    return JSONResponse(found[0])


@router.get("/videos/{video_id}", response_model=VideoBody)
async def video(core: Given, video_id: Annotated[VideoId, Path()]) -> Response:
    """One video."""
    this = core.collection.where
    found = await core.desk.ask(lambda: plain_rows(this(f"video_id = '{video_id}'").videos(1)))
    if not found:
        raise not_found("video of this id")
    return JSONResponse(found[0])


@router.get("/videos/{video_id}/clips", response_model=ClipPage, responses=ARROW)
async def clips_of_video(
    core: Given,
    video_id: Annotated[VideoId, Path()],
    page: Annotated[Page, Query()],
    accept: Accept = "",
) -> Response:
    """The clips of one video, in the order of clip_id; none where there is no such video."""

    def rows(after: Any) -> pa.Table:
        this = core.collection.where(f"video_id = '{video_id}'")
        return this.clips(page.limit, after=after)

    return await _page(core, page, ("clips", "clip_id", int), rows, accept)


async def _page(
    core: Core,
    page: Page,
    what: tuple[str, str, type[str] | type[int]],
    rows: Callable[[Any], pa.Table],
    accept: str,
) -> Response:
    """One page of a list, as JSON or as Arrow, whoever asks for that."""
    name, key, kind = what

    def ask() -> tuple[pa.Table, str | None]:
        uuid = core.collection.uuid
        table = rows(place(page.cursor, name, uuid, kind))
        if table.num_rows < page.limit:
            return table, None
        return table, cursor(name, uuid, table.column(key)[-1].as_py())

    table, following = await core.desk.ask(ask)
    return await page_told(core, name, table, following, accept)


async def table_page(
    core: Core, page: Page, name: str, rows: Callable[[], pa.Table], accept: str
) -> Response:
    """A page of a table that is made anew each time."""

    def cut() -> tuple[pa.Table, str | None]:
        uuid = core.collection.uuid
        first = int(place(page.cursor, name, uuid, int) or 0)
        table, end = rows(), first + page.limit
        more = cursor(name, uuid, end) if end < table.num_rows else None
        return table.slice(first, page.limit), more

    table, following = await core.desk.ask(cut)
    return await page_told(core, "rows", table, following, accept)


async def page_told(
    core: Core, name: str, table: pa.Table, following: str | None, accept: str
) -> Response:
    """Rows with the cursor of those behind them, as JSON or as Arrow."""
    if ARROW_TYPE in accept:
        content = await core.desk.ask(lambda: as_stream(table))
        headers = {NEXT: following} if following else {}
        return Response(content, media_type=ARROW_TYPE, headers=headers)
    told = await core.desk.ask(lambda: plain_rows(table))
    return JSONResponse({**figures_of(table), name: told, "next_cursor": following})
