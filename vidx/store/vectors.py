"""Reading the live vectors back from the shards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vidx.store import shards
from vidx.store.catalogue import Catalogue


def live_vectors(
    catalogue: Catalogue, *, since: int = 0, only: NDArray[np.int64] | None = None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Read the vectors of the live clips, one shard at a time, in the order of clip_id.

    They are those of one committed state, whatever is committed meanwhile: a shard never changes.

    Args:
        catalogue: Says which clips live.
        since: The first clip_id of interest.
        only: The clips of interest, ascending; None for all.

    Yields:
        Ids int64 (n,) and raw vectors float32 (n, dim) of one shard.

    Raises:
        CollectionDamaged: A shard is missing, unreadable or another collection's.
    """
    live = catalogue.live_clip_ids(since=since)
    if only is not None:
        live = np.intersect1d(live, only)
    for shard in catalogue.shards():
        low, high = np.searchsorted(live, [shard.first_clip_id, shard.end_clip_id])
        if low == high:
            continue
        ids = live[low:high]
        path = catalogue.layout.shards / shard.file
        table = shards.read_own(path, catalogue.manifest.uuid, shard.num_clips, ["embedding"])
        vectors = shards.matrix(table, "embedding")
        yield ids, vectors[ids - shard.first_clip_id].astype(np.float32, copy=False)
