"""Searches that ask a vector database for candidates; the collection itself decides.

Candidates are compared by the collection's own vectors. What the database is not known to have is
found by the collection's own index, what does not live or is not allowed is left out here, and
where a filter leaves too little of the candidates, the own index answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.databases.address import parse
from vidx.databases.milvus import MOST, Milvus, connected
from vidx.databases.record import Record, record_path
from vidx.errors import VidxError
from vidx.index import Index
from vidx.index.exact import merge
from vidx.index.space import products
from vidx.options import SearchOptions
from vidx.records import Likeness
from vidx.stages import logger
from vidx.store.catalogue import Catalogue
from vidx.views import View

REFINE = 4  # candidates compared, for each clip asked for
LEAST_REFINED = 10  # clips asked for whose candidates are compared, where it are fewer

Found: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]
Ask: TypeAlias = Callable[  # as `Index.search`
    [NDArray[np.float32], int, NDArray[np.bool_] | None, Likeness], Found
]


@contextmanager
def asking(catalogue: Catalogue, view: View, options: SearchOptions) -> Iterator[Ask]:
    """What a search is to ask: the collection's own index, or a database with it.

    Raises:
        UsageError: The address is wrong, or a library is missing.
        VidxError: The database cannot be reached, or has no vectors of this collection.
    """
    if options.via is None:
        yield view.index.search
        return
    manifest = catalogue.manifest
    with connected(parse(options.via)) as database:
        copy = database.copy(manifest.uuid, manifest.space.dim)
        if copy is None:
            raise VidxError(
                f"{options.via} has no vectors yet", f"Run `vidx index push {options.via}` first."
            )
        database.make_ready()
        ids = view.index.ids_where(np.ones(len(view.index), np.bool_))
        there = Record(record_path(catalogue.layout.root, copy.token)).there(ids)
        _tell_missing(view, there, options.via)
        yield Via(database, view.index, ids, there).search


def _tell_missing(view: View, there: NDArray[np.bool_], via: str) -> None:
    live = np.ones(len(there), np.bool_) if view.live is None else view.live
    if missing := int(np.count_nonzero(live & ~there)):
        logger.warning(
            "%d of %d clips are not in %s as they are now, and are searched here: "
            "`vidx index push` puts them there.",
            missing,
            np.count_nonzero(live),
            via,
        )


@dataclass(frozen=True, slots=True)
class Via:
    """A database, and the rows of a view that it has.

    Attributes:
        database: To ask.
        index: All rows, with their vectors.
        ids: Their clip_ids, int64, shape (rows,).
        there: Which of them the database surely has, shape (rows,).
    """

    database: Milvus
    index: Index
    ids: NDArray[np.int64]
    there: NDArray[np.bool_]

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        likeness: Likeness = "similar",
    ) -> Found:
        """As `Index.search`; of the likeness `similar` alone."""
        inside = self.there if allowed is None else self.there & allowed
        outside = ~self.there if allowed is None else ~self.there & allowed
        num_inside = int(np.count_nonzero(inside))
        count = REFINE * max(k, LEAST_REFINED)
        if num_inside:  # as many as leave so many that are allowed, if these lie anywhere
            count = -(-count * int(np.count_nonzero(self.there)) // num_inside)
        if count >= min(num_inside, MOST):
            return self.index.search(queries, k, allowed, likeness)
        found = self._inside(queries, k, inside, count)
        if not outside.any():
            return found
        return merge(k, found, self.index.search(queries, k, outside, likeness))

    def _inside(
        self, queries: NDArray[np.float32], k: int, inside: NDArray[np.bool_], count: int
    ) -> Found:
        """The closest of some rows that the database has."""
        asked = self.index.project(queries)
        rows = self._rows(self.database.nearest(asked, count))
        rows[~inside[rows]] = -1
        places = np.where(rows < 0, -1, np.arange(rows.size).reshape(rows.shape))
        vectors = self.index.vectors_of(np.maximum(rows, 0).ravel())
        scores = products(vectors, asked, places)
        found = merge(k, (scores, rows))
        if (short := np.count_nonzero(rows >= 0, axis=1) < k).any():
            found[0][short], found[1][short] = self.index.search(queries[short], k, inside)
        return found

    def _rows(self, clip_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where clips are among the rows; -1 stands for those that are not."""
        rows = np.minimum(np.searchsorted(self.ids, clip_ids), len(self.ids) - 1)
        return np.where(self.ids[rows] == clip_ids, rows, -1)
