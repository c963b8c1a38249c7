"""What people look at: a page about some clips, and answers with pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    import pyarrow as pa

    from vidx.collection import Collection
    from vidx.curating.part import Part
    from vidx.records import Hit, HtmlReport, ReportProgress
    from vidx.reporting.shown import Shown


class Showing:
    """Pages and tables of clips with pictures."""

    def _some_or_none(self) -> AbstractContextManager[Part]:
        """The clips that are meant, of which there may be none, at this moment."""
        raise NotImplementedError

    def _whole(self) -> Collection:
        """The collection that is asked, or of which it is a part."""
        raise NotImplementedError

    def _told(self) -> tuple[str, str | None]:
        """How the clips were selected, and by which expression, if it was one."""
        raise NotImplementedError

    def show(self, answer: pa.Table | list[Hit], limit: int = 20) -> Shown:
        """Show an answer with pictures, as the last line of a notebook's cell.

        Answers themselves are plain Arrow tables, for any tool; this is a look at one. A row about
        a clip has its picture, one about a span or video that of the clip in its middle, and one
        about two clips has both.

        Args:
            answer: A table of clips, spans or videos of this collection, or the hits of a search.
            limit: How many rows, the first ones.

        Returns:
            What a notebook shows as HTML; pictures are previews that were kept, or come from the
            videos when they are seen.

        Raises:
            UsageError: It is no such answer, or the limit is below 1.
        """
        from vidx.reporting.shown import shown

        with self._whole()._some_or_none() as part:
            return shown(part, answer, limit)

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        split: str | None = None,
        progress: Callable[[ReportProgress], None] | None = None,
    ) -> HtmlReport:
        """Write one page about the clips, to be sent to a colleague.

        It needs nothing but itself: how much there is, failures, duplicates, leakage, labels,
        clusters, quality and unusual clips, with pictures, and how the collection was made. What
        does not apply is told as such. It has 10 MB at most; pictures are previews that were
        kept, or come from the videos.

        Args:
            path: The HTML file; one that is there, and is called so, is replaced.
            split: The column of metadata that says which split a video or clip is in. None:
                `split`, if there is one.
            progress: Called with a `ReportProgress` at each step.

        Returns:
            How large it is, and how many pictures it has.

        Raises:
            UsageError: The path is a folder or in none, or there is no such column; or a selection
                has no clips.
            VidxError: The file cannot be written.
        """
        from vidx.reporting.report import Asked, report

        told, where = self._told()
        asked = Asked(Path(path), split, told, where, self._whole().path)
        return report(self._some_or_none, asked, progress or (lambda _step: None))
