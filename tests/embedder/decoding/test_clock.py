"""Promises of the clock: seconds from the first frame, whatever the timestamps are like."""

import pytest

from vidx.embedder.decoding.clock import Clock, unrounded

Stamps = list[tuple[int | None, int | None]]


def times(stamps: Stamps, longest_step: float = 3600.0) -> list[float | None]:
    clock = Clock(time_base=0.1, frame_seconds=0.1, longest_step=longest_step)
    seen = [clock.time(pts, dts) for pts, dts in stamps]
    return [None if time is None else round(time, 6) for time in seen]


@pytest.mark.parametrize("first", [0, 83, -77])
def test_time_begins_with_the_first_frame(first: int) -> None:
    assert times([(first, None), (first + 2, None), (first + 3, None)]) == [0, 0.2, 0.3]
    clock = Clock(0.1, 0.1, 3600)
    clock.time(first, None)
    assert clock.first_timestamp_seconds == pytest.approx(first / 10)


def test_frames_without_timestamps_follow_at_the_nominal_rate() -> None:
    assert times([(None, None)] * 3) == [0, 0.1, 0.2]
    assert times([(None, None), (None, None), (7, None), (9, None)]) == [0, 0.1, 0.2, 0.4]
    assert times([(0, None), (1, None), (None, None), (3, None)]) == [0, 0.1, 0.2, 0.3]


def test_a_container_without_a_time_scale_counts_frames() -> None:
    clock = Clock(time_base=0.0, frame_seconds=0.04, longest_step=3600)
    assert [clock.time(5, 5), clock.time(5, 5)] == [0.0, 0.04]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.033, 1 / 30), (0.034, 1 / 30), (0.03, 0.03), (0.1, 0.1)]
)
def test_a_duration_rounded_to_milliseconds_is_the_nominal_one(
    seconds: float, expected: float
) -> None:
    assert unrounded(seconds, 1 / 30) == expected
    assert Clock(0.001, 1 / 30, 3600).duration(0, round(seconds * 1000)) == expected


def test_a_long_still_picture_is_no_seam() -> None:
    assert times([(0, None), (1500, None), (1501, None)]) == [0, 150, 150.1]


def test_joined_streams_go_on_where_the_first_ends() -> None:
    assert times([(50, None), (51, None), (0, None), (1, None)]) == [0, 0.1, 0.2, 0.3]
    assert times([(0, None), (1, None), (900, None), (901, None)], 10.0) == [0, 0.1, 0.2, 0.3]


def test_a_frame_that_comes_out_of_order_is_never_shown() -> None:
    assert times([(0, None), (2, None), (1, None), (3, None)]) == [0, 0.2, None, 0.3]


REORDERED: Stamps = [(1, 2), (2, 3), (4, 4), (3, 5), (6, 6), (5, 7), (7, None), (8, None)]


def test_a_container_without_presentation_times_goes_by_decoding_times() -> None:
    clock = Clock(time_base=0.1, frame_seconds=0.1, longest_step=3600, has_pts=False)
    shown = [clock.time(pts, dts) for pts, dts in REORDERED]
    assert shown == pytest.approx([n / 10 for n in range(8)])


def test_presentation_times_that_step_back_are_not_believed_again() -> None:
    shown = times([(0, 0), (1, 1), (9, 9), (2, 10), (10, 11), (3, 12), (13, 13)])
    assert shown == [0, 0.1, 0.9, 1.0, 1.1, 1.2, 1.3]


def test_durations_that_mean_nothing_are_replaced_by_the_nominal_one() -> None:
    clock = Clock(time_base=0.1, frame_seconds=0.04, longest_step=3600)
    assert clock.duration(0, 3) == pytest.approx(0.3)
    for pts, duration in [(None, 3), (0, 0), (0, None), (0, -5), (0, 10**9)]:
        assert clock.duration(pts, duration) == 0.04
