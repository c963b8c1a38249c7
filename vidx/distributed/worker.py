"""A node's part of a run: it embeds the videos that it is given, and hands over their vectors."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vidx.distributed.fetching import Fetched
from vidx.embedder.attempts import Result
from vidx.embedder.decoding.card import cards_for, see_decoder
from vidx.embedder.decoding.events import Job
from vidx.embedder.pipeline import embed_videos
from vidx.embedder.work import Work
from vidx.errors import CheckpointError, VideoError, VidxError
from vidx.records import Problem
from vidx.remote.urls import is_url

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

TAKE_SECONDS = 1.0  # until who waits is told that there is nothing
FETCHERS = 2  # objects at URLs that are fetched at the same time
MOST_RESULTS = 64  # that wait to be taken, before embedding waits

# The files of a checkpoint by their names, each uint8, shape (bytes,).
Files = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Orders:
    """How all nodes embed.

    Attributes:
        fingerprint: Of the vectors that are wanted.
        num_frames: Frames of a clip.
        fps: Frames sampled a second.
        device: As `EmbedOptions` has it.
        dtype: Likewise.
        batch_size: Clips in one batch; None: what suits the node's device.
        part_clips: Clips of a part of a long video.
        previews: Whether small pictures are made.
        decoder: As `EmbedOptions` has it.
    """

    fingerprint: str
    num_frames: int
    fps: float
    device: str | None
    dtype: str | None
    batch_size: int | None
    part_clips: int
    previews: bool
    decoder: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Where a node computes, and how precisely."""

    device: str
    dtype: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What a worker has done since it was asked last.

    Attributes:
        results: Videos, and parts of videos, that are finished.
        num_begun: Of the videos that it was given, those that it has begun, in all.
        work: How long its parts were at work, in all.
    """

    results: list[Result]
    num_begun: int
    work: Work = field(repr=False)


class Worker:
    """Embeds on one node; Ray calls it, several methods at a time.

    Args:
        files: Of the checkpoint.
        orders: How.
        num_workers: Decoding processes.
    """

    def __init__(self, files: Files, orders: Orders, num_workers: int) -> None:
        self.files = files
        self.orders = orders
        self.num_workers = num_workers
        self._changed = threading.Condition()
        self._given: deque[Job] = deque()
        self._fetched = Fetched()
        self._fetchers = ThreadPoolExecutor(FETCHERS, "vidx-fetch")
        self._results: list[Result] = []
        self._num_begun = self._num_told = 0
        self._error: BaseException | None = None
        self._work = Work()

    def load(self) -> Loaded:
        """Load the encoder, and begin to embed what is given.

        Raises:
            CheckpointError: It is another one here.
            DeviceError: The device is not to be had here, or no card that decodes.
        """
        from vidx.embedder.encoder import load
        from vidx.embedder.inference.devices import every_device

        orders = self.orders
        with TemporaryDirectory(prefix="vidx-") as folder:
            for name, content in self.files.items():
                content.tofile(Path(folder) / name)
            encoder = load(
                Path(folder),
                device=every_device(orders.device),
                dtype=orders.dtype,
                num_frames=orders.num_frames,
                fps=orders.fps,
            )
        self.files = {}
        see_decoder(orders.decoder)
        if encoder.space.fingerprint != orders.fingerprint:
            raise CheckpointError(
                f"the model has the fingerprint {encoder.space.fingerprint[:12]} there, and "
                f"{orders.fingerprint[:12]} here"
            )
        threading.Thread(target=self._embed, args=(encoder,), daemon=True).start()
        return Loaded(encoder.device, encoder.dtype)

    def give(self, jobs: list[Job]) -> None:
        """Take videos to embed; those at URLs are fetched first."""
        for job in jobs:
            if is_url(job.path):
                self._fetchers.submit(self._fetch, job)
            else:
                self._given.append(job)

    def _fetch(self, job: Job) -> None:
        try:
            self._given.append(self._fetched.fetch(job))
        except VideoError as error:
            self._fail(job, Problem(error.reason, error.message))
        except (VidxError, OSError) as error:
            self._fail(job, Problem("unreadable", str(error).replace("\n", " ")))

    def _fail(self, job: Job, problem: Problem) -> None:
        self._count_begun()
        self._tell((job, problem))

    def take(self) -> Taken:
        """Wait until something is finished or begun, at most a second, and tell it.

        Raises:
            VidxError: What ended the embedding.
        """
        with self._changed:
            self._changed.wait_for(self._has_news, TAKE_SECONDS)
            if self._error and not self._results:
                raise self._error
            results, self._results = self._results, []
            self._num_told = self._num_begun
            self._changed.notify_all()
            return Taken(results, self._num_told, self._work)

    def _has_news(self) -> bool:
        is_begun = self._num_begun != self._num_told
        return is_begun or bool(self._results) or self._error is not None

    def _embed(self, encoder: Encoder) -> None:
        try:
            for result in embed_videos(
                encoder,
                self._jobs(),
                workers=self.num_workers,
                batch_size=self.orders.batch_size,
                part_clips=self.orders.part_clips,
                lasting=True,
                previews=self.orders.previews,
                cards=cards_for(self.orders.decoder, encoder.device),
                work=self._work,
            ):
                self._tell(result)
        except BaseException as error:  # whatever it is, it is told to who waits for results
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _tell(self, result: Result) -> None:
        job, outcome = result
        if isinstance(outcome, Problem) or outcome.is_last:
            self._fetched.drop(job)
        with self._changed:
            self._changed.wait_for(lambda: len(self._results) < MOST_RESULTS)
            self._results.append(result)
            self._changed.notify_all()

    def _count_begun(self) -> None:
        with self._changed:
            self._num_begun += 1
            self._changed.notify_all()

    def _jobs(self) -> Iterator[Job | None]:
        """The videos as they are given; None while there is none. Ray ends it with the process."""
        while True:
            if not self._given:
                yield None
                continue
            job = self._given.popleft()
            self._count_begun()
            yield job
