"""Groups of clips as a table: one row a member."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.curating.part import Part
from vidx.curation.groups import Groups
from vidx.store.told import clips_told, paths_of

if TYPE_CHECKING:
    import pyarrow as pa


def of_clips(part: Part, found: Groups) -> pa.Table:
    """Groups of duplicate clips, those of equal content alone first.

    A clip of a video that lies at several paths is a member at each of them.

    Args:
        part: The clips.
        found: Who is like whom.
    """
    paths = paths_of(part.catalogue, part.videos)
    num_paths = counted(paths, part.videos)
    firsts, scores = found.firsts.copy(), found.scores.copy()
    alone = (firsts < 0) & (num_paths > 1)
    firsts[alone], scores[alone] = np.flatnonzero(alone), 1
    members = np.flatnonzero(firsts >= 0)
    first = firsts[members]
    members = members[
        np.lexsort((members, -scores[members], first != members, first, ~alone[members]))
    ]
    rows = np.repeat(members, num_paths[members])
    is_exact = rows == firsts[rows]
    group, rank = numbered(firsts[rows])
    return clips_told(
        part.catalogue,
        part.clip_ids[rows],
        {"group": group, "rank": rank},
        {
            "path": [path for owner in part.videos[members].tolist() for path in paths[owner]],
            "score": scores[rows].astype(np.float64),
            "match": np.where(is_exact, "exact", "near"),
        },
    )


def counted(paths: dict[int, list[str]], numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    """How many paths each of some videos has."""
    unique, back = np.unique(numbers, return_inverse=True)
    counts = np.array([len(paths.get(number, ())) for number in unique.tolist()], np.int64)
    return counts[back]


def numbered(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The number of each row's group and its rank there, of rows that lie group by group.

    >>> [one.tolist() for one in numbered(np.array([7, 7, 3]))]
    [[0, 0, 1], [0, 1, 0]]
    """
    begins = np.diff(keys, prepend=-1) != 0 if len(keys) else np.empty(0, np.bool_)
    group = np.cumsum(begins) - 1
    return group, np.arange(len(keys)) - np.flatnonzero(begins)[group]
