"""Reading previews back from the shards: of a few clips, without reading all the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from vidx.errors import CollectionDamaged, UnknownId
from vidx.store import shards
from vidx.store.at_hand import at_hand
from vidx.store.catalogue import Catalogue, ShardRow
from vidx.store.sql import SOME, among
from vidx.store.tables import clips

PREVIEW_TYPE = "image/jpeg"

_LIVING = select(clips.c.clip_id).where(clips.c.clip_id.in_(SOME), clips.c.removed.is_(None))


def previews(catalogue: Catalogue, clip_ids: Sequence[int]) -> dict[int, bytes]:
    """The previews of some clips, of one state.

    Args:
        catalogue: The collection's.
        clip_ids: The clips, in any order.

    Returns:
        JPEG files by clip_id, in that order; clips without a preview are left out, and those that
        are removed and compacted while they are read.

    Raises:
        UnknownId: One of them is no live clip.
        CollectionDamaged: A shard is missing, broken or not the one it should be.
        VidxError: One that was put out of a working copy cannot be fetched.
    """
    with catalogue.now() as still:
        ids = _living(still, clip_ids)
        try:
            found = _stored(still, ids)
        except CollectionDamaged:  # `compact` may have put another shard in the place of one
            newer = Catalogue(catalogue.layout, catalogue.manifest)
            try:
                found = _stored(newer, ids)
            finally:
                newer.close()
    return {clip_id: found[clip_id] for clip_id in clip_ids if clip_id in found}


def _stored(catalogue: Catalogue, ids: NDArray[np.int64]) -> dict[int, bytes]:
    """The previews that the shards have of some clips, ids ascending."""
    found: dict[int, bytes] = {}
    for shard in catalogue.shards():
        low, high = np.searchsorted(ids, [shard.first_clip_id, shard.end_clip_id])
        if low < high:
            found |= _of_shard(catalogue, shard, ids[low:high])
    return found


def _living(catalogue: Catalogue, clip_ids: Sequence[int]) -> NDArray[np.int64]:
    """The ids, ascending, each once."""
    end = catalogue.state().next_clip_id
    with catalogue.reading() as connection:
        asked = {one for one in clip_ids if 0 <= one < end}
        living = {row.clip_id for row in among(connection, _LIVING, asked)}
    if unknown := [one for one in clip_ids if one not in living]:
        raise UnknownId.of(unknown[0])
    return np.array(sorted(living), np.int64)


def _of_shard(catalogue: Catalogue, shard: ShardRow, ids: NDArray[np.int64]) -> dict[int, bytes]:
    """The previews of clips of one shard, ids ascending; none where it has none."""
    uuid = catalogue.manifest.uuid
    with (
        at_hand(catalogue.layout, catalogue.manifest, shard.file) as path,
        shards.opened_own(path, uuid, shard.uuid, shard.num_clips) as file,
    ):
        names = file.schema_arrow.names
        if shards.PREVIEW not in names:
            return {}
        rows = ids - shard.first_clip_id
        if shards.CLIP_ID in names:
            stored = shards.clip_ids(path, file.read([shards.CLIP_ID]))
            ids = ids[np.isin(ids, stored)]  # what is gone by now may be dropped
            rows = np.searchsorted(stored, ids)
        groups, places = rows // shards.ROWS_TOGETHER, rows % shards.ROWS_TOGETHER
        found: dict[int, bytes] = {}
        for group in np.unique(groups).tolist():
            pictures = file.read_row_group(group, [shards.PREVIEW]).column(shards.PREVIEW)
            here = groups == group
            own = zip(ids[here].tolist(), places[here].tolist(), strict=True)
            found |= {clip_id: pictures[place].as_py() for clip_id, place in own}
        return found
