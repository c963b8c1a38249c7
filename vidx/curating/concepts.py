"""`concept`, `suggest` and `evaluate`: what users teach by examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.concepts import examples_of, scores_of
from vidx.curating.part import Part
from vidx.curation.probes import Judged, judge
from vidx.errors import UsageError
from vidx.store.concepts import concept_examples, concepts_table, told_of_none
from vidx.store.told import clips_told

if TYPE_CHECKING:
    import pyarrow as pa

Ids = NDArray[np.int64]


def checked_examples(
    part: Part, name: str, positives: Iterable[int], negatives: Iterable[int]
) -> tuple[Ids, list[bool]]:
    """Examples that are given of a concept, and whether each is like it.

    Raises:
        UsageError: A clip is not there, or is both, or there would be none of one kind.
    """
    likes, others = (np.unique(np.fromiter(ids, np.int64)) for ids in (positives, negatives))
    given = np.concatenate([likes, others])
    if len(both := np.intersect1d(likes, others)):
        raise UsageError(f"clip {both[0]} is given as like {name!r}, and as unlike it.")
    if len(unknown := np.setdiff1d(given, part.clip_ids)):
        raise UsageError(
            f"there is no clip {unknown[0]}", "`vidx export` lists clips, with their ids."
        )
    before, was_like = concept_examples(part.catalogue, name)
    kept = was_like[~np.isin(before, given)]
    if not (len(likes) or kept.any()) or not (len(others) or (~kept).any()):
        raise UsageError(
            f"the concept {name!r} takes a clip that is like it, and one that is not",
            "Give one of each.",
        )
    return given, [True] * len(likes) + [False] * len(others)


def no_examples(part: Part, name: str) -> pa.Table:
    """What is told of a concept's examples, as metadata, for them to be examples no longer.

    Raises:
        UsageError: There is no such concept.
    """
    ids, _ = concept_examples(part.catalogue, name)
    if not len(ids):
        known = ", ".join(map(repr, concepts_table(part.catalogue)["name"].to_pylist()))
        raise UsageError(
            f"there is no concept {name!r}", f"There are {known}." if known else "There is none."
        )
    return told_of_none(name, ids)


def suggest(part: Part, name: str, count: int) -> pa.Table:
    """Clips of which it is least sure whether they show a concept, one a video.

    Raises:
        UsageError: There is no such concept, or count is below 1.
    """
    if count < 1:
        raise UsageError(f"n={count}: 1 is the least.")
    scores = scores_of(part.catalogue, part.view, name, part.rows)
    known, _ = concept_examples(part.catalogue, name)
    new = np.flatnonzero(~np.isin(part.clip_ids, known))
    order = new[np.lexsort((new, np.abs(scores[new] - 0.5)))]
    _, first = np.unique(part.videos[order], return_index=True)
    chosen = order[np.sort(first)][:count]
    return clips_told(
        part.catalogue, part.clip_ids[chosen], {}, {"score": scores[chosen].astype(np.float64)}
    )


def evaluate(part: Part, name: str) -> Judged:
    """How well the examples of a concept are told when they are left out.

    Raises:
        UsageError: There is no such concept, or fewer than two examples of one kind.
    """
    examples = examples_of(part.catalogue, part.view, name)
    likes = int(examples.is_like.sum())
    if min(likes, len(examples.is_like) - likes) < 2:
        raise UsageError(
            f"the concept {name!r} has one example of a kind: leaving it out leaves none",
            "Give two of each, or more.",
        )
    return judge(examples)
