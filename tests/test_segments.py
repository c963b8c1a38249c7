"""Spans of one video are found in another, held against drawn films of which all is known."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vidx.segment_search import Found, Nearest, search_segments
from vidx.segments import Track, align, similarities
from vidx.store.catalogue import Catalogue
from vidx.views import View

DIM, WINDOW, MOMENT = 256, 2.0, 0.25  # seconds
FLOOR = 0.4


@dataclass
class Film:
    """What is shown at each moment; a clip's vector is the mean over its window."""

    moments: NDArray[np.float64]

    @property
    def seconds(self) -> float:
        return len(self.moments) * MOMENT

    def part(self, start: float, end: float) -> Film:
        return Film(self.moments[round(start / MOMENT) : round(end / MOMENT)])

    def clips(self, stride: float = WINDOW) -> Track:
        last = max(self.seconds - WINDOW, 0.0)
        starts = np.arange(0.0, last + 1e-9, stride)
        if last - starts[-1] > 1e-9:
            starts = np.append(starts, last)
        means = [self.part(start, start + WINDOW).moments.mean(axis=0) for start in starts]
        vectors = np.array(means)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        ends = np.minimum(starts + WINDOW, self.seconds)
        return Track(starts, ends, vectors.astype(np.float32))


def film(seed: int, seconds: float) -> Film:
    return Film(np.random.default_rng(seed).standard_normal((round(seconds / MOMENT), DIM)))


def spliced(*parts: Film) -> Film:
    return Film(np.concatenate([part.moments for part in parts]))


@settings(deadline=None, derandomize=True)
@given(
    before=st.integers(0, 24),
    after=st.integers(0, 24),
    start=st.integers(0, 40),
    length=st.integers(24, 60),
    stride=st.sampled_from([0.5, 1.0, WINDOW]),
    seed=st.integers(0, 1000),
)
def test_a_cut_is_found_where_it_was_and_where_it_is(
    before: int, after: int, start: int, length: int, stride: float, seed: int
) -> None:
    stored = film(seed, 30.0)
    cut = start * MOMENT, min((start + length) * MOMENT, stored.seconds)
    query = spliced(
        film(seed + 1, before * MOMENT), stored.part(*cut), film(seed + 2, after * MOMENT)
    )
    first, *others = align(query.clips(stride), stored.clips(), FLOOR)
    asked = before * MOMENT, before * MOMENT + cut[1] - cut[0]
    assert (first.start_seconds, first.end_seconds) == pytest.approx(cut, abs=WINDOW)
    assert (first.query_start_seconds, first.query_end_seconds) == pytest.approx(asked, abs=WINDOW)
    assert 0 <= first.query_start_seconds < first.query_end_seconds <= query.seconds
    assert 0 <= first.start_seconds < first.end_seconds <= stored.seconds
    assert FLOOR < first.score <= 1
    assert all(other.evidence <= first.evidence / 2 for other in others)


def test_a_whole_video_matches_itself_from_end_to_end() -> None:
    whole = film(1, 21.0).clips()
    first = align(whole, whole, FLOOR)[0]
    assert first.score == pytest.approx(1, abs=1e-6)
    assert (first.query_start_seconds, first.query_end_seconds) == (0, 21)
    assert (first.start_seconds, first.end_seconds) == (0, 21)
    assert first.num_clips == len(whole.starts)
    assert first.query_place == first.stored_place


def test_a_span_shown_twice_is_two_segments() -> None:
    stored, shared = film(3, 20.0), film(4, 8.0)
    query = spliced(film(5, 5.0), shared, film(6, 7.0), shared, film(7, 3.0))
    found = align(query.clips(0.5), spliced(stored, shared).clips(), FLOOR)[:2]
    begins = sorted(one.query_start_seconds for one in found)
    assert begins == pytest.approx([5.0, 20.0], abs=WINDOW)
    assert [one.start_seconds for one in found] == pytest.approx([20.0] * 2, abs=WINDOW)


def test_a_hole_of_one_clip_does_not_part_a_segment() -> None:
    stored = film(8, 24.0)
    query = spliced(stored.part(0, 8), film(9, 2.0), stored.part(10, 24))
    first = align(query.clips(), stored.clips(), FLOOR)[0]
    assert (first.query_start_seconds, first.query_end_seconds) == (0, 24)


