"""`label_issues`: labels that disagree with those of the clips around."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vidx.curating.part import Part, Progress
from vidx.curation.labels import Votes, suspects
from vidx.errors import UsageError
from vidx.store.given_labels import GivenLabels, given_labels
from vidx.store.told import best_labels, clips_told

if TYPE_CHECKING:
    import pyarrow as pa


def label_issues(part: Part, column: str | None, progress: Progress) -> pa.Table:
    """Clips whose label is likely wrong, as `Reviews.label_issues` says.

    Raises:
        UsageError: There is no such column, or fewer than two labels, or one video alone.
    """
    labels = _labels(part, column)
    if len(np.unique(labels.numbers[labels.numbers >= 0])) < 2:
        raise UsageError(
            "labels are told wrong by those of other clips, and there are not two of them"
        )
    videos, back = np.unique(part.videos, return_inverse=True)
    if len(videos) < 2:
        raise UsageError("clips are compared with those of other videos, and there is one video.")
    units = back.astype(np.int64) if labels.of == "video" else np.arange(len(part))
    of_units = np.empty(int(units.max()) + 1, np.int64)
    of_units[units] = labels.numbers
    graph = part.graph("similar", progress, apart=True)
    found = suspects(Votes(graph.places, graph.scores, units, of_units, len(labels.names)))
    rank_of = np.full(len(of_units), -1)
    rank_of[found.units] = np.arange(len(found.units))
    clips = np.flatnonzero(rank_of[units] >= 0)
    clips = clips[np.argsort(rank_of[units[clips]], kind="stable")]
    ranks, names = rank_of[units[clips]], np.array(labels.names, str)
    return clips_told(
        part.catalogue,
        part.clip_ids[clips],
        {"rank": ranks},
        {
            "given": names[labels.numbers[clips]],
            "suggested": names[found.suggested[ranks]],
            "score": found.scores[ranks],
            "given_score": found.given_scores[ranks],
        },
    )


def _labels(part: Part, column: str | None) -> GivenLabels:
    if column is not None:
        return given_labels(part.catalogue, column, part.clip_ids, part.videos)
    numbers, names = best_labels(part.catalogue, part.clip_ids)
    return GivenLabels(numbers, names, "clip")
