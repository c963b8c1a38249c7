"""One search: from queries to ranked hits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.diversity import num_candidates, spread
from vidx.masks import allowed_rows
from vidx.options import SearchOptions
from vidx.queries import Query
from vidx.records import Hit, Likeness, Segment
from vidx.segment_search import NEAREST, Nearest, floor, search_segments, track
from vidx.segments import Alignment
from vidx.store.catalogue import Catalogue, ClipRow
from vidx.via import Ask, asking
from vidx.views import View


class _Match(NamedTuple):
    """A stored clip with its video's number, and the clip of the query that is closest to it."""

    row: int
    clip_id: int
    video: int
    score: float
    query_row: int
    segment: Alignment | None = None


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
    [hits] = search_each(catalogue, view, [query], k, options)
    return hits


def search_each(
    catalogue: Catalogue, view: View, queries: Sequence[Query], k: int, options: SearchOptions
) -> Iterator[list[Hit]]:
    """Answer many queries as `search` does; the index is asked once where all allow the same.

    Args:
        catalogue: As for `search`.
        view: As for `search`.
        queries: What is searched for.
        k: As for `search`, of each.
        options: As for `search`.

    Yields:
        Each query's hits, in their order.
    """
    k = min(k, len(view.index))
    if not k:
        yield from ([] for _ in queries)
        return
    wanted = min(num_candidates(k), len(view.index)) if options.diverse else k
    one_by_one = options.exclude_self or options.by == "video"
    with asking(catalogue, view, options) as ask:
        for group in ([query] for query in queries) if one_by_one else [queries]:
            allowed = _allowed_rows(catalogue, view, group[0], options)
            for query, found in _found(catalogue, view, group, wanted, options, allowed, ask):
                chosen = _spread(view, found, k, _space(options)) if options.diverse else found
                yield _hits(catalogue, view, query, chosen, _space(options))


def _space(options: SearchOptions) -> Likeness:
    return "copy" if options.by == "segment" else options.likeness


def _found(
    catalogue: Catalogue,
    view: View,
    queries: Sequence[Query],
    k: int,
    options: SearchOptions,
    allowed: NDArray[np.bool_] | None,
    ask: Ask,
) -> Iterator[tuple[Query, list[_Match]]]:
    """Each query with its k best matches."""
    if options.by == "video":
        for query in queries:
            yield query, _best_of_each_video(view, query.vectors, k, allowed, options.likeness, ask)
        return
    vectors = np.concatenate([query.vectors for query in queries])
    is_segment = options.by == "segment"
    depth = min(NEAREST, len(view.index)) if is_segment else k
    scores, rows = ask(vectors, depth, allowed, _space(options))
    ends = np.cumsum([len(query.vectors) for query in queries])[:-1]
    parts = zip(np.split(scores, ends), np.split(rows, ends), strict=True)
    for query, near in zip(queries, map(Nearest._make, parts), strict=True):
        if is_segment:
            enough = _of_enough_videos(view, query, near, k, allowed, ask)
            yield query, _segments(catalogue, view, query, enough, k, allowed)
        else:
            yield query, _best_clips(view, near, k)


def _of_enough_videos(
    view: View,
    query: Query,
    near: Nearest,
    k: int,
    allowed: NDArray[np.bool_] | None,
    ask: Ask,
) -> Nearest:
    """Look further where the clips of a few videos, such as still scenes, are all that was found.

    Args:
        view: What is searched.
        query: What is searched for.
        near: The clips that are closest to each of its clips.
        k: Videos wanted, as far as there are any above the floor.
        allowed: As of `_found`.
        ask: As of `_found`.
    """
    owners, least = view.index.videos(), floor(view)
    latest = near
    while (latest.scores[:, -1] > least).any():  # there may be more
        found = np.unique(owners[near.rows[near.scores > least]])
        if len(found) >= k:
            break
        others = ~np.isin(owners, found)
        mask = others if allowed is None else others & allowed
        latest = Nearest(*ask(query.vectors, latest.rows.shape[1], mask, "copy"))
        near = Nearest(
            np.concatenate([near.scores, latest.scores], axis=1),
            np.concatenate([near.rows, latest.rows], axis=1),
        )
    return near


def _segments(
    catalogue: Catalogue,
    view: View,
    query: Query,
    near: Nearest,
    k: int,
    allowed: NDArray[np.bool_] | None,
) -> list[_Match]:
    clips = [clip for clip in query.clips if clip]
    asked = track(clips, view.index.project(query.vectors, "copy"), query.cuts)
    found = search_segments(catalogue, view, asked, near, k, allowed)
    stored = view.index.of_rows(np.array([one.row for one in found], np.int64))
    places = zip(found, stored.ids.tolist(), stored.videos.tolist(), strict=True)
    return [
        _Match(one.row, clip_id, video, one.alignment.score, one.query_row, one.alignment)
        for one, clip_id, video in places
    ]


