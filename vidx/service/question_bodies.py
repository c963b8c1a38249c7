"""What questions of curation take and answer, as OpenAPI tells it."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from vidx.records import Label, MetadataReport
from vidx.service.bodies import Expression, Name, SnapshotName
from vidx.service.listing import Page

MOST_CLUSTERS = 10_000
MOST_CHOSEN = 1_000_000
MOST_SEED = (1 << 31) - 1
MOST_SPLITS = 100

Row = TypeVar("Row")

Similarity = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
SplitName = Annotated[str, Field(min_length=1, max_length=200)]
Fraction = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Column = Annotated[Name, Field(min_length=1, description="A column of metadata.")]


class Part(BaseModel):
    """Of which clips a question is asked."""

    model_config = ConfigDict(extra="forbid")

    where: Expression | None = None
    selection: SnapshotName | None = None

    def arguments(self) -> dict[str, Any]:
        """What the verb of the collection takes."""
        own = self.model_dump()
        return {name: own[name] for name in own if name not in PLACES}


PLACES = frozenset({"where", "selection", "limit", "cursor", "write"})


class Question(Part, Page):
    """Of which clips, and which part of the answer."""


class Duplicates(Question):
    """As `Collection.duplicates` takes it."""

    threshold: Similarity | None = None
    by: Literal["clip", "segment", "video"] = "clip"
    within_videos: bool = False


class Leakage(Question):
    """As `Collection.leakage` takes it."""

    column: Column | None = None
    other: SnapshotName | None = None
    threshold: Similarity | None = None


class Split(Question):
    """As `Collection.split` takes it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"fractions": {"train": 0.8, "test": 0.2}},
                {"fractions": {"a": 0.5, "b": 0.5}, "stratify": "label", "write": "fold"},
            ]
        }
    )

    fractions: Annotated[dict[SplitName, Fraction], Field(min_length=2, max_length=MOST_SPLITS)]
    group: Column | None = None
    stratify: Column | None = None
    seed: Seed = 0
    threshold: Similarity | None = None
    write: Column | None = None

    def arguments(self) -> dict[str, Any]:
        """The splits in their order, which counts."""
        return {**super().arguments(), "fractions": tuple(self.fractions.items())}


class Clusters(Question):
    """As `Collection.clusters` takes it."""

    k: Annotated[int, Field(ge=1, le=MOST_CLUSTERS)] | None = None
    seed: Seed = 0


class Outliers(Question):
    """As `Collection.outliers` takes it; its `limit` is called `top`."""

    top: Annotated[int, Field(ge=1, le=MOST_SEED)] | None = None

    def arguments(self) -> dict[str, Any]:
        """The limit under its own name."""
        return {"limit": self.top}


class Sample(Question):
    """As `Collection.sample` takes it."""

    n: Annotated[int, Field(ge=1, le=MOST_CHOSEN, description="How many.", examples=[3])]
    strategy: Literal["diverse", "balanced", "representative", "uncertain", "random"] = "diverse"
    column: Column | None = None
    seed: Seed = 0


class Compare(Question):
    """As `Collection.compare` takes it, with a snapshot."""

    other: Annotated[SnapshotName, Field(examples=["v1"])]
    k: Annotated[int, Field(ge=1, le=MOST_CLUSTERS)] | None = None
    seed: Seed = 0


class Quality(Question):
    """As `Collection.quality` takes it."""

    black: Limit = 0.5
    frozen: Limit = 0.5
    static: Limit | None = None
    blurred: Limit | None = None
    short: Limit | None = None


class LabelIssues(Question):
    """As `Collection.label_issues` takes it."""

    column: Column | None = None


class LabelCounts(Question):
    """As `Collection.label_counts` takes it."""

    column: Column | None = None


class Map(Question):
    """As `Collection.map` takes it."""

    method: Literal["pca", "umap"] = "pca"
    seed: Seed = 0


class Points(Part):
    """A map to be drawn."""

    method: Literal["pca", "umap"] = "pca"
    colour: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1000,
            description="`label`, `cluster`, or a column of metadata.",
        ),
    ] = "label"
    seed: Seed = 0


class ClipSpan(BaseModel):
    """A clip."""

    clip_id: int
    video_id: str
    path: str
    start_seconds: float
    end_seconds: float


class DuplicateRow(ClipSpan):
    """A member of a group; `clip_id` is null where groups are not of clips."""

    group: int
    rank: int
    clip_id: int | None  # type: ignore[assignment]
    score: float
    match: Literal["exact", "near"]
    share: float | None = None
    offset_seconds: float | None = None


class LeakageRow(ClipSpan):
    """A pair of videos in two splits."""

    split: str
    other_split: str
    other_clip_id: int
    other_video_id: str
    other_path: str
    other_start_seconds: float
    other_end_seconds: float
    score: float
    match: Literal["exact", "near"]
    num_clips: int
    other_num_clips: int
    share: float
    other_share: float


class SplitRow(BaseModel):
    """A video in its split; videos with the same `group` must stay together."""

    video_id: str
    path: str
    split: str
    group: int
    num_clips: int


class ProofRow(BaseModel):
    """What was wanted of a split, and what was got."""

    check: Literal["clips", "label", "pairs"]
    split: str
    value: str | None
    wanted: float | None
    got: float | None
    count: int
    met: bool
    reason: str | None


class ClusterRow(ClipSpan):
    """A clip in its cluster."""

    group: int
    rank: int
    score: float
    size: int
    tightness: float
    name: str
    labels: list[Label]


class OutlierRow(ClipSpan):
    """A clip, and the nearest one."""

    rank: int
    factor: float | None
    distance: float
    score: float
    nearest_clip_id: int
    nearest_path: str
    nearest_start_seconds: float
    nearest_end_seconds: float


class RegionRow(ClipSpan):
    """A region, and its most typical clip."""

    rank: int
    change: Literal["new", "vanished", "common"]
    num_clips: int
    num_other_clips: int
    share: float
    other_share: float
    is_of_other: bool


class QualityRow(ClipSpan):
    """A clip and what is poor of it."""

    issue: Literal["black", "frozen", "static", "blurred", "short"]
    value: float
    limit: float


class LabelIssueRow(ClipSpan):
    """A clip whose label is likely wrong."""

    rank: int
    given: str
    suggested: str
    score: float
    given_score: float


class LabelCountRow(BaseModel):
    """A label, and of how many clips it is the most probable one, or the given one."""

    label: str
    num_clips: int


class MapRow(ClipSpan):
    """A clip on the map."""

    x: float
    y: float


class Rows(BaseModel, Generic[Row]):
    """A part of an answer.

    Attributes:
        rows: These.
        next_cursor: For the ones behind them; null at the end.
    """

    rows: list[Row]
    next_cursor: str | None


class Compared(Rows[RegionRow]):
    """How clips differ from those of a snapshot, and a part of the regions."""

    coverage: float
    other_coverage: float
    drift: float
    chance_drift: float


class Shared(Rows[SplitRow]):
    """How videos are shared out among splits: a part of them, and the proof, as `SplitReport`."""

    num_groups: int
    proof: list[ProofRow]
    written: MetadataReport | None


class Unfinished(BaseModel):
    """The answer is still being found: ask the same again.

    Attributes:
        stage: What is being done; empty where nothing is known.
        done: How much of it is.
        total: How much it is in all.
    """

    stage: str = ""
    done: Annotated[int, Field(ge=0)] = 0
    total: Annotated[int, Field(ge=0)] = 0
