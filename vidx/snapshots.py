"""Selections saved by name: made, listed, compared and deleted."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from vidx.errors import UsageError, VidxError
from vidx.masks import Rule, Saved, living_rows
from vidx.records import SnapshotReport
from vidx.store import snapshots
from vidx.store.catalogue import Catalogue
from vidx.store.snapshots.files import Snapshot
from vidx.store.staging import now
from vidx.store.writer import Writer
from vidx.views import Look, View

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_CHARACTERS = 200  # of a name


def save(writer: Writer, look: Look, rule: Rule, name: str) -> SnapshotReport:
    """Keep the clips of a rule by a name.

    Args:
        writer: Holds the collection's lock, so that nothing is committed meanwhile.
        look: Gives the catalogue and the view of the collection's state.
        rule: Which clips.
        name: The snapshot's.

    Raises:
        UsageError: The name is taken, or is none.
        VidxError: There are no clips, or the disk is full.
    """
    _check_name(name)
    with look() as (catalogue, view):
        if name in {row.name for row in snapshots.listed(catalogue)}:
            raise UsageError(
                f"there is a snapshot {name!r} already",
                "Choose another name, or delete that one: vidx snapshot delete NAME",
            )
        ids, state = _living(catalogue, view, rule), view.state.commit
    if not len(ids):
        raise VidxError(f"no clip is in {rule}: there is nothing to save", "Select some clips.")
    done = writer.save_snapshot(Snapshot(name, state, now(), str(rule)), ids)
    return SnapshotReport(name, len(ids), state, done.commit)


def delete(writer: Writer, catalogue: Catalogue, name: str) -> int:
    """Forget a snapshot; returns the commit that did.

    Raises:
        UsageError: There is none of this name.
    """
    return writer.delete_snapshot(snapshots.file_of(catalogue, name)).commit


def listed(look: Look) -> pa.Table:
    """All snapshots, the oldest first, with how many of their clips are gone since."""
    with look() as (catalogue, view):
        missing = [
            int(row.num_clips) - int(living_rows(catalogue, view, Saved(str(row.name))).sum())
            for row in snapshots.listed(catalogue)
        ]
        return snapshots.table(catalogue, missing)


def difference(look: Look, before: str, after: str) -> pa.Table:
    """What is in one of two snapshots alone, by clip_id.

    Raises:
        UsageError: There is no snapshot of one of these names.
    """
    with look() as (catalogue, view):
        living = [_living(catalogue, view, Saved(name)) for name in (before, after)]
        first, second = (snapshots.clip_ids(catalogue, name) for name in (before, after))
    return snapshots.difference(first, second, np.union1d(*living))


def _living(catalogue: Catalogue, view: View, rule: Rule) -> NDArray[np.int64]:
    return view.index.ids_where(living_rows(catalogue, view, rule))


def _check_name(name: str) -> None:
    """Refuse what cannot be shown, or typed again."""
    unseen = any(unicodedata.category(one).startswith("C") for one in name)
    if not name.strip() or len(name) > MOST_CHARACTERS or unseen:
        raise UsageError(
            f"{name[:MOST_CHARACTERS]!r} is no name of a snapshot",
            f"Choose one of 1 to {MOST_CHARACTERS} characters that can be seen.",
        )
