"""The index made as asked, kept in order, and held against the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vidx.errors import VidxError
from vidx.index import Index
from vidx.index.parts import BuildParts
from vidx.options import IndexOptions
from vidx.records import IndexProgress, IndexReport
from vidx.stages import logger
from vidx.store.catalogue import Catalogue
from vidx.views import View, open_index


def make_index(
    catalogue: Catalogue,
    asked: IndexOptions,
    build: BuildParts,
    progress: Callable[[IndexProgress], None],
) -> IndexReport:
    """Make what finds candidates from scratch, of an index that is up to date. Writers alone do.

    Raises:
        UsageError: Codes are insisted on, and cannot be had.
        VidxError: The disk is full or the folder cannot be written, or what `build` tells; the
            index is as before.
    """
    index = open_index(catalogue)
    index.make_codes(asked, progress, build)
    return timed_report(catalogue)


def timed_report(catalogue: Catalogue) -> IndexReport:
    """How both likenesses are searched, with the time that this takes."""
    made = open_index(catalogue)
    return replace(made.timed_report("similar"), copy=made.timed_report("copy"))


def tend_index(
    catalogue: Catalogue, progress: Callable[[IndexProgress], None] = lambda _step: None
) -> bool:
    """Make what finds candidates where it pays and is missing or of long ago. Writers alone do.

    A disk that is full costs no more than time in later searches, and is told in the log.

    Returns:
        Whether anything was made.
    """
    index = open_index(catalogue)
    before = index.header
    try:
        index.tend_codes(progress)
    except VidxError as error:
        logger.warning("%s", error)
    return index.header is not before


def report(index: Index) -> IndexReport:
    """How both likenesses are searched, and what was measured when that was made."""
    return replace(index.report("similar"), copy=index.report("copy"))


def check_index(view: View) -> IndexReport:
    """The report, with what a search finds now."""
    index, live = view.index, view.live
    return replace(index.check("similar", live), copy=index.check("copy", live))
