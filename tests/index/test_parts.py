"""An index in parts finds what one index finds, whatever is filtered, added or damaged."""

from __future__ import annotations

import errno
import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_indexes import DIM, IVF, VECTORS, make, part, true_scores

from vidx import index as indexes
from vidx.errors import UsageError, VidxError
from vidx.index import Index, parted, parts
from vidx.index.codes import expected_bytes
from vidx.index.header import read_header
from vidx.index.tuning import recall
from vidx.records import IndexProgress, Likeness

ROWS = 3000
PARTED = replace(IVF, num_parts=3)
QUERIES = VECTORS[::60] + np.float32(0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    make(folder, ROWS, PARTED)
    return folder


def found_of(
    index: Index, allowed: np.ndarray | None = None, likeness: Likeness = "similar"
) -> float:
    """The recall of the first ten beside float64 and a full sort; no row may be wrong or twice."""
    scores, rows = index.search(QUERIES, 10, allowed, likeness)
    for line in rows:
        real = line[line >= 0]
        assert len(set(real.tolist())) == len(real)
        assert allowed is None or allowed[real].all()
    vectors = index.vectors_of(rows.ravel(), likeness).reshape(*rows.shape, -1)
    true = np.einsum("qd,qkd->qk", index.project(QUERIES, likeness), vectors)
    assert np.allclose(scores, np.where(rows < 0, -np.inf, true), atol=1e-5)
    return recall(scores, true_scores(index, QUERIES, 10, allowed, likeness), 10)


@pytest.mark.parametrize("likeness", ["similar", "copy"])
def test_the_parts_together_find_as_often_as_was_asked_for(
    folder: Path, likeness: Likeness
) -> None:
    index = Index(folder, "u", DIM)
    assert [one.rows for one in index.header.codes[likeness].parts] == [1000, 1000, 1000]
    assert len(list(folder.glob("*.faiss"))) == 6
    assert found_of(index, likeness=likeness) >= IVF.target_recall - 0.02
    report = index.report(likeness)
    assert (report.kind, report.parameters["num_parts"]) == ("ivf", 3)
    assert index.check(likeness).recall_at_10 >= IVF.target_recall - 0.02


@pytest.mark.parametrize("share", [0.9, 0.3, 0.01, 0.0])
def test_filters_and_removals_hold_in_every_part(folder: Path, share: float) -> None:
    index = Index(folder, "u", DIM)
    allowed = np.random.default_rng(4).random(ROWS) < share
    assert found_of(index, allowed) >= IVF.target_recall - 0.02
    one_part = np.arange(ROWS) >= 2000  # and nothing of the others
    assert found_of(index, one_part) >= IVF.target_recall - 0.02


def test_one_query_at_a_time_finds_what_many_find(folder: Path) -> None:
    index = Index(folder, "u", DIM)
    many = index.search(QUERIES, 10)
    for number, query in enumerate(QUERIES):  # side by side, where many take part after part
        scores, rows = index.search(query[None], 10)
        assert np.array_equal(rows[0], many[1][number])
        assert np.allclose(scores[0], many[0][number], atol=1e-6)


def test_a_damaged_part_is_told_once_and_its_clips_are_compared_one_by_one(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    index = Index(tmp_path, "u", DIM)
    path = tmp_path / index.header.codes["similar"].parts[1].file
    path.write_bytes(path.read_bytes()[:-1000])
    damaged = Index(tmp_path, "u", DIM)
    with caplog.at_level(logging.WARNING, "vidx"):
        assert found_of(damaged) >= IVF.target_recall - 0.02
        found_of(damaged)
    assert ["each of their 1000 clips is compared" in one.message for one in caplog.records] == [
        True
    ]
    inside = np.flatnonzero((np.arange(3000) >= 1000) & (np.arange(3000) < 2000))
    only = np.isin(np.arange(3000), inside)
    scores, _ = damaged.search(QUERIES, 10, only)
    assert np.allclose(scores, true_scores(damaged, QUERIES, 10, only, "similar"), atol=1e-6)
    assert damaged.check().kind == "ivf"

    damaged.make_codes(PARTED, lambda _step: None)
    caplog.clear()
    assert found_of(Index(tmp_path, "u", DIM)) >= IVF.target_recall - 0.02
    assert not caplog.records


def test_the_last_part_grows_until_it_is_full_and_then_there_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = make(tmp_path, 2000, replace(IVF, num_parts=2))
    first = index.header.codes["similar"].parts[0]
    index.extend([part(2000, 4100)], 4100, 2)
    grown = index.header.codes["similar"].parts
    assert grown[0] == first
    assert [one.rows for one in grown] == [1000, 3100]

    monkeypatch.setattr(indexes.building, "PART_BYTES", expected_bytes(3100, DIM))
    index.extend([part(4100, 6000), part(6000, 6000)], 6000, 3)
    assert index.header.codes["similar"].parts[:2] == grown  # needs no codes for so few yet
    monkeypatch.setattr(indexes.building, "LATE_ROWS", 1000)
    index.extend([], 6000, 4)
    assert [one.rows for one in index.header.codes["similar"].parts] == [1000, 3100, 1900]
    assert index.header.codes["similar"].parts[:2] == grown
    assert found_of(Index(tmp_path, "u", DIM)) >= IVF.target_recall - 0.05
    assert {path.name for path in tmp_path.iterdir()} == index.header.names() | {"index.json"}


@pytest.mark.long
def test_parts_come_by_themselves_where_one_file_would_be_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", expected_bytes(1500, DIM))
    index = make(tmp_path, 3000)
    assert len(index.header.codes["similar"].parts) == 2
    assert found_of(index) >= IVF.target_recall - 0.02


def test_a_part_is_made_of_its_rows_alone_and_leaves_the_index_as_it_was(tmp_path: Path) -> None:
    header = make(tmp_path, 2000).header
    path = tmp_path / f"vectors-{header.generation}.f32"
    rows = np.fromfile(path, np.float32).reshape(-1, DIM)
    rows[:500] = rows[1000:] = np.nan  # no other row is read
    rows.tofile(path)
    steps: list[IndexProgress] = []
    made = parts.build_part(
        tmp_path, header, "similar", range(500, 1000), "other.faiss", steps.append
    )
    assert made == replace(made, file="other.faiss", rows=500)
    codes = parts.open_part(tmp_path, made)
    found = codes.candidates(rows[500:520], 10, codes.num_lists, None)
    assert (found == np.arange(20)[:, None]).any(axis=1).all()
    assert [(step.stage, step.done) for step in steps][-1] == ("adding", 500)
    assert read_header(tmp_path, "u") == header


def test_a_full_disk_leaves_the_index_of_before_and_no_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = make(tmp_path, 1000).header
    files = set(tmp_path.iterdir())
    write = parts.build_part

    def full(folder: Path, *rest: object) -> object:
        if len(set(tmp_path.iterdir()) - files) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(folder, *rest)

    monkeypatch.setattr(parts, "build_part", full)
    with pytest.raises(VidxError, match="No space left"):
        Index(tmp_path, "u", DIM).make_codes(PARTED, lambda _step: None)
    assert set(tmp_path.iterdir()) == files
    assert Index(tmp_path, "u", DIM).header == before


def test_more_parts_than_can_be_learned_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="num_parts=11: codes are learned from 100 clips"):
        make(tmp_path, 1000, replace(IVF, num_parts=11))
    with pytest.raises(UsageError, match="num_parts"):
        replace(IVF, num_parts=0)


def test_an_index_of_format_1_is_read(tmp_path: Path) -> None:
    index = make(tmp_path, 1000)
    path = tmp_path / "index.json"
    values = json.loads(path.read_text()) | {"format_version": 1}
    del values["asked"]["num_parts"]
    for codes in values["codes"].values():
        [only] = codes.pop("parts")
        del only["sha256"]
        codes.update(only)
    path.write_text(json.dumps(values))
    earlier = Index(tmp_path, "u", DIM)
    for likeness, codes in index.header.codes.items():
        parts = tuple(replace(part, sha256="") for part in codes.parts)
        assert earlier.header.codes[likeness] == replace(codes, parts=parts)
    assert replace(earlier.header, codes={}) == replace(index.header, codes={})


def test_parts_are_searched_side_by_side(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index(folder, "u", DIM)
    asked: list[int] = []
    together = parted._side_by_side
    monkeypatch.setattr(
        parted, "_side_by_side", lambda asks: asked.append(len(asks)) or together(asks)
    )
    index.search(QUERIES[:2], 10)
    assert asked == [3]
