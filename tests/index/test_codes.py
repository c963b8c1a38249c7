"""An index with codes finds as often as it says, whatever is filtered, added or damaged."""

from __future__ import annotations

import json
import logging
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_indexes import DIM, IVF, ROWS, VECTORS, clustered, make, part, true_scores
from numpy.typing import NDArray

from vidx import index as indexes
from vidx.errors import UsageError
from vidx.index import Index, space, tuning
from vidx.index.codes import Codes
from vidx.index.exact import normalized
from vidx.options import IndexOptions
from vidx.records import IndexProgress, Likeness


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    make(folder, ROWS)
    return folder


@pytest.fixture(params=["whole lists", "codes"])
def made(made_once: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Index:
    """An index of which a search compares all of some lists, or what their codes choose."""
    if request.param == "codes":
        monkeypatch.setattr(space, "FEW_NEAR_ROWS", 0)
    return Index(made_once, "u", DIM)


@pytest.mark.parametrize("likeness", ["similar", "copy"])
def test_the_recall_that_was_asked_for_is_met_by_queries_from_outside(
    made: Index, likeness: Likeness
) -> None:
    queries = clustered(300, seed=5)
    scores, rows = made.search(queries, 10, None, likeness)
    wanted = true_scores(made, queries, 10, None, likeness)
    found = np.mean(scores >= wanted[:, -1:] - 1e-6)
    assert found >= IVF.target_recall - 0.01
    assert found < 1 or made.report(likeness).recall_at_10 > 0.98  # else nothing was left out
    exact = np.einsum(
        "md,mkd->mk",
        made.project(queries, likeness),
        made.vectors_of(rows.ravel(), likeness).reshape(*rows.shape, -1),
    )
    assert np.allclose(scores, exact, atol=1e-6)  # what is found is scored exactly


@pytest.mark.parametrize("share", [1.0, 0.9, 0.3, 0.03, 0.001, 0.0])
@pytest.mark.parametrize("likeness", ["similar", "copy"])
def test_a_filter_gives_as_many_as_there_are_and_nothing_else(
    made: Index, share: float, likeness: Likeness
) -> None:
    allowed = np.random.default_rng(3).random(ROWS) < share
    queries = clustered(40, seed=6)
    scores, rows = made.search(queries, 20, allowed, likeness)
    there = min(20, np.count_nonzero(allowed))
    assert np.count_nonzero(rows >= 0) == 40 * there
    assert allowed[rows[rows >= 0]].all()
    if there:
        wanted = true_scores(made, queries, there, allowed, likeness)
        assert np.mean(scores[:, :there] >= wanted[:, -1:] - 1e-6) >= IVF.target_recall - 0.02


def test_a_filter_that_leaves_out_all_that_is_near_a_query_still_finds_the_closest(
    made: Index,
) -> None:
    """Such as all clips but those of the query's kind: what there is lies in other lists."""
    queries, found = VECTORS[::300], []
    for query in queries:
        near = normalized(VECTORS) @ normalized(query[None])[0]
        allowed = near < np.quantile(near, 0.93)
        allowed &= np.random.default_rng(1).random(ROWS) < 0.5
        scores, rows = made.search(query[None], 10, allowed)
        assert (rows >= 0).all()
        wanted = true_scores(made, query[None], 10, allowed, "similar")
        found.append(np.mean(scores >= wanted[:, -1:] - 0.02))
    assert np.mean(found) >= IVF.target_recall


@pytest.mark.parametrize("share", [0.6, 0.3, 0.1])
def test_among_what_is_far_from_a_query_the_closest_are_found(made: Index, share: float) -> None:
    """All of it is about as far, and one bit a dimension does not tell it apart."""
    queries, found = VECTORS[::300], []
    for query in queries:
        near = normalized(VECTORS) @ normalized(query[None])[0]
        allowed = near <= np.quantile(near, share)
        scores, _ = made.search(query[None], 10, allowed)
        wanted = true_scores(made, query[None], 10, allowed, "similar")
        found.append(np.mean(scores >= wanted[:, -1:] - 1e-6))
    assert np.mean(found) >= 0.99


def test_many_neighbours_of_many_queries_are_found(made: Index) -> None:
    queries = clustered(12, seed=8)
    for k in (1, 10, 500, ROWS, ROWS + 5):
        scores, rows = made.search(queries, k)
        there = min(k, ROWS)
        assert all(len(set(row[:there])) == there for row in rows.tolist())
        assert (rows[:, there:] == -1).all()
        wanted = true_scores(made, queries, there, None, "similar")
        assert np.mean(scores[:, :there] >= wanted[:, -1:] - 1e-6) >= IVF.target_recall - 0.03


def test_one_answer_is_the_same_among_many(made: Index) -> None:
    queries = clustered(40, seed=7)
    allowed = np.random.default_rng(4).random(ROWS) < 0.5
    for mask in (None, allowed):
        _, rows = made.search(queries, 10, mask)
        alone = np.concatenate([made.search(query[None], 10, mask)[1] for query in queries])
        assert np.mean(rows == alone) > 0.99  # rounding may decide between two lists


def test_all_of_short_lists_are_compared_and_of_long_ones_what_their_codes_choose(
    made_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Index(made_once, "u", DIM)
    chosen: list[int] = []

    def candidates(self: Codes, queries: NDArray[np.float32], *asked: Any) -> NDArray[np.int64]:
        chosen.append(len(queries))
        return by_codes(self, queries, *asked)

    by_codes = Codes.candidates
    monkeypatch.setattr(Codes, "candidates", candidates)
    first, _ = opened.search(VECTORS[:30], 10)
    assert chosen == []
    num_probes = opened.header.codes["similar"].settings.num_probes
    codes = Codes.open(made_once / opened.header.codes["similar"].parts[0].file)
    lengths = [len(rows) for rows in codes.members(opened.project(VECTORS[:30]), num_probes)]
    most = int(np.median(lengths))
    monkeypatch.setattr(space, "LONG", most / space.FEW_NEAR_ROWS)
    second, _ = opened.search(VECTORS[:30], 10)
    assert len(chosen) == sum(length > most for length in lengths) > 0
    assert np.mean(first == second) >= IVF.target_recall


def test_more_numbers_of_lists_are_tried_while_their_clips_are_all_compared(
    made_once: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Index(made_once, "u", DIM)._part("similar")[0]
    assert list(tuning._numbers_of_lists(parts))[:7] == [1, 2, 3, 4, 6, 8, 12]
    monkeypatch.setattr(space, "FEW_NEAR_ROWS", 5 * ROWS / parts.num_lists)  # those of five lists
    assert list(tuning._numbers_of_lists(parts))[:5] == [1, 2, 3, 4, 8]
    monkeypatch.setattr(space, "FEW_NEAR_ROWS", 0)
    assert list(tuning._numbers_of_lists(parts))[:4] == [1, 2, 4, 8]


def test_clips_behind_the_codes_are_found_at_once_and_get_codes_when_they_are_many(
    tmp_path: Path,
) -> None:
    index = make(tmp_path, 3000)
    first = index.header
    index.extend([part(3000, 3500)], 3500, 2)
    assert index.header.codes == first.codes  # so few are compared one by one
    grown = Index(tmp_path, "u", DIM)
    grown.add_newer([part(3500, 3600)])
    for likeness in ("similar", "copy"):
        _, rows = grown.search(VECTORS[3000:3600], 1, likeness=likeness)
        assert rows[:, 0].tolist() == list(range(3000, 3600))

    index.extend([part(3500, 5600)], 5600, 3)
    assert [one.rows for one in index.header.codes.values()] == [5600, 5600]
    assert [one.trained_rows for one in index.header.codes.values()] == [3000, 3000]
    assert index.header.codes["similar"].measured == first.codes["similar"].measured
    _, rows = Index(tmp_path, "u", DIM).search(VECTORS[5000:5600], 1)
    assert rows[:, 0].tolist() == list(range(5000, 5600))
    # A reader of before has what it had, though the files it came from are gone.
    _, rows = grown.search(VECTORS[:300], 1)
    assert rows[:, 0].tolist() == list(range(300))
    assert {path.name for path in tmp_path.iterdir()} == index.header.names() | {"index.json"}


def test_codes_are_made_by_themselves_once_they_pay_and_anew_once_there_are_many_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tended(rows: int) -> dict[Likeness, int]:
        index = Index(tmp_path, "u", DIM)
        if rows > index.end_clip_id:
            index.extend([part(index.end_clip_id, rows)], rows, rows)
        index.tend_codes(lambda _step: None)
        codes = Index(tmp_path, "u", DIM).header.codes
        return {likeness: one.trained_rows for likeness, one in codes.items()}

    monkeypatch.setattr(indexes.building, "LEAST_BYTES", 1000 * DIM * 4)
    indexes.build(tmp_path, "u", DIM, [part(0, 900)], end_clip_id=900, commit=1, numbering="n")
    assert tended(900) == {}
    assert tended(1100) == {"similar": 1100, "copy": 1100}
    assert tended(1900) == {"similar": 1100, "copy": 1100}
    assert tended(2300) == {"similar": 2300, "copy": 2300}


def test_what_was_asked_for_holds_for_an_index_made_anew(tmp_path: Path) -> None:
    make(tmp_path, 1000, IndexOptions(kind="ivf", target_recall=0.8))
    indexes.build(tmp_path, "u", DIM, [part(0, 1500)], end_clip_id=1500, commit=2, numbering="n")
    index = Index(tmp_path, "u", DIM)
    assert index.header.codes == {}
    index.tend_codes(lambda _step: None)
    assert index.report().kind == "ivf"
    assert index.report().target_recall == 0.8


def test_exact_can_be_asked_for_again(tmp_path: Path) -> None:
    index = make(tmp_path, 1000)
    index.make_codes(IndexOptions(kind="exact"), lambda _step: None)
    again = Index(tmp_path, "u", DIM)
    assert (again.report().kind, again.report().recall_at_10) == ("exact", 1.0)
    assert not list(tmp_path.glob("*.faiss"))
    again.tend_codes(lambda _step: None)
    assert again.report().kind == "exact"


@pytest.mark.parametrize(
    "damage",
    ["cut", *(pytest.param(one, marks=pytest.mark.long) for one in ("lost", "empty", "other"))],
)
def test_damaged_codes_cost_time_and_one_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    index = make(tmp_path, 2000)
    path = tmp_path / index.header.codes["similar"].parts[0].file
    size = path.stat().st_size
    if damage == "lost":
        path.unlink()
    elif damage == "other":
        path.write_bytes(os.urandom(size))
    else:
        os.truncate(path, 0 if damage == "empty" else size // 2)
    opened = Index(tmp_path, "u", DIM)
    with caplog.at_level(logging.WARNING, "vidx"):
        for _ in range(2):
            scores, _ = opened.search(VECTORS[:50], 10)
    assert [record.message.count("vidx index") for record in caplog.records] == [1]
    wanted = true_scores(opened, VECTORS[:50], 10, None, "similar")
    assert np.allclose(scores, wanted, atol=1e-6)
    assert opened.check().kind == "exact"

    opened.extend([part(2000, 5000)], 5000, 2)  # an embed goes on
    opened.make_codes(IVF, lambda _step: None)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "vidx"):
        mended = Index(tmp_path, "u", DIM)
        mended.search(VECTORS[:50], 10)
    assert not caplog.records
    assert mended.check().kind == "ivf"


@pytest.mark.parametrize("num_near", [2048, 0])  # by whole lists, and by codes
def test_codes_that_name_clips_that_there_are_not_never_end_the_process(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    num_near: int,
) -> None:
    """As where bits of the disk have flipped: FAISS would read what is not there."""
    index = make(tmp_path, 2000)
    path = tmp_path / index.header.codes["similar"].parts[0].file
    content = path.read_bytes()
    for row in range(301, 2000, 2):  # smaller numbers mean other things, too
        content = content.replace(struct.pack("<q", row), struct.pack("<q", row | 1 << 40))
    path.write_bytes(content)
    monkeypatch.setattr(space, "FEW_NEAR_ROWS", num_near)
    opened = Index(tmp_path, "u", DIM)
    with caplog.at_level(logging.WARNING, "vidx"):
        for allowed in (None, np.arange(2000) % 3 > 0):
            scores, _ = opened.search(VECTORS[:50], 10, allowed)
            wanted = true_scores(opened, VECTORS[:50], 10, allowed, "similar")
            assert np.allclose(scores, wanted, atol=1e-6)
    assert ["names clips that there are not" in one.message for one in caplog.records] == [True]
    assert opened.check().kind == "exact"


@pytest.mark.parametrize("flipped", range(4))
def test_verify_tells_of_codes_that_are_not_what_was_written(tmp_path: Path, flipped: int) -> None:
    index = make(tmp_path, 2000)
    assert index.disagreements([part(0, 2000)]) == []
    path = tmp_path / index.header.codes["similar"].parts[0].file
    content = bytearray(path.read_bytes())
    content[(2 * flipped + 1) * len(content) // 8] ^= 1
    path.write_bytes(content)
    [told] = Index(tmp_path, "u", DIM).disagreements([part(0, 2000)])
    assert told.startswith(f"index: {path.name} has other bytes than it was made with")
    path.unlink()
    [told] = Index(tmp_path, "u", DIM).disagreements([part(0, 2000)])
    assert "cannot be read (No such file or directory)" in told


def test_codes_of_an_earlier_version_have_no_digest_and_are_trusted(tmp_path: Path) -> None:
    make(tmp_path, 2000)
    path = tmp_path / "index.json"
    said = json.loads(path.read_text())
    said["format_version"] = 2
    for one in said["codes"].values():
        for file in one["parts"]:
            assert len(file.pop("sha256")) == 64
    path.write_text(json.dumps(said))
    earlier = Index(tmp_path, "u", DIM)
    assert earlier.disagreements([part(0, 2000)]) == []
    assert earlier.check().kind == "ivf"


def test_a_check_tells_what_is_found_now(made: Index) -> None:
    live = np.random.default_rng(2).random(ROWS) < 0.8
    report = made.check("similar", live)
    assert report.recall_at_10 >= IVF.target_recall - 0.02
    assert 0 < report.p50_ms <= report.p99_ms
    assert (report.kind, report.clips) == ("ivf", ROWS)
    assert report.parameters.keys() == {"num_lists", "num_probes", "refine"}


def test_a_check_sees_codes_that_find_less_than_they_said(tmp_path: Path) -> None:
    index = make(tmp_path, 3000)
    codes = index.header.codes["similar"]
    poor = indexes.header.replace(
        codes, settings=indexes.header.Settings(codes.settings.num_lists, 1, 1)
    )
    indexes.header.write_header(
        tmp_path, indexes.header.replace(index.header, codes={"similar": poor})
    )
    assert Index(tmp_path, "u", DIM).check().recall_at_10 < IVF.target_recall - 0.05


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (IndexOptions(kind="ivf", max_memory_bytes=1000), "more than the 0.001 MB allowed"),
        (IndexOptions(kind="ivf", target_recall=1), "never surely all"),
    ],
)
def test_what_codes_cannot_give_is_refused_in_numbers(
    tmp_path: Path, asked: IndexOptions, message: str
) -> None:
    before = make(tmp_path, 1000).header
    with pytest.raises(UsageError, match=message):
        Index(tmp_path, "u", DIM).make_codes(asked, lambda _step: None)
    assert Index(tmp_path, "u", DIM).header == before


def test_a_recall_out_of_reach_is_told_with_the_best_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes.tuning, "MOST_REFINED", 1)
    with pytest.raises(UsageError, match=r"codes for 'similar' find 0\.\d+ of these"):
        make(tmp_path, 3000, IndexOptions(kind="ivf", target_recall=0.999))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (IndexOptions(max_memory_bytes=1000), "codes of 1000 clips take about"),
        (IndexOptions(target_recall=1), "never surely all"),
    ],
)
def test_wishes_that_codes_cannot_meet_leave_an_exact_index_and_a_word(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: IndexOptions,
    message: str,
) -> None:
    monkeypatch.setattr(indexes.building, "LEAST_BYTES", 1)
    assert make(tmp_path, 1000, IndexOptions()).report().kind == "ivf"
    with caplog.at_level(logging.WARNING, "vidx"):
        index = make(tmp_path, 1000, asked)
    assert index.report().kind == "exact"
    assert message in caplog.text
    assert not list(tmp_path.glob("*.faiss"))


