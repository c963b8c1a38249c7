"""The small frozen values that cross from one room to another."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from os.path import splitext
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from vidx.throughput import Busy

SHOWN_ENDINGS = 10  # in a line

# By what vectors are compared: the cosine as they are, for meaning; or the cosine after whitening
# by the collection's own PCA, for the same footage.
Likeness: TypeAlias = Literal["similar", "copy"]
Segmentation: TypeAlias = Literal["fixed", "shots"]


@dataclass(frozen=True, slots=True)
class Clip:
    """A half-open span of one video; one clip has one vector.

    Attributes:
        start_seconds: First instant, counted from the first presentable frame.
        end_seconds: First instant after the clip.
    """

    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds < self.end_seconds:
            raise ValueError(
                f"a clip is [start, end) with 0 <= start < end, "
                f"got [{self.start_seconds}, {self.end_seconds})"
            )


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the decoder learned of one video.

    Attributes:
        duration_seconds: From the first frame's time to the end of the last frame.
        width: Pixels, as displayed (after rotation).
        height: Pixels, as displayed (after rotation).
        frame_rate: Frames a second, the container's average; 0.0 when it says nothing.
        codec: The decoder's name, such as `h264`.
        container: The demuxer's name, such as `mov,mp4,m4a,3gp,3g2,mj2`.
        first_timestamp_seconds: The container's time of the first frame, which is our 0.
        rotation_degrees: Counter-clockwise turn that was applied: 0, 90, 180 or 270.
        is_mirrored: Whether the picture was mirrored left to right, before that turn. So a flip
            upside down is one from left to right and a turn by 180.
        notes: What was done to tell its times or what else its file holds, in plain sentences:
            jumps of the clock that were taken out, stray timestamps that were not believed, a
            second film that follows in the same file. Empty for nearly every video.
    """

    duration_seconds: float
    width: int
    height: int
    frame_rate: float
    codec: str
    container: str
    first_timestamp_seconds: float
    rotation_degrees: int
    is_mirrored: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a video, or a part of it, could not be embedded.

    Attributes:
        reason: Short code: `not_a_video`, `no_video_stream`, `truncated`, `decode_error` ...
        message: What the decoder said, or the rule that was broken.
    """

    reason: str
    message: str


# The facts of a clip that are one number each.
FACTS = ("brightness", "contrast", "sharpness", "motion", "black_share", "frozen_share")


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What is plain to see of a clip's samples, as the model gets them: resized and cropped.

    Luma is 0 for black and 1 for white, but for `sharpness`. `docs/formats.md` has all definitions.

    Attributes:
        brightness: Mean luma, 0 to 1.
        contrast: Standard deviation of luma in a sample, mean over every fourth one, 0 to 0.5.
        sharpness: Variance of the Laplacian of luma (0 to 255) in a sample, mean likewise.
        motion: Mean absolute difference of luma between neighbouring samples, 0 to 1.
        black_share: Share of samples that are black, 0 to 1.
        frozen_share: Share of neighbouring samples that are one picture, to the last bit, 0 to 1.
        frame_seconds: When the sampled frames appear, counted from the video's first frame.
        preview: The middle sample as a JPEG file, small, but whole and upright; None where none was
            asked for. A clip that repeats has that of the clip whose pictures it repeats.
    """

    brightness: float
    contrast: float
    sharpness: float
    motion: float
    black_share: float
    frozen_share: float
    frame_seconds: tuple[float, ...]
    preview: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class EmbeddedVideo:
    """The clips of one video with their vectors.

    Attributes:
        info: What the decoder learned of the video.
        clips: n spans in time order.
        facts: What is plain to see of each.
        repeats: Whether each has the very pictures of the clip before, and so its vector.
        embeddings: float32, shape (n, dim), raw (not normalised), all finite.
        logits: float16, shape (n, num_labels), or None when the model has no head.
        problem: Why some of the video is missing, or None when it is whole.
        is_last: Whether the video ends with these clips; False of a part that others follow, whose
            info and problem are what is known so far.
    """

    info: VideoInfo
    clips: tuple[Clip, ...]
    facts: tuple[ClipFacts, ...]
    repeats: tuple[bool, ...]
    embeddings: NDArray[np.float32]
    logits: NDArray[np.float16] | None
    problem: Problem | None
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class Begun:
    """What is stored of a video whose last part is not there yet.

    Attributes:
        take: The name of this cutting of the video, which all its parts share.
        num_parts: Parts that are stored.
        num_clips: Clips in them.
        last_start_seconds: Start of the last of these clips: only later ones are to come.
        has_non_finite: Whether some clips before that are missing for their vectors.
    """

    take: str
    num_parts: int
    num_clips: int
    last_start_seconds: float
    has_non_finite: bool


