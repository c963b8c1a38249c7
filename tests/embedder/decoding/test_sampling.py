"""Promises of the cut of a video into clips."""

import itertools
import math

import numpy as np
import pytest

from vidx.embedder.decoding.sampling import (
    Plan,
    Sampling,
    at_shots,
    clip_at_end,
    clip_spans,
    clips_within,
    frame_times,
    num_clips_until,
)
from vidx.errors import UsageError, VideoError
from vidx.records import Clip, Problem, Span

TWO_SECONDS = Sampling(num_frames=4, fps=2.0)


def spans(duration: float, plan: Plan | None = None) -> list[tuple[float, float]]:
    clips = clip_spans(duration, TWO_SECONDS, plan or Plan())
    return [(round(c.start_seconds, 4), round(c.end_seconds, 4)) for c in clips]


def test_sixteen_frames_at_seven_and_a_half_a_second_are_the_default() -> None:
    assert Sampling() == Sampling(num_frames=16, fps=7.5)
    assert Sampling().window_seconds == pytest.approx(2.1333, abs=1e-4)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0.04, [(0, 0.04)]),
        (1.9, [(0, 1.9)]),
        (2.0, [(0, 2)]),
        (3.0, [(0, 2), (1, 3)]),
        (4.0, [(0, 2), (2, 4)]),
        (4.5, [(0, 2), (2, 4), (2.5, 4.5)]),
    ],
)
def test_windows_stand_back_to_back_and_the_last_ends_with_the_video(
    duration: float, expected: list[tuple[float, float]]
) -> None:
    assert spans(duration) == expected


@pytest.mark.parametrize("rounding", [-0.0009, 0.0009])
def test_a_containers_rounding_to_milliseconds_changes_no_cut(rounding: float) -> None:
    assert spans(4.0 + rounding) == spans(4.0)
    assert len(spans(4.0 + 2 * rounding)) == (3 if rounding > 0 else 2)


@pytest.mark.parametrize(
    ("stride", "duration", "expected"),
    [
        (1.0, 4.0, [(0, 2), (1, 3), (2, 4)]),
        (1.0, 4.5, [(0, 2), (1, 3), (2, 4), (2.5, 4.5)]),
        (10.0, 9.0, [(0, 2)]),
        (10.0, 11.0, [(0, 2), (9, 11)]),
        (10.0, 12.0, [(0, 2), (10, 12)]),
    ],
)
def test_a_stride_sets_the_windows_apart(
    stride: float, duration: float, expected: list[tuple[float, float]]
) -> None:
    assert spans(duration, Plan(stride_seconds=stride)) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (1.0, 6.0, [(1, 3), (3, 5), (4, 6)]),
        (8.5, 99.0, [(8.5, 10)]),
        (3.0, 4.0, [(3, 4)]),
        (7.0, None, [(7, 9), (8, 10)]),
    ],
)
def test_a_span_is_cut_like_a_video_that_is_cut_off_at_its_end(
    start: float, end: float | None, expected: list[tuple[float, float]]
) -> None:
    assert spans(10.0, Plan(start_seconds=start, end_seconds=end)) == expected


def test_every_duration_is_covered_from_its_start_to_its_end() -> None:
    for duration in np.random.default_rng(0).uniform(0.01, 30, 300):
        cut = spans(float(duration))
        assert cut[0][0] == 0
        assert cut[-1][1] == pytest.approx(duration, abs=0.001)
        assert all(later[0] <= earlier[1] for earlier, later in itertools.pairwise(cut))


def test_windows_can_be_taken_before_the_end_is_known() -> None:
    windows = clips_within(math.inf, TWO_SECONDS, Plan())
    assert [next(windows) for _ in range(3)] == [Clip(0, 2), Clip(2, 4), Clip(4, 6)]


def test_a_span_after_the_end_names_the_duration() -> None:
    with pytest.raises(VideoError, match=r"12.*ends at 10\.000 s"):
        clip_spans(10.0, TWO_SECONDS, Plan(start_seconds=12))


SEVERAL = Plan.of_spans(None, [Span(1, 4.5), Span(4.5, 5), Span(7, 9), Span(9.5, None)])


def test_several_spans_are_cut_each_by_itself() -> None:
    of_each = [
        span
        for one in SEVERAL.spans
        for span in spans(20.0, Plan(None, one.start_seconds, one.end_seconds))
    ]
    expected = [(1, 3), (2.5, 4.5), (4.5, 5), (7, 9)]
    assert spans(20.0, SEVERAL) == of_each
    assert of_each[:4] == expected
    assert spans(8.5, SEVERAL) == [*expected[:3], (7, 8.5)]


def test_spans_after_the_end_are_passed_over_and_told() -> None:
    assert spans(6.0, SEVERAL) == [(1, 3), (2.5, 4.5), (4.5, 5)]
    told = "2 of 4 spans start too late, the first of them at 7 s: the video ends at 6.000 s"
    assert SEVERAL.beyond(6.0) == Problem("span_beyond_end", told)
    assert SEVERAL.beyond(9.6) is None
    with pytest.raises(VideoError, match="4 of 4 spans"):
        clip_spans(0.9, TWO_SECONDS, SEVERAL)


