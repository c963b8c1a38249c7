"""What a search finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from vidx.records.spaces import Likeness
from vidx.records.videos import Clip, Problem

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Label:
    """A predicted label and its probability."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer to a search.

    Attributes:
        rank: 1 is the closest.
        clip_id: The stored clip.
        video_id: SHA-256 (hex) of the video's bytes.
        score: Cosine similarity in [-1, 1]; higher is closer.
        path: The video's first location, in sorted order.
        locations: All its locations, sorted.
        start_seconds: The stored clip's start.
        end_seconds: The stored clip's end.
        query_start_seconds: Start of the clip of the query that matched best; None of a vector.
        query_end_seconds: Its end; None of a vector.
        labels: The stored clip's predicted labels, best first.
        likeness: By what the vectors were compared.
        query_problem: Why the file that was searched for gave a part of its clips only; None where
            it is whole, and of a stored clip or a vector.
        background_share: How unusual the score is here: the share of random pairs of clips of this
            collection, of two videos each, that are closer. None where there are too few clips.
    """

    rank: int
    clip_id: int
    video_id: str
    score: float
    path: str
    locations: tuple[str, ...]
    start_seconds: float
    end_seconds: float
    query_start_seconds: float | None
    query_end_seconds: float | None
    labels: tuple[Label, ...]
    likeness: Likeness = "similar"
    query_problem: Problem | None = None
    background_share: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, as JSON and data frames take them: labels are dictionaries too.

        `dataclasses.asdict` gives the same, and takes as long as the search: it copies all values.
        """
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        labels = ({"name": label.name, "score": label.score} for label in self.labels)
        told["labels"] = tuple(labels)
        told["query_problem"] = self.query_problem and asdict(self.query_problem)
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment(Hit):
    """Consecutive clips of a stored video that match consecutive clips of a query.

    A hit whose spans are those of the whole match: `start_seconds` and `end_seconds` of the stored
    video, `query_start_seconds` and `query_end_seconds` of the query. They are estimated, and need
    not be those of clips. `score` is the mean cosine similarity of the better half of the clips
    that match. Segments are ranked by that and by how long they are, so scores need not fall from
    one to the next. clip_id and labels are those of the stored clip at the best place.

    Attributes:
        num_clips: Clips of the query that match; there are four to the length of one.
    """

    num_clips: int


@dataclass(frozen=True, slots=True)
class Footage:
    """Where a clip's pictures are to be had.

    Attributes:
        clip_id: The clip.
        video_id: SHA-256 (hex) of its video's bytes.
        clip: Its span.
        width: Pixels of the video, as displayed.
        height: Pixels of the video, as displayed.
        codec: As of `VideoInfo`.
        container: As of `VideoInfo`.
        paths: The video's locations, sorted, that are as when they were embedded, by size and time
            of last change; and those at URLs, at which nobody has looked.
    """

    clip_id: int
    video_id: str
    clip: Clip
    width: int
    height: int
    codec: str
    container: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedQuery:
    """A file that could not be searched for, and why."""

    path: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What many queries found.

    Attributes:
        num_queries: How many there were, those that failed included.
        num_clips: Vectors that were searched for.
        failed: The files among them that could not be embedded.
        hits: A `pyarrow.Table`, one row a hit, by query and rank; `docs/formats.md` lists its
            columns.
        seconds: Wall-clock time.
    """

    num_queries: int
    num_clips: int
    failed: tuple[FailedQuery, ...]
    hits: pa.Table
    seconds: float
