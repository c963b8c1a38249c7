"""Which index suits a collection, and making it: codes trained, filled and tuned."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vidx.errors import UsageError
from vidx.index.codes import Codes, expected_bytes
from vidx.index.files import FITTED_ROWS, fit_anew, switch, writing
from vidx.index.header import CodesFile, CodesOf, Header, Measured, Settings
from vidx.index.parted import Parted
from vidx.index.parts import (
    PART_BYTES,
    BuildParts,
    Progress,
    blocks,
    build_parts,
    divided,
    next_names,
    open_part,
    rows_of,
    write,
)
from vidx.index.tuning import NUM_MEASURED, NUM_TUNED, ask, measure, tuned
from vidx.options import IndexOptions
from vidx.records import IndexProgress, Likeness

LEAST_BYTES = 8 << 20  # of vectors: less is compared one by one within half a millisecond
LEAST_ROWS = 100  # that anything can be learned of
TRAIN_AGAIN = 2  # when there are so many times as many rows
LATE_SHARE = 0.02  # of rows without codes beside those that have some
LATE_ROWS = 2000

logger = logging.getLogger("vidx")


def make(
    folder: Path, header: Header, asked: IndexOptions, progress: Progress, build: BuildParts
) -> Header:
    """Make the codes that are asked for from scratch; what is asked holds from then on.

    Args:
        folder: The index's folder.
        header: What is there.
        asked: What is wanted.
        progress: Called at each step.
        build: What makes the parts.

    Returns:
        The new header, already on disk.

    Raises:
        UsageError: Codes are insisted on, and cannot be had.
        VidxError: The disk is full or the folder cannot be written, or what `build` tells; the
            index is as before.
    """
    header = replace(header, asked=asked, codes={}, unreached={})
    problem = refusal(header)
    if problem and asked.kind == "ivf":
        raise UsageError(problem, "Ask for less, or choose kind 'exact', which needs no codes.")
    if problem:
        logger.warning("%s, so every clip is compared.", problem)
    wanted = suits(header) and not problem
    return _with_codes(folder, header, tuple(header.dims()) if wanted else (), progress, build)


def tend(folder: Path, header: Header, progress: Progress) -> Header:
    """Make codes from scratch where they pay and there are none, or far more clips than then.

    Where copies have none, the map to them is learned anew of all clips, if these are few. Codes
    that have outgrown the memory allowed go. Arguments, result and errors as for `make`, but
    parts are made here.
    """
    if _has_map_of_few(header):
        header = fit_anew(folder, header)
    if problem := refusal(header):
        if not header.codes:
            return header
        logger.warning("%s, so every clip is compared from now on.", problem)
        return _with_codes(folder, replace(header, codes={}), (), progress)
    due = tuple(likeness for likeness in header.dims() if _is_due(header, likeness))
    return _with_codes(folder, header, due, progress) if suits(header) and due else header


def _has_map_of_few(header: Header) -> bool:
    """Whether the map to `copy` is of fewer rows than there are, of which all can be learned from.

    So small collections are whitened alike, however they came together.
    """
    copy = header.copy
    if copy is None or "copy" in header.codes or "copy" in header.unreached:
        return False
    return copy.fitted_rows < header.rows <= FITTED_ROWS


def _is_due(header: Header, likeness: Likeness) -> bool:
    """Whether there are far more clips than when codes were last made, or tried."""
    codes = header.codes.get(likeness)
    rows = codes.trained_rows if codes else header.unreached.get(likeness, 0)
    return header.rows >= TRAIN_AGAIN * rows


def refusal(header: Header) -> str:
    """Why codes cannot be had as asked; empty where they can."""
    asked = header.asked
    needed = sum(
        expected_bytes(len(rows), dim)
        for dim in header.dims().values()
        for rows in _ranges(header, dim)
    )
    most = asked.max_memory_bytes
    if most is not None and needed > most:
        return (
            f"codes of {header.rows} clips take about {_megabytes(needed)}, more than the "
            f"{_megabytes(most)} allowed"
        )
    if asked.kind == "ivf" and header.rows < LEAST_ROWS:
        return f"codes are learned from {LEAST_ROWS} clips or more, and there are {header.rows}"
    if asked.num_parts and header.rows < LEAST_ROWS * asked.num_parts:
        return (
            f"num_parts={asked.num_parts}: codes are learned from {LEAST_ROWS} clips or more each, "
            f"and there are {header.rows} for all"
        )
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


def needs_rows(codes: CodesOf, rows: int) -> bool:
    """Whether so many rows have no codes that these are to be added."""
    return rows - codes.rows > max(LATE_ROWS, LATE_SHARE * codes.rows)


def grow_codes(folder: Path, header: Header) -> Header:
    """Give codes to the rows that lack them, where these are many; older parts stay as they are.

    A file of codes that cannot be read is left as it is: searches tell of it.

    Raises:
        VidxError: The disk is full or the folder cannot be written; the index is as before.
    """
    if refusal(header):
        return header
    for likeness, codes in header.codes.items():
        if needs_rows(codes, header.rows) and (parts := _grown(folder, header, likeness)):
            header = replace(header, codes=header.codes | {likeness: replace(codes, parts=parts)})
            with writing(folder):
                switch(folder, header)
    return header


def _grown(folder: Path, header: Header, likeness: Likeness) -> tuple[CodesFile, ...]:
    """Parts for all rows: the last one grows until it is full; empty where it cannot be read."""
    *parts, last = header.codes[likeness].parts
    late = range(header.codes[likeness].rows, header.rows)
    dim = header.dims()[likeness]
    if expected_bytes(last.rows + len(late), dim) > PART_BYTES:
        return *parts, last, *_build_parts(folder, header, likeness, divided(late, dim, None))
    try:
        codes = Codes.open(folder / last.file, to_grow=True)
    except (OSError, ValueError):
        return ()
    codes.add(blocks(rows_of(folder, header, likeness)[1], late.start))
    with writing(folder):
        [name] = next_names(folder, likeness, 1)
        return *parts, write(folder / name, codes)


def _with_codes(
    folder: Path,
    header: Header,
    likenesses: tuple[Likeness, ...],
    progress: Progress,
    build: BuildParts = build_parts,
) -> Header:
    """Make codes of some likenesses from scratch, and then switch to all of them at once.

    Returns:
        The new header, already on disk; without such codes as do not reach the recall that is
        asked for, which the log tells.
    """
    made: dict[Likeness, CodesOf] = {}
    unreached: dict[Likeness, int] = {}
    try:
        for likeness in likenesses:
            if codes := _make_codes(folder, header, likeness, progress, build):
                made[likeness] = codes
            else:
                unreached[likeness] = header.rows
    except BaseException:
        for codes in made.values():
            _drop(folder, [part.file for part in codes.parts])
        raise
    for likeness in likenesses:
        header = header.without_codes(likeness)
    header = replace(header, codes=header.codes | made, unreached=header.unreached | unreached)
    with writing(folder):
        switch(folder, header)
    return header


def _make_codes(
    folder: Path, header: Header, likeness: Likeness, progress: Progress, build: BuildParts
) -> CodesOf | None:
    """Codes from scratch; None where they do not reach what is asked."""
    began = time.perf_counter()
    ranges = _ranges(header, header.dims()[likeness])
    parts = _build_parts(folder, header, likeness, ranges, progress, build)
    try:
        found = _tune(folder, header, likeness, parts, progress)
    except BaseException:
        _drop(folder, [part.file for part in parts])
        raise
    return CodesOf(parts, header.rows, *found, time.perf_counter() - began) if found else None


def _ranges(header: Header, dim: int) -> list[range]:
    """The rows of each part, as asked."""
    return divided(range(header.rows), dim, header.asked.num_parts)


def _build_parts(
    folder: Path,
    header: Header,
    likeness: Likeness,
    ranges: list[range],
    progress: Progress = lambda _step: None,
    build: BuildParts = build_parts,
) -> tuple[CodesFile, ...]:
    """A part of each range; none stays where one cannot be had."""
    with writing(folder):
        names = next_names(folder, likeness, len(ranges))
        try:
            wanted = dict(zip(names, ranges, strict=True))
            return tuple(build(folder, header, likeness, wanted, progress))
        except BaseException:
            _drop(folder, names)
            raise


def _drop(folder: Path, names: Sequence[str]) -> None:
    """Delete files of codes that nobody will ask for."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def _tune(
    folder: Path,
    header: Header,
    likeness: Likeness,
    parts: tuple[CodesFile, ...],
    progress: Progress,
) -> tuple[Settings, Measured] | None:
    """Settings that reach the target with all parts, and what other queries find with them."""
    progress(IndexProgress(likeness, "tuning", 0, 1))
    matrix, vectors = rows_of(folder, header, likeness)
    space = Parted.of(vectors, [(part.rows, open_part(folder, part)) for part in parts])
    questions = ask(vectors, matrix.videos, NUM_TUNED + NUM_MEASURED)
    target = header.asked.target_recall
    settings = tuned(space, matrix.videos, questions.part(slice(NUM_TUNED)), target)
    if isinstance(settings, float):
        _tell_unreached(header.asked, likeness, settings)
        return None
    held_out = questions.part(slice(NUM_TUNED, None))
    if not len(held_out.rows):  # so few clips that all were needed
        held_out = questions
    measured = measure(space.set(settings), matrix.videos, held_out)
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
