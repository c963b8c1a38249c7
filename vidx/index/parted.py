"""One likeness of the rows on disk as parts that are searched side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from vidx.index.codes import Codes
from vidx.index.exact import merge
from vidx.index.header import Settings
from vidx.index.space import Space
from vidx.index.threads import FEW

Found: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Parted:
    """Vectors to search, in parts of rows that follow each other.

    Attributes:
        vectors: float32, shape (rows, d), of length 1; mapped from disk.
        parts: The same vectors, each part with its codes.
    """

    vectors: NDArray[np.float32]
    parts: tuple[Space, ...]

    @classmethod
    def of(
        cls,
        vectors: NDArray[np.float32],
        codes: Iterable[tuple[int, Codes | None]] = (),
        settings: Settings | None = None,
    ) -> Parted:
        """Divide vectors as their codes are.

        Args:
            vectors: As above.
            codes: For one part after the other: how many rows it has, and its codes, None where
                all of its rows are to be compared. The last part has the rows behind it, too.
            settings: How all codes are searched.
        """
        parts: list[Space] = []
        start = 0
        codes = list(codes) or [(len(vectors), None)]
        for rows, one in codes:
            end = len(vectors) if len(parts) == len(codes) - 1 else start + rows
            parts.append(Space(vectors[start:end], one, settings))
            start = end
        return cls(vectors, tuple(parts))

    @property
    def has_codes(self) -> bool:
        """Whether any part has codes of use; else every vector is compared."""
        return any(part.codes and not part.codes.is_broken for part in self.parts)

    @property
    def num_lists(self) -> int:
        """The most lists that a part is divided into; 1 without codes."""
        return max(part.codes.num_lists if part.codes else 1 for part in self.parts)

    def takes_lists(self, num_probes: int) -> bool:
        """Whether each part compares all vectors of so many lists."""
        return all(part.codes and part.takes_lists(num_probes) for part in self.parts)

    def set(self, settings: Settings) -> Parted:
        """The same, searched otherwise."""
        parts = tuple(replace(part, settings=settings) for part in self.parts)
        return replace(self, parts=parts)

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        allowed: NDArray[np.bool_] | None = None,
        *,
        widen: bool = True,
    ) -> Found:
        """Find the closest vectors of all parts; arguments and result as for `Space.search`."""
        if len(self.parts) == 1:
            return self.parts[0].search(queries, k, allowed, widen=widen)
        asks, starts, start = [], [], 0
        for part in self.parts:
            mask = None if allowed is None else allowed[start : start + len(part.vectors)]
            asks.append(partial(part.search, queries, k, mask, widen=widen))
            starts.append(start)
            start += len(part.vectors)
        # Of many queries each part has all cores for itself.
        answers = _side_by_side(asks) if len(queries) <= FEW else [ask() for ask in asks]
        return merge(k, *map(_moved, answers, starts))


def _moved(found: Found, start: int) -> Found:
    """An answer with the rows that a part's rows are of all."""
    scores, rows = found
    return scores, np.where(rows < 0, rows, rows + start)


def _side_by_side(asks: Sequence[Callable[[], Found]]) -> list[Found]:
    """Their answers, as many at a time as there are cores; this thread is one of them."""
    others = [_threads().submit(ask) for ask in asks[1:]]
    return [asks[0](), *(one.result() for one in others)]


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), thread_name_prefix="vidx-part")
