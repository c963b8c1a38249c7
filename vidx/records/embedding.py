"""What is to be embedded, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from os.path import splitext
from typing import TYPE_CHECKING, NamedTuple

from vidx.records.videos import Problem, Source

if TYPE_CHECKING:
    from vidx.throughput import Busy

SHOWN_ENDINGS = 10  # in a line


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Files of folders that hold video, by their first bytes, under endings that do not say so.

    Attributes:
        paths: Absolute, sorted.
    """

    paths: tuple[str, ...]

    def __str__(self) -> str:
        """How many they are, their endings and the next step.

        >>> print(PassedOver(("/a/1.MP", "/a/2")))
        Passed over 2 files that hold video under other endings (.MP, none); take them with --any.
        >>> print(PassedOver(("/a/1.MP",)))
        Passed over 1 file that holds video under other endings (.MP); take it with --any.
        """
        number = len(self.paths)
        files, them = ("file that holds", "it") if number == 1 else ("files that hold", "them")
        video = f"video under other endings ({', '.join(self._endings())})"
        return f"Passed over {number} {files} {video}; take {them} with --any."

    def _endings(self) -> list[str]:
        """Each once, sorted, `none` the last; of very many the first ones."""
        endings = {splitext(path)[1] for path in self.paths}
        ordered = [*sorted(endings - {""}), *(["none"] if "" in endings else [])]
        more = len(ordered) - SHOWN_ENDINGS
        return [*ordered[:SHOWN_ENDINGS], f"{more} more"] if more > 0 else ordered


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What one run of `embed` did. The counts from `embedded` on add up to `num_files`.

    Attributes:
        num_files: Files that this run was asked to look at.
        embedded: Whole videos that were embedded.
        partial: Videos of which a part could be embedded.
        unchanged: Files already embedded under the same plan.
        duplicate: Files whose content is that of another location.
        moved: Files known before under a path that is gone.
        failed: Files that could not be embedded in this run.
        failed_before: Files that failed in an earlier run and have not changed since.
        passed_over: Files of folders that are not among `num_files`; none with `any_ending`.
        gone: Locations and failures from the folders and globs of this run that are no longer
            there, and were not moved; 0 with a `limit`.
        num_clips: Clips that were embedded in this run.
        seconds: Wall-clock time of the run.
        collection: The collection's folder, or its address in a bucket.
        commit: The last commit of the run; None where nothing was to be changed.
        removal: The commit that took out what was gone, for `restore`; None without `prune`, and
            where there was no location among it.
        num_values: Values of metadata from manifests that were set, as they were not there yet.
        refused: Rows of manifests that were passed over; the rest went on.
        video_seconds: Video that the run's clips stand for, from the first to the last of each.
        busy: How busy each part of the run was; None where nothing was to be embedded.
        num_without_preview: With `previews`, clips of the whole collection that have none, as they
            were embedded without; 0 where none were asked for.
    """

    num_files: int
    embedded: int
    partial: int
    unchanged: int
    duplicate: int
    moved: int
    failed: int
    failed_before: int
    passed_over: PassedOver
    gone: int
    num_clips: int
    seconds: float
    collection: str
    commit: int | None
    removal: int | None
    num_values: int = 0
    refused: tuple[RefusedRow, ...] = ()
    video_seconds: float = 0.0
    busy: Busy | None = None
    num_without_preview: int = 0

    @property
    def num_passed_over(self) -> int:
        """How many files were passed over."""
        return len(self.passed_over.paths)

    @property
    def clips_per_second(self) -> float:
        """Clips embedded a second of wall-clock time."""
        return self.num_clips / self.seconds if self.seconds > 0 else 0.0

    @property
    def video_hours_per_hour(self) -> float:
        """Hours of video embedded an hour of wall-clock time."""
        return self.video_seconds / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class EmbedProgress:
    """How far a run of `embed` is.

    Attributes:
        num_files_done: Files that are settled, whatever became of them.
        num_files: All files of this run.
        num_clips: Clips embedded so far.
        num_failed: Files failed so far, in this run or before.
        seconds: Wall-clock time since the run began.
        stage: `embedding`, and at the end what is done for the index, where that pays.
    """

    num_files_done: int
    num_files: int
    num_clips: int
    num_failed: int
    seconds: float
    stage: str = "embedding"


class FileStatus(StrEnum):
    """What is to be done with a file."""

    EMBED = "embed"  # its content is not in the collection under this plan
    TWIN = "twin"  # its content is that of a file earlier in this run
    UNCHANGED = "unchanged"
    TOUCHED = "touched"  # unchanged content, but size or time on record are out of date
    DUPLICATE = "duplicate"  # its content is in the collection from another file
    MOVED = "moved"  # likewise, and that other file is no longer there
    FAILED_BEFORE = "failed_before"
    FAILED = "failed"  # it cannot even be read
    PASSED_OVER = "passed_over"  # it holds video under an ending that does not say so
    GONE = "gone"  # it is known and no longer there
    REFUSED = "refused"  # a row of a manifest that cannot be what is meant


class RefusedRow(NamedTuple):
    """A row of a manifest that was passed over.

    Attributes:
        manifest: The manifest's absolute path.
        row: Its number, from 1; neither a header nor an empty line counts.
        reason: What is wrong with it.
    """

    manifest: str
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class FileFinding:
    """One file and what became of it.

    Attributes:
        status: What is to be done.
        source: The file.
        video_id: SHA-256 (hex) of its bytes, where they had to be read.
        problem: Why the file cannot be read, for FAILED.
        gone: The path, no longer there, under which the video was known: for MOVED, and for EMBED
            and TWIN of a video that is in the collection and embedded anew.
        failed_at: Paths, no longer there, at which this content failed.
        row: For REFUSED, whose source is the manifest: which of its rows, and why.
    """

    status: FileStatus
    source: Source
    video_id: str | None = None
    problem: Problem | None = None
    gone: str | None = None
    failed_at: tuple[str, ...] = ()
    row: RefusedRow | None = None