def _spread(view: View, found: list[_Match], k: int, likeness: Likeness) -> list[_Match]:
    """Of many matches k that are unlike each other."""
    rows = np.array([match.row for match in found], np.int64)
    scores = np.array([match.score for match in found], np.float32)
    return [found[place] for place in spread(scores, view.index.vectors_of(rows, likeness), k)]


def _allowed_rows(
    catalogue: Catalogue, view: View, query: Query, options: SearchOptions
) -> NDArray[np.bool_] | None:
    """The rows of the view's index that may be hits; None when all may."""
    allowed = allowed_rows(catalogue, view, options)
    if not options.exclude_self or not query.video_ids:
        return allowed
    own = [catalogue.number_of(video_id) for video_id in query.video_ids]
    known = [number for number in own if number is not None]
    others: NDArray[np.bool_] = ~np.isin(view.index.videos(), known)
    return others if allowed is None else allowed & others


def _best_clips(view: View, near: Nearest, k: int) -> list[_Match]:
    """The k stored clips that are closest to any clip of a query, best first.

    Args:
        view: What was searched.
        near: The k best or more of each clip of the query.
        k: How many are wanted.
    """
    scores, rows = near.scores.ravel(), near.rows.ravel()
    of_query = np.repeat(np.arange(len(near.rows)), near.rows.shape[1])
    best = np.arange(len(rows)) if len(near.rows) == 1 else _distinct(scores, rows, of_query)
    best = best[rows[best] >= 0][:k]
    found = view.index.of_rows(rows[best])
    columns = (rows[best], found.ids, found.videos, scores[best], of_query[best])
    return [_Match(*match) for match in zip(*(one.tolist() for one in columns), strict=True)]


def _distinct(
    scores: NDArray[np.float32], rows: NDArray[np.int64], of_query: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The places of each row's best score, best first, where several clips may find one row."""
    order = np.lexsort((of_query, rows, -scores))
    _, first = np.unique(rows[order], return_index=True)
    return order[np.sort(first)]


def _best_of_each_video(
    view: View,
    queries: NDArray[np.float32],
    k: int,
    allowed: NDArray[np.bool_] | None,
    likeness: Likeness,
    ask: Ask,
) -> list[_Match]:
    """The best clips of the k closest videos.

    The k best clips hold the best clip of each video they belong to, so each round finds at
    least one more video, in the right order; the other clips of these are then left out.
    """
    best: dict[int, _Match] = {}
    while len(best) < k:
        near = Nearest(*ask(queries, k, allowed, likeness))
        matches = _best_clips(view, near, k)
        if not matches:
            break
        for match in matches:
            best.setdefault(match.video, match)
        others = ~np.isin(view.index.videos(), list(best))
        allowed = others if allowed is None else allowed & others
    return list(best.values())[:k]


def _hits(
    catalogue: Catalogue, view: View, query: Query, matches: list[_Match], likeness: Likeness
) -> list[Hit]:
    """Put words to the ids."""
    rows = catalogue.clip_rows([match.clip_id for match in matches])
    scores = np.array([match.score for match in matches], np.float32)
    shares = view.background(likeness).share_above(scores)
    return [
        _hit(rank, rows[match.clip_id], match, query, likeness, share)
        for rank, (match, share) in enumerate(zip(matches, shares, strict=True), start=1)
    ]


def _hit(
    rank: int, row: ClipRow, match: _Match, query: Query, likeness: Likeness, share: float | None
) -> Hit:
    asked, run = query.clips[match.query_row], match.segment
    told: dict[str, Any] = {
        "rank": rank,
        "clip_id": row.clip_id,
        "video_id": row.video_id,
        "score": match.score,
        "path": row.locations[0],
        "locations": row.locations,
        "labels": row.labels,
        "likeness": likeness,
        "query_problem": query.problem,
        "background_share": share,
    }
    if run is None:
        return Hit(
            **told,
            start_seconds=row.start_seconds,
            end_seconds=row.end_seconds,
            query_start_seconds=asked.start_seconds if asked else None,
            query_end_seconds=asked.end_seconds if asked else None,
        )
    return Segment(
        **told,
        start_seconds=run.start_seconds,
        end_seconds=run.end_seconds,
        query_start_seconds=run.query_start_seconds,
        query_end_seconds=run.query_end_seconds,
        num_clips=run.num_clips,
    )
