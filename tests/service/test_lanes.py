"""Lanes answer what waits as one, and refuse what is too much."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from vidx.errors import UsageError, VidxError
from vidx.service.disk_cache import DiskCache
from vidx.service.lanes import Desk, Lane, in_time
from vidx.service.problems import Refused


class Teller:
    """Answers with the double of each number, once it is let; of 0 with an error."""

    def __init__(self) -> None:
        self.lots: list[list[int]] = []
        self.let = threading.Event()
        self.begun = threading.Event()

    def answer(self, asked: Sequence[int]) -> list[int | VidxError]:
        self.lots.append(list(asked))
        self.begun.set()
        self.let.wait(20)
        return [UsageError("none") if one == 0 else 2 * one for one in asked]


def test_what_comes_in_meanwhile_is_answered_as_one_and_an_error_is_ones_own() -> None:
    teller = Teller()
    lane: Lane[int, int] = Lane(teller.answer, most_together=3, most_waiting=10)
    first = lane.ask(1)
    assert teller.begun.wait(20)
    rest = [lane.ask(number) for number in (2, 0, 3, 4)]
    teller.let.set()
    assert [one.result(20) for one in (first, rest[0], rest[2], rest[3])] == [2, 4, 6, 8]
    with pytest.raises(UsageError):
        rest[1].result(20)
    assert teller.lots == [[1], [2, 0, 3], [4]]
    lane.close()


def test_a_line_that_is_too_long_is_refused_and_the_end_answers_what_waits() -> None:
    teller = Teller()
    lane: Lane[int, int] = Lane(teller.answer, most_together=1, most_waiting=2)
    asked = [lane.ask(1)]
    assert teller.begun.wait(20)
    asked += [lane.ask(2), lane.ask(3)]
    with pytest.raises(Refused) as refused:
        lane.ask(4)
    assert (refused.value.status_code, refused.value.name) == (503, "busy")
    teller.let.set()
    assert [one.result(20) for one in asked] == [2, 4, 6]
    lane.close()


def test_what_nobody_waits_for_any_more_is_not_asked() -> None:
    teller = Teller()
    lane: Lane[int, int] = Lane(teller.answer, most_together=5, most_waiting=5)
    lane.ask(1)
    assert teller.begun.wait(20)
    late = lane.ask(2)
    with pytest.raises(Refused) as refused:
        asyncio.run(in_time(late, 0.05))
    assert refused.value.status_code == 504
    teller.let.set()
    lane.close()
    assert teller.lots == [[1]]


def test_a_bug_in_one_lot_ends_no_lane() -> None:
    def answer(asked: Sequence[int]) -> list[int | VidxError]:
        return [1 // one for one in asked]

    lane: Lane[int, int] = Lane(answer, most_together=5, most_waiting=5)
    with pytest.raises(ZeroDivisionError):
        lane.ask(0).result(20)
    assert lane.ask(1).result(20) == 1
    lane.close()


def test_a_desk_takes_so_much_and_no_more() -> None:
    let = threading.Event()

    async def ask() -> list[object]:
        asked = [desk.ask(lambda: let.wait(20)) for _ in range(4)]
        return await asyncio.gather(*asked, return_exceptions=True)

    desk = Desk(1, 1, 0.3)
    told = asyncio.run(ask())
    assert sorted(one.status_code for one in told if isinstance(one, Refused)) == [
        503,
        503,
        504,
        504,
    ]
    let.set()
    assert asyncio.run(desk.ask(lambda: 7)) == 7
    desk.close()


def test_what_was_made_is_kept_up_to_a_bound_and_the_latest_stays(tmp_path: Path) -> None:
    made = []

    def make(name: str) -> Path:
        return cache.get(name, lambda: made.append(name) or b"x" * 400)

    cache = DiskCache(tmp_path / "cache", 1000)
    assert make("a").read_bytes() == make("a").read_bytes()
    for name in "bcde":
        assert make(name).stat().st_size == 400
        assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) <= 1000
    assert made == list("abcde")
    make("a")
    assert made == list("abcdea")


def test_what_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1000)
    with pytest.raises(UsageError):
        cache.get("a", lambda: (_ for _ in ()).throw(UsageError("no")))
    assert not list(tmp_path.iterdir())
    assert cache.get("a", lambda: b"b").read_bytes() == b"b"
