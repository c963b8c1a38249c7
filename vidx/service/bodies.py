"""What clients send and get, as OpenAPI tells it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from vidx.options import SearchOptions
from vidx.records import Hit, Label, Segment

MOST_ID = (1 << 63) - 1
MOST_HITS = 1000
MOST_ROWS = 1000
MOST_EXAMPLES = 100
MOST_VECTORS = 256
MOST_SECONDS = 1e9

ClipId = Annotated[int, Field(ge=0, le=MOST_ID, description="A clip, as lists and hits name it.")]
UploadId = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="As POST /v1/uploads gave.")]
VideoId = Annotated[str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of its bytes.")]
Vector = Annotated[list[FiniteFloat], Field(min_length=1, max_length=65536)]
Seconds = Annotated[float, Field(ge=0, le=MOST_SECONDS, allow_inf_nan=False)]
Expression = Annotated[str, Field(min_length=1, max_length=10_000)]
SnapshotName = Annotated[
    str, Field(min_length=1, max_length=200, description="A snapshot: its clips alone.")
]
Name = Annotated[str, Field(max_length=1000)]
LabelName = Annotated[str, Field(max_length=200)]


class Strict(BaseModel):
    """A body in which nothing is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Example(Strict):
    """One thing to be searched for: exactly one of these."""

    clip_id: ClipId | None = None
    upload: UploadId | None = None
    vectors: Annotated[list[Vector], Field(min_length=1, max_length=MOST_VECTORS)] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Example:
        if sum(one is not None for one in (self.clip_id, self.upload, self.vectors)) != 1:
            raise ValueError("it takes one of clip_id, upload and vectors")
        if self.vectors and len({len(one) for one in self.vectors}) > 1:
            raise ValueError("vectors are of one length")
        return self

    def array(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Its vectors, shape (m, dim)."""
        return np.array(self.vectors or [], np.float64)


class Filters(BaseModel):
    """Which clips may be hits, and what hits are; as `vidx.SearchOptions`."""

    model_config = ConfigDict(extra="forbid")

    k: Annotated[int, Field(ge=1, le=MOST_HITS, description="Hits wanted.")] = 10
    by: Literal["clip", "video", "segment"] = "clip"
    where: Expression | None = None
    selection: SnapshotName | None = None
    labels: Annotated[list[LabelName], Field(max_length=50)] | None = None
    path_glob: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    exclude_self: bool = False
    likeness: Literal["similar", "copy"] = "similar"
    diverse: bool = False
    start_seconds: Seconds | None = None
    end_seconds: Seconds | None = None

    def options(self) -> SearchOptions:
        """As the collection takes them."""
        return SearchOptions(
            by=self.by,
            where=self.where,
            labels=None if self.labels is None else tuple(self.labels),
            path_glob=self.path_glob,
            exclude_self=self.exclude_self,
            likeness=self.likeness,
            diverse=self.diverse,
            start_seconds=self.start_seconds,
            end_seconds=self.end_seconds,
        )


class Search(Filters):
    """A search for one thing, or for what is like some examples and unlike others."""

    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "examples": [
                {"query": {"clip_id": 7}, "k": 10},
                {"query": {"upload": "0123456789abcdef0123456789abcdef"}, "by": "segment"},
                {"like": [{"clip_id": 7}, {"clip_id": 9}], "unlike": [{"clip_id": 3}]},
            ]
        },
    )

    query: Example | None = None
    like: Annotated[list[Example], Field(max_length=MOST_EXAMPLES)] | None = None
    unlike: Annotated[list[Example], Field(max_length=MOST_EXAMPLES)] = []

    @model_validator(mode="after")
    def _is_one(self) -> Search:
        if (self.query is None) == (self.like is None) or (self.query and self.unlike):
            raise ValueError("it takes query alone, or like with or without unlike")
        return self


class Hits(BaseModel):
    """The answer to a search, best first."""

    hits: list[Segment | Hit]


class Uploaded(BaseModel):
    """An upload that searches may name.

    Attributes:
        upload_id: Its name.
        size_bytes: Its size.
        kept_seconds: How long it stays when nobody asks for it.
    """

    upload_id: str
    size_bytes: int
    kept_seconds: float


class ClipBody(BaseModel):
    """A clip; what users know of it and its video stands beside these, under their own names."""

    model_config = ConfigDict(extra="allow")

    clip_id: int
    video_id: str
    path: str | None
    start_seconds: float
    end_seconds: float
    labels: list[Label]


class VideoBody(BaseModel):
    """A video, as `Collection.videos` has it; what users know of it stands beside."""

    model_config = ConfigDict(extra="allow")

    video_id: str
    path: str | None
    locations: list[str]
    num_clips: int
    status: Literal["whole", "partial"]


class FailureBody(BaseModel):
    """A file that could not be embedded, as `Collection.failures` has it."""

    path: str
    reason: str
    message: str
    attempts: int
    last_attempt: str


class ClipPage(BaseModel):
    """Clips by clip_id.

    Attributes:
        clips: These.
        next_cursor: For the ones behind them; null at the end.
    """

    clips: list[ClipBody]
    next_cursor: str | None


class VideoPage(BaseModel):
    """Videos by path.

    Attributes:
        videos: These.
        next_cursor: For the ones behind them; null at the end.
    """

    videos: list[VideoBody]
    next_cursor: str | None


class FailurePage(BaseModel):
    """Failures by path.

    Attributes:
        failures: These.
        next_cursor: For the ones behind them; null at the end.
    """

    failures: list[FailureBody]
    next_cursor: str | None


Value = str | bool | int | FiniteFloat | None


class Metadata(Strict):
    """A table of what somebody knows of videos or clips, as columns of one length.

    Attributes:
        on: The column that says whose a row is.
        columns: By name; that one among them.
        clear_empty: Whether nulls take out what was there.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"on": "clip_id", "columns": {"clip_id": [7, 9], "split": ["a", "b"]}}]
        }
    )

    on: Literal["path", "video_id", "clip_id"] = "path"
    columns: Annotated[
        dict[Name, Annotated[list[Value], Field(max_length=100_000)]],
        Field(min_length=2, max_length=1000),
    ]
    clear_empty: bool = False

    @model_validator(mode="after")
    def _is_table(self) -> Metadata:
        if len({len(column) for column in self.columns.values()}) > 1:
            raise ValueError("columns are of one length")
        return self


class Job(Strict):
    """What is to be embedded.

    Attributes:
        paths: Files and folders below those that the server was started with.
        retry_failed: Whether files that failed before are tried again.
        any_ending: Whether files under other endings that hold video are taken too.
        previews: Whether a small picture of each clip is kept, for when its source is gone.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"paths": ["/videos/new"]}]})

    paths: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=4096)]],
        Field(min_length=1, max_length=1000),
    ]
    retry_failed: bool = False
    any_ending: bool = False
    previews: bool = False


class Login(Strict):
    """A token to be kept in a cookie."""

    token: Annotated[str, Field(min_length=1, max_length=1000)]
