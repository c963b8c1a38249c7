"""The questions that look at clips themselves: how good they are, and whether labels are right."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from vidx.curating.part import Part


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