@dataclass(frozen=True, slots=True)
class Space:
    """One embedding space: vectors within it are comparable, and with no other.

    Attributes:
        fingerprint: SHA-256 (hex) over all that decides a vector's values.
        model: Where the model was loaded from: a folder, a hub id or `builtin:tiny`. Provenance.
        revision: The hub commit; the first digits of the SHA-256 of `builtin:tiny`'s weights; None
            for a folder. Provenance.
        num_frames: Frames sampled from a clip.
        fps: Frames sampled a second.
        dim: Length of a vector.
        labels: The head's class names in order, empty when the model has none.
    """

    fingerprint: str
    model: str
    revision: str | None
    num_frames: int
    fps: float
    dim: int
    labels: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The name under which `--model` finds the same checkpoint again."""
        return f"{self.model}@{self.revision}" if self.revision else self.model


@dataclass(frozen=True, slots=True)
class Label:
    """A predicted label and its probability."""

    name: str
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer to a search.

    Attributes:
        rank: 1 is the closest.
        clip_id: The stored clip.
        video_id: SHA-256 (hex) of the video's bytes.
        score: Cosine similarity in [-1, 1]; higher is closer.
        path: The video's first location, in sorted order.
        locations: All its locations, sorted.
        start_seconds: The stored clip's start.
        end_seconds: The stored clip's end.
        query_start_seconds: Start of the clip of the query that matched best; None of a vector.
        query_end_seconds: Its end; None of a vector.
        labels: The stored clip's predicted labels, best first.
        likeness: By what the vectors were compared.
        query_problem: Why the file that was searched for gave a part of its clips only; None where
            it is whole, and of a stored clip or a vector.
        background_share: How unusual the score is here: the share of random pairs of clips of this
            collection, of two videos each, that are closer. None where there are too few clips.
    """

    rank: int
    clip_id: int
    video_id: str
    score: float
    path: str
    locations: tuple[str, ...]
    start_seconds: float
    end_seconds: float
    query_start_seconds: float | None
    query_end_seconds: float | None
    labels: tuple[Label, ...]
    likeness: Likeness = "similar"
    query_problem: Problem | None = None
    background_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment(Hit):
    """Consecutive clips of a stored video that match consecutive clips of a query.

    A hit whose spans are those of the whole match: `start_seconds` and `end_seconds` of the stored
    video, `query_start_seconds` and `query_end_seconds` of the query. They are estimated, and need
    not be those of clips. `score` is the mean cosine similarity of the better half of the clips
    that match. Segments are ranked by that and by how long they are, so scores need not fall from
    one to the next. clip_id and labels are those of the stored clip at the best place.

    Attributes:
        num_clips: Clips of the query that match; there are four to the length of one.
    """

    num_clips: int


