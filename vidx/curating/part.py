"""The clips that a question is about, in the state of one moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vidx.errors import UsageError
from vidx.index.closest import Neighbours
from vidx.index.graphs import graph_of
from vidx.records import IndexProgress, Likeness
from vidx.store.catalogue import Catalogue
from vidx.store.told import best_labels
from vidx.views import View

Progress = Callable[[IndexProgress], None]


@dataclass(frozen=True)
class Part:
    """Some clips of a collection, each by its place among them.

    Attributes:
        catalogue: The collection's, of the view's state.
        view: All vectors.
        rows: The clips' rows in the view's index, int64, shape (n,), ascending.
    """

    catalogue: Catalogue
    view: View
    rows: NDArray[np.int64]
    _graphs: dict[tuple[Likeness, bool], Neighbours] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, catalogue: Catalogue, view: View, mask: NDArray[np.bool_] | None) -> Part:
        """The clips that a mask over the view's rows leaves; None leaves all.

        Raises:
            UsageError: There are none.
        """
        part = cls.or_none(catalogue, view, mask)
        if not len(part):
            raise UsageError("there are no clips to ask about", "Take more of the collection.")
        return part

    @classmethod
    def or_none(cls, catalogue: Catalogue, view: View, mask: NDArray[np.bool_] | None) -> Part:
        """The like, of which there may be none."""
        rows = np.arange(len(view.index)) if mask is None else np.flatnonzero(mask)
        return cls(catalogue, view, rows)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def clip_ids(self) -> NDArray[np.int64]:
        """Ascending, shape (n,)."""
        return self.view.index.of_rows(self.rows).ids

    @cached_property
    def videos(self) -> NDArray[np.int32]:
        """The numbers of their videos, shape (n,)."""
        return self.view.index.of_rows(self.rows).videos

    @cached_property
    def labels(self) -> tuple[NDArray[np.int64], list[str]]:
        """The most probable label of each, as `best_labels` gives them."""
        return best_labels(self.catalogue, self.clip_ids)

    def vectors(self, places: NDArray[np.int64], likeness: Likeness) -> NDArray[np.float32]:
        """Vectors of length 1, shape (m, d)."""
        return self.view.index.vectors_of(self.rows[places], likeness)

    def graph(self, likeness: Likeness, progress: Progress, *, apart: bool = False) -> Neighbours:
        """The closest others of each, shape (n, 20); found once, and not to be written to.

        Args:
            likeness: In which space.
            progress: Called as the graph is made, where there is none yet.
            apart: Whether clips of one video are no neighbours.
        """
        if (likeness, apart) not in self._graphs:
            found = graph_of(self.view.index, self.rows, likeness, apart=apart, progress=progress)
            self._graphs[likeness, apart] = found
        return self._graphs[likeness, apart]


def unheard(_step: IndexProgress) -> None:
    """Progress that nobody asked for."""
