"""One likeness of the rows on disk: their vectors in it, and the codes that find candidates."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import faiss as typed_faiss
import numpy as np
from numpy.typing import NDArray

from vidx.index.codes import BrokenCodes, Codes
from vidx.index.exact import merge, search_exact
from vidx.index.header import Settings
from vidx.index.threads import threads_for

faiss: Any = typed_faiss  # its own types lack what is used here

MOST_WIDENED = 8  # times as many candidates where those near a query are not allowed
LEAST_REFINED = 10  # neighbours whose candidates are looked at, where fewer are asked for
FEW_ROWS = 512  # are compared in the time that codes take before they tell of the first one
NEAR_BYTES = 32 << 20  # of vectors, which a processor's cache holds
FEW_NEAR_ROWS = 2048  # of them are compared in that time
LONG = 4  # times as many as lists were expected to have, as they differ in length
SCATTERED = 4  # how much longer a vector here and there takes than one in a row


@dataclass(frozen=True, slots=True)
class Space:
    """Vectors to search.

    Attributes:
        vectors: float32, shape (rows, d), of length 1; mapped from disk.
        codes: Of the first rows; None where every vector is compared.
        settings: How they are searched.
    """

    vectors: NDArray[np.float32]
    codes: Codes | None = None
    settings: Settings | None = None

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        widen: bool = True,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the closest vectors; those behind the codes' end are compared one by one.

        Args:
            queries: Shape (m, d), of length 1.
            k: Neighbours wanted for each query.
            allowed: Shape (rows,): which may be answers; None allows all.
            widen: Whether to look further where few rows near a query are allowed.

        Returns:
            As for `search_exact`.
        """
        coded = self.codes.rows if self.codes else 0
        masks = (None, None) if allowed is None else (allowed[:coded], allowed[coded:])
        if coded == len(self.vectors) > 0:
            return self._search_coded(queries, k, masks[0], widen)
        late, rows = search_exact(self.vectors[coded:], queries, k, masks[1])
        if not coded:
            return late, rows
        rows = np.where(rows < 0, rows, rows + coded)
        return merge(k, self._search_coded(queries, k, masks[0], widen), (late, rows))

    def _search_coded(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        widen: bool,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The closest of the rows that have codes; all are compared where these are broken."""
        assert self.codes  # noqa: S101 - asked for only then
        if not self.codes.is_broken:
            with suppress(BrokenCodes):
                return self._by_codes(queries, k, allowed, widen)
        return search_exact(self.vectors[: self.codes.rows], queries, k, allowed)

    def _by_codes(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        widen: bool,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The closest of the rows that have codes, by whichever way reads less."""
        codes, settings = self.codes, self.settings
        assert codes and settings  # noqa: S101 - asked for only then
        count = settings.refine * max(k, LEAST_REFINED)
        num_allowed = codes.rows if allowed is None else int(np.count_nonzero(allowed))
        if self._reads_less(num_allowed, count, settings.num_probes):
            return search_exact(self.vectors[: codes.rows], queries, k, allowed)
        if allowed is None or not widen:
            return self._refined(queries, k, allowed, count, settings.num_probes, num_allowed)
        return self._search_allowed(queries, k, allowed, count, num_allowed)

    def _search_allowed(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_],
        count: int,
        num_allowed: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Look first as if all were allowed; the fewer that are near a query, the further then."""
        codes, settings = self.codes, self.settings
        assert codes and settings  # noqa: S101 - asked for only then
        near = self._near(queries, 2 * count, settings.num_probes, None)
        if near.shape[1] > 2 * count:  # whole lists, of which the closest tell how many are near
            _, near = merge(2 * count, (products(self.vectors, queries, near), near))
        near = np.where((near >= 0) & allowed[near], near, -1)
        scores, rows = merge(k, (products(self.vectors, queries, near), near))
        num_near = np.count_nonzero(near >= 0, axis=1)
        # All that is allowed is far from such a query, and about as far: codes tell it not apart.
        is_far = num_near == 0
        if is_far.any():
            found = search_exact(self.vectors[: codes.rows], queries[is_far], k, allowed)
            scores[is_far], rows[is_far] = found
        # Twice as many were asked for: half of these is as good as a search among the allowed.
        widened = np.where(is_far, 1, 2.0 ** np.ceil(np.log2(count / np.maximum(num_near, 1))))
        for factor in np.unique(widened[widened > 1]).astype(int).tolist():
            some = widened == factor
            num_probes = min(codes.num_lists, settings.num_probes * factor)
            # Further away there is more that is about as close, and codes tell less of it.
            more = count * min(MOST_WIDENED, factor)
            if self._reads_less(num_allowed, more, num_probes):
                found = search_exact(self.vectors[: codes.rows], queries[some], k, allowed)
            else:
                found = self._refined(queries[some], k, allowed, more, num_probes, num_allowed)
            scores[some], rows[some] = found
        return scores, rows

    def _reads_less(self, num_rows: int, count: int, num_probes: int) -> bool:
        """Whether to compare all of some rows reads less than codes and candidates would."""
        assert self.codes  # noqa: S101 - asked for only then
        one = 4 * self.vectors.shape[1]
        return bool(num_rows * one <= self.codes.bytes_read(num_probes) + count * one * SCATTERED)

    def _refined(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None,
        count: int,
        num_probes: int,
        num_allowed: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Candidates compared exactly; where a query has too few of them, more lists are tried."""
        codes = self.codes
        assert codes  # noqa: S101 - asked for only then
        near = self._near(queries, count, num_probes, allowed)
        scores, rows = merge(k, (products(self.vectors, queries, near), near))
        short = rows[:, min(k, num_allowed) - 1] < 0
        if num_probes < codes.num_lists and short.any():
            further = min(codes.num_lists, 4 * num_probes)
            found = self._refined(queries[short], k, allowed, count, further, num_allowed)
            scores[short], rows[short] = found
        return scores, rows

    def takes_lists(self, num_probes: int) -> bool:
        """Whether all vectors of so many lists are compared, as these are short."""
        assert self.codes  # noqa: S101 - asked for only then
        return self.codes.rows * num_probes <= self._few_rows * self.codes.num_lists

    @property
    def _few_rows(self) -> int:
        return FEW_NEAR_ROWS if self.vectors.nbytes <= NEAR_BYTES else FEW_ROWS

    def _near(
        self,
        queries: NDArray[np.float32],
        count: int,
        num_probes: int,
        allowed: NDArray[np.bool_] | None,
    ) -> NDArray[np.int64]:
        """What to compare a query with: all of its lists where these are short, else by codes.

        Returns:
            Rows, shape (m, n), with n of `count` or more; -1 stands for none.
        """
        codes = self.codes
        assert codes  # noqa: S101 - asked for only then
        if not self.takes_lists(num_probes):
            return codes.candidates(queries, count, num_probes, allowed)
        near = codes.members(queries, num_probes)
        for place, rows in enumerate(near):
            if len(rows) > LONG * self._few_rows:
                query = queries[place : place + 1]
                near[place] = codes.candidates(query, count, num_probes, allowed)[0]
            elif allowed is not None:
                near[place] = rows[allowed[rows]]
        table = np.full((len(near), max(count, *map(len, near))), -1, np.int64)
        for line, rows in zip(table, near, strict=True):
            line[: len(rows)] = rows
        return table


def products(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], candidates: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Compare each query with its candidates.

    Args:
        vectors: Shape (rows, d), of length 1.
        queries: Shape (m, d), of length 1.
        candidates: Rows, shape (m, n); -1 stands for none.

    Returns:
        Float32, shape (m, n); -inf for none.
    """
    queries, candidates = np.ascontiguousarray(queries), np.ascontiguousarray(candidates)
    scores = np.empty(candidates.shape, np.float32)
    with threads_for(len(queries)):
        faiss.fvec_inner_products_by_idx(
            faiss.swig_ptr(scores),
            faiss.swig_ptr(queries),
            faiss.swig_ptr(vectors),
            faiss.swig_ptr(candidates),
            vectors.shape[1],
            *candidates.shape,
        )
    np.clip(scores, -1, 1, out=scores)  # rounding can carry a product just past 1
    scores[candidates < 0] = -np.inf
    return scores
