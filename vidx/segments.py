"""Where a video shows what another one shows: spans of one and of the other. Pure computing.

A clip's vector is a mean over the time that it covers. So a window that lies between two stored
clips has nearly the vector between theirs, in the shares in which it covers them; and how much of a
window shows the match can be told from how far its similarity stays behind its neighbours'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEPS = 16  # offsets tried in the time of a clip
GUESSES = 6  # offsets of one video that are looked at closely
LEAST_COVERED = 0.25  # of a clip, by the other video
HALF = 0.5  # of the mean similarity, or of a span, is enough to belong to it
TOLERANCE_SECONDS = 0.001
CUT_WEIGHT = 0.5  # of a clip of the query that shows a cut: it is like others with a cut
STORED_WEIGHT = 2.0  # of what the stored clips say, beside what the query's say
HALF_WITNESS = 0.02  # so far above the floor a stored clip counts as half of one that matches


@dataclass(frozen=True, slots=True)
class Track:
    """The clips of one video in time order.

    Attributes:
        starts: Seconds, float64, shape (n,), ascending; n is at least 1.
        ends: Seconds, float64, shape (n,).
        vectors: Float32, shape (n, dim), of length 1.
        cuts: Which clips show a cut, shape (n,): what they are like counts less. None: unknown.
    """

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    vectors: NDArray[np.float32]
    cuts: NDArray[np.bool_] | None = None

    @property
    def window_seconds(self) -> float:
        """How long its longest clip is."""
        return float((self.ends - self.starts).max())

    def steps(self) -> NDArray[np.float64]:
        """The seconds that each clip stands for: to the next one, a whole clip at most."""
        lengths = self.ends - self.starts
        return np.minimum(np.diff(self.starts, append=np.inf), lengths)

    def weights(self) -> NDArray[np.float64]:
        """How much each clip counts."""
        cuts = np.zeros(len(self.starts), np.bool_) if self.cuts is None else self.cuts
        return np.where(cuts, CUT_WEIGHT, 1.0)


@dataclass(frozen=True, slots=True)
class Alignment:
    """A span of a query, and the span of a stored video that shows the same.

    Attributes:
        score: The mean similarity of the better half of the clips that match: of the query's, or of
            the stored ones where that is more.
        evidence: How far similarities are above the floor, times the seconds that the clips cover:
            those of the query's clips, and twice those of the stored clips within the span.
        witnesses: How many of these stored clips match, those that are hardly above the floor in
            part; 1 at least.
        query_start_seconds: Where the span of the query begins.
        query_end_seconds: Where it ends.
        start_seconds: Where the span of the stored video begins.
        end_seconds: Where it ends.
        num_clips: Clips of the query that match.
        query_place: The clip of the query that matches best, by its place.
        stored_place: The stored clip that lies nearest to it.
    """

    score: float
    evidence: float
    witnesses: float
    query_start_seconds: float
    query_end_seconds: float
    start_seconds: float
    end_seconds: float
    num_clips: int
    query_place: int
    stored_place: int

    @property
    def seconds(self) -> float:
        """How long the span is, in both videos."""
        return self.query_end_seconds - self.query_start_seconds


def align(query: Track, stored: Track, floor: float) -> list[Alignment]:
    """Find the spans of a stored video that match spans of a query.

    Args:
        query: The query's clips.
        stored: All clips of the video.
        floor: Similarity that counts as nothing.

    Returns:
        Alignments, the strongest first; of those that share most of their time in both one.
    """
    products = query.vectors @ stored.vectors.T  # (m, n)
    near = np.arange(-STEPS, STEPS + 1) * stored.window_seconds / STEPS
    found = []
    for guess in _guesses(query, stored, products, floor):
        offsets = guess + near
        of_query = similarities(query, stored, offsets, products)  # (o, m)
        of_stored = similarities(stored, query, -offsets, products.T)  # (o, n)
        runs = [
            run
            for offset, asked, held in zip(offsets.tolist(), of_query, of_stored, strict=True)
            for run in _runs(query, stored, _Shift(offset, asked, held), floor)
        ]
        found += sorted(runs, key=lambda run: -run.evidence)[:1]
    aligned = [_alignment(query, stored, run, floor) for run in found]
    # A short clip can come to lie beside the other video, nearer than the clips there are long.
    return strongest([one for one in aligned if one.seconds > TOLERANCE_SECONDS])


def strongest(found: list[Alignment]) -> list[Alignment]:
    """Leave out what shares most of its time in both videos with something stronger."""
    kept: list[Alignment] = []
    for one in sorted(found, key=lambda run: -run.evidence):
        if not any(_is_same(one, other) for other in kept):
            kept.append(one)
    return kept


def _is_same(one: Alignment, other: Alignment) -> bool:
    asked = _shared(
        (one.query_start_seconds, one.query_end_seconds),
        (other.query_start_seconds, other.query_end_seconds),
    )
    stored = (one.start_seconds, one.end_seconds), (other.start_seconds, other.end_seconds)
    return min(asked, _shared(*stored)) > HALF


def _shared(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Which share of the shorter of two spans the other one covers; below 0 where they part."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return common / max(min(one[1] - one[0], other[1] - other[0]), TOLERANCE_SECONDS)


def _guesses(
    query: Track, stored: Track, products: NDArray[np.float32], floor: float
) -> NDArray[np.float64]:
    """The offsets that most pairs of clips above the floor have, in seconds."""
    asked, held = np.nonzero(products > floor)
    if not len(asked):
        return np.empty(0)
    width = stored.window_seconds / 2
    offsets = stored.starts[held] - query.starts[asked]
    bins = np.round((offsets - offsets.min()) / width).astype(np.int64)
    above = (products[asked, held] - floor) * query.steps()[asked]
    votes = np.bincount(bins, above, minlength=int(bins.max()) + 3)
    votes = np.asarray(votes + (np.roll(votes, 1) + np.roll(votes, -1)) / 2)
    best = np.argsort(-votes, kind="stable")[:GUESSES]
    return np.asarray(float(offsets.min()) + best[votes[best] > 0] * width)


def similarities(
    query: Track,
    stored: Track,
    offsets: NDArray[np.float64],
    products: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Compare each clip of a query with what a stored video shows so many seconds later.

    Args:
        query: m clips.
        stored: n clips.
        offsets: Seconds, shape (o,).
        products: The similarities of their clips, shape (m, n).

    Returns:
        Float64, shape (o, m); 0 where the stored video shows next to nothing.
    """
    times = query.starts + offsets[:, None]  # (o, m)
    after = np.searchsorted(stored.starts, times, side="right")
    left, right = np.maximum(after - 1, 0), np.minimum(after, len(stored.starts) - 1)
    gap = stored.starts[right] - stored.starts[left]
    window = stored.window_seconds
    reach = np.where(gap > 0, np.minimum(gap, window), window)
    of_left = np.clip(1 - np.abs(times - stored.starts[left]) / reach, 0, 1)
    of_right = np.clip(1 - np.abs(times - stored.starts[right]) / reach, 0, 1)
    of_right = np.where(left == right, 0.0, of_right)  # at an end of the video there is one
    rows = np.arange(len(query.starts))
    product = of_left * products[rows, left] + of_right * products[rows, right]
    between = np.einsum("nd,nd->n", stored.vectors, np.roll(stored.vectors, -1, axis=0))
    between = np.where(left == right, 1.0, between[left])
    squared = of_left**2 + of_right**2 + 2 * of_left * of_right * between
    covered = of_left + of_right >= LEAST_COVERED
    found = np.where(covered, product / np.sqrt(np.where(covered, squared, 1)), 0.0)
    return np.clip(found, -1, 1)  # rounding can carry it just past 1


