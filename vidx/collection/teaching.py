"""What users teach a collection by examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from vidx.collection.changing import Changing
from vidx.collection.choosing import Choosing

if TYPE_CHECKING:
    import pyarrow as pa

    from vidx.curation.probes import Judged
    from vidx.selection import Selection


class Teaching(Choosing, Changing):
    """Concepts: learned from some clips that show them and some that do not, and kept."""

    def concept(
        self, name: str, positives: Iterable[int] = (), negatives: Iterable[int] = ()
    ) -> Selection:
        """Teach a concept by examples, or give more of them.

        They are kept as metadata of clips, in the column `concept NAME`, true or false; what is
        given anew takes the place of what was there. Afterwards `concept('NAME')` is a number in
        each `where`: how probable it is that a clip shows it, were half of all clips to.

        Args:
            name: Of the concept.
            positives: Ids of clips that show it.
            negatives: Ids of clips that do not.

        Returns:
            The clips that show it rather than not.

        Raises:
            UsageError: A clip is not there, or is both, or there is no example of one kind.
            VidxError: The name is none.
            CollectionLocked: Another process is writing.
        """
        from vidx.curating.concepts import checked_examples

        with self._part() as part:
            ids, is_like = checked_examples(part, name, positives, negatives)
        if len(ids):
            self.set_metadata({"clip_id": ids, f"concept {name}": is_like}, on="clip_id")
        quoted = name.replace("'", "''")
        return self.where(f"concept('{quoted}') > 0.5")

    def concepts(self) -> pa.Table:
        """The concepts, the oldest first: name, num_positives, num_negatives."""
        from vidx.store.concepts import concepts_table

        with self._part() as part:
            return concepts_table(part.catalogue)

    def delete_concept(self, name: str) -> int:
        """Forget a concept with its examples; the clips stay.

        Examples whose clips were removed come back with these, and can be deleted then.

        Args:
            name: The concept's.

        Returns:
            The commit that forgot it.

        Raises:
            UsageError: There is no such concept.
            CollectionLocked: Another process is writing.
        """
        from vidx.curating.concepts import no_examples

        with self._part() as part:
            forgotten = no_examples(part, name)
        return self.set_metadata(forgotten, on="clip_id", clear_empty=True).commit

    def suggest(self, name: str, n: int = 10) -> pa.Table:
        """Name the clips that are most worth to be given as examples next.

        They are those of which it is least sure, at most one of each video.

        Columns: `clip_id`, `video_id`, `path`, `start_seconds`, `end_seconds` and `score`, how
        probable it is that it shows the concept.

        Args:
            name: Of the concept.
            n: How many, at most.

        Raises:
            UsageError: There is no such concept, or n is below 1.
        """
        from vidx.curating import concepts

        with self._part() as part:
            return concepts.suggest(part, name, n)

    def evaluate(self, name: str) -> Judged:
        """Tell how well a concept is learned, by cross-validation over its examples' videos.

        Args:
            name: Of the concept.

        Returns:
            `average_precision`; `nearest`, that of a search for the nearest positive example; and
            `chance`, that of nothing.

        Raises:
            UsageError: There is no such concept, or fewer than two examples of one kind.
        """
        from vidx.curating import concepts

        with self._part() as part:
            return concepts.evaluate(part, name)
