"""How like a concept clips are, by the examples that are kept of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vidx.curation.probes import Examples, learn
from vidx.errors import UsageError
from vidx.store.catalogue import Catalogue
from vidx.store.concepts import concept_examples
from vidx.views import View

BLOCK_ROWS = 16_384  # vectors in memory at a time


def examples_of(catalogue: Catalogue, view: View, name: str) -> Examples:
    """The examples of a concept, in the space `similar`.

    Raises:
        UsageError: It has none of one kind.
    """
    ids, is_like = concept_examples(catalogue, name)
    if not is_like.any() or is_like.all():
        raise UsageError(
            f"the concept {name!r} has {int(is_like.sum())} examples that are like it, and "
            f"{int((~is_like).sum())} that are not: it takes one of each",
            "Give some: collection.concept(name, positives, negatives)",
        )
    rows = view.index.rows_of(ids)
    owners = view.index.of_rows(rows).videos
    return Examples(view.index.vectors_of(rows, "similar"), is_like, owners)


def scores_of(
    catalogue: Catalogue, view: View, name: str, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """How probable it is that the clips of some rows show a concept, float32, shape (n,).

    It is computed each time: a pass over the vectors takes a second a million clips or so, and
    what was stored would have to follow each new example and each new clip.

    Raises:
        UsageError: As for `examples_of`.
    """
    probe = learn(examples_of(catalogue, view, name))
    found = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK_ROWS):
        some = slice(start, start + BLOCK_ROWS)
        found[some] = probe.scores(view.index.vectors_of(rows[some], "similar"))
    return found
