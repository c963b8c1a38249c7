"""A whole query against the collection: the stored videos' spans that match spans of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidx.records import Clip
from vidx.segments import Alignment, Track, align
from vidx.store.catalogue import Catalogue
from vidx.views import View

STRIDES = 4  # clips of a query in the time of one, so that some lie in time as stored ones do
NEAREST = 100  # stored clips that each clip of a query speaks for
MORE_VIDEOS = 32  # looked at closely beside those that are wanted
FLOOR_SHARE = 0.01  # of random pairs of clips are closer than what counts as nothing
FLOOR = 0.15  # and in a collection that is too small to tell


class Nearest(NamedTuple):
    """What the index says of a query's clips.

    Attributes:
        scores: Float32, shape (m, n), best first.
        rows: Int64, shape (m, n); -1 where there are no more.
    """

    scores: NDArray[np.float32]
    rows: NDArray[np.int64]


class Found(NamedTuple):
    """A match; the stored clip that is closest to a clip of the query, and that clip."""

    alignment: Alignment
    row: int
    query_row: int


def floor(view: View) -> float:
    """The similarity up to which clips are nothing to each other, as copies."""
    return view.background("copy").score_of(FLOOR_SHARE, FLOOR)


def search_segments(
    catalogue: Catalogue,
    view: View,
    query: Track,
    near: Nearest,
    k: int,
    allowed: NDArray[np.bool_] | None,
) -> list[Found]:
    """Find the spans of stored videos that match spans of a query.

    Args:
        catalogue: Tells the times of clips, at the view's commit.
        view: All vectors.
        query: Its clips, with vectors as copies are compared.
        near: The stored clips that are closest to them as copies.
        k: Segments wanted.
        allowed: Which rows may match, shape (rows,); None allows all.

    Returns:
        At most k, the strongest first.
    """
    owners, least = view.index.videos(), floor(view)
    videos = _videos(near, owners, least)[: k + MORE_VIDEOS]
    is_theirs = np.isin(owners, videos)
    rows = np.flatnonzero(is_theirs if allowed is None else is_theirs & allowed)
    found = []
    for video in videos:
        own, stored = _stored(catalogue, view, rows[owners[rows] == video])
        found += [
            Found(one, int(own[one.stored_place]), one.query_place)
            for one in align(query, stored, least)
        ]
    return sorted(found, key=lambda one: (-_strength(one.alignment), one.row))[:k]


def _strength(run: Alignment) -> float:
    """Evidence, times the stored clips that bear each other out.

    One clip can be like another by chance, as still scenes are; several at one offset seldom are.
    """
    return run.evidence * run.witnesses


def _videos(near: Nearest, owners: NDArray[np.int32], least: float) -> NDArray[np.int64]:
    """The videos by how much the clips of the query speak for them, most first."""
    asked, place = np.nonzero((near.rows >= 0) & (near.scores > least))
    videos = owners[near.rows[asked, place]].astype(np.int64)
    # Of each query clip and video the first pair alone, which is the best.
    _, first = np.unique(np.stack([asked, videos]), axis=1, return_index=True)
    names, which = np.unique(videos[first], return_inverse=True)
    votes = np.bincount(which, near.scores[asked, place][first] - least, minlength=len(names))
    ordered: NDArray[np.int64] = names[np.argsort(-votes, kind="stable")]
    return ordered


def _stored(
    catalogue: Catalogue, view: View, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Track]:
    """A video's rows in time order, and its clips."""
    spans = catalogue.clip_spans(view.index.of_rows(rows).ids.tolist())
    clips = [Clip(*span) for span in spans.values()]
    order = np.argsort([clip.start_seconds for clip in clips], kind="stable")
    vectors = view.index.vectors_of(rows[order], "copy")
    return rows[order], track([clips[place] for place in order], vectors)


def track(
    clips: Sequence[Clip], vectors: NDArray[np.float32], cuts: NDArray[np.bool_] | None = None
) -> Track:
    """Clips in time order, their vectors, and which of them show a cut."""
    starts = np.array([clip.start_seconds for clip in clips])
    return Track(starts, np.array([clip.end_seconds for clip in clips]), vectors, cuts)
