"""Reading vectors back from the shards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidx.errors import CollectionDamaged, VidxError
from vidx.store import shards
from vidx.store.at_hand import at_hand, is_put_out
from vidx.store.catalogue import Catalogue, ShardRow

Part = TypeVar("Part")
Vectors: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float32]]


class Stored(NamedTuple):
    """The clips of one shard, living or not.

    Attributes:
        ids: int64 (n,), ascending.
        vectors: Raw, float32 (n, dim).
        videos: Numbers of their videos, int32 (n,).
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    videos: NDArray[np.int32]


def stored_vectors(
    catalogue: Catalogue, *, since: int = 0, fetching: bool = True
) -> Iterator[Stored]:
    """Read the vectors of all clips that the catalogue knows, one shard at a time, by clip_id.

    Args:
        catalogue: Says which shards there are; `Catalogue.now` keeps it to one state.
        since: The first clip_id of interest.
        fetching: Whether shards are read, too, that a working copy of a bucket has put out.

    Yields:
        The clips of one shard.

    Raises:
        CollectionDamaged: A shard is missing, broken or not the one it should be.
        VidxError: One that was put out cannot be fetched.
    """
    for shard in catalogue.shards():
        if shard.end_clip_id <= since:
            continue
        if not fetching and is_put_out(catalogue.layout, shard.file):
            continue
        ids, vectors = _read(catalogue, shard)
        numbered = catalogue.video_numbers(shard.first_clip_id, shard.end_clip_id)
        numbered = numbered[np.isin(numbered[:, 0], ids)]
        if len(numbered) != len(ids):
            raise CollectionDamaged(
                f"the catalogue has other clips than the shard {shard.file}",
                "`vidx verify` tells which; `vidx rebuild` makes the catalogue anew.",
            )
        start = int(np.searchsorted(ids, since))
        yield Stored(ids[start:], vectors[start:], numbered[start:, 1].astype(np.int32))


def live_vectors(
    catalogue: Catalogue, ids: NDArray[np.int64] | None = None, column: str = "embedding"
) -> Iterator[Vectors]:
    """Read the vectors of the live clips, one shard at a time, in the order of clip_id.

    Args:
        catalogue: Says which clips live; `Catalogue.now` keeps it to one state.
        ids: Of the clips that are wanted, all of them alive, ascending. None: all that live.
        column: Which column of the shards; `logits` are read alike.

    Yields:
        Ids int64 (n,) and raw vectors float32 (n, dim) of one shard.

    Raises:
        CollectionDamaged: A shard is missing, broken or not the one it should be.
        VidxError: One that was put out cannot be fetched.
    """
    with catalogue.now() as still:
        live = still.live_clip_ids() if ids is None else ids
        for shard in still.shards():
            low, high = np.searchsorted(live, [shard.first_clip_id, shard.end_clip_id])
            if low == high:
                continue
            stored, vectors = _read(still, shard, column)
            some = live[low:high]
            if not np.isin(some, stored).all():
                raise VidxError(
                    f"clips of {shard.file} were removed and compacted while they were read",
                    "Run the same again: it begins with what there is now.",
                )
            yield some, vectors[np.searchsorted(stored, some)]


def in_one(parts: Iterable[Vectors], dim: int) -> Vectors:
    """Parts as `live_vectors` gives them as one: ids int64 (n,), vectors float32 (n, dim)."""
    all_parts = [(np.empty(0, np.int64), np.empty((0, dim), np.float32)), *parts]
    return np.concatenate([ids for ids, _ in all_parts]), np.concatenate([v for _, v in all_parts])


def read_ahead(parts: Iterator[Part]) -> Iterator[Part]:
    """The same parts, each read by a thread while the one before it is being used."""
    with ThreadPoolExecutor(1, thread_name_prefix="vidx-read") as pool:
        coming = pool.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = pool.submit(next, parts, None)
            yield part


def _read(catalogue: Catalogue, shard: ShardRow, column: str = "embedding") -> Vectors:
    """The ids and vectors of a shard, from where they are now if it was compacted meanwhile."""
    try:
        return _read_file(catalogue, shard, column)
    except CollectionDamaged:
        now = Catalogue(catalogue.layout, catalogue.manifest)
        try:
            heirs = [row for row in now.shards() if _overlap(row, shard) and row != shard]
        finally:
            now.close()
        if not heirs:
            raise
        parts = [_read_file(catalogue, row, column) for row in heirs]
        ids = np.concatenate([part for part, _ in parts])
        inside = (ids >= shard.first_clip_id) & (ids < shard.end_clip_id)
        return ids[inside], np.concatenate([vectors for _, vectors in parts])[inside]


def _overlap(one: ShardRow, other: ShardRow) -> bool:
    return one.first_clip_id < other.end_clip_id and one.end_clip_id > other.first_clip_id


def _read_file(catalogue: Catalogue, shard: ShardRow, column: str) -> Vectors:
    own = catalogue.manifest.uuid
    dense = shard.num_clips == shard.end_clip_id - shard.first_clip_id
    columns = [column] if dense else [column, shards.CLIP_ID]
    with at_hand(catalogue.layout, catalogue.manifest, shard.file) as path:
        table = shards.read_own(path, own, shard.uuid, shard.num_clips, columns)
    vectors = shards.matrix(table, column).astype(np.float32, copy=False)
    return shards.clip_ids(path, table), vectors
