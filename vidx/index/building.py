"""Which index suits a collection, and making it: codes trained, filled and tuned."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidx.durable import sync_file
from vidx.errors import UsageError
from vidx.index.codes import BLOCK_ROWS, POINTS_A_LIST, Codes, expected_bytes, lists_for
from vidx.index.files import Matrix, next_number, open_index, switch, writing
from vidx.index.header import CodesFile, Header, Measured, Settings
from vidx.index.space import Space
from vidx.index.tuning import NUM_MEASURED, NUM_TUNED, ask, measure, tuned
from vidx.options import IndexOptions
from vidx.records import IndexProgress, Likeness

LEAST_BYTES = 8 << 20  # of vectors: less is compared one by one within half a millisecond
LEAST_ROWS = 100  # that anything can be learned of
TRAIN_AGAIN = 2  # when there are so many times as many rows
LATE_SHARE = 0.02  # of rows without codes beside those that have some
LATE_ROWS = 2000

Progress = Callable[[IndexProgress], None]
logger = logging.getLogger("vidx")


def make(folder: Path, header: Header, asked: IndexOptions, progress: Progress) -> Header:
    """Make the codes that are asked for from scratch; what is asked holds from then on.

    Args:
        folder: The index's folder.
        header: What is there.
        asked: What is wanted.
        progress: Called at each step.

    Returns:
        The new header, already on disk.

    Raises:
        UsageError: Codes are insisted on, and cannot be had.
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    header = replace(header, asked=asked, codes={}, unreached={})
    problem = refusal(header)
    if problem and asked.kind == "ivf":
        raise UsageError(problem, "Ask for less, or choose kind 'exact', which needs no codes.")
    if problem:
        logger.warning("%s, so every clip is compared.", problem)
    wanted = suits(header) and not problem
    return _with_codes(folder, header, tuple(header.dims()) if wanted else (), progress)


def tend(folder: Path, header: Header, progress: Progress) -> Header:
    """Make codes from scratch where they pay and there are none, or far more clips than then.

    Codes that have outgrown the memory allowed go. Arguments, result and errors as for `make`.
    """
    if problem := refusal(header):
        if not header.codes:
            return header
        logger.warning("%s, so every clip is compared from now on.", problem)
        return _with_codes(folder, replace(header, codes={}), (), progress)
    due = tuple(likeness for likeness in header.dims() if _is_due(header, likeness))
    return _with_codes(folder, header, due, progress) if suits(header) and due else header


def _is_due(header: Header, likeness: Likeness) -> bool:
    """Whether there are far more clips than when codes were last made, or tried."""
    codes = header.codes.get(likeness)
    rows = codes.trained_rows if codes else header.unreached.get(likeness, 0)
    return header.rows >= TRAIN_AGAIN * rows


def refusal(header: Header) -> str:
    """Why codes cannot be had as asked; empty where they can."""
    asked = header.asked
    needed = sum(expected_bytes(header.rows, dim) for dim in header.dims().values())
    most = asked.max_memory_bytes
    if most is not None and needed > most:
        return (
            f"codes of {header.rows} clips take about {_megabytes(needed)}, more than the "
            f"{_megabytes(most)} allowed"
        )
    if asked.kind == "ivf" and header.rows < LEAST_ROWS:
        return f"codes are learned from {LEAST_ROWS} clips or more, and there are {header.rows}"
    if asked.target_recall >= 1:
        return "target_recall=1: codes find most neighbours, and never surely all"
    return ""


def suits(header: Header) -> bool:
    """Whether codes are wanted and worth their while."""
    if header.asked.kind == "exact" or header.rows < LEAST_ROWS:
        return False
    return header.asked.kind == "ivf" or 4 * header.rows * header.dim >= LEAST_BYTES


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.3g} MB"


def needs_rows(codes: CodesFile, rows: int) -> bool:
    """Whether so many rows have no codes that these are to be added."""
    return rows - codes.rows > max(LATE_ROWS, LATE_SHARE * codes.rows)


