"""Which clips a request is about."""

from __future__ import annotations

from vidx.collection import Collection
from vidx.selection import Selection


def part_of(
    collection: Collection, where: str | None, selection: str | None
) -> Collection | Selection:
    """The clips that a request is about: all, those of an expression, of a snapshot, or of both.

    Raises:
        UsageError: The expression is wrong, or there is no such snapshot.
    """
    whole = collection if selection is None else collection.selection(selection)
    return whole if where is None else whole.where(where)