def test_codes_that_outgrow_the_memory_allowed_go_and_one_warning_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    room = 400_000
    index = make(tmp_path, 1000, IndexOptions(kind="ivf", target_recall=0.9, max_memory_bytes=room))
    assert sum(one.num_bytes for one in index.header.codes.values()) < room
    index.extend([part(1000, 6000)], 6000, 2)
    assert sum(one.num_bytes for one in index.header.codes.values()) < room
    with caplog.at_level(logging.WARNING, "vidx"):
        for _ in range(2):
            index.tend_codes(lambda _step: None)
    assert len(caplog.records) == 1
    assert Index(tmp_path, "u", DIM).report().kind == "exact"


def test_a_recall_out_of_reach_is_tried_again_at_twice_the_clips_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexes.building, "LEAST_BYTES", 1)
    monkeypatch.setattr(indexes.building, "tuned", lambda *_arguments: 0.5)
    index, tries = make(tmp_path, 1000, IndexOptions()), []
    for rows in (1100, 1900, 2100):
        index.extend([part(index.end_clip_id, rows)], rows, rows)
        steps: list[IndexProgress] = []
        index.tend_codes(steps.append)
        tries.append({step.likeness for step in steps})
    assert tries == [set(), set(), {"similar", "copy"}]


def test_codes_refused_for_their_recall_leave_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(tmp_path, 1000).header
    monkeypatch.setattr(indexes.building, "tuned", lambda *_arguments: 0.5)
    with pytest.raises(UsageError, match="at most"):
        Index(tmp_path, "u", DIM).make_codes(
            IndexOptions(kind="ivf", target_recall=0.99), lambda _step: None
        )
    assert Index(tmp_path, "u", DIM).header == before


