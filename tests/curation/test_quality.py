"""Quality: poor clips by their facts, and which limits hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_collections import commit, draw_video

import vidx
from vidx.errors import UsageError
from vidx.records import Clip
from vidx.store.layout import Layout
from vidx.views import extend_index

COLUMNS = ["clip_id", "video_id", "path", "start_seconds", "end_seconds", "issue", "value", "limit"]
GOOD = {"brightness": 0.5, "contrast": 0.2, "sharpness": 200.0, "motion": 0.1}
GOOD |= {"black_share": 0.0, "frozen_share": 0.0}
POOR = {  # by clip_id
    0: {"black_share": 0.75, "motion": 0.0, "sharpness": 0.0, "frozen_share": 1.0},
    1: {"black_share": 1.0, "motion": 0.0, "sharpness": 0.0},
    2: {"frozen_share": 1.0, "motion": 0.0},
    3: {"motion": 0.001},
    4: {"sharpness": 3.0},
    5: {"sharpness": 2.0},
}


@pytest.fixture(scope="module")
def collection(tmp_path_factory) -> vidx.Collection:
    layout = Layout(tmp_path_factory.mktemp("quality") / "collection")
    commit(layout, measured("poor", 7, POOR, last_seconds=0.5), measured("good", 20, {}))
    made = vidx.open(layout.root)
    extend_index(made._catalogue())
    return made


def measured(name: str, clips: int, poor: dict, last_seconds: float = 2):
    video = draw_video(name, clips)
    facts = tuple(
        replace(one, **{**GOOD, **poor.get(number, {})})
        for number, one in enumerate(video.embedded.facts)
    )
    *before, last = video.embedded.clips
    spans = (*before, Clip(last.start_seconds, last.start_seconds + last_seconds))
    return replace(video, embedded=replace(video.embedded, facts=facts, clips=spans))


def told(table) -> list[tuple[int, str]]:
    return [(row["clip_id"], row["issue"]) for row in table.to_pylist()]


def test_each_issue_is_told_the_worst_first_and_what_follows_is_not(collection) -> None:
    found = collection.quality()
    assert found.column_names == COLUMNS
    assert told(found) == [
        (1, "black"),
        (0, "black"),
        (2, "frozen"),
        (3, "static"),
        (5, "blurred"),
        (4, "blurred"),
        (6, "short"),
    ]
    last = found.to_pylist()[-1]
    assert (last["value"], last["limit"]) == pytest.approx((0.5, 1))


def test_limits_are_relative_to_all_clips_or_as_they_are_given(collection) -> None:
    limits = {row["issue"]: row["limit"] for row in collection.quality().to_pylist()}
    assert limits == pytest.approx(
        {"black": 0.5, "frozen": 0.5, "static": 0.005, "blurred": 20, "short": 1}
    )
    part = collection.where("clip_id in (3, 4, 5)")
    assert told(part.quality()) == [(3, "static"), (5, "blurred"), (4, "blurred")]
    given = part.quality(static=0.0, blurred=2.5, short=3)
    assert told(given) == [(5, "blurred"), (3, "short"), (4, "short"), (5, "short")]


def test_good_clips_are_no_row(collection) -> None:
    assert collection.where("clip_id > 6").quality().num_rows == 0


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(collection, wrong: float) -> None:
    with pytest.raises(UsageError, match="a number of 0 or more"):
        collection.quality(blurred=wrong)
