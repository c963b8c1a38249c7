"""A column of metadata as labels of clips."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from vidx.errors import UsageError
from vidx.store.catalogue import Catalogue
from vidx.store.metadata import columns, values
from vidx.store.sql import Ids, Wanted

KINDS = ("text", "integer", "boolean")  # of columns whose values can be labels


class GivenLabels(NamedTuple):
    """Labels of clips.

    Attributes:
        numbers: Of each clip a place among the names, int64, shape (n,); -1 where it has none.
        names: Sorted.
        of: `video` or `clip`: what the labels were given to.
    """

    numbers: NDArray[np.int64]
    names: list[str]
    of: str


def given_labels(
    catalogue: Catalogue, column: str, clip_ids: Ids, videos: NDArray[np.int32]
) -> GivenLabels:
    """The values of a column of metadata.

    Args:
        catalogue: The collection's.
        column: Its name.
        clip_ids: Ascending, shape (n,).
        videos: The number of each clip's video, shape (n,).

    Raises:
        UsageError: There is no such column, or its values are no labels.
    """
    with catalogue.reading() as connection:
        known = {one.name: one for one in columns(connection)}
        if column not in known:
            there = ", ".join(map(repr, known)) or "none"
            raise UsageError(f"there is no column of metadata {column!r}", f"There are: {there}.")
        of, kind = known[column].of, known[column].type
        if kind not in KINDS:
            raise UsageError(
                f"{column!r} has values that are {kind}, which is no label",
                f"Take a column that is {', '.join(KINDS[:-1])} or {KINDS[-1]}.",
            )
        place = [one.name for one in known.values() if one.of == of].index(column)
        if of == "video":
            unique, back = np.unique(videos, return_inverse=True)
            found = values.of_videos(connection, unique.astype(np.int64))[place].take(back)
        else:
            found = values.of_clips(connection, clip_ids, Wanted.among(clip_ids))[place]
    texts = found.cast("string")
    names = sorted(one for one in pc.unique(texts).to_pylist() if one is not None)
    numbers = pc.fill_null(pc.index_in(texts, value_set=pa.array(names, pa.string())), -1)
    return GivenLabels(numbers.to_numpy().astype(np.int64), names, of)
