"""The questions that are asked of a collection and of a part of one alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidx.errors import UsageError
from vidx.reviews import Reviews
from vidx.showing import Showing

if TYPE_CHECKING:
    import os

    import pyarrow as pa

    from vidx.collection import Collection
    from vidx.curating.part import Part
    from vidx.masks import Rule
    from vidx.proposal import Proposal
    from vidx.records import IndexProgress, SplitReport
    from vidx.selection import Selection


class Questions(Reviews, Showing):
    """What a dataset's keepers ask, each answered by a table or a selection of one moment."""

    def _part(self) -> AbstractContextManager[Part]:
        """The clips that are meant, at this moment."""
        raise NotImplementedError

    def _selection(self, rule: Rule) -> Selection:
        """A selection of the same collection."""
        raise NotImplementedError

    def _whole(self) -> Collection:
        """The collection that is asked, or of which it is a part."""
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
        `share` (of the time from its first clip to its last, the span that matches),
        `compared_seconds` (how much of the video its clips show), and `offset_seconds` (from a time
        in the video to the same in the first).

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
        column: str | None = None,
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
            column: Of metadata: `balanced` by its values instead of labels, text, whole numbers or
                booleans; clips without one are a kind of their own.
            seed: Of what is random; the same gives the same clips.
            progress: Called with an `IndexProgress` while clips are chosen, where that takes long.

        Returns:
            Those clips; what is removed later is no longer among them.

        Raises:
            UsageError: There is no such strategy or column, there are fewer clips, or the model
                has no head and the strategy needs one.
        """
        from vidx.curating import samples
        from vidx.curating.part import unheard

        with self._part() as part:
            rule = samples.sample(part, n, strategy, column, seed, progress or unheard)
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

    def propose(self, groups: pa.Table, keep: str = "longest") -> Proposal:
        """Choose of each group of duplicates the file to keep, and propose to drop what it shows.

        A file is dropped only where the kept one shows it whole, but for half a second, by where
        both are in the first of the group: of what is left the best is kept too, and so on, and
        `why` tells how much of it the better one lacks.

        Args:
            groups: What `duplicates(by="video")` answers, or a part of it; any table with the
                columns `group`, `path` and `video_id`, each path once. Without `share`,
                `start_seconds`, `end_seconds` and `offset_seconds` all of a group are taken to
                show the same; without `compared_seconds` all of each to have been compared.
            keep: `longest`: to a tenth of a second, and of equals the one with most pixels, then
                bytes; `highest-resolution`: most pixels, then longest, then bytes; `first`: the
                first of the group; or a column of `videos()`, metadata included, whose highest
                value is kept. Of equals the first.

        Returns:
            What to keep and drop, and why; nothing is done until it is applied.

        Raises:
            UsageError: The groups are of clips or spans, or there is no such way to choose.
            VidxError: A file is no longer in the collection.
        """
        from vidx.curating import proposals
        from vidx.proposal import Proposal

        whole = self._whole()
        with whole._look() as (catalogue, view):
            table = proposals.propose(catalogue, groups, keep)
            return Proposal.made(whole, table, keep=keep, commit=view.state.commit)

    def leakage(
        self,
        column: str | None = None,
        *,
        other: Questions | None = None,
        threshold: float | None = None,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> pa.Table:
        """Find the same footage in several splits: a row a pair of videos, the closest first.

        Columns: `split`, and of the clip that is most like one of the other video `clip_id`,
        `video_id`, `path`, `start_seconds`, `end_seconds`; `other_split` and `other_clip_id` to
        `other_end_seconds` of that one; `score` (their similarity, as copies), `match` (`exact`
        where both are of one content, else `near`), `num_clips` and `other_num_clips` (how many
        clips of each are like one of the other); `share` and `other_share`: of all the clips of the
        one split, those that are like a clip of the other one.

        Args:
            column: Of metadata, that says which split a video or clip is in; what has no value is
                in none. None: `split`.
            other: Look for pairs with this collection or selection instead: the splits are called
                `this` and `other`, and all clips of the two are compared.
            threshold: The least similarity. None: as for `duplicates`.
            progress: As for `duplicates`.

        Raises:
            UsageError: There is no such column, the threshold is out of range, both a column and
                another collection are given, or there are no clips.
            FingerprintMismatch: The other collection's vectors cannot be compared.
        """
        from vidx.curating import leakage
        from vidx.curating.part import unheard
        from vidx.curating.thresholds import checked

        if other is not None and column is not None:
            raise UsageError("leakage is told by a column, or into another collection, not both.")
        with self._part() as part:
            least = checked(threshold, part.catalogue.layout.root)
            if other is None:
                return leakage.leakage(part, column or "split", least, progress or unheard)
            with other._part() as theirs:
                return leakage.leakage_into(part, theirs, least)

    def split(
        self,
        fractions: Mapping[str, float],
        group: str | None = None,
        stratify: str | None = None,
        *,
        seed: int = 0,
        threshold: float | None = None,
        write: str | None = None,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> SplitReport:
        """Share out videos among splits, so that nothing alike is in two of them.

        Videos that have clips as similar as `threshold` says stay together, also over others in
        between, and so do those with the same value of `group`. Fractions are of clips.

        Args:
            fractions: Of each split, such as `{"train": 0.8, "val": 0.1, "test": 0.1}`; 1 in all.
            group: A column of metadata whose values must not be in two splits.
            stratify: What each split is to have in the same proportions: a column of metadata, or
                `label`, each clip's most probable one.
            seed: Of what is random; the same gives the same splits.
            threshold: The least similarity, as copies. None: as for `duplicates`.
            write: A column of metadata, new or not, that is set to each video's split.
            progress: As for `duplicates`.

        Returns:
            The splits, and the proof: where fractions or proportions are missed by more than 2%,
            it says why.

        Raises:
            UsageError: The fractions do not add up, a column is not there, an argument is out of
                range, or there are no clips.
            VidxError: There are fewer groups than splits; or `write` cannot be set.
            CollectionLocked: Another process is writing, where `write` is given.
        """
        from vidx.curating import splits
        from vidx.curating.part import unheard
        from vidx.curating.thresholds import checked

        with self._part() as part:
            least, heard = checked(threshold, part.catalogue.layout.root), progress or unheard
            report = splits.split(part, fractions, group, stratify, seed, least, heard)
        if write is None:
            return report
        told = report.table.select(["video_id", "split"]).rename_columns(["video_id", write])
        return replace(report, written=self._whole().set_metadata(told, on="video_id"))


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
