"""One search: from a query to ranked hits."""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidx.embedder.decoding.pool import Job
from vidx.embedder.decoding.sampling import Plan
from vidx.embedder.pipeline import embed_videos
from vidx.errors import CollectionDamaged, UsageError, VideoError
from vidx.masks import allowed_rows
from vidx.options import SearchOptions
from vidx.records import Clip, Hit, Likeness, Problem
from vidx.stages import logger
from vidx.store.catalogue import Catalogue
from vidx.store.survey import content_id
from vidx.views import View

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

_QUERY_BATCH = 8  # clips in one batch: a query is short, and measures no memory


@dataclass(frozen=True, slots=True)
class Query:
    """The clips that are searched for.

    Attributes:
        clips: m spans of the query; None where it is a vector alone.
        vectors: Float32, shape (m, dim).
        video_id: SHA-256 (hex) of the query's bytes, where it was asked for.
        problem: Why clips of the query are missing, or None when it is whole.
    """

    clips: tuple[Clip | None, ...]
    vectors: NDArray[np.float32]
    video_id: str | None
    problem: Problem | None = None


class _Match(NamedTuple):
    """A stored clip with its video's number, and the clip of the query that is closest to it."""

    clip_id: int
    video: int
    score: float
    query_row: int


def wanted(k: SupportsIndex) -> int:
    """How many hits.

    Raises:
        UsageError: None.
    """
    number = operator.index(k)
    if number < 1:
        raise UsageError(f"k={number}: it takes 1 or more.")
    return number


def query_file(path: str | os.PathLike[str]) -> Path:
    """The absolute path of a file to search for.

    Raises:
        UsageError: There is no such file.
    """
    file = Path(os.path.abspath(path))
    if not os.path.isfile(file):  # is_file() raises where a folder cannot be searched
        raise UsageError(f"{os.fspath(path)!r} is no file", "Name a video file or a clip_id.")
    return file


def file_query(encoder: Encoder, file: Path, span: Plan, *, needs_id: bool) -> Query:
    """Embed the file that is searched for, or a span of it; the log tells of one that is damaged.

    Raises:
        VideoError: It cannot be decoded.
        UsageError: The span begins after the video's end.
    """
    jobs = [Job("query", str(file), span)]
    [(_, outcome)] = embed_videos(encoder, jobs, workers=1, batch_size=_QUERY_BATCH)
    if isinstance(outcome, Problem):
        raise VideoError(outcome.reason, f"{file}: {outcome.message}")
    if problem := outcome.problem:  # told here, as there may be no hit to tell it
        message = "%r is damaged and was searched for in part: %s: %s."
        logger.warning(message, str(file), problem.reason, problem.message)
    video_id = content_id(file) if needs_id else None
    return Query(outcome.clips, outcome.embeddings, video_id, outcome.problem)


def stored_query(catalogue: Catalogue, view: View, clip_id: int) -> Query:
    """A stored clip as a query.

    Raises:
        UsageError: No live clip has this id.
    """
    there_may_be = 0 <= clip_id < view.state.next_clip_id
    row = catalogue.clip_rows([clip_id]).get(clip_id) if there_may_be else None
    if row is None:
        raise UsageError(
            f"no clip {clip_id} in the collection", "Searches and `vidx export` tell the ids."
        )
    vectors = view.index.of_rows(view.index.rows_of(np.array([clip_id]))).vectors
    if not len(vectors):
        raise CollectionDamaged(
            f"the index lacks clip {clip_id}", "Run `vidx rebuild`: it makes the index anew."
        )
    return Query((Clip(row.start_seconds, row.end_seconds),), vectors, row.video_id)


def vector_query(vectors: ArrayLike, dim: int) -> Query:
    """Vectors as a query.

    Args:
        vectors: Shape (dim,) or (m, dim).
        dim: Of the collection.

    Raises:
        UsageError: They are no finite numbers of this shape.
    """
    try:
        asked = np.atleast_2d(np.asarray(vectors, np.float32))
    except (TypeError, ValueError) as error:
        raise UsageError(f"the vectors are no numbers: {error}") from error
    if asked.ndim != 2 or asked.shape[1] != dim or not len(asked):
        shape = np.shape(vectors)
        raise UsageError(f"vectors of shape {shape}: the collection's are ({dim},) or (m, {dim}).")
    if not np.isfinite(asked).all():
        raise UsageError("the vectors have infinite or undefined numbers.")
    return Query((None,) * len(asked), asked, None)