@dataclass(frozen=True, slots=True)
class Footage:
    """Where a clip's pictures are to be had.

    Attributes:
        clip_id: The clip.
        video_id: SHA-256 (hex) of its video's bytes.
        clip: Its span.
        width: Pixels of the video, as displayed.
        height: Pixels of the video, as displayed.
        codec: As of `VideoInfo`.
        container: As of `VideoInfo`.
        paths: The video's locations, sorted, that are as when they were embedded, by size and time
            of last change; and those at URLs, at which nobody has looked.
    """

    clip_id: int
    video_id: str
    clip: Clip
    width: int
    height: int
    codec: str
    container: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailedQuery:
    """A file that could not be searched for, and why."""

    path: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What many queries found.

    Attributes:
        num_queries: How many there were, those that failed included.
        num_clips: Vectors that were searched for.
        failed: The files among them that could not be embedded.
        hits: A `pyarrow.Table`, one row a hit, by query and rank; `docs/formats.md` lists its
            columns.
        seconds: Wall-clock time.
    """

    num_queries: int
    num_clips: int
    failed: tuple[FailedQuery, ...]
    hits: pa.Table
    seconds: float


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


@dataclass(frozen=True, slots=True)
class Source:
    """A file or object as it was when its bytes were hashed.

    Attributes:
        path: Absolute path, or a URL.
        size_bytes: Its size; None where nobody says.
        version: What changes with its bytes: of a file its time of last change, in nanoseconds
            since the epoch; of an object its ETag or version.
    """

    path: str
    size_bytes: int | None
    version: str


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


class Span(NamedTuple):
    """A stretch of a video, half open.

    Attributes:
        start_seconds: Where it begins.
        end_seconds: Where it ends; None: with the video.
    """

    start_seconds: float = 0.0
    end_seconds: float | None = None


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


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """What `rebuild` did.

    Attributes:
        adopted: Shards that were entered into the catalogue.
        dropped: Shards that the catalogue knew and whose file is lost or unreadable.
        ignored: Files in `shards/` that are left alone, each with the reason.
        set_aside: Where an unusable catalogue was moved to, or None.
        lost: What a catalogue made anew cannot know; empty when the catalogue was kept.
        num_clips: Live clips now.
        commit: The state of the collection after it.
    """

    adopted: tuple[str, ...]
    dropped: tuple[str, ...]
    ignored: tuple[str, ...]
    set_aside: str | None
    lost: tuple[str, ...]
    num_clips: int
    commit: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What made the vectors of some shards: told, never compared.

    Attributes:
        provenance: `model`, `revision`, `weights_file`, `device`, `dtype`, and the versions of
            `torch` and `vidx`; `previews`, where there are some.
        num_shards: Parquet files that were made with just this.
        num_clips: Vectors in them, without those of removed clips.
    """

    provenance: dict[str, str]
    num_shards: int
    num_clips: int

    @property
    def has_previews(self) -> bool:
        """Whether its clips have previews."""
        return "previews" in self.provenance