def test_a_long_hole_parts_it() -> None:
    stored = film(8, 24.0)
    query = spliced(stored.part(0, 8), film(9, 8.0), stored.part(16, 24))
    found = align(query.clips(), stored.clips(), FLOOR)
    assert first_spans(found, 1) in ([(0, 8)], [(16, 24)])


def first_spans(found: list, count: int) -> list[tuple[float, float]]:
    return [(one.query_start_seconds, one.query_end_seconds) for one in found[:count]]


def test_other_footage_gives_nothing() -> None:
    assert align(film(1, 20.0).clips(), film(2, 20.0).clips(), FLOOR) == []


def test_a_video_shorter_than_a_clip_is_a_segment() -> None:
    short = film(1, 1.0)
    query = spliced(film(2, 4.0), film(1, 2.0), film(3, 4.0))
    query.moments[16:20] = query.moments[20:24] = short.moments
    [first] = align(query.clips(0.5), short.clips(), FLOOR)[:1]
    assert first.end_seconds <= 1.0
    assert first.query_start_seconds == pytest.approx(4.0, abs=WINDOW)


def test_a_window_between_two_stored_clips_is_like_both() -> None:
    stored = film(1, 8.0)
    shifted = stored.part(1.0, 7.0).clips()
    at_offset, elsewhere = similarities(
        shifted, stored.clips(), np.array([1.0, 5.0]), shifted.vectors @ stored.clips().vectors.T
    )
    best_alone = (shifted.vectors @ stored.clips().vectors.T).max(axis=1)
    assert (at_offset > best_alone + 0.05).all()
    assert (at_offset > 0.6).all()
    assert (elsewhere < 0.5).all()


def test_what_is_like_a_cut_alone_counts_less() -> None:
    stored, query = film(1, 20.0).clips(), film(1, 20.0).clips(0.5)
    marked = Track(query.starts, query.ends, query.vectors, np.ones(len(query.starts), np.bool_))
    plain, less = (align(track, stored, FLOOR)[0] for track in (query, marked))
    assert less.evidence == pytest.approx(plain.evidence / 2)
    assert less.score == plain.score


def test_several_clips_that_match_go_before_one_that_is_closer() -> None:
    query = film(1, 8.0)
    noise = np.sqrt(3) * film(2, 8.0).moments  # similarities of a half
    throughout = Film(query.moments + noise).clips()
    once = spliced(film(3, 8.0), query.part(2.0, 4.0), film(4, 8.0)).clips()
    several, one = searched(query.clips(0.5), throughout, once)
    assert several.row < len(throughout.starts) <= one.row
    assert several.alignment.score < one.alignment.score


def searched(query: Track, *stored: Track) -> list[Found]:
    """The best span of each stored video, in the order in which a search tells them."""
    vectors = np.concatenate([track.vectors for track in stored])
    spans = [span for track in stored for span in zip(track.starts, track.ends, strict=True)]
    index = SimpleNamespace(
        videos=lambda: np.repeat(np.arange(len(stored)), [len(one.starts) for one in stored]),
        of_rows=lambda rows: SimpleNamespace(ids=rows),
        vectors_of=lambda rows, _: vectors[rows],
    )
    background = SimpleNamespace(score_of=lambda *_: FLOOR)
    view = SimpleNamespace(index=index, background=lambda _: background)
    catalogue = SimpleNamespace(clip_spans=lambda ids: {row: spans[row] for row in ids})
    near = Nearest(
        query.vectors @ vectors.T, np.tile(np.arange(len(vectors)), (len(query.starts), 1))
    )
    found = search_segments(cast(Catalogue, catalogue), cast(View, view), query, near, 99, None)
    owners = index.videos()
    firsts = {int(owners[one.row]): one for one in reversed(found)}
    return sorted(firsts.values(), key=found.index)


def test_every_span_has_a_length_however_short_the_clips_are() -> None:
    vectors = film(5, 2.0).clips().vectors[:1]
    flash = Track(np.zeros(1), np.full(1, 0.25), vectors)
    for start in np.arange(0, 4, 0.25):
        other = Track(
            np.array([start, start + 2]), np.array([start + 2, start + 4]), vectors[[0, 0]]
        )
        for one, two in ((flash, other), (other, flash)):
            assert all(run.seconds > 0 for run in align(one, two, FLOOR))
