"""A video on its way through a cluster: how far it is, and how many workers it may have cost."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vidx.embedder.decoding.events import Job
from vidx.records import Begun, EmbeddedVideo, Problem

ATTEMPTS = 3


@dataclass(slots=True)
class Errand:
    """A video that is to be embedded somewhere.

    Attributes:
        job: The video, and what of it was handed over.
        deaths: Workers that died, on nodes that live on, while they had it, since its last part.
    """

    job: Job
    deaths: int = 0

    def went_on(self, part: EmbeddedVideo) -> None:
        """A part of it was handed over: whoever gets it next goes on behind that."""
        before = self.job.begun or Begun("", 0, 0, 0.0, has_non_finite=False)
        begun = Begun(
            before.take,
            before.num_parts + 1,
            before.num_clips + len(part.clips),
            part.clips[-1].start_seconds,
            has_non_finite=part.problem is not None or before.has_non_finite,
        )
        self.job, self.deaths = replace(self.job, begun=begun), 0

    def end(self, death: str) -> Problem | None:
        """Why it is not given out again after a worker's death; None: it is."""
        if self.deaths >= ATTEMPTS:
            message = f"{self.deaths} workers ended that had it, the last one as {death}"
            return Problem("worker_died", message)
        begun = self.job.begun
        if begun and begun.has_non_finite and self.job.plan.segment == "shots":
            # How many clips are missing is known of plain windows alone.
            message = f"its worker ended as {death}, and what it left cannot be gone on with"
            return Problem("worker_died", message)
        return None
