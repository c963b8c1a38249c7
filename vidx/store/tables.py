"""The catalogue's tables; `migrations/` makes the same ones step by step."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)

metadata = MetaData()

Id = BigInteger().with_variant(Integer(), "sqlite")  # INTEGER makes it SQLite's own row number

# One row: which collection this is, and the next clip_id, which never goes back.
collection = Table(
    "collection",
    metadata,
    Column("uuid", Text, primary_key=True),
    Column("next_clip_id", BigInteger, nullable=False),
)

# One row a Parquet file.
shards = Table(
    "shards",
    metadata,
    Column("first_clip_id", Id, primary_key=True, autoincrement=False),
    Column("num_clips", BigInteger, nullable=False),
    Column("file", Text, nullable=False, unique=True),
    Column("uuid", Text, nullable=False, unique=True),
    Column("provenance", Text, nullable=False),  # JSON: model, revision, device, dtype, versions
)

# One row a content: video_id is the SHA-256 (hex) of the file's bytes.
videos = Table(
    "videos",
    metadata,
    Column("video_id", Text, primary_key=True),
    Column("plan", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("duration_seconds", Float, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frame_rate", Float, nullable=False),
    Column("codec", Text, nullable=False),
    Column("container", Text, nullable=False),
    Column("first_timestamp_seconds", Float, nullable=False),
    Column("rotation_degrees", Integer, nullable=False),
    Column("problem_reason", Text),  # null when the video is whole
    Column("problem_message", Text),
)

# One row a path at which a video's bytes were seen.
locations = Table(
    "locations",
    metadata,
    Column("path", Text, primary_key=True),
    Column("video_id", ForeignKey("videos.video_id", ondelete="CASCADE"), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Index("locations_of_video", "video_id"),
)

# One row a live clip. A clip that was removed or replaced has no row, though its shard keeps it.
clips = Table(
    "clips",
    metadata,
    Column("clip_id", Id, primary_key=True, autoincrement=False),
    Column("video_id", ForeignKey("videos.video_id", ondelete="CASCADE"), nullable=False),
    Column("start_seconds", Float, nullable=False),
    Column("end_seconds", Float, nullable=False),
    Index("clips_of_video", "video_id"),
)

# The best labels of a clip; source says who gave them (`model` for the checkpoint's own head).
labels = Table(
    "labels",
    metadata,
    Column("clip_id", ForeignKey("clips.clip_id", ondelete="CASCADE"), primary_key=True),
    Column("source", Text, primary_key=True),
    Column("label", Text, primary_key=True),
    Column("score", Float, nullable=False),
    Index("clips_with_label", "label", "clip_id"),
)

# One row a path that could not be embedded.
failures = Table(
    "failures",
    metadata,
    Column("path", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
)
