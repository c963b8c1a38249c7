"""The graph of the closest clips, kept beside the index, and of some of its clips alone.

    graph-<likeness>-<all|apart>-<n>-<rows>.npy     (rows, 32) of (row int32, score float32)

The name says of which vectors it is, so no two graphs share one, and the index deletes those of
vectors that it has no more. Whoever asks first makes it, whether or not he holds the lock.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidx.durable import replacing
from vidx.index import Index
from vidx.index.closest import Neighbours, closest
from vidx.index.clustering import Take
from vidx.index.graph import NEIGHBOURS, WIDTH, neighbours
from vidx.index.parts import Progress
from vidx.records import IndexProgress, Likeness
from vidx.stages import logger

LEAST_SHARE = 0.5  # of all rows: for fewer a graph of their own is made
MOST_MENDED = 0.01  # of the rows, those that lost too many neighbours: beyond, the same

_KIND = np.dtype([("row", "<i4"), ("score", "<f4")])


def graph_of(
    index: Index,
    rows: NDArray[np.int64],
    likeness: Likeness,
    *,
    apart: bool,
    progress: Progress,
) -> Neighbours:
    """The closest others of some rows among themselves.

    The graph of all rows is made once and kept on disk; what was left out of it is made up for.
    Fewer than half of the rows, or rows that are not on disk yet, have a graph of their own, made
    each time.

    Args:
        index: All rows.
        rows: Those that are meant, ascending.
        likeness: In which space.
        apart: Whether clips of one video are no neighbours.
        progress: Called with an `IndexProgress` as it is made.

    Returns:
        Of each of the rows its `NEIGHBOURS` closest, as places among `rows`.
    """
    owners = index.of_rows(rows).videos if apart else np.arange(len(rows), dtype=np.int32)

    def take(places: NDArray[np.int64]) -> NDArray[np.float32]:
        return index.vectors_of(rows[places], likeness)

    def told(done: int, total: int) -> None:
        progress(IndexProgress(likeness, "graph", done, total))

    if not len(index.newer.ids) and len(rows) >= LEAST_SHARE * len(index):
        graph = _kept(index, likeness, apart=apart, progress=progress)
        some = among(graph, rows, len(index))
        short = short_rows(some, graph, rows)
        if len(short) <= MOST_MENDED * len(rows):
            mend(some, short, take, owners)
            return some
    found = neighbours(take, owners, told)
    return Neighbours(found.places[:, :NEIGHBOURS], found.scores[:, :NEIGHBOURS])


def _kept(index: Index, likeness: Likeness, *, apart: bool, progress: Progress) -> Neighbours:
    """The graph of all rows on disk, made where there is none."""
    assert index.header  # noqa: S101 - there are rows, and none is newer than the index on disk
    path = index.folder / index.header.graph_name(likeness, apart)
    try:
        stored = np.load(path, mmap_mode="r")
        if stored.shape == (len(index), WIDTH) and stored.dtype == _KIND:
            return Neighbours(stored["row"], stored["score"])
        logger.warning("%s is broken and made anew.", path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError) as error:
        logger.warning("%s is made anew, for it cannot be read: %s.", path, error)
    everything = np.arange(len(index))
    made = neighbours(
        lambda places: index.vectors_of(places, likeness),
        index.videos() if apart else everything.astype(np.int32),
        lambda done, total: progress(IndexProgress(likeness, "graph", done, total)),
    )
    stored = np.empty(made.places.shape, _KIND)
    stored["row"], stored["score"] = made
    try:
        with replacing(path) as file:
            np.save(file, stored)
    except OSError as error:
        logger.warning("%s cannot be written, so the next question makes it again: %s", path, error)
    return made


def among(graph: Neighbours, rows: NDArray[np.int64], num_rows: int) -> Neighbours:
    """A graph of all rows cut to some of them.

    Args:
        graph: Of all rows, `WIDTH` of each.
        rows: Those that stay, ascending.
        num_rows: How many there are in all.

    Returns:
        `NEIGHBOURS` of each, as places among `rows`; fewer where too many of them went.
    """
    if len(rows) == num_rows:
        first = slice(NEIGHBOURS)
        return Neighbours(graph.places[:, first].copy(), graph.scores[:, first].copy())
    place_of = np.full(num_rows + 1, -1, np.int32)  # the last stands for none
    place_of[rows] = np.arange(len(rows))
    places = place_of[graph.places[rows]]
    order = np.argsort(places < 0, axis=1, kind="stable")[:, :NEIGHBOURS]
    places = np.take_along_axis(places, order, axis=1)
    scores = np.take_along_axis(np.asarray(graph.scores[rows]), order, axis=1)
    return Neighbours(places, np.where(places < 0, np.float32(-np.inf), scores))


def short_rows(some: Neighbours, graph: Neighbours, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places that lost so many neighbours that there may be others farther away."""
    lacking = some.places[:, -1] < 0
    knew_no_more = graph.places[rows, -1] < 0
    return np.flatnonzero(lacking & ~knew_no_more)


def mend(some: Neighbours, short: NDArray[np.int64], take: Take, owners: NDArray[np.int32]) -> None:
    """Find the closest others of the places that lack some, by comparing them with all."""
    if len(short):
        found = closest(take, short, np.arange(len(owners)), owners, NEIGHBOURS)
        some.places[short], some.scores[short] = found
