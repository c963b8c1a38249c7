"""The questions that look at clips themselves: how good they are, and whether labels are right."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from vidx.curating.comparing import Comparison
    from vidx.curating.part import Part
    from vidx.records import IndexProgress


class Reviews:
    """What is asked of clips before they are used, each answered by a table of one moment."""

    def _part(self) -> AbstractContextManager[Part]:
        """The clips that are meant, at this moment."""
        raise NotImplementedError

    def quality(
        self,
        *,
        black: float = 0.5,
        frozen: float = 0.5,
        static: float | None = None,
        blurred: float | None = None,
        short: float | None = None,
    ) -> pa.Table:
        """Find clips that are poor to look at: a row a clip and issue, the worst of each first.

        Columns: `clip_id`, `video_id`, `path`, `start_seconds`, `end_seconds`, `issue` (black,
        frozen, static, blurred or short), `value` (what was measured) and `limit`. A black clip is
        not told to be static and blurred too, nor a frozen one to be static.

        Args:
            black: The least share of its samples that are black.
            frozen: The least share of its neighbouring samples that are one picture.
            static: The `motion` below which nothing moves. None: a 20th of the median of all clips
                of the collection.
            blurred: The `sharpness` below which it is blurred. None: a tenth of the median.
            short: The seconds below which it is too short. None: half of the median.

        Raises:
            UsageError: A limit is no number of 0 or more, or there are no clips.
        """
        from vidx.curating import quality
        from vidx.curation.quality import Limits

        with self._part() as part:
            return quality.quality(part, Limits(black, frozen, static, blurred, short))

    def label_issues(
        self,
        column: str | None = None,
        *,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> pa.Table:
        """Find labels that disagree with those of the clips around: a row a clip, the surest first.

        A clip is compared with its 20 nearest ones of other videos, and judged by a linear head
        that learned from other videos. Where a label was given to a video, all its clips speak for
        it together, and all are rows.

        Columns: `rank` (from 0; clips of one video share it where it has the label), `clip_id`,
        `video_id`, `path`, `start_seconds`, `end_seconds`, `given` (the label), `suggested` (the
        more probable one), `score` (how probable that is) and `given_score` (how
        probable the given one is).

        Args:
            column: Of metadata, with text, whole numbers or booleans; what has no value there is
                no row, and says nothing. None: each clip's most probable label by the model.
            progress: As for `Collection.duplicates`.

        Raises:
            UsageError: There is no such column, or fewer than two labels, or one video alone.
        """
        from vidx.curating import labels
        from vidx.curating.part import unheard

        with self._part() as part:
            return labels.label_issues(part, column, progress or unheard)

    def label_counts(self, column: str | None = None) -> pa.Table:
        """Count the clips of each label: a row a label, the most frequent first.

        Columns: `label` and `num_clips`.

        Args:
            column: Of metadata, with text, whole numbers or booleans; what has no value there is
                not counted. None: each clip's most probable label by the model.

        Raises:
            UsageError: There is no such column, or there are no clips.
        """
        from vidx.curating import labels

        with self._part() as part:
            return labels.label_counts(part, column)

    def map(self, method: str = "pca", *, seed: int = 0) -> pa.Table:
        """Lay clips out in two dimensions: a row a clip, by clip_id.

        Columns: `clip_id`, `video_id`, `path`, `start_seconds`, `end_seconds`, `x` and `y`.

        Args:
            method: `pca`: the axes along which they differ most. `umap`: so that neighbours stay
                neighbours; with `pip install 'vidx[umap]'`.
            seed: Of `umap`; the same gives the same.

        Raises:
            UsageError: There is no such method, its library is missing, or the clips are too few.
        """
        from vidx.curating import maps

        with self._part() as part:
            return maps.map_of(part, method, seed)

    def compare(self, other: Reviews, k: int | None = None, *, seed: int = 0) -> Comparison:
        """Tell what one set of clips has that another lacks, and how far apart they are.

        Both are parted into the same regions, by k-means.

        Args:
            other: A selection of this collection, such as a snapshot, or a collection or selection
                with vectors of the same model.
            k: How many regions; those that turn out empty are no row. None: the square root of
                half the number of clips of both, 1000 at most.
            seed: Of the first centres, and of what would be by chance.

        Returns:
            `coverage`, `other_coverage`, `drift`, `chance_drift`, and `regions`, a table with the
            columns `rank`, `change` (new, vanished or common), `num_clips`, `num_other_clips`,
            `share`, `other_share`, and of the most typical clip `is_of_other`, `clip_id`,
            `video_id`, `path`, `start_seconds` and `end_seconds`.

        Raises:
            UsageError: k is out of range, there are no clips, or `other` is something else.
            FingerprintMismatch: The other's vectors are of another model.
        """
        from vidx.curating import comparing
        from vidx.errors import UsageError

        if not isinstance(other, Reviews):
            raise UsageError(f"{other!r} is neither a collection nor a selection of one.")
        with self._part() as part, other._part() as others:
            return comparing.compare(part, others, k, seed)
