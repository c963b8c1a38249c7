"""One column of metadata, as numbers that say which clips have the same value."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vidx.errors import UsageError
from vidx.store.catalogue import Catalogue
from vidx.store.metadata.values import of_clips, of_videos
from vidx.store.sql import Ids, Wanted


def codes_of(
    catalogue: Catalogue, name: str, clip_ids: Ids, numbers: NDArray[np.int32]
) -> tuple[NDArray[np.int64], list[str]]:
    """What some clips, or their videos, have in a column of metadata.

    Args:
        catalogue: The collection's.
        name: The column.
        clip_ids: Ascending, shape (n,).
        numbers: Of their videos, shape (n,).

    Returns:
        For each clip a place among the values, -1 where it has none; and the values as text,
        sorted as such.

    Raises:
        UsageError: There is no such column.
    """
    column = values_of(catalogue, name, clip_ids, numbers).cast(pa.string()).combine_chunks()
    values = sorted(pc.unique(column).drop_null().to_pylist())
    found = pc.index_in(column, value_set=pa.array(values, pa.string()))
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), values


def values_of(
    catalogue: Catalogue, name: str, clip_ids: Ids, numbers: NDArray[np.int32]
) -> pa.ChunkedArray:
    """The same as it was given; as for `codes_of`."""
    known = catalogue.metadata_columns()
    of = {one.name: one.of for one in known}.get(name)
    if of is None:
        there = ", ".join(repr(one.name) for one in known) or "none at all"
        raise UsageError(
            f"there is no column of metadata {name!r}; there is {there}",
            "`vidx metadata FILE` tells what you know of videos.",
        )
    ours = [one.name for one in known if one.of == of].index(name)
    with catalogue.reading() as connection:
        if of == "clip":
            return of_clips(connection, clip_ids, Wanted.among(clip_ids))[ours]
        unique, back = np.unique(numbers.astype(np.int64), return_inverse=True)
        return of_videos(connection, unique)[ours].take(pa.array(back))
