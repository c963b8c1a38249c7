"""A course comes to its end in time, whatever its steps take, and goes on with the rest."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from vidx.training.course import SAVE_SECONDS, Clock, Course


@dataclass
class FakeClock:
    seconds: float = 0.0


def went_through(
    course: Course, clock: FakeClock, *, step: float, save: float, saves: int = 1000
) -> tuple[list[float], list[float]]:
    """Go on until the end or some saves; gives the positions of steps and the times of saves."""
    positions, saved, number = [], [], course.done
    while not course.ended and len(saved) < saves:
        positions.append(course.position(number))
        clock.seconds += step
        number += 1
        course.went()
        position = course.position(number)
        if course.due(number, position):
            began = clock.seconds
            clock.seconds += save
            course.saved(number, position, began)
            saved.append(clock.seconds)
    return positions, saved


@pytest.mark.parametrize(("step", "save"), [(0.1, 1.0), (1.0, 4.0), (7.0, 15.0), (0.02, 0.1)])
def test_a_course_ends_at_its_schedules_end_and_within_its_time(step: float, save: float) -> None:
    clock = FakeClock()
    course = Course(100_000, until=500.0, clock=clock)
    positions, _ = went_through(course, clock, step=step, save=save)
    assert course.reached == 100_000
    assert 500 - 3 * (step + save) < clock.seconds <= 500
    assert positions == sorted(positions)
    assert positions[-1] > 100_000 * (1 - 4 * (step + save) / 500)


def test_a_course_with_fewer_steps_than_time_ends_with_them() -> None:
    clock = FakeClock()
    course = Course(50, until=500.0, clock=clock)
    positions, _ = went_through(course, clock, step=1.0, save=2.0)
    assert len(positions) == course.done == 50
    assert clock.seconds < 60


def test_one_step_is_done_however_short_the_time_is() -> None:
    clock = FakeClock()
    course = Course(50, until=0.5, clock=clock)
    assert len(went_through(course, clock, step=10.0, save=1.0)[0]) == 1
    assert course.ended


def test_where_time_is_short_a_save_comes_every_two_minutes_and_one_at_once() -> None:
    clock = FakeClock()
    course = Course(100_000, until=500.0, clock=clock)
    _, saved = went_through(course, clock, step=0.5, save=5.0)
    assert saved[0] == 5.5
    assert max(late - early for early, late in pairwise(saved)) < 120
    assert len(saved) <= 2 + 500 / SAVE_SECONDS


def test_a_course_goes_on_with_the_rest_of_its_time_where_it_was() -> None:
    clock = FakeClock()
    course = Course(100_000, until=500.0, clock=clock)
    positions, saved = went_through(course, clock, step=0.5, save=5.0, saves=3)
    state = course.state_dict(course.reached, saved[-1] - 5.0)
    assert (state["seconds"], state["saving"]) == (saved[-1], 5.0)

    later = FakeClock(state["seconds"])
    after = Course(100_000, until=500.0, clock=later)
    after.load_state_dict(course.done, state)
    more, _ = went_through(after, later, step=0.5, save=5.0)
    assert more[0] == pytest.approx(positions[-1], abs=200)
    assert after.reached == 100_000
    assert 480 < later.seconds <= 500


def test_without_a_time_the_position_is_the_step_and_saves_come_evenly() -> None:
    course = Course(100)
    assert [course.position(step) for step in (0, 7, 100)] == [0, 7, 100]
    due = [step for step in range(1, 101) if course.due(step, step)]
    assert due == list(range(2, 101, 2))


def test_a_clock_goes_on_from_what_was_spent() -> None:
    assert 100 <= Clock(100.0).seconds < 101
