"""What was done to a collection's rows and files."""

from __future__ import annotations

from dataclasses import dataclass

from vidx.records.contents import MetadataColumn


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