class _Shift(NamedTuple):
    """An offset, and how similar the clips of the query and the stored ones are at it."""

    offset: float
    asked: NDArray[np.float64]
    held: NDArray[np.float64]


class _Run(NamedTuple):
    """Matching clips of the query at one offset, and which stored clips lie within them."""

    evidence: float
    shift: _Shift
    clips: NDArray[np.int64]
    inside: NDArray[np.bool_]


def _runs(query: Track, stored: Track, shift: _Shift, floor: float) -> list[_Run]:
    """The runs of matching clips at one offset, with their evidence.

    A run may have holes of a clip's length.
    """
    matching = np.flatnonzero(shift.asked > floor)
    gaps = query.starts[matching[1:]] - query.ends[matching[:-1]]
    breaks = np.flatnonzero(gaps > query.window_seconds + TOLERANCE_SECONDS) + 1
    weights = query.weights()
    asked = np.maximum(shift.asked - floor, 0) * query.steps() * weights
    held = np.maximum(shift.held - floor, 0) * stored.steps() * STORED_WEIGHT
    held *= weights[_nearest(query.starts, stored.starts - shift.offset)]
    leeway = stored.window_seconds / STEPS
    found = []
    for run in np.split(matching, breaks) if len(matching) else []:
        begins = stored.starts >= query.starts[run[0]] + shift.offset - leeway
        inside = begins & (stored.ends <= query.ends[run[-1]] + shift.offset + leeway)
        found.append(_Run(float(asked[run].sum() + held[inside].sum()), shift, run, inside))
    return found


def _nearest(starts: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.int64]:
    """The places of the starts that are nearest to some times."""
    middles = (starts[1:] + starts[:-1]) / 2
    return np.searchsorted(middles, times)


def _alignment(query: Track, stored: Track, run: _Run, floor: float) -> Alignment:
    """A run with its bounds: a window that shows a cut to something else looks like neither."""
    scores, offset = run.shift.asked, run.shift.offset
    # A last window ends with its video: those of a video and of its trimmed copy are alike by far,
    # and of so few the better half would leave out all others.
    matching = run.clips[scores[run.clips] >= HALF * float(scores[run.clips].mean())]
    best = int(matching[scores[matching].argmax()])
    low = max(query.starts[matching[0]], stored.starts[0] - offset)
    high = min(query.ends[matching[-1]], stored.ends[-1] - offset)
    nearest = int(_nearest(stored.starts, query.starts[[best]] + offset)[0])
    return Alignment(
        score=max(_better_half(scores[run.clips]), _better_half(run.shift.held[run.inside])),
        evidence=run.evidence,
        witnesses=_witnesses(run.shift.held[run.inside] - floor),
        query_start_seconds=float(low),
        query_end_seconds=float(high),
        start_seconds=float(low + offset),
        end_seconds=float(high + offset),
        num_clips=len(matching),
        query_place=best,
        stored_place=nearest,
    )


def _witnesses(above: NDArray[np.float64]) -> float:
    above = np.maximum(above, 0)
    return max(1.0, float((above / (above + HALF_WITNESS)).sum()))


def _better_half(scores: NDArray[np.float64]) -> float:
    return float(np.sort(scores)[len(scores) // 2 :].mean()) if len(scores) else 0.0