def test_progress_goes_through_all_stages_of_both_likenesses(tmp_path: Path) -> None:
    steps: list[IndexProgress] = []
    indexes.build(tmp_path, "u", DIM, [part(0, 500)], end_clip_id=500, commit=1, numbering="n")
    Index(tmp_path, "u", DIM).make_codes(IVF, steps.append)
    seen = list(dict.fromkeys((step.likeness, step.stage) for step in steps))
    stages = ("training", "adding", "tuning")
    assert seen == [(likeness, stage) for likeness in ("similar", "copy") for stage in stages]
    assert all(step.done <= step.total for step in steps)


def test_codes_of_too_few_clips_are_refused_where_they_are_insisted_on(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="100 clips or more, and there are 99"):
        make(tmp_path, 99)


@pytest.mark.parametrize("rows", [1, 2, 3, 99, 100, 101])
def test_few_clips_are_searched_in_both_likenesses(tmp_path: Path, rows: int) -> None:
    index = make(tmp_path, rows, IVF if rows >= 100 else IndexOptions())
    assert index.report().kind == ("ivf" if rows >= 100 else "exact")
    for likeness in ("similar", "copy"):
        scores, found = index.search(VECTORS[:rows], 1, likeness=likeness)
        assert found[:, 0].tolist() == list(range(rows))
        assert scores == pytest.approx(1, abs=1e-5)
