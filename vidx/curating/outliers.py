"""`outliers`: the least typical clips, and beside what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vidx.curating.part import Part, Progress
from vidx.curation import outliers as computing
from vidx.errors import UsageError
from vidx.options import check_limit
from vidx.store.told import clips_told, paths_of, spans

if TYPE_CHECKING:
    import pyarrow as pa


def outliers(part: Part, limit: int | None, progress: Progress) -> pa.Table:
    """Clips by how lonely they are, as `Questions.outliers` says.

    Raises:
        UsageError: There is one clip alone, or the limit is below 1.
    """
    if len(part) < 2:
        raise UsageError("outliers are told by their neighbours, and there is one clip.")
    check_limit(limit)
    graph = part.graph("similar", progress)
    found = computing.outliers(graph.places, graph.scores)
    order = np.lexsort((np.arange(len(part)), -found.factors))[:limit]
    nearest = part.clip_ids[graph.places[order, 0]]
    beside = spans(part.catalogue, nearest)
    paths = paths_of(part.catalogue, beside["video"])
    return clips_told(
        part.catalogue,
        part.clip_ids[order],
        {"rank": np.arange(len(order))},
        {
            "factor": found.factors[order],
            "distance": found.distances[order],
            "score": graph.scores[order, 0].astype(np.float64),
            "nearest_clip_id": nearest,
            "nearest_path": [paths[owner][0] for owner in beside["video"].tolist()],
            "nearest_start_seconds": beside["start"],
            "nearest_end_seconds": beside["end"],
        },
    )
