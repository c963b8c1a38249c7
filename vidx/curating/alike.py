"""All pairs of clips that show the same footage, of different videos or of two parts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vidx.curating.part import Part, Progress
from vidx.curation.pairs import Pairs

BLOCK_ROWS = 1024
BLOCK_OTHERS = 8192


def alike(part: Part, threshold: float, progress: Progress) -> Iterator[Pairs]:
    """The pairs of clips of different videos that are similar enough, in the space `copy`.

    The graph of the closest tells of them. A clip whose neighbours are all similar enough may have
    more such: it is compared with all others.

    Args:
        part: The clips.
        threshold: The least similarity.
        progress: Called as the graph is made.

    Yields:
        Some pairs at a time, of places; a pair comes once or twice, in either order.
    """
    graph = part.graph("copy", progress, apart=True)
    firsts, column = np.nonzero((graph.scores >= threshold) & (graph.places >= 0))
    seconds = graph.places[firsts, column].astype(np.int64)
    yield Pairs(firsts, seconds, graph.scores[firsts, column])
    full = np.flatnonzero((graph.scores[:, -1] >= threshold) & (graph.places[:, -1] >= 0))
    for found in _compared(part, full, part, threshold):
        yield found.where(part.videos[found.firsts] != part.videos[found.seconds])


def alike_in(part: Part, other: Part, threshold: float) -> Iterator[Pairs]:
    """The pairs of a clip of one part and one of another, of two collections or of one.

    All are compared, in the space of the first one's copies.
    """
    yield from _compared(part, np.arange(len(part)), other, threshold)


def _compared(
    part: Part, places: NDArray[np.int64], other: Part, threshold: float
) -> Iterator[Pairs]:
    index = part.view.index
    for start in range(0, len(other) if len(places) else 0, BLOCK_OTHERS):
        seconds = np.arange(start, min(start + BLOCK_OTHERS, len(other)))
        if other is part:
            theirs = part.vectors(seconds, "copy")
        else:  # whitened by the first one's axes
            theirs = index.project(other.vectors(seconds, "similar"), "copy")
        for begin in range(0, len(places), BLOCK_ROWS):
            firsts = places[begin : begin + BLOCK_ROWS]
            products = part.vectors(firsts, "copy") @ theirs.T
            row, column = np.nonzero(products >= threshold)
            yield Pairs(firsts[row], seconds[column], products[row, column])