def search(
    catalogue: Catalogue, view: View, query: Query, k: int, options: SearchOptions
) -> list[Hit]:
    """Rank the stored clips by their best cosine similarity to any clip of the query.

    Args:
        catalogue: Maps ids to clips, at the view's commit.
        view: All vectors, the newest included.
        query: What is searched for.
        k: Hits wanted; fewer only when fewer are allowed.
        options: Which clips may be hits.

    Returns:
        At most k hits, best first, equal scores by clip_id.
    """
    allowed = _allowed_rows(catalogue, view, query, options)
    k = min(k, len(view.index))
    if not k:
        return []
    if options.by == "video":
        found = _best_of_each_video(view, query.vectors, k, allowed, options.likeness)
    else:
        found = _best_clips(view, query.vectors, k, allowed, options.likeness)
    return _hits(catalogue, query, found, options.likeness)


def _allowed_rows(
    catalogue: Catalogue, view: View, query: Query, options: SearchOptions
) -> NDArray[np.bool_] | None:
    """The rows of the view's index that may be hits; None when all may."""
    allowed = allowed_rows(catalogue, view, options)
    if not options.exclude_self or query.video_id is None:
        return allowed
    own = catalogue.number_of(query.video_id)
    others: NDArray[np.bool_] = view.index.videos() != (-1 if own is None else own)
    return others if allowed is None else allowed & others


def _best_clips(
    view: View,
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None,
    likeness: Likeness,
) -> list[_Match]:
    """The k stored clips that are closest to any clip of the query, best first."""
    scores, rows = view.index.search(queries, k, allowed, likeness)  # (m, k)
    of_query = np.broadcast_to(np.arange(len(queries))[:, None], rows.shape)
    order = np.lexsort((of_query.ravel(), rows.ravel(), -scores.ravel()))
    _, first = np.unique(rows.ravel()[order], return_index=True)
    best = order[np.sort(first)]
    best = best[rows.ravel()[best] >= 0][:k]
    found = view.index.of_rows(rows.ravel()[best])
    columns = (found.ids, found.videos, scores.ravel()[best], of_query.ravel()[best])
    return [_Match(*values) for values in zip(*(c.tolist() for c in columns), strict=True)]


def _best_of_each_video(
    view: View,
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None,
    likeness: Likeness,
) -> list[_Match]:
    """The best clips of the k closest videos.

    The k best clips hold the best clip of each video they belong to, so each round finds at
    least one more video, in the right order; the other clips of these are then left out.
    """
    best: dict[int, _Match] = {}
    while len(best) < k:
        matches = _best_clips(view, queries, k, allowed, likeness)
        if not matches:
            break
        for match in matches:
            best.setdefault(match.video, match)
        others = ~np.isin(view.index.videos(), list(best))
        allowed = others if allowed is None else allowed & others
    return list(best.values())[:k]


def _hits(
    catalogue: Catalogue, query: Query, matches: list[_Match], likeness: Likeness
) -> list[Hit]:
    """Put words to the ids."""
    rows = catalogue.clip_rows([match.clip_id for match in matches])
    known = [(match, rows[match.clip_id], query.clips[match.query_row]) for match in matches]
    return [
        Hit(
            rank=rank,
            clip_id=row.clip_id,
            video_id=row.video_id,
            score=match.score,
            likeness=likeness,
            path=row.locations[0],
            locations=row.locations,
            start_seconds=row.start_seconds,
            end_seconds=row.end_seconds,
            query_start_seconds=span.start_seconds if span else None,
            query_end_seconds=span.end_seconds if span else None,
            labels=row.labels,
            query_problem=query.problem,
        )
        for rank, (match, row, span) in enumerate(known, start=1)
    ]
