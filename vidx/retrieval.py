"""One search: from a query to ranked hits."""

from __future__ import annotations

import difflib
import fnmatch
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.embedder.decoding.pool import Job
from vidx.embedder.decoding.sampling import Plan
from vidx.embedder.pipeline import embed_videos
from vidx.errors import CollectionDamaged, UsageError, VideoError
from vidx.index import Index
from vidx.records import Clip, Hit, Problem
from vidx.store.catalogue import Catalogue
from vidx.store.survey import content_id

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

_QUERY_BATCH = 8  # clips in one batch: a query is short, and measures no memory


@dataclass(frozen=True, slots=True)
class Query:
    """The clips that are searched for.

    Attributes:
        clips: m spans of the query.
        vectors: Float32, shape (m, dim).
        video_id: SHA-256 (hex) of the query's bytes, where it was asked for.
    """

    clips: tuple[Clip, ...]
    vectors: NDArray[np.float32]
    video_id: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which clips may be hits; all of what is given must hold.

    Attributes:
        labels: At least one of these is among the clip's labels.
        path_glob: At least one of the video's paths matches. `*` also matches `/`; a pattern
            that does not begin with `/` or `*` may begin at any folder of the path.
        without_video: This content is left out.
    """

    labels: tuple[str, ...] = ()
    path_glob: str | None = None
    without_video: str | None = None


class _Match(NamedTuple):
    """A stored clip and the clip of the query that is closest to it."""

    clip_id: int
    score: float
    query_row: int


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
    """Embed the file that is searched for, or a span of it.

    Raises:
        VideoError: It cannot be decoded.
        UsageError: The span begins after the video's end.
    """
    jobs = [Job("query", str(file), span)]
    [(_, outcome)] = embed_videos(encoder, jobs, workers=1, batch_size=_QUERY_BATCH)
    if isinstance(outcome, Problem):
        raise VideoError(outcome.reason, f"{file}: {outcome.message}")
    return Query(outcome.clips, outcome.embeddings, content_id(file) if needs_id else None)


def stored_query(catalogue: Catalogue, index: Index, clip_id: int) -> Query:
    """A stored clip as a query.

    Raises:
        UsageError: No live clip has this id.
    """
    there_may_be = 0 <= clip_id < catalogue.next_clip_id()
    row = catalogue.clip_rows([clip_id]).get(clip_id) if there_may_be else None
    if row is None:
        raise UsageError(
            f"no clip {clip_id} in the collection", "Searches and `vidx export` tell the ids."
        )
    try:
        vectors = index.vectors_of(np.array([clip_id], np.int64))
    except KeyError:
        raise CollectionDamaged(
            f"the index lacks clip {clip_id}", "Run `vidx rebuild`: it makes the index anew."
        ) from None
    return Query((Clip(row.start_seconds, row.end_seconds),), vectors, row.video_id)


def search(
    catalogue: Catalogue, index: Index, query: Query, k: int, filters: Filters, *, by_video: bool
) -> list[Hit]:
    """Rank the stored clips by their best cosine similarity to any clip of the query.

    Args:
        catalogue: Maps ids to clips.
        index: All live vectors, the newest included.
        query: What is searched for.
        k: Hits wanted; fewer only when fewer are allowed.
        filters: Which clips may be hits.
        by_video: Whether to give only the best clip of each video.

    Returns:
        At most k hits, best first, equal scores by clip_id.
    """
    allowed = _allowed_ids(catalogue, index, filters)
    k = min(k, len(index))
    if not k:
        return []
    if by_video:
        found = _best_of_each_video(catalogue, index, query.vectors, k, allowed)
    else:
        found = _best_clips(index, query.vectors, k, allowed)
    return _hits(catalogue, query, found)


def _allowed_ids(catalogue: Catalogue, index: Index, filters: Filters) -> NDArray[np.int64] | None:
    """The clips that may be hits; None when all vectors of the index may."""
    filtered = filters != Filters()
    if not filtered and catalogue.counts()["clips"] == len(index):
        return None
    allowed = catalogue.live_clip_ids()
    if filters.labels:
        _check_labels(catalogue, filters.labels)
        allowed = np.intersect1d(allowed, catalogue.clip_ids_with_labels(filters.labels))
    if filters.path_glob is not None:
        matching = catalogue.video_ids_where(path_matcher(filters.path_glob))
        allowed = np.intersect1d(allowed, catalogue.clip_ids_of_videos(matching))
    if filters.without_video is not None:
        own = catalogue.clip_ids_of_videos([filters.without_video])
        allowed = np.setdiff1d(allowed, own)
    return allowed


def _check_labels(catalogue: Catalogue, labels: Sequence[str]) -> None:
    known = {*catalogue.label_names(), *catalogue.manifest.space.labels}
    for label in labels:
        if label not in known:
            close = difflib.get_close_matches(label, known, n=3, cutoff=0.5)
            raise UsageError(
                f"no clip of the collection has the label {label!r}",
                f"Did you mean {' or '.join(map(repr, close))}?" if close else "",
            )


def path_matcher(glob: str) -> Callable[[str], bool]:
    """A function that says whether a path matches a glob.

    >>> matches = path_matcher("cats/*.mp4")
    >>> matches("/data/cats/1.mp4"), matches("/data/tomcats/1.mp4")
    (True, False)
    """
    anchored = glob if glob.startswith(("/", "*")) else f"*/{glob}"
    pattern = re.compile(fnmatch.translate(anchored))
    return lambda path: pattern.match(path) is not None


def _best_clips(
    index: Index, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None
) -> list[_Match]:
    """The k stored clips that are closest to any clip of the query, best first."""
    scores, ids = index.search(queries, k, allowed)  # (m, k)
    rows = np.broadcast_to(np.arange(len(queries))[:, None], ids.shape)
    found: dict[int, _Match] = {}
    for position in np.lexsort((rows.ravel(), ids.ravel(), -scores.ravel())):
        clip_id = int(ids.flat[position])
        if clip_id >= 0 and clip_id not in found:
            score, row = float(scores.flat[position]), int(rows.flat[position])
            found[clip_id] = _Match(clip_id, score, row)
    return list(found.values())[:k]


def _best_of_each_video(
    catalogue: Catalogue,
    index: Index,
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.int64] | None,
) -> list[_Match]:
    """The best clips of the k closest videos.

    The k best clips hold the best clip of each video they belong to, so each round finds at
    least one more video, in the right order; the other clips of these are then left out.
    """
    best: dict[str, _Match] = {}
    while len(best) < k:
        matches = _best_clips(index, queries, k, allowed)
        rows = catalogue.clip_rows([match.clip_id for match in matches])
        if not rows:
            break
        for match in matches:
            if match.clip_id in rows:
                best.setdefault(rows[match.clip_id].video_id, match)
        allowed = catalogue.live_clip_ids() if allowed is None else allowed
        allowed = np.setdiff1d(allowed, catalogue.clip_ids_of_videos(best))
    return list(best.values())[:k]


def _hits(catalogue: Catalogue, query: Query, matches: list[_Match]) -> list[Hit]:
    """Put words to the ids; a clip that was removed meanwhile is no hit."""
    rows = catalogue.clip_rows([match.clip_id for match in matches])
    known = [(match, rows[match.clip_id]) for match in matches if match.clip_id in rows]
    return [
        Hit(
            rank=rank,
            clip_id=row.clip_id,
            video_id=row.video_id,
            score=match.score,
            path=row.locations[0],
            locations=row.locations,
            start_seconds=row.start_seconds,
            end_seconds=row.end_seconds,
            query_start_seconds=query.clips[match.query_row].start_seconds,
            query_end_seconds=query.clips[match.query_row].end_seconds,
            labels=row.labels,
        )
        for rank, (match, row) in enumerate(known, start=1)
    ]