@dataclass(frozen=True, slots=True)
class MetadataColumn:
    """What users know of videos or clips, under one name.

    Attributes:
        name: As they call it.
        of: What its values belong to: `video` or `clip`.
        type: `text`, `integer`, `real`, `boolean` or `timestamp`.
        num_values: How many there are; those of videos and clips that were removed count until
            `compact`.
    """

    name: str
    of: str
    type: str
    num_values: int


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """What a collection holds.

    Attributes:
        path: Its folder, or its address in a bucket.
        uuid: Its identity.
        catalogue: The address of the database that has the catalogue; None: it is in the folder.
        space: Its one embedding space.
        num_videos: Contents, however many files hold each.
        num_partial: Videos of which only a part could be embedded.
        num_locations: Files.
        num_clips: Vectors.
        num_repeats: Clips among them with the very pictures of the clip before, as of slides.
        num_previews: Clips that have a preview.
        num_failures: Files that could not be embedded.
        num_shards: Parquet files.
        num_unfinished: Videos of which the first parts are stored, and the last one is not. Nothing
            of these parts is counted or found; the next `embed` of the file goes on behind them.
        num_indexed_clips: Vectors in the index on disk, those of removed clips included.
        num_newer_clips: Clips that are not in it yet; they are searched beside it.
        index: How it is searched, and how well that finds.
        metadata: What is known of videos, and then of clips.
        origins: What made the vectors, the oldest first.
    """

    path: str
    uuid: str
    catalogue: str | None
    space: Space
    num_videos: int
    num_partial: int
    num_locations: int
    num_clips: int
    num_repeats: int
    num_previews: int
    num_failures: int
    num_shards: int
    num_unfinished: int
    num_indexed_clips: int
    num_newer_clips: int
    index: IndexReport
    metadata: tuple[MetadataColumn, ...]
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far the making of an index is.

    Attributes:
        likeness: Whose vectors.
        stage: `training`, `adding` or `tuning`.
        done: Of this stage.
        total: Clips, or 1.
    """

    likeness: Likeness
    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PushProgress:
    """How far a push to a vector database is.

    Attributes:
        done: Blocks of 4096 clip_ids that are in step.
        total: All of them.
    """

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push to a vector database did.

    Attributes:
        address: Of the database.
        num_clips: That it has now: all that live.
        num_put: Of them put in, or anew as something of their block had changed.
        num_removed: That were known to be there, and were taken out.
    """

    address: str
    num_clips: int
    num_put: int
    num_removed: int


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
class IndexReport:
    """How one likeness is searched, and how well that finds.

    Attributes:
        kind: `exact` compares every clip; `ivf` compares the best by codes in inverted lists.
        parameters: Of `ivf`: `num_lists`, `num_probes` (lists that are looked through) and
            `refine` (candidates compared exactly for each clip asked for), of each part; and
            `num_parts`, where there are several.
        clips: Vectors in the index, those of removed clips included.
        target_recall: Of the first ten, as asked for.
        recall_at_1, recall_at_10, recall_at_100: Share of the true neighbours that are found, by
            clips of the collection that the parameters were not chosen with.
        p50_ms, p99_ms: Time of one query for ten, in milliseconds; None where none was timed,
            as in `info` of an exact index.
        bytes_per_vector: In memory, beside the vectors mapped from disk.
        build_seconds: What the last build from scratch took.
        copy: The same of the likeness `copy`; None in its own report.
    """

    kind: str
    parameters: dict[str, int]
    clips: int
    target_recall: float
    recall_at_1: float
    recall_at_10: float
    recall_at_100: float
    p50_ms: float | None
    p99_ms: float | None
    bytes_per_vector: float
    build_seconds: float
    copy: IndexReport | None = None


@dataclass(frozen=True, slots=True)
class RemoveReport:
    """What `remove` took out.

    Attributes:
        paths: Locations and failures.
        num_locations: How many of them were locations.
        num_videos: How many videos are left without any location.
        commit: What `restore` takes back.
    """

    paths: tuple[str, ...]
    num_locations: int
    num_videos: int
    commit: int


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
class SnapshotReport:
    """What `save` kept.

    Attributes:
        name: The snapshot's.
        num_clips: How many clips it has.
        state: The commit at which they were selected.
        commit: The one that saved it.
    """

    name: str
    num_clips: int
    state: int
    commit: int


@dataclass(frozen=True, slots=True)
class CompactReport:
    """What `compact` did.

    Attributes:
        num_clips: Removed clips that are gone for good.
        num_shards_before: Parquet files before.
        num_shards_after: And after it.
        commit: The state of the collection after it.
    """

    num_clips: int
    num_shards_before: int
    num_shards_after: int
    commit: int


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What `restore` brought back.

    Attributes:
        restored: The commit that was taken back.
        num_locations: How many locations are there again.
        num_videos: How many videos are there again.
        commit: The one that did it.
    """

    restored: int
    num_locations: int
    num_videos: int
    commit: int


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


@dataclass(frozen=True, slots=True)
class MetadataReport:
    """What `set_metadata` did.

    Attributes:
        of: What the values belong to: `video` or `clip`.
        columns: The names of the columns that the table has values in.
        new_columns: Those of them that there were not before.
        left_out: Columns of the table without a single value.
        num_rows: Rows of the table.
        num_keys: Videos or clips that they are about.
        num_values: Values that were set.
        num_unknown: Rows whose key is no video or clip of the collection; they were passed over.
        unknown: Some of these keys, as the table has them.
        commit: The state of the collection after it.
    """

    of: str
    columns: tuple[str, ...]
    new_columns: tuple[MetadataColumn, ...]
    left_out: tuple[str, ...]
    num_rows: int
    num_keys: int
    num_values: int
    num_unknown: int
    unknown: tuple[str, ...]
    commit: int
