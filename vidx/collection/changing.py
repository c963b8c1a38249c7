"""What users take out, bring back, and tell of videos and clips."""

from __future__ import annotations

import operator
import os
from typing import TYPE_CHECKING

from vidx.collection.opened import Opened, Paths, as_list
from vidx.errors import UsageError
from vidx.store import layout as layouts

if TYPE_CHECKING:
    from vidx.proposal import Proposal
    from vidx.records import ApplyReport, MetadataReport, RemoveReport, RestoreReport, UndoReport


class Changing(Opened):
    """Removals, proposals and metadata."""

    def remove(self, paths: Paths) -> RemoveReport:
        """Take files out of the collection; a video goes with its last location.

        The files themselves are not touched. Clips that go are masked at once; their rows stay in
        the shards, and `restore` brings them back, until `compact`.

        Args:
            paths: Files, or folders for all that lies in them.

        Returns:
            What was taken out.

        Raises:
            UsageError: One of the paths is not in the collection; nothing was changed.
            CollectionLocked: Another process is writing.
        """
        from vidx import records
        from vidx.remote.urls import absolute
        from vidx.store.survey import escaped

        with self._writer(None) as writer:
            catalogue = self._catalogue()
            found = []
            for path in as_list(paths):
                here = catalogue.paths_at(escaped(absolute(path)))
                if not here:
                    raise UsageError(
                        f"{os.fspath(path)!r} is not in the collection",
                        "`vidx videos` and `vidx failures` list what is.",
                    )
                found += here
            unique = sorted(set(found))
            done = writer.remove(unique)
            return records.RemoveReport(tuple(unique), done.locations, done.videos, done.commit)

    def restore(self, commit: int) -> RestoreReport:
        """Take a removal back: its files and their clips are there again.

        Paths that hold something else since stay as they are.

        Args:
            commit: The removal's, as its report and `commits` tell.

        Returns:
            What was brought back.

        Raises:
            UsageError: The commit removed nothing, or what it removed was compacted since.
            CollectionLocked: Another process is writing.
        """
        from vidx import records

        with self._writer(None) as writer:
            done = writer.restore(operator.index(commit))
            return records.RestoreReport(commit, done.locations, done.videos, done.commit)

    def undo(self, commit: int) -> UndoReport:
        """Take a proposal back that was applied: its files and clips are there again.

        Files that were moved are moved back. What was deleted or became a link is lost, and told.

        Args:
            commit: The one that applied it, as its report and `commits` tell.

        Returns:
            What was brought back.

        Raises:
            UsageError: The commit applied no proposal, or that was taken back or compacted since.
            VidxError: A file cannot be moved back; the same again goes on.
            CollectionLocked: Another process is writing.
        """
        from vidx import applying

        with self._writer(None) as writer:
            return applying.undo(writer, self._catalogue(), operator.index(commit))

    def _apply(self, proposal: Proposal, files: str | None) -> ApplyReport:
        from vidx import applying

        with self._writer(None) as writer:
            table, told = proposal.table, proposal.told
            return applying.apply(writer, self._catalogue(), table, told, files)

    def set_metadata(
        self,
        table: object,
        *,
        on: str = "path",
        clear_empty: bool = False,
    ) -> MetadataReport:
        """Tell what you know of videos or clips: split, camera, licence, quality and the like.

        Columns become columns of metadata, with the types text, integer, real, boolean and
        timestamp; those that are not there yet are added, and each keeps its type. A value takes
        the place of what was there; an empty one, or NaN, says nothing.

        Args:
            table: A `pyarrow.Table`, or what `pyarrow.table` makes one of: a dictionary of columns,
                a pandas or polars DataFrame. Or the path of a `.csv`, `.jsonl` or `.parquet` file.
            on: The column that says whose a row is. `path`: any location of a video; a relative
                one in a file is looked for from the file's folder, then as in a table from the
                working folder. `video_id`: a video. `clip_id`: a clip.
            clear_empty: Whether empty values take out what was there.

        Returns:
            What was set, and which rows are about nothing in the collection.

        Raises:
            UsageError: The file is not there, or `on` is something else.
            VidxError: The file or table cannot be read, a column may not be as it is, two rows
                contradict each other, or no row is about anything here. Nothing was changed.
            CollectionLocked: Another process is writing.
        """
        from vidx.store.metadata.setting import set_metadata, table_of

        layouts.require(self._layout)
        with self._writer(None) as writer:
            catalogue = self._catalogue()
            whole, folders = table_of(table, catalogue)
            return set_metadata(writer, catalogue, whole, on, folders, clears=clear_empty)
