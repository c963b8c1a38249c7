"""What a collection holds."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex

from vidx.collection.opened import Opened

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from vidx.records import CollectionInfo, Footage


class Contents(Opened):
    """Clips, vectors, videos, failures and commits as tables, and what there is of pictures."""

    def clips(self, limit: int | None = None, *, after: int | None = None) -> pa.Table:
        """The clips by clip_id: clip_id, video_id, path, times, facts, repeats, labels, metadata.

        `docs/formats.md` defines the facts, such as `brightness`; `repeats` says that a clip has
        the very pictures of the one before. Metadata is that of the clips' videos, then their own.

        Args:
            limit: Only the first so many. None: all.
            after: Only those behind the clip of this id. None: from the first one on.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import clips_table

        return clips_table(self._catalogue(), limit, after=after)

    def iter_clips(self) -> Iterator[pa.Table]:
        """The clips as in `clips`, in tables of some ten thousand rows, all of one state."""
        from vidx.store.export import clip_tables

        return clip_tables(self._catalogue())

    def vectors(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """All vectors, raw, in the order of clip_id.

        Returns:
            Ids int64 (n,) and vectors float32 (n, dim).
        """
        from vidx.store.vectors import in_one, live_vectors

        return in_one(live_vectors(self._catalogue()), self._manifest().space.dim)

    def iter_vectors(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """The vectors as in `vectors`, a shard at a time, all of one state."""
        from vidx.store.vectors import live_vectors

        return live_vectors(self._catalogue())

    def videos(
        self, limit: int | None = None, *, after: str | None = None, remarked: bool = False
    ) -> pa.Table:
        """The videos by path, with all that is known of each.

        Their locations, number of clips and what the decoder learned; whether they are `whole` or
        `partial` (`status`), and why (`problem_reason`, `problem_message`); and `notes`: what was
        done to tell their times or what else their files hold, in plain sentences. Then what is
        known of them, a column of metadata each.

        Args:
            limit: Only the first so many. None: all.
            after: Only those behind this path. None: from the first one on.
            remarked: Only those that are partial or have notes.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import videos_table

        return videos_table(self._catalogue(), limit, after=after, remarked=remarked)

    def failures(self, limit: int | None = None, *, after: str | None = None) -> pa.Table:
        """The files that could not be embedded, by path.

        path, reason, message, attempts, last_attempt: how many times this content was tried at
        this path, and when last (ISO 8601, UTC).

        Args:
            limit: Only the first so many. None: all.
            after: Only those behind this path. None: from the first one on.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import failures_table

        return failures_table(self._catalogue(), limit, after=after)

    def commits(self, limit: int | None = None) -> pa.Table:
        """What was done to the collection, the latest first: number, time, verb, provenance.

        Args:
            limit: Only the last so many. None: all.

        Raises:
            UsageError: The limit is below 1.
        """
        from vidx.store.export import commits_table

        return commits_table(self._catalogue(), limit)

    def info(self) -> CollectionInfo:
        """How much the collection holds, in which embedding space, and what made its vectors."""
        from vidx import records
        from vidx.indexing import report
        from vidx.views import fits, open_index

        manifest, catalogue = self._manifest(), self._catalogue()
        index = open_index(catalogue)
        with catalogue.now() as still:
            counts, covered = still.counts(), fits(index, still.state())
            origins = tuple(still.origins())
            end = index.end_clip_id if covered else 0
            return records.CollectionInfo(
                path=self._layout.told,
                uuid=manifest.uuid,
                catalogue=manifest.catalogue,
                space=manifest.space,
                **{f"num_{name}": counts[name] for name in _COUNTS},
                num_previews=sum(one.num_clips for one in origins if one.has_previews),
                num_indexed_clips=len(index) if covered else 0,
                num_newer_clips=still.count_clips(since=end),
                index=report(index),
                metadata=tuple(still.metadata_columns()),
                origins=origins,
            )

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write all clips with their vectors, labels and metadata to one Parquet file.

        Args:
            path: The file; one that is there is replaced, if its name ends in `.parquet`.

        Returns:
            Rows written.

        Raises:
            UsageError: A file of another kind is there.
        """
        from vidx.store.export import export

        return export(self._catalogue(), self._manifest().space.dim, Path(path))

    def footage(self, clip_id: SupportsIndex) -> Footage:
        """Where a clip's pictures are to be had.

        Args:
            clip_id: The clip.

        Raises:
            UnknownId: No live clip has this id.
        """
        from vidx.store.footage import footage

        return footage(self._catalogue(), operator.index(clip_id))

    def previews(self, clip_ids: Sequence[SupportsIndex]) -> dict[int, bytes]:
        """Small pictures of clips, as `embed` kept them with `previews`.

        Args:
            clip_ids: The clips. Those that lie together are read together, about a megabyte.

        Returns:
            JPEG files by clip_id, in the order of `clip_ids`. Clips that have none are left out.

        Raises:
            UnknownId: One of them is no live clip.
        """
        from vidx.store.previews import previews

        return previews(self._catalogue(), [operator.index(one) for one in clip_ids])


_COUNTS = (
    "videos", "partial", "locations", "clips", "repeats", "failures", "shards", "unfinished"
)  # fmt: skip
