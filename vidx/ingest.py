"""One run of `embed`: from files to committed clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from importlib.metadata import version
from itertools import chain
from typing import TYPE_CHECKING

from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.pool import Job
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.pipeline import embed_videos
from vidx.errors import VidxError
from vidx.records import EmbeddedVideo, EmbedReport, Finding, Problem, Progress, Source, Status
from vidx.store.catalogue import Catalogue
from vidx.store.journal import Failed
from vidx.store.shards import NewVideo
from vidx.store.survey import survey
from vidx.store.writer import Batch, Writer

if TYPE_CHECKING:
    from vidx.embedder.encoder import Encoder

SHARD_CLIPS = 4096  # 12 MB of vectors at dim 768
SHARD_SECONDS = 30.0  # work that a crash may lose


class Ingest:
    """Embeds files into a collection and counts what became of them.

    Args:
        writer: Holds the collection's lock.
        stride_seconds: From one clip's start to the next one's; None: back to back.
        committed: Called after each commit.
        progress: Called after each file, or None.
    """

    def __init__(
        self,
        writer: Writer,
        stride_seconds: float | None,
        committed: Callable[[], None],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        space = writer.manifest.space
        self.writer = writer
        self.plan = Plan(stride_seconds)
        self.digest = self.plan.digest(Sampling(space.num_frames, space.fps))
        self.tell_commit = committed
        self.progress = progress
        self.commit_number = 0
        self.counts = dict.fromkeys(
            ("embedded", "partial", "unchanged", "duplicate", "moved", "failed", "failed_before"), 0
        )
        self.clips = 0
        self.files = 0
        self.started = self.committed = time.monotonic()
        self.batch = Batch()
        self.provenance: dict[str, str] = {}
        # Per content of this run: the files that hold it, and once it is settled, what was wrong.
        self.sources: dict[str, list[Source]] = {}
        self.settled: dict[str, Problem | None] = {}

    def run(
        self,
        files: Sequence[str],
        load_encoder: Callable[[], Encoder],
        *,
        workers: int,
        batch_size: int | None,
        retry_failed: bool,
    ) -> EmbedReport:
        """Embed what is new or changed among some files.

        Args:
            files: Absolute paths, each once, sorted.
            load_encoder: Called once there is something to embed.
            workers: Decoding processes.
            batch_size: Clips in one batch; None: what suits the device.
            retry_failed: Whether files that failed before are tried again.

        Returns:
            What became of the files.
        """
        self.files = len(files)
        catalogue = Catalogue(self.writer.layout, self.writer.manifest)
        jobs = self._jobs(survey(files, catalogue, self.digest, retry_failed=retry_failed))
        try:
            self._embed(jobs, load_encoder, workers=workers, batch_size=batch_size)
        except BaseException:
            with suppress(VidxError):  # the error that ended the run is the one to tell
                self.commit()
            raise
        self.commit()
        return self._report()

    def _embed(
        self,
        jobs: Iterator[Job],
        load_encoder: Callable[[], Encoder],
        *,
        workers: int,
        batch_size: int | None,
    ) -> None:
        first = next(jobs, None)
        if first is None:
            return
        encoder = load_encoder()
        self.provenance = {**encoder.provenance(), "vidx": version("vidx")}
        results = embed_videos(
            encoder, chain([first], jobs), workers=workers, batch_size=batch_size, lasting=True
        )
        with closing(results):
            for job, outcome in results:
                self._finish(str(job.key), outcome)
                self._commit_if_due()
                self._tell()

    def _jobs(self, findings: Iterator[Finding]) -> Iterator[Job]:
        """Settle the files that need no embedding, and hand out the others."""
        for finding in findings:
            if finding.status is Status.EMBED:
                video_id = str(finding.video_id)
                self.sources[video_id] = [finding.source]
                source = finding.source
                hashed = FileState(source.size_bytes or 0, int(source.version))
                yield Job(video_id, source.path, self.plan, hashed)
            else:
                self._settle(finding)
                self._tell()
            self._commit_if_due()

    def _settle(self, finding: Finding) -> None:
        """Count a file that needs no embedding, and note what changes in the catalogue."""
        source, video_id = finding.source, str(finding.video_id)
        match finding.status:
            case Status.FAILED if finding.problem:
                self._fail(Failed(source, finding.video_id, finding.problem))
            case Status.TWIN:
                self._settle_twin(source, video_id)
            case Status.MOVED if finding.gone:
                self.counts["moved"] += 1
                self.batch.gone.append(finding.gone)
                self.batch.places.append((video_id, source))
            case Status.DUPLICATE:
                self.counts["duplicate"] += 1
                self.batch.places.append((video_id, source))
            case Status.TOUCHED:
                self.counts["unchanged"] += 1
                self.batch.places.append((video_id, source))
            case status:
                self.counts[status.value] += 1

    def _settle_twin(self, source: Source, video_id: str) -> None:
        """A further file of a content that this run embeds shares its fate."""
        self.sources[video_id].append(source)
        if video_id not in self.settled:
            return
        if problem := self.settled[video_id]:
            self._fail(Failed(source, video_id, problem))
            return
        self.counts["duplicate"] += 1
        if all(video.video_id != video_id for video in self.batch.videos):
            self.batch.places.append((video_id, source))

    def _finish(self, video_id: str, outcome: EmbeddedVideo | Problem) -> None:
        """Note what became of a content, for all the files that hold it."""
        sources = self.sources[video_id]
        if isinstance(outcome, Problem):
            self.settled[video_id] = outcome
            for source in sources:
                self._fail(Failed(source, video_id, outcome))
            return
        self.settled[video_id] = None
        self.counts["partial" if outcome.problem else "embedded"] += 1
        self.counts["duplicate"] += len(sources) - 1
        self.clips += len(outcome.clips)
        self.batch.videos.append(NewVideo(video_id, self.digest, sources, outcome))

    def _fail(self, failed: Failed) -> None:
        self.counts["failed"] += 1
        self.batch.failed.append(failed)

    def _commit_if_due(self) -> None:
        late = time.monotonic() - self.committed >= SHARD_SECONDS
        if late or self.batch.num_clips >= SHARD_CLIPS:
            self.commit()

    def commit(self) -> None:
        """Make all that is finished part of the collection."""
        # Taken out first: after an interrupt in mid-commit nothing is committed twice.
        batch, self.batch = self.batch, Batch()
        if not batch.is_empty():
            self.commit_number = self.writer.commit(batch, self.provenance).commit
            self.tell_commit()
        self.committed = time.monotonic()

    def _tell(self) -> None:
        if self.progress:
            failed = self.counts["failed"] + self.counts["failed_before"]
            seconds = time.monotonic() - self.started
            done = sum(self.counts.values())
            self.progress(Progress(done, self.files, self.clips, failed, seconds))

    def _report(self) -> EmbedReport:
        return EmbedReport(
            files=self.files,
            **self.counts,
            clips=self.clips,
            seconds=time.monotonic() - self.started,
            collection=str(self.writer.layout.root),
            commit=self.commit_number or None,
        )
