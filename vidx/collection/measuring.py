"""What a collection finds out about its own vectors with its own model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vidx.collection.opened import Opened
from vidx.options import SearchOptions

if TYPE_CHECKING:
    from vidx.curating.trials import ThresholdReport
    from vidx.records import IndexProgress


class Measuring(Opened):
    """Thresholds that suit a collection's videos and model."""

    def threshold_report(
        self,
        num_videos: int = 20,
        *,
        seed: int = 0,
        progress: Callable[[IndexProgress], None] | None = None,
    ) -> ThresholdReport:
        """Find the threshold that tells copies of this collection's videos, and keep it.

        Of a clip of some videos copies are made, encoded anew and cut .4 s later, in a temporary
        folder, and embedded with the collection's model. The lowest candidate from which on 95% of
        what is found is right is what `duplicates` takes from then on, unless told otherwise.

        Args:
            num_videos: Of how many videos copies are made, at most; they must be where they were.
            seed: Which ones.
            progress: As for `duplicates`.

        Returns:
            The threshold, how right each candidate is, a histogram, and pairs to look at.

        Raises:
            UsageError: There are fewer than two videos, or less than one is asked for.
            ModelError: The model cannot be loaded.
            VidxError: Of no video a copy could be made, or the answer cannot be written.
        """
        from vidx.curating import trials
        from vidx.curating.part import unheard

        encoder = self._query_encoder(SearchOptions())
        with self._part() as part:
            return trials.threshold_report(part, encoder, num_videos, seed, progress or unheard)
