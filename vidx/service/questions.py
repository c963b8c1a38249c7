"""Routes to the questions of curation. They may take long: see `answers`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from vidx.service import question_bodies as bodies
from vidx.service import question_rows as answers
from vidx.service.answers import Answer
from vidx.service.bodies import ClipBody
from vidx.service.core import Core, Given
from vidx.service.cursors import cursor, place
from vidx.service.listing import ARROW, Accept, page_told
from vidx.service.problems import Refused, refusing
from vidx.service.question_messages import Asked
from vidx.store.wire import figures_of, from_stream, with_figures

if TYPE_CHECKING:
    import pyarrow as pa

router = APIRouter(prefix="/v1", tags=["curation"])

WAIT_SECONDS = 5.0  # then whoever asked is told how far it is
_UNFINISHED: dict[int | str, dict[str, Any]] = {
    202: {"model": answers.Unfinished, "description": "It is still being found: ask again."}
}
_RESPONSES = ARROW | _UNFINISHED
_POINTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        "description": "Little endian: the length of a head (uint32); the head, JSON with "
        "`num_clips` and the `names` of colours, and spaces up to a multiple of 8 bytes; then "
        "clip_ids (int64), x and y (float32, pairs), colours (uint16; the number of names: none).",
    }
}


@router.get("/duplicates", response_model=answers.Rows[answers.DuplicateRow], responses=_RESPONSES)
async def duplicates(
    core: Given, asked: Annotated[bodies.Duplicates, Query()], accept: Accept = ""
) -> Response:
    """The same footage, more than once: a row a member of each group."""
    return await _rows(core, "duplicates", asked, accept)


@router.get("/leakage", response_model=answers.Rows[answers.LeakageRow], responses=_RESPONSES)
async def leakage(
    core: Given, asked: Annotated[bodies.Leakage, Query()], accept: Accept = ""
) -> Response:
    """The same footage in several splits, or in a snapshot: a row a pair of videos."""
    return await _rows(core, "leakage", asked, accept)


@router.post("/split", response_model=answers.Shared, responses=_RESPONSES)
async def split(core: Given, asked: bodies.Split, accept: Accept = "") -> Response:
    """Share out videos among splits, so that nothing alike is in two: a row a video, by path.

    What `write` names is set with the first page; send the same with `cursor` for the others.
    """
    if asked.write is None or asked.cursor is not None:
        return await _rows(core, "split", asked, accept)
    answer, column = await _answer(core, "split", asked), asked.write
    if not await _is_there(core, answer):
        return _unfinished(answer)

    def write() -> dict[str, Any]:
        table = from_stream(answer.content.result()).select(["video_id", "split"])
        told = table.replace_schema_metadata(None).rename_columns(["video_id", column])
        with refusing(422):
            return asdict(core.collection.set_metadata(told, on="video_id"))

    written = {"written": await core.desk.ask(write)}
    return await _told(core, answer, ("split", 0, asked.limit), accept, written)


@router.get("/clusters", response_model=answers.Rows[answers.ClusterRow], responses=_RESPONSES)
async def clusters(
    core: Given, asked: Annotated[bodies.Clusters, Query()], accept: Accept = ""
) -> Response:
    """The clips in clusters: a row a clip, the largest cluster first."""
    return await _rows(core, "clusters", asked, accept)


@router.get("/outliers", response_model=answers.Rows[answers.OutlierRow], responses=_RESPONSES)
async def outliers(
    core: Given, asked: Annotated[bodies.Outliers, Query()], accept: Accept = ""
) -> Response:
    """The least typical clips, the loneliest first."""
    return await _rows(core, "outliers", asked, accept)


@router.get("/sample", response_model=answers.Rows[ClipBody], responses=_RESPONSES)
async def sample(
    core: Given, asked: Annotated[bodies.Sample, Query()], accept: Accept = ""
) -> Response:
    """Some clips, by clip_id, chosen by a strategy."""
    return await _rows(core, "sample", asked, accept)


@router.get("/compare", response_model=answers.Compared, responses=_RESPONSES)
async def compare(
    core: Given, asked: Annotated[bodies.Compare, Query()], accept: Accept = ""
) -> Response:
    """What clips have that those of a snapshot lack: a row a region, those that differ first."""
    return await _rows(core, "compare", asked, accept)


@router.get("/quality", response_model=answers.Rows[answers.QualityRow], responses=_RESPONSES)
async def quality(
    core: Given, asked: Annotated[bodies.Quality, Query()], accept: Accept = ""
) -> Response:
    """Clips that are poor to look at: a row a clip and issue, the worst of each first."""
    return await _rows(core, "quality", asked, accept)


@router.get(
    "/label-issues", response_model=answers.Rows[answers.LabelIssueRow], responses=_RESPONSES
)
async def label_issues(
    core: Given, asked: Annotated[bodies.LabelIssues, Query()], accept: Accept = ""
) -> Response:
    """Labels that disagree with those of the clips around, the surest first."""
    return await _rows(core, "label_issues", asked, accept)


@router.get(
    "/labels/counts", response_model=answers.Rows[answers.LabelCountRow], responses=_RESPONSES
)
async def label_counts(
    core: Given, asked: Annotated[bodies.LabelCounts, Query()], accept: Accept = ""
) -> Response:
    """How many clips have each label, the most frequent first."""
    return await _rows(core, "label_counts", asked, accept)


@router.get("/map", response_model=answers.Rows[answers.MapRow], responses=_RESPONSES)
async def map_(core: Given, asked: Annotated[bodies.Map, Query()], accept: Accept = "") -> Response:
    """The clips in two dimensions, by clip_id."""
    return await _rows(core, "map", asked, accept)


@router.get("/map/points", response_class=Response, responses=_POINTS | _UNFINISHED)
async def points(core: Given, asked: Annotated[bodies.Points, Query()]) -> Response:
    """The same for drawing, with a colour for each clip: numbers alone, in binary."""
    answer = await _answer(core, "points", asked)
    if not await _is_there(core, answer):
        return _unfinished(answer)
    return Response(answer.content.result(), media_type="application/octet-stream")


async def _rows(core: Core, verb: str, asked: bodies.Question, accept: str) -> Response:
    """A part of a table, from the first row on or from a cursor's place."""
    uuid = await core.desk.ask(lambda: core.collection.uuid)
    answer_id, first = _place(place(asked.cursor, verb, uuid, str))
    answer = core.answers.kept(answer_id) if answer_id else await _answer(core, verb, asked)
    if not await _is_there(core, answer):
        return _unfinished(answer)
    return await _told(core, answer, (verb, first, asked.limit), accept, {})


