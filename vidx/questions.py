"""The questions that are asked of a collection and of a part of one alike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidx.reviews import Reviews

if TYPE_CHECKING:
    import os

    import pyarrow as pa

    from vidx.curating.part import Part
    from vidx.masks import Rule
    from vidx.records import IndexProgress
    from vidx.selection import Selection


class Questions(Reviews):
    """What a dataset's keepers ask, each answered by a table or a selection of one moment."""

    def _part(self) -> AbstractContextManager[Part]:
        """The clips that are meant, at this moment."""
        raise NotImplementedError

    def _selection(self, rule: Rule) -> Selection:
        """A selection of the same collection."""
        raise NotImplementedError

    def duplicates(
        self,
        threshold: float | None = None,
        *,
        by: str = "clip",
        within_videos: bool = False,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> pa.Table:
        """Find the same footage, more than once: a row a member of each group.

        Every member is as similar to the first of its group as `threshold` says, or of the same
        content: nothing is in a group because it is like another member. Groups of equal content
        alone come first.

        Columns: `group` and `rank` (from 0), `clip_id`, `video_id`, `path`, `start_seconds`,
        `end_seconds`, `score` (the similarity to the first, as copies: cosine after whitening), and
        `match`: `exact` where it is the very clip of the first, else `near`. What lies at several
        paths is a member at each. Where `by` is not `clip`, `clip_id` is empty, and there are
        `share` (of the video's time, the span that matches) and `offset_seconds` (from a time in
        the video to the same in the first).

        Args:
            threshold: The least similarity, in [-1, 1]. None: what `docs/curation/duplicates.md`
                says.
            by: `clip`; `segment`: spans of two videos, a group of two, first the one of which it
                is the smaller share; `video`: videos of which more than half is in the first.
            within_videos: Whether clips of one video may be duplicates of each other too.
            progress: Called with an `IndexProgress` while the closest clips of all are found, which
                is done once for all that was embedded.

        Raises:
            UsageError: An argument is out of range, or there are no clips.
        """
        from vidx.curating import duplicates
        from vidx.curating.part import unheard

        with self._part() as part:
            return duplicates.duplicates(
                part, threshold, by, within_videos=within_videos, progress=progress or unheard
            )

    def sample(
        self,
        n: int,
        strategy: str = "diverse",
        *,
        seed: int = 0,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> Selection:
        """Choose some clips.

        Args:
            n: How many.
            strategy: `diverse`: far from each other, so that none is far from all of them (greedy
                k-centre). `balanced`: as many of each label as there are, by each clip's most
                probable one, at random. `representative`: of each cluster by its size, the most
                typical ones. `uncertain`: those of whose label the model is least sure, by the
                entropy of its head. `random`.
            seed: Of what is random; the same gives the same clips.
            progress: Called with an `IndexProgress` while clips are chosen, where that takes long.

        Returns:
            Those clips; what is removed later is no longer among them.

        Raises:
            UsageError: There is no such strategy, there are fewer clips, or the model has no head
                and the strategy needs one.
        """
        from vidx.curating import samples
        from vidx.curating.part import unheard

        with self._part() as part:
            rule = samples.sample(part, n, strategy, seed, progress or unheard)
        return self._selection(rule)

    def clusters(self, k: int | None = None, *, seed: int = 0) -> pa.Table:
        """Part the clips into clusters: a row a clip, the largest cluster first.

        Columns: `group` and `rank` (from 0: the most typical), `clip_id`, `video_id`, `path`,
        `start_seconds`, `end_seconds`, `score` (the similarity to the cluster's centre), and of the
        cluster its `size` (clips), `tightness` (the mean score), `name` and `labels`: up to three
        that are most often its clips' best, with the share of its clips that each has.

        Args:
            k: How many clusters; some may turn out to be empty. None: the square root of half the
                number of clips, 1000 at most.
            seed: Of the first centres.

        Raises:
            UsageError: k is out of range, or there are no clips.
        """
        from vidx.curating import clusters

        with self._part() as part:
            return clusters.clusters(part, k, seed)

    def outliers(
        self,
        limit: int | None = None,
        *,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> pa.Table:
        """Find the least typical clips: a row a clip, the loneliest first.

        Columns: `rank` (from 0), `clip_id`, `video_id`, `path`, `start_seconds`, `end_seconds`,
        `factor` (the local outlier factor by 20 neighbours: about 1 where a clip lies as densely
        as its neighbours do), `distance` (the mean cosine distance to them, 1 less their score),
        `score` (the similarity to the nearest one), and that one: `nearest_clip_id`,
        `nearest_path`, `nearest_start_seconds`, `nearest_end_seconds`.

        Args:
            limit: Only the first so many. None: all.
            progress: As for `duplicates`.

        Raises:
            UsageError: There is one clip or none, or the limit is below 1.
        """
        from vidx.curating import outliers
        from vidx.curating.part import unheard

        with self._part() as part:
            return outliers.outliers(part, limit, progress or unheard)


def table_file(path: str | os.PathLike[str]) -> Callable[[pa.Table], None]:
    """A file for an answer, by its name: `.parquet`, `.csv` or `.jsonl`.

    Args:
        path: One that is there is replaced.

    Returns:
        What writes a table there, whole or not at all; it raises a VidxError where it cannot.

    Raises:
        UsageError: The name ends with something else.
    """
    from vidx.store.table_files import check_name, write_table

    check_name(Path(path))
    return partial(write_table, path=Path(path))
