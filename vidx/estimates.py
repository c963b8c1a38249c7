"""What a run of `embed` will take: an estimate, made without changing anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidx.records import FileFinding, Problem


@dataclass(frozen=True, slots=True)
class EmbedEstimate:
    """What `embed` would do with some files, and what it would take.

    Attributes:
        findings: As of `Collection.survey`.
        num_to_embed: Files among them that would be embedded.
        num_probed: Of these, how many were opened. Where that is not all, `video_seconds`,
            `num_clips`, `disk_bytes` and `embed_seconds` are scaled from those that were.
        video_seconds: Video in the files, by their headers.
        num_clips: Clips they would be cut into, likewise.
        problems: Paths that were opened and cannot be decoded, each with the reason.
        clips_per_second: From decoding and embedding a few of the files for a few seconds; None
            where that was not possible, see `no_rate`.
        no_rate: Why there is no rate; None where there is one, or nothing to embed.
        disk_bytes: What shards, catalogue and index would grow by; None where the model is not at
            hand.
    """

    findings: tuple[FileFinding, ...]
    num_to_embed: int
    num_probed: int
    video_seconds: float
    num_clips: int
    problems: tuple[tuple[str, Problem], ...]
    clips_per_second: float | None
    no_rate: str | None
    disk_bytes: int | None

    @property
    def is_sampled(self) -> bool:
        """Whether only some of the files were opened."""
        return self.num_probed < self.num_to_embed

    @property
    def embed_seconds(self) -> float | None:
        """How long the run would take; None without a rate."""
        if not self.num_clips:
            return 0.0
        return self.num_clips / self.clips_per_second if self.clips_per_second else None


# What one row costs, beside its arrays of numbers, as measured on collections of real videos.
CATALOGUE_BYTES = 140_000  # its empty tables
CATALOGUE_VIDEO_BYTES = 1500
CATALOGUE_CLIP_BYTES = 250
SHARD_BYTES = 12_000  # the footer, which names the labels too
SHARD_CLIP_BYTES = 50  # times, facts and flags
PREVIEW_BYTES = 5000
CLIPS_A_SHARD = 4096
MAX_COPY_DIM = 256  # of the whitened vectors
CODES_FROM_BYTES = 8 << 20  # of vectors


def bytes_on_disk(
    *,
    num_videos: int,
    num_clips: int,
    dim: int,
    num_labels: int,
    num_frames: int,
    is_new: bool,
    previews: bool = False,
) -> int:
    """What a collection grows by.

    Args:
        num_videos: Videos that come in.
        num_clips: Their clips.
        dim: Length of an embedding.
        num_labels: Classes of the model's head; 0 without one.
        num_frames: Frames of a clip.
        is_new: Whether the collection is made for them.
        previews: Whether a picture of each clip is kept.
    """
    if not num_clips:
        return 0
    copy_dim = min(dim, MAX_COPY_DIM)
    vectors, logits, times = 4 * dim, 2 * num_labels, 4 * num_frames
    shard = vectors + logits + times + SHARD_CLIP_BYTES + PREVIEW_BYTES * previews
    index = vectors + 4 * copy_dim + 8 + 4  # with ids and the numbers of their videos
    if num_clips * vectors > CODES_FROM_BYTES:
        index += (dim + copy_dim) // 8 + 2 * 8
    rows = num_clips * (shard + index + CATALOGUE_CLIP_BYTES) + num_videos * CATALOGUE_VIDEO_BYTES
    shards = -(-num_clips // CLIPS_A_SHARD) * SHARD_BYTES
    whitening = 4 * dim * (1 + copy_dim)
    return rows + shards + (CATALOGUE_BYTES + whitening if is_new else 0)
