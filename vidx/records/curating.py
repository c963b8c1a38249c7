"""What curation, exports and reports came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidx.records.upkeep import MetadataReport
from vidx.records.videos import Problem

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ReportProgress:
    """How far a report is.

    Attributes:
        stage: The chapter, the making of a graph for it, or `pictures`.
        done: Of this stage; of a chapter, the chapters before it.
        total: Chapters, clips or pictures.
    """

    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class HtmlReport:
    """A page that was written.

    Attributes:
        path: The file.
        size_bytes: Its size.
        num_pictures: Clips that it has a picture of.
        num_missing: Clips whose picture could not be had: their files are gone or changed.
        num_left_out: Clips without a picture because the page would have become too large.
    """

    path: str
    size_bytes: int
    num_pictures: int
    num_missing: int
    num_left_out: int


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file of which clips could not be exported.

    Attributes:
        path: The file.
        problem: Why.
        num_clips: How many of its clips are lacking.
    """

    path: str
    problem: Problem
    num_clips: int


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What `export_folder` wrote.

    Attributes:
        path: The folder.
        format: What is in it.
        num_clips: Clips in it.
        num_copied: How many of them were copied as they are coded, not encoded anew.
        num_skipped: Clips that could not be had.
        skipped: The files of these.
    """

    path: str
    format: str
    num_clips: int
    num_copied: int
    num_skipped: int
    skipped: tuple[SkippedFile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SplitReport:
    """How `split` shared out videos.

    Attributes:
        table: A row a video, by path: `video_id`, `path`, `split`, `group` (a number that those
            have which must stay together) and `num_clips`.
        proof: What was wanted and what was got: `check`, `split`, `value`, `wanted`, `got`,
            `count`, `met` and `reason`, as `docs/curation/split.md` says.
        num_groups: How many groups there are.
        written: What `write` set, else None.
    """

    table: pa.Table
    proof: pa.Table
    num_groups: int
    written: MetadataReport | None = None


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A file to which nothing was done.

    Attributes:
        path: The file.
        problem: Why.
    """

    path: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """What applying a proposal did.

    Attributes:
        commit: What `undo` takes back; the collection's state where nothing was dropped.
        paths: Locations that were dropped from the collection.
        num_videos: How many videos are left without any location.
        num_files: How many files were moved, linked or deleted.
        left_alone: Files that were passed over.
    """

    commit: int
    paths: tuple[str, ...]
    num_videos: int
    num_files: int
    left_alone: tuple[LeftAlone, ...]


@dataclass(frozen=True, slots=True)
class UndoReport:
    """What `undo` brought back.

    Attributes:
        undone: The commit that was taken back.
        num_locations: How many locations are there again.
        num_videos: How many videos are there again.
        num_files: How many files were moved back.
        lost: Files that are not there as they were.
        commit: The one that did it.
    """

    undone: int
    num_locations: int
    num_videos: int
    num_files: int
    lost: tuple[LeftAlone, ...]
    commit: int
