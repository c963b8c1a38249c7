"""Parts of a collection, and those that were saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidx.collection.opened import Opened
from vidx.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import ArrayLike

    from vidx.masks import Rule
    from vidx.records import SnapshotReport
    from vidx.selection import Selection


class Choosing(Opened):
    """Selections, by an expression, by ids and by name."""

    def _selection(self, rule: Rule) -> Selection:
        """A selection of this collection."""
        raise NotImplementedError

    def where(self, expression: str) -> Selection:
        """The clips of which an expression is true, to be searched, read or exported.

        Args:
            expression: Such as `label('walks') > .4 and duration_seconds < 60`; `docs/where.md`
                says what there is to ask of.

        Returns:
            The selection. It is lazy: each of its verbs asks the collection as it is then.

        Raises:
            UsageError: The expression cannot be read, or names what is not there.
        """
        from vidx.masks import Where, check

        check(self._catalogue(), expression)
        return self._selection(Where(expression))

    def choose(self, clip_ids: ArrayLike) -> Selection:
        """Some clips, by their ids: the same ones, whatever is added later.

        Args:
            clip_ids: int, shape (n,).

        Raises:
            UnknownId: No live clip has one of these ids.
            UsageError: They are no whole numbers.
        """
        import numpy as np

        from vidx.masks import chosen

        wanted = np.asarray(clip_ids)
        if wanted.ndim != 1 or not (np.issubdtype(wanted.dtype, np.integer) or not len(wanted)):
            raise UsageError("clip_ids are no whole numbers of shape (n,).")
        with self._look() as (_, view):
            return self._selection(chosen(view, wanted.astype(np.int64)))

    def selection(self, name: str) -> Selection:
        """The clips of a snapshot that are still there.

        Args:
            name: As it was saved with `Selection.save`.

        Raises:
            UsageError: There is none of this name.
        """
        from vidx.masks import Saved
        from vidx.store.snapshots import file_of

        file_of(self._catalogue(), name)
        return self._selection(Saved(name))

    def snapshots(self) -> pa.Table:
        """The snapshots, the oldest first: name, num_clips, num_missing, state, time, rule.

        `num_missing` of the `num_clips` are not in the collection any more; `state` is the commit
        at which they were selected, `rule` how.
        """
        from vidx.snapshots import listed

        return listed(self._look)

    def diff(self, before: str, after: str) -> pa.Table:
        """What two snapshots do not have in common, by clip_id: clip_id, change, is_missing.

        `change` is `added` where the clip is in `after` alone, and `removed` where it is in
        `before` alone; `is_missing` where it is not in the collection any more.

        Args:
            before: The name of a snapshot.
            after: And of another one.

        Raises:
            UsageError: There is none of one of these names.
        """
        from vidx.snapshots import difference

        return difference(self._look, before, after)

    def delete_snapshot(self, name: str) -> int:
        """Forget a snapshot; its clips stay.

        Args:
            name: The snapshot's.

        Returns:
            The number of the commit.

        Raises:
            UsageError: There is none of this name.
            CollectionLocked: Another process is writing.
        """
        from vidx.snapshots import delete

        with self._writer(None) as writer:
            return delete(writer, self._catalogue(), name)

    def _save(self, rule: Rule, name: str) -> SnapshotReport:
        from vidx.snapshots import save

        with self._writer(None) as writer:
            return save(writer, self._look, rule, name)
