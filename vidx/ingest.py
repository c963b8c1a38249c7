"""One run of `embed`: from files to committed clips."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import chain
from typing import Protocol
from uuid import uuid4

from vidx.embedder.attempts import Result
from vidx.embedder.decoding.container import FileState
from vidx.embedder.decoding.events import Job
from vidx.embedder.decoding.geometry import PREVIEW_SIDE
from vidx.embedder.decoding.sampling import Plan, Sampling
from vidx.embedder.work import Work
from vidx.errors import VidxError
from vidx.options import EmbedOptions
from vidx.records import (
    Begun,
    EmbeddedVideo,
    EmbedProgress,
    EmbedReport,
    FileFinding,
    FileStatus,
    IndexProgress,
    PassedOver,
    Problem,
    RefusedRow,
    Source,
)
from vidx.remote.copies import Copies
from vidx.remote.urls import is_url
from vidx.store.catalogue import Catalogue
from vidx.store.journal import Failed
from vidx.store.metadata.of_manifests import ManifestMetadata
from vidx.store.shards import NewVideo
from vidx.store.survey import is_gone, survey
from vidx.store.writer import Batch, Writer
from vidx.throughput import Busy
from vidx.video_files import VideoFiles, gone_files


class Embedder(Protocol):
    """What embeds videos, on this machine or on others."""

    def provenance(self) -> dict[str, str]:
        """What made the vectors but does not decide whether they are comparable."""

    def results(self, jobs: Iterator[Job], work: Work) -> Generator[Result, None, None]:
        """Results as of `embed_videos`; the time that parts of it are at work is counted."""

    def busy(self, work: Work) -> Busy:
        """How busy each part was while some work was done."""


@dataclass(slots=True)
class _Take:
    """The name of a cutting of a video, the digest of its plan, and how many parts there are."""

    name: str
    digest: str
    num_parts: int

    @classmethod
    def of(cls, digest: str, begun: Begun | None) -> _Take:
        return cls(begun.take, digest, begun.num_parts) if begun else cls(uuid4().hex, digest, 0)


class Ingest:
    """Embeds files into a collection and counts what became of them.

    Args:
        writer: Holds the collection's lock.
        options: How.
        committed: Called after each commit.
        progress: Called after each file, or None.
    """

    def __init__(
        self,
        writer: Writer,
        options: EmbedOptions,
        committed: Callable[[], None],
        progress: Callable[[EmbedProgress], None] | None,
    ) -> None:
        self.writer = writer
        self.options = options
        space = writer.manifest.space
        self.sampling = Sampling(space.num_frames, space.fps)
        self.plan = Plan(options.stride_seconds, segment=options.segment)
        self.digest = self.plan.digest(self.sampling)
        # Of those files that are cut otherwise.
        self.plans: Mapping[str, Plan] = {}
        self.digests: Mapping[str, str] = {}
        self.tell_commit = committed
        self.progress = progress
        self.commit_number = 0
        self.counts = dict.fromkeys(
            ("embedded", "partial", "unchanged", "duplicate", "moved", "failed", "failed_before"), 0
        )
        self.clips = 0
        self.video_seconds = 0.0
        self.work = Work()
        self.busy: Busy | None = None
        self.files = 0
        self.passed_over = PassedOver(())
        self.num_gone = 0
        self.removal: int | None = None
        self.num_values = self.num_without_preview = 0
        self.refused: tuple[RefusedRow, ...] = ()
        self.started = self.committed = time.monotonic()
        self.batch = Batch()
        self.copies = Copies()
        self.embedder: Embedder | None = None
        # Per content of this run: the files that hold it, and once it is settled, what was wrong.
        self.sources: dict[str, list[Source]] = {}
        self.settled: dict[str, Problem | None] = {}
        # Of those that are not settled yet, what is there of them.
        self.takes: dict[str, _Take] = {}
        # And the paths, no longer there, that its files were moved from.
        self.gone: defaultdict[str, list[str]] = defaultdict(list)

    def run(
        self,
        files: VideoFiles,
        start: Callable[[], AbstractContextManager[Embedder]],
    ) -> EmbedReport:
        """Embed what is new or changed among some files.

        Args:
            files: To look at, and those that the report tells of besides.
            start: Gives what embeds them; called once there is something to embed.

        Returns:
            What became of the files.
        """
        self.files, self.passed_over = len(files.paths), files.passed_over
        # The nodes of a cluster do not see our folder: each makes a copy of its own.
        folder = self.writer.staging.folder if self.options.engine == "local" else None
        self.copies = Copies(files.objects, folder)
        self.plans, self.digests = files.plans, files.digests(self.sampling)
        catalogue = Catalogue(self.writer.layout, self.writer.manifest)
        retry = self.options.retry_failed
        said = ManifestMetadata(files.manifests.each, catalogue)
        findings = survey(
            files.paths,
            catalogue,
            self.digest,
            retry_failed=retry,
            copies=self.copies,
            plans=self.digests,
        )
        jobs = self._jobs(findings, catalogue)
        try:
            self._embed(jobs, start)
        except BaseException:
            with suppress(VidxError):  # the error that ended the run is the one to tell
                self.commit()
            raise
        self.commit()
        self._set_metadata(said, files)
        self._tell_gone(gone_files(files, catalogue))
        if self.options.previews:
            plain = (one.num_clips for one in catalogue.origins() if not one.has_previews)
            self.num_without_preview = sum(plain)
        return self._report()

    def _set_metadata(self, said: ManifestMetadata, files: VideoFiles) -> None:
        """Set what manifests say of the files of this run, and is not there yet."""
        if not files.manifests.each:
            return
        done = said.set(self.writer, set(files.paths), self._digest_of)
        self.refused = tuple(sorted({*files.manifests.refused, *done.refused}))
        self.num_values = done.num_values
        self.commit_number = done.commit or self.commit_number

    def _digest_of(self, path: str) -> str:
        return self.digests.get(path, self.digest)

    def _tell_gone(self, paths: list[str]) -> None:
        """Count what is no longer there, and take it out if that is wished."""
        self.num_gone = len(paths)
        if paths and self.options.prune:
            done = self.writer.remove(paths)
            self.commit_number = done.commit
            self.removal = done.commit if done.locations else None
            self.tell_commit()

    def _embed(
        self, jobs: Iterator[Job], start: Callable[[], AbstractContextManager[Embedder]]
    ) -> None:
        """Embed what is to be embedded, and commit it."""
        first = next(jobs, None)
        if first is None:
            return
        with start() as embedder:
            self.embedder, self.work = embedder, Work()
            with closing(embedder.results(chain([first], jobs), self.work)) as results:
                for job, outcome in results:
                    self._finish(str(job.key), outcome)
                    self._commit_if_due()
                    self._tell()
            self.commit()
            self.busy = embedder.busy(self.work)

    def _jobs(self, findings: Iterator[FileFinding], catalogue: Catalogue) -> Iterator[Job]:
        """Settle the files that need no embedding, and hand out the others."""
        for finding in findings:
            if finding.gone:
                self.gone[str(finding.video_id)].append(finding.gone)
            self.batch.gone += finding.failed_at
            if finding.status is FileStatus.EMBED:
                video_id = str(finding.video_id)
                self.sources[video_id] = [finding.source]
                digest = self._digest_of(finding.source.path)
                begun = catalogue.begun(video_id, digest)
                if begun and not self._goes_on(begun, finding.source):
                    begun = None
                self.takes[video_id] = _Take.of(digest, begun)
                yield self._job(video_id, finding.source, begun)
            else:
                self._settle(finding)
                self._tell()
            self._commit_if_due()

    def _goes_on(self, begun: Begun, source: Source) -> bool:
        """Whether what is begun of a video can be gone on with."""
        if begun.has_non_finite and self.options.segment == "shots":
            return False  # how many are missing is known of plain windows alone
        # Another file at the path where it was begun makes that void.
        return begun.path == source.path or is_gone(begun.path)

    def _job(self, video_id: str, source: Source, begun: Begun | None) -> Job:
        """The job of a file, as it was hashed; of an object, its copy is decoded."""
        place, plan = self.copies.place(source.path), self.plans.get(source.path, self.plan)
        if is_url(source.path):
            return Job(video_id, place, plan, begun=begun)
        hashed = FileState(source.size_bytes or 0, int(source.version))
        return Job(video_id, place, plan, hashed, begun)

    def _settle(self, finding: FileFinding) -> None:
        """Count a file that needs no embedding, and note what changes in the catalogue."""
        source, video_id = finding.source, str(finding.video_id)
        match finding.status:
            case FileStatus.FAILED if finding.problem:
                self._fail(Failed(source, finding.video_id, finding.problem))
            case FileStatus.TWIN:
                self._settle_twin(source, video_id)
            case FileStatus.MOVED:
                self.counts["moved"] += 1
                self._let_go(video_id)
                self.batch.places.append((video_id, source))
            case FileStatus.DUPLICATE:
                self.counts["duplicate"] += 1
                self.batch.places.append((video_id, source))
            case FileStatus.TOUCHED:
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
            self._fail_content(video_id, [source], problem)
            return
        self.counts["duplicate"] += 1
        self._let_go(video_id)
        if all(video.video_id != video_id for video in self.batch.videos):
            self.batch.places.append((video_id, source))

    def _finish(self, video_id: str, outcome: EmbeddedVideo | Problem) -> None:
        """Note what became of a content, or of a part of it, for all the files that hold it."""
        sources = self.sources[video_id]
        if isinstance(outcome, Problem):
            self._settle_content(video_id, outcome)
            self._fail_content(video_id, sources, outcome)
            return
        self._add_clips(video_id, outcome)
        if outcome.is_last:
            self._settle_content(video_id, None)
            self.counts["partial" if outcome.problem else "embedded"] += 1
            self.counts["duplicate"] += len(sources) - 1
            if video_id in self.gone:  # so that it is not without a path before it is whole
                self.batch.places.append((video_id, sources[0]))
            self._let_go(video_id)

    def _add_clips(self, video_id: str, embedded: EmbeddedVideo) -> None:
        take = self.takes[video_id]
        self.batch.videos.append(
            NewVideo(
                video_id,
                take.digest,
                self.sources[video_id],
                embedded,
                take.name,
                take.num_parts,
                embedded.is_last,
            )
        )
        take.num_parts += 1
        self.clips += len(embedded.clips)
        self.video_seconds += embedded.clips[-1].end_seconds - embedded.clips[0].start_seconds

    def _settle_content(self, video_id: str, problem: Problem | None) -> None:
        self.settled[video_id] = problem
        self.copies.drop(self.sources[video_id][0].path)
        del self.takes[video_id]

    def _fail_content(self, video_id: str, sources: list[Source], problem: Problem) -> None:
        """Fail files of one content; what an earlier run made of it stays, where it is now."""
        if video_id in self.gone:
            self._let_go(video_id)
            self.batch.places += [(video_id, source) for source in sources]
        for source in sources:
            self._fail(Failed(source, video_id, problem))

    def _let_go(self, video_id: str) -> None:
        """Forget where a content was, in the commit that says where it is."""
        self.batch.gone += self.gone.pop(video_id, [])

    def _fail(self, failed: Failed) -> None:
        self.counts["failed"] += 1
        self.batch.failed.append(failed)

    def _commit_if_due(self) -> None:
        policy = self.options.commit
        late = time.monotonic() - self.committed >= policy.seconds
        if late or self.batch.num_clips >= policy.num_clips:
            self.commit()

    def commit(self) -> None:
        """Make all that is finished part of the collection."""
        # Taken out first: after an interrupt in mid-commit nothing is committed twice.
        batch, self.batch = self.batch, Batch()
        began = time.perf_counter()
        if not batch.is_empty():
            self.commit_number = self.writer.commit(batch, self._provenance()).commit
            self.tell_commit()
        self.work.writing_seconds += time.perf_counter() - began
        self.committed = time.monotonic()

    def _provenance(self) -> dict[str, str]:
        """What made the vectors that are there now."""
        if self.embedder is None:
            return {}
        provenance = {**self.embedder.provenance(), "vidx": version("vidx")}
        if self.options.decoder != "cpu":
            provenance["decoder"] = self.options.decoder
        if self.options.previews:
            provenance["previews"] = f"JPEG, {PREVIEW_SIDE} pixels"
        return provenance

    def tell_index(self, step: IndexProgress) -> None:
        """Tell how far the index is that is made at the end."""
        self._tell(f"index for {step.likeness!r} searches: {step.stage} {step.done}/{step.total}")

    def _tell(self, stage: str = "embedding") -> None:
        if self.progress:
            failed = self.counts["failed"] + self.counts["failed_before"]
            seconds = time.monotonic() - self.started
            done = sum(self.counts.values())
            self.progress(EmbedProgress(done, self.files, self.clips, failed, seconds, stage))

    def _report(self) -> EmbedReport:
        return EmbedReport(
            num_files=self.files,
            **self.counts,
            passed_over=self.passed_over,
            gone=self.num_gone,
            num_clips=self.clips,
            video_seconds=self.video_seconds,
            busy=self.busy,
            seconds=time.monotonic() - self.started,
            collection=self.writer.layout.told,
            commit=self.commit_number or None,
            removal=self.removal,
            num_values=self.num_values,
            refused=self.refused,
            num_without_preview=self.num_without_preview,
        )