async def _told(
    core: Core, answer: Answer, part: tuple[str, int, int], accept: str, figures: dict[str, Any]
) -> Response:
    """Rows of an answer that is there, with figures that are known besides."""
    verb, first, limit = part

    def cut() -> tuple[pa.Table, str | None]:
        table, end, uuid = from_stream(answer.content.result()), first + limit, core.collection.uuid
        more = cursor(verb, uuid, f"{answer.answer_id}.{end}") if end < table.num_rows else None
        if figures:
            table = with_figures(table, {**figures_of(table), **figures})
        return table.slice(first, limit), more

    table, following = await core.desk.ask(cut)
    return await page_told(core, "rows", table, following, accept)


async def _answer(core: Core, verb: str, asked: bodies.Part) -> Answer:
    """The answer to a question, of the collection as it is now."""

    def state() -> str:
        last = core.collection.commits(1)["number"].to_pylist()
        return f"{core.collection.uuid} {last}"

    arguments = tuple(sorted(asked.arguments().items()))
    now = await core.desk.ask(state)
    return core.answers.to(Asked(verb, arguments, asked.where, asked.selection), now)


async def _is_there(core: Core, answer: Answer) -> bool:
    """Whether an answer is there, or comes in a while.

    Raises:
        VidxError: What came of it.
    """
    found = asyncio.wrap_future(answer.content)
    found.add_done_callback(lambda late: late.exception())  # nobody may wait for it any more
    done, _ = await asyncio.wait([found], timeout=WAIT_SECONDS)
    if done and found.exception():
        core.answers.forget(answer)
        found.result()
    return bool(done)


def _unfinished(answer: Answer) -> Response:
    far = answer.progress
    told = answers.Unfinished(stage=far.stage, done=far.done, total=far.total) if far else None
    content = (told or answers.Unfinished()).model_dump()
    return JSONResponse(content, 202, {"retry-after": "1"})


def _place(after: str | int | None) -> tuple[str, int]:
    """The answer and the row that a cursor means."""
    if after is None:
        return "", 0
    answer_id, _, row = str(after).partition(".")
    if not row.isascii() or not row.isdigit() or len(row) > 12:
        raise Refused(422, "bad_cursor", "this is no cursor of this list", "Begin without one.")
    return answer_id, int(row)
