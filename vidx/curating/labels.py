"""`label_issues`: labels that disagree with those of the clips around; `label_counts`: how many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.curating.part import Part, Progress
from vidx.curation.heads import Heads, Take
from vidx.curation.labels import suspects
from vidx.curation.members import Members, Numbers
from vidx.curation.votes import Votes
from vidx.errors import UsageError
from vidx.store.given_labels import GivenLabels, given_labels
from vidx.store.told import best_labels, clips_told, table_of_columns

if TYPE_CHECKING:
    import pyarrow as pa


def label_issues(part: Part, column: str | None, progress: Progress) -> pa.Table:
    """Clips whose label is likely wrong, as `Reviews.label_issues` says.

    Raises:
        UsageError: There is no such column, or fewer than two labels, or one video alone.
    """
    labels = labels_of(part, column)
    if len(np.unique(labels.numbers[labels.numbers >= 0])) < 2:
        raise UsageError(
            "labels are told wrong by those of other clips, and there are not two of them"
        )
    videos, back = np.unique(part.videos, return_inverse=True)
    if len(videos) < 2:
        raise UsageError("clips are compared with those of other videos, and there is one video.")
    units = back.astype(np.int64) if labels.of == "video" else np.arange(len(part))
    of_units, owners = np.empty(int(units.max()) + 1, np.int64), np.empty(units.max() + 1, np.int32)
    of_units[units], owners[units] = labels.numbers, back
    of_units = _shared(of_units, owners)
    members, graph = Members(units), part.graph("similar", progress, apart=True)
    heads = Heads(_taken(part, members), owners, of_units, len(labels.names))
    votes = Votes(graph.places, graph.scores, units, of_units, len(labels.names))
    found = suspects(heads, votes, members, of_units)
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


def label_counts(part: Part, column: str | None) -> pa.Table:
    """How many clips have each label, as `Reviews.label_counts` says.

    Raises:
        UsageError: There is no such column.
    """
    labels = labels_of(part, column)
    counts = np.bincount(labels.numbers[labels.numbers >= 0], minlength=len(labels.names))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    names = [labels.names[number] for number in order.tolist()]
    return table_of_columns({"label": np.array(names, str), "num_clips": counts[order]})


def _shared(labels: Numbers, owners: NDArray[np.int32]) -> Numbers:
    """Labels without those of one video alone, which no other video can speak for: -1."""
    known = labels >= 0
    pairs = np.unique(np.stack([labels[known], owners[known]]), axis=1)
    found = np.bincount(pairs[0], minlength=int(labels.max()) + 1)
    return np.where(known & (found[labels] > 1), labels, -1)


def _taken(part: Part, members: Members) -> Take:
    """What gives vectors of things: the mean of their clips'."""

    def take(block: Numbers) -> NDArray[np.float32]:
        rows, clips = members.places(block)
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        sums = np.add.reduceat(part.vectors(clips, "similar"), first, axis=0)
        return np.asarray(sums / np.bincount(rows)[:, None], np.float32)

    return take


def labels_of(part: Part, column: str | None) -> GivenLabels:
    """The label of each clip: in a column of metadata, or the most probable one by the model.

    Raises:
        UsageError: There is no such column.
    """
    if column is not None:
        return given_labels(part.catalogue, column, part.clip_ids, part.videos)
    numbers, names = best_labels(part.catalogue, part.clip_ids)
    return GivenLabels(numbers, names, "clip")
