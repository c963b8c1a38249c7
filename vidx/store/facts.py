"""What was measured of clips when they were embedded, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from vidx.records import FACTS
from vidx.store.catalogue import Catalogue
from vidx.store.sql import Ids, Wanted
from vidx.store.tables import clips
from vidx.store.told import MANY_CLIPS

_QUERY = select(
    clips.c.clip_id,
    *(clips.c[name] for name in FACTS),
    (clips.c.end_seconds - clips.c.start_seconds).label("seconds"),
)


def facts_of(catalogue: Catalogue, clip_ids: Ids) -> dict[str, NDArray[np.float64]]:
    """The facts of clips and how long they are.

    Args:
        catalogue: The collection's.
        clip_ids: Of clips that there are, ascending, shape (n,).

    Returns:
        `FACTS` and `seconds`, float64, shape (n,) each.
    """
    names = (*FACTS, "seconds")
    table = np.empty((len(clip_ids), len(names)), np.float64)
    with catalogue.reading() as connection:
        for start in range(0, len(clip_ids), MANY_CLIPS):
            some = clip_ids[start : start + MANY_CLIPS]
            for condition in Wanted.among(some).conditions(clips.c.clip_id):
                cursor: Any = connection.execute(_QUERY.where(condition)).cursor
                rows = np.array(cursor.fetchall(), np.float64).reshape(-1, 1 + len(names))
                rows = rows[np.isin(rows[:, 0].astype(np.int64), some)]
                table[np.searchsorted(clip_ids, rows[:, 0].astype(np.int64))] = rows[:, 1:]
    return dict(zip(names, table.T, strict=True))
