"""Routes to concepts: what users teach by examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from vidx.service.bodies import MOST_ROWS, ClipId, Strict
from vidx.service.core import Given
from vidx.service.listing import ARROW, Accept, Page, table_page
from vidx.service.problems import refusing
from vidx.service.question_bodies import MOST_CHOSEN
from vidx.service.question_rows import ClipSpan, Rows
from vidx.service.snapshots import Deleted

if TYPE_CHECKING:
    import pyarrow as pa

router = APIRouter(prefix="/v1/concepts", tags=["curation"])

ConceptName = Annotated[str, Field(max_length=200, description="Of a concept.", examples=["fight"])]
ClipIds = Annotated[list[ClipId], Field(max_length=MOST_CHOSEN)]


class Examples(Strict):
    """Clips that show a concept, and clips that do not; as `Collection.concept` takes them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "fight", "positives": [3, 17], "negatives": [5, 80]}]
        }
    )

    name: ConceptName
    positives: ClipIds = Field(default=[])
    negatives: ClipIds = Field(default=[])


class ConceptRow(BaseModel):
    """A concept, and how many examples there are of it."""

    name: str
    num_positives: int
    num_negatives: int


class SuggestedRow(ClipSpan):
    """A clip that is worth to be an example, and how probable it is that it shows the concept."""

    score: float


class Judgement(BaseModel):
    """How well a concept is learned, as `Collection.evaluate` tells it."""

    average_precision: float
    nearest: float
    chance: float


class Named(BaseModel):
    """A concept."""

    model_config = ConfigDict(extra="forbid")

    name: ConceptName


class Suggest(Page):
    """As `Collection.suggest` takes it."""

    name: ConceptName
    n: Annotated[int, Field(ge=1, le=MOST_ROWS, description="How many, at most.")] = 10


@router.get("", response_model=Rows[ConceptRow], responses=ARROW)
async def concepts(core: Given, page: Annotated[Page, Query()], accept: Accept = "") -> Response:
    """The concepts, the oldest first."""
    return await table_page(core, page, "concepts", core.collection.concepts, accept)


@router.post("", response_model=ConceptRow)
async def teach(core: Given, body: Examples) -> Response:
    """Teach a concept, or give more examples; then `concept('NAME') > .5` is known to `where`."""

    def write() -> dict[str, Any]:
        with refusing(422):
            core.collection.concept(body.name, body.positives, body.negatives)
        rows = core.collection.concepts().to_pylist()
        return next(row for row in rows if row["name"] == body.name)

    return JSONResponse(await core.desk.ask(write))


@router.delete("", response_model=Deleted)
async def delete(core: Given, asked: Annotated[Named, Query()]) -> Response:
    """Forget a concept with its examples; the clips stay."""
    commit = await core.desk.ask(lambda: core.collection.delete_concept(asked.name))
    return JSONResponse({"commit": commit})


@router.get("/suggest", response_model=Rows[SuggestedRow], responses=ARROW)
async def suggest(core: Given, asked: Annotated[Suggest, Query()], accept: Accept = "") -> Response:
    """The clips that are most worth to be given as examples next, the least sure ones first."""

    def rows() -> pa.Table:
        return core.collection.suggest(asked.name, asked.n)

    return await table_page(core, asked, "suggest", rows, accept)


@router.get("/evaluate", response_model=Judgement)
async def evaluate(core: Given, asked: Annotated[Named, Query()]) -> Response:
    """How well a concept is learned, by examples that are left out."""
    judged = await core.desk.ask(lambda: core.collection.evaluate(asked.name))
    return JSONResponse(judged._asdict())
