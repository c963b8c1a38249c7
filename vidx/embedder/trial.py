"""How fast videos are decoded, and embedded, on this machine: a short run over a few of them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

from vidx.embedder.decoding.card import cards_for
from vidx.embedder.decoding.events import ClipDecoded, ClipRepeated, Job, VideoFailed
from vidx.embedder.decoding.pool import Limits, decode
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.pipeline import embed_videos
from vidx.embedder.work import Work
from vidx.errors import VidxError
from vidx.records import Problem

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder
    from vidx.throughput import Busy

MOST_FILES = 32  # one after the other, and then again
LEAST_BATCHES = 3
PATIENCE = 3  # times the seconds asked for, where batches take long


class Trial:
    """Videos that are decoded, or embedded, again and again until a rate is known.

    Args:
        encoder: Loaded.
        paths: The videos; those that cannot be decoded are left out as this shows.
        workers: Decoding processes.
        batch_size: Clips in one batch.
        seconds: How long each measurement takes, from its first clip; longer where three batches
            do, but no more than three times as long.
        plan: How the videos are cut.
        decoder: What decodes, as `EmbedOptions` has it.

    Attributes:
        paths: Those that can be decoded, as far as is known.
    """

    def __init__(
        self,
        encoder: Encoder,
        paths: Sequence[str],
        *,
        workers: int,
        batch_size: int,
        seconds: float,
        plan: Plan,
        decoder: str,
    ) -> None:
        self.encoder = encoder
        self.paths = list(paths)
        self.plan = plan
        self.workers = workers
        self.batch_size = batch_size
        self.seconds = seconds
        self.cards = cards_for(decoder, encoder.device)

    def decoding(self) -> float:
        """Clips decoded a second, as `embed` decodes, by nobody's leave.

        Raises:
            VidxError: None of the videos can be decoded.
        """
        clock = _Clock(self.batch_size, self.seconds)
        space = self.encoder.space
        events = decode(
            self._jobs(),
            sampling=Sampling(space.num_frames, space.fps),
            geometry=self.encoder.geometry,
            workers=self.workers,
            limits=Limits(),
            cards=self.cards,
        )
        with closing(events):
            for event in events:
                if isinstance(event, ClipDecoded | ClipRepeated):
                    clock.tick(event)
                elif isinstance(event, VideoFailed):
                    self._leave_out(event.job)
                if clock.is_over():
                    break
        return clock.rate()

    def embedding(self) -> tuple[float, Busy]:
        """Clips embedded a second, decoding and model together, and how busy each part was.

        Raises:
            VidxError: None of the videos can be decoded.
        """
        clock, work = _Clock(self.batch_size, self.seconds), Work()
        results = embed_videos(
            self.encoder,
            self._jobs(),
            workers=self.workers,
            batch_size=self.batch_size,
            part_clips=1,
            lasting=True,
            watch=clock.tick,
            cards=self.cards,
            work=work,
        )
        with closing(results):
            for job, outcome in results:
                if isinstance(outcome, Problem):
                    self._leave_out(job)
                if clock.is_over():
                    break
        return clock.rate(), work.busy(self.encoder.device)

    def _jobs(self) -> Iterator[Job]:
        """The videos, again and again, while any is left."""
        for number in count():
            if not self.paths:
                return
            yield Job(number, self.paths[number % len(self.paths)], self.plan)

    def _leave_out(self, job: Job) -> None:
        if job.path in self.paths:
            self.paths.remove(job.path)


class _Clock:
    """Times at which clips came, batch by batch: between two of these as many were computed."""

    def __init__(self, batch_size: int, seconds: float) -> None:
        self.batch_size = batch_size
        self.seconds = seconds
        self.clips = 0
        self.first = self.latest = 0.0
        self.marks: list[float] = []

    def tick(self, _clip: ClipDecoded | ClipRepeated) -> None:
        """Note a clip."""
        self.latest = time.perf_counter()
        self.first = self.first or self.latest
        self.clips += 1
        if self.clips % self.batch_size == 0:
            self.marks.append(self.latest)

    def is_over(self) -> bool:
        """Whether it has been long enough."""
        passed = self.latest - self.first
        is_enough = len(self.marks) > LEAST_BATCHES
        return passed >= self.seconds * (1 if is_enough else PATIENCE)

    def rate(self) -> float:
        """Clips a second; of whole batches, if there are two."""
        if len(self.marks) > 1:
            return (len(self.marks) - 1) * self.batch_size / (self.marks[-1] - self.marks[0])
        if self.clips > 1:
            return (self.clips - 1) / (self.latest - self.first)
        raise VidxError(
            "none of the videos that were tried gave clips enough to measure",
            "`vidx embed --dry-run` says which files cannot be decoded.",
        )
