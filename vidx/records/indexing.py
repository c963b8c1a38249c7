"""How an index was made, here or in a database."""

from __future__ import annotations

from dataclasses import dataclass

from vidx.records.spaces import Likeness


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far the making of an index is.

    Attributes:
        likeness: Whose vectors.
        stage: `training`, `adding` or `tuning`.
        done: Of this stage.
        total: Clips, or 1.
    """

    likeness: Likeness
    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PushProgress:
    """How far a push to a vector database is.

    Attributes:
        done: Blocks of 4096 clip_ids that are in step.
        total: All of them.
    """

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push to a vector database did.

    Attributes:
        address: Of the database.
        num_clips: That it has now: all that live.
        num_put: Of them put in, or anew as something of their block had changed.
        num_removed: That were known to be there, and were taken out.
    """

    address: str
    num_clips: int
    num_put: int
    num_removed: int


@dataclass(frozen=True, slots=True)
class IndexReport:
    """How one likeness is searched, and how well that finds.

    Attributes:
        kind: `exact` compares every clip; `ivf` compares the best by codes in inverted lists.
        parameters: Of `ivf`: `num_lists`, `num_probes` (lists that are looked through) and
            `refine` (candidates compared exactly for each clip asked for), of each part; and
            `num_parts`, where there are several.
        clips: Vectors in the index, those of removed clips included.
        target_recall: Of the first ten, as asked for.
        recall_at_1, recall_at_10, recall_at_100: Share of the true neighbours that are found, by
            clips of the collection that the parameters were not chosen with.
        p50_ms, p99_ms: Time of one query for ten, in milliseconds; None where none was timed,
            as in `info` of an exact index.
        bytes_per_vector: In memory, beside the vectors mapped from disk.
        build_seconds: What the last build from scratch took.
        copy: The same of the likeness `copy`; None in its own report.
    """

    kind: str
    parameters: dict[str, int]
    clips: int
    target_recall: float
    recall_at_1: float
    recall_at_10: float
    recall_at_100: float
    p50_ms: float | None
    p99_ms: float | None
    bytes_per_vector: float
    build_seconds: float
    copy: IndexReport | None = None