def grow_codes(folder: Path, header: Header) -> Header:
    """Give codes to the rows that lack them, where these are many; nothing is learned anew.

    A file of codes that cannot be read is left as it is: searches tell of it.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    if refusal(header):
        return header
    for likeness, codes_file in header.codes.items():
        if not needs_rows(codes_file, header.rows):
            continue
        try:
            codes = Codes.open(folder / codes_file.file, to_grow=True)
        except (OSError, ValueError):
            continue
        _, vectors = _rows_of(folder, header, likeness)
        codes.add(blocks(vectors, codes.rows))
        with writing(folder):
            written = _write(folder, likeness, codes)
            grown = replace(
                codes_file, file=written.name, num_bytes=written.stat().st_size, rows=codes.rows
            )
            header = replace(header, codes=header.codes | {likeness: grown})
            switch(folder, header)
    return header


def _with_codes(
    folder: Path, header: Header, likenesses: tuple[Likeness, ...], progress: Progress
) -> Header:
    """Make codes of some likenesses from scratch, and then switch to all of them at once.

    Returns:
        The new header, already on disk; without such codes as do not reach the recall that is
        asked for, which the log tells.
    """
    made: dict[Likeness, CodesFile] = {}
    unreached: dict[Likeness, int] = {}
    for likeness in likenesses:
        if codes_file := _make_codes(folder, header, likeness, progress):
            made[likeness] = codes_file
        else:
            unreached[likeness] = header.rows
    for likeness in likenesses:
        header = header.without_codes(likeness)
    header = replace(header, codes=header.codes | made, unreached=header.unreached | unreached)
    with writing(folder):
        switch(folder, header)
    return header


def _make_codes(
    folder: Path, header: Header, likeness: Likeness, progress: Progress
) -> CodesFile | None:
    """A file of codes from scratch; None where they do not reach what is asked."""
    began = time.perf_counter()
    matrix, vectors = _rows_of(folder, header, likeness)
    codes = _train(vectors, lists_for(len(vectors)), likeness, progress)
    codes.add(_telling(blocks(vectors, 0), len(vectors), likeness, progress))
    found = _tune(Space(vectors, codes), matrix, header.asked, likeness, progress)
    if found is None:
        return None
    with writing(folder):
        path = _write(folder, likeness, codes)
        return CodesFile(
            path.name, path.stat().st_size, codes.rows, codes.rows, *found,
            build_seconds=time.perf_counter() - began,
        )  # fmt: skip


def _rows_of(
    folder: Path, header: Header, likeness: Likeness
) -> tuple[Matrix, NDArray[np.float32]]:
    """The rows on disk, and their vectors of this likeness."""
    opened = open_index(folder, header.collection, header.dim)
    assert opened  # noqa: S101 - its header is at hand
    _, matrix, whitened = opened
    if likeness == "copy":
        assert whitened is not None  # noqa: S101 - there are rows
        return matrix, whitened.vectors
    return matrix, matrix.vectors


def _train(
    vectors: NDArray[np.float32], num_lists: int, likeness: Likeness, progress: Progress
) -> Codes:
    progress(IndexProgress(likeness, "training", 0, 1))
    count = min(len(vectors), POINTS_A_LIST * num_lists)
    some = np.sort(np.random.default_rng(0).permutation(len(vectors))[:count])
    codes = Codes.train(vectors[some], num_lists)
    progress(IndexProgress(likeness, "training", 1, 1))
    return codes


def _tune(
    space: Space, matrix: Matrix, asked: IndexOptions, likeness: Likeness, progress: Progress
) -> tuple[Settings, Measured] | None:
    """Settings that reach the target, and what other queries find with them."""
    progress(IndexProgress(likeness, "tuning", 0, 1))
    questions = ask(space.vectors, matrix.videos, NUM_TUNED + NUM_MEASURED)
    settings = tuned(space, matrix.videos, questions.part(slice(NUM_TUNED)), asked.target_recall)
    if isinstance(settings, float):
        _tell_unreached(asked, likeness, settings)
        return None
    held_out = questions.part(slice(NUM_TUNED, None))
    if not len(held_out.rows):  # so few clips that all were needed
        held_out = questions
    measured = measure(replace(space, settings=settings), matrix.videos, held_out)
    progress(IndexProgress(likeness, "tuning", 1, 1))
    return settings, measured


def _tell_unreached(asked: IndexOptions, likeness: Likeness, reached: float) -> None:
    """Say that no codes find as many as was asked for.

    Raises:
        UsageError: Where codes of the vectors as they are were insisted on.
    """
    problem = f"codes for {likeness!r} find {reached:.3f} of these clips' neighbours at most"
    if asked.kind == "ivf" and likeness == "similar":
        raise UsageError(
            f"target_recall={asked.target_recall:g}: {problem}.",
            "Ask for less, or choose kind 'exact'.",
        )
    logger.warning("%s, so every clip is compared.", problem)


def blocks(vectors: NDArray[np.float32], start: int) -> Iterator[NDArray[np.float32]]:
    """The vectors from a row on, some at a time."""
    for first in range(start, len(vectors), BLOCK_ROWS):
        yield vectors[first : first + BLOCK_ROWS]


def _telling(
    parts: Iterator[NDArray[np.float32]], total: int, likeness: Likeness, progress: Progress
) -> Iterator[NDArray[np.float32]]:
    done = 0
    for part in parts:
        yield part
        done += len(part)
        progress(IndexProgress(likeness, "adding", done, total))


def _write(folder: Path, likeness: Likeness, codes: Codes) -> Path:
    """A file of its own for codes, on disk."""
    path = folder / f"{likeness}-{next_number(folder, likeness)}.faiss"
    try:
        codes.write(path)
        sync_file(path)
    except OSError:
        path.unlink(missing_ok=True)  # a part of it would keep a full disk full
        raise
    return path
