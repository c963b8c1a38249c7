"""What a collection has."""

from __future__ import annotations

from dataclasses import dataclass

from vidx.records.indexing import IndexReport
from vidx.records.spaces import Origin, Space


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
