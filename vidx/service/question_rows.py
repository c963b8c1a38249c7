"""What questions of curation answer, as OpenAPI tells it."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from vidx.records import Label, MetadataReport

Row = TypeVar("Row")


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
    compared_seconds: float | None = None
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