@pytest.mark.parametrize(("duration", "last"), [(9.0, None), (8.5, Clip(7, 8.5)), (6.0, None)])
def test_the_clip_that_ends_with_the_video_is_known_apart(
    duration: float, last: Clip | None
) -> None:
    """All others are the same, however long the video is."""
    assert clip_at_end(duration, TWO_SECONDS, SEVERAL) == last
    endless = itertools.islice(clips_within(math.inf, TWO_SECONDS, SEVERAL), 20)
    whole = [clip for clip in endless if clip.end_seconds <= duration]
    assert clip_spans(duration, TWO_SECONDS, SEVERAL) == whole + ([last] if last else [])


def test_clips_are_counted_over_all_spans() -> None:
    starts = [clip.start_seconds for clip in clip_spans(20.0, TWO_SECONDS, SEVERAL)][:-1]
    counted = [num_clips_until(start, TWO_SECONDS, SEVERAL) for start in starts]
    assert counted == [number + 1 for number in range(len(starts))]


@pytest.mark.parametrize(
    ("cuts", "expected"),
    [
        ([], [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]),
        ([3.0], [(0, 2), (1, 3), (3, 5), (5, 7), (7, 9), (8, 10)]),
        ([1.0, 9.0], [(0, 1), (1, 3), (3, 5), (5, 7), (7, 9), (9, 10)]),
        ([0.4, 9.6], [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]),  # hardly shots
    ],
)
def test_each_shot_is_cut_as_if_it_were_a_video(
    cuts: list[float], expected: list[tuple[float, float]]
) -> None:
    assert spans(10.0, at_shots(cuts, 10.0, Plan(segment="shots"))) == expected


def test_shots_of_spans_begin_and_end_with_them() -> None:
    plan = Plan.of_spans(None, [Span(2.0, 6.0), Span(8.0, 12.0), Span(20.0, None)], "shots")
    expected = [Span(2.0, 4.0), Span(4.0, 6.0), Span(8.0, 9.0), Span(9.0, 12.0), Span(20.0, None)]
    assert at_shots([1.0, 4.0, 9.0], 10.0, plan) == Plan.of_spans(None, expected)


def test_frames_of_a_whole_window_are_evenly_spaced_from_its_start() -> None:
    assert frame_times(Clip(3, 5), TWO_SECONDS).tolist() == [3.0, 3.5, 4.0, 4.5]


def test_frames_of_a_short_clip_stand_in_the_middle_of_equal_parts() -> None:
    assert frame_times(Clip(1, 1.8), TWO_SECONDS) == pytest.approx([1.1, 1.3, 1.5, 1.7])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sampling(num_frames=0),
        lambda: Sampling(fps=0),
        lambda: Sampling(fps=math.nan),
        lambda: Sampling(fps=1e6),
        lambda: Sampling(num_frames=1, fps=1000),
        lambda: Plan(stride_seconds=0),
        lambda: Plan(stride_seconds=math.inf),
        lambda: Plan(stride_seconds=0.0001),
        lambda: Plan(start_seconds=-1),
        lambda: Plan(start_seconds=5, end_seconds=5),
        lambda: Plan(end_seconds=math.nan),
        lambda: Plan.of_spans(None, [Span(0, 3), Span(2, 4)]),
        lambda: Plan.of_spans(None, [Span(3, 4), Span(0, 2)]),
        lambda: Plan.of_spans(None, [Span(0, None), Span(2, 4)]),
        lambda: Plan.of_spans(None, [Span(0, 1), Span(4, 3)]),
    ],
)
def test_values_that_make_no_cut_are_refused(make: object) -> None:
    with pytest.raises(UsageError):
        make()  # type: ignore[operator]


def test_a_clip_too_short_to_mean_anything_names_the_highest_rate() -> None:
    with pytest.raises(UsageError, match=r"1000000\.0 a second.*\n.*fewer than 16000 frames"):
        Sampling(fps=1e6)
    assert len(clip_spans(0.1, Sampling(fps=15999), Plan())) == 100


def test_the_digest_tells_cuts_apart_and_only_those() -> None:
    sampling = Sampling()
    plans = [
        Plan(),
        Plan(stride_seconds=1.0),
        Plan(start_seconds=1.0),
        Plan(end_seconds=1.0),
        Plan(start_seconds=0.5, end_seconds=1.0),
        Plan.of_spans(None, [Span(0.5, 1.0), Span(2.0, 3.0)]),
        Plan.of_spans(None, [Span(0.5, 1.0), Span(2.0, 4.0)]),
    ]
    plans.append(Plan(segment="shots"))
    digests = {plan.digest(sampling) for plan in plans}
    assert len(digests) == len(plans)
    assert Plan(stride_seconds=sampling.window_seconds).digest(sampling) == Plan().digest(sampling)
    assert Plan().digest(Sampling(fps=5)) != Plan().digest(sampling)
    # Stored in catalogues: it must stay.
    assert Plan().digest(sampling) == "6b47b98b654a7a4d"
