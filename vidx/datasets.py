"""The clips of a selection as a data set of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vidx.errors import UsageError, VidxError
from vidx.records import Clip
from vidx.store.catalogue import Catalogue
from vidx.store.export import clips_table
from vidx.store.places import places_of
from vidx.store.vectors import in_one, live_vectors

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from vidx.embedder.datasets import FrameDataset, VectorDataset

KINDS = ("frames", "vectors")


def make_dataset(
    catalogue: Catalogue, ids: NDArray[np.int64], kind: str, columns: Sequence[str]
) -> FrameDataset | VectorDataset:
    """Make a data set of some clips; see `Selection.dataset`.

    Args:
        catalogue: The collection's.
        ids: Of living clips, int64 (n,), ascending.
        kind: `frames` or `vectors`.
        columns: What else items have.

    Raises:
        UsageError: There is no such kind or column, or a clip has no value in it.
        VidxError: There are no clips.
    """
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of data set", f"Choose one of {', '.join(KINDS)}.")
    if not len(ids):
        raise VidxError("no clip is selected: there is nothing to learn from", "Select some.")
    from vidx.embedder.datasets import FrameDataset, Rows, VectorDataset

    table = clips_table(catalogue, ids=ids)
    rows = Rows(ids, {name: _values(table, name) for name in columns})
    if kind == "vectors":
        dim = catalogue.manifest.space.dim
        return VectorDataset(rows, in_one(live_vectors(catalogue, ids), dim)[1])
    owners = table.column("video_id").to_pylist()
    places = places_of(catalogue, set(owners))
    times = (table.column(name).to_pylist() for name in ("start_seconds", "end_seconds"))
    spans = [Clip(*span) for span in zip(*times, strict=True)]
    return FrameDataset(
        rows, spans, [places.get(one, []) for one in owners], catalogue.manifest.space
    )


def _values(table: pa.Table, name: str) -> list[object]:
    if name not in table.column_names:
        there = ", ".join(table.column_names)
        raise UsageError(f"there is no column {name!r}", f"There are: {there}.")
    column = table.column(name)
    if column.null_count:
        quoted = name.replace('"', '""')
        there = f'"{quoted}" is not null'
        raise UsageError(
            f"{column.null_count} of {len(column)} clips have no {name!r}, and a batch takes one "
            "of each",
            f"Leave them out: where({there!r}).",
        )
    values: list[object] = column.to_pylist()
    return values
