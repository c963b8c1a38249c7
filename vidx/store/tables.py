"""The catalogue's tables; `migrations/` makes the same ones step by step.

Numbers stand for long names inside: of videos, takes and labels. Only the tables of clips, of their
labels and of their metadata grow with the clips; they carry no foreign keys, which would be checked
row by row, so that `vidx verify` looks for what these would have kept out.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    text,
)
from sqlalchemy import Text as AnyText

from vidx.records import FACTS

metadata = MetaData()

Id = BigInteger().with_variant(Integer(), "sqlite")  # INTEGER makes it SQLite's own row number
# Sorted by bytes everywhere, as SQLite does: what one database gives in order, the other does too.
Text = AnyText().with_variant(AnyText(collation="C"), "postgresql")

# In `clips.removed`, beside numbers of commits:
IN_THE_MAKING = 0  # the clip's take is not complete yet
DROPPED = -1  # no shard has the clip any more; an index may

# One row: which collection this is, and numbers that never go back.
collection = Table(
    "collection",
    metadata,
    Column("uuid", Text, primary_key=True),
    Column("numbering", Text, nullable=False),  # a name for the numbers of videos in this catalogue
    Column("next_clip_id", BigInteger, nullable=False),
    # The last commit that put in or took out clips with smaller ids than others that were there.
    Column("reshaped_commit", BigInteger, nullable=False),
)

# One row a change, in order. The highest number is the state of the collection.
commits = Table(
    "commits",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("time", Text, nullable=False),  # ISO 8601, UTC
    Column("verb", Text, nullable=False),  # embed, remove, restore, metadata, compact ...
    Column("provenance", Text, nullable=False),  # JSON: versions, and of an embed the model
)

# One row a Parquet file.
shards = Table(
    "shards",
    metadata,
    Column("first_clip_id", Id, primary_key=True, autoincrement=False),
    Column("end_clip_id", BigInteger, nullable=False),  # the id after the last
    Column("num_clips", BigInteger, nullable=False),  # fewer than ids where some were dropped
    Column("file", Text, nullable=False, unique=True),
    Column("uuid", Text, nullable=False, unique=True),
    Column("provenance", Text, nullable=False),  # JSON: model, revision, device, dtype, versions
)

# One row a content: video_id is the SHA-256 (hex) of the file's bytes.
videos = Table(
    "videos",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("video_id", Text, nullable=False, unique=True),
    Column("take", BigInteger),  # whose clips live; null when the video is gone
    Column("size_bytes", BigInteger),
    Column("duration_seconds", Float, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("frame_rate", Float, nullable=False),
    Column("codec", Text, nullable=False),
    Column("container", Text, nullable=False),
    Column("first_timestamp_seconds", Float, nullable=False),
    Column("rotation_degrees", Integer, nullable=False),
    Column("is_mirrored", Boolean, nullable=False),
    Column("notes", Text, nullable=False),  # JSON: a list of sentences
)

# One row a cutting of a video into clips, under one plan. Its clips may lie in several shards.
takes = Table(
    "takes",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("uuid", Text, nullable=False, unique=True),
    Column("video", ForeignKey("videos.number", ondelete="CASCADE"), nullable=False),
    Column("plan", Text, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("problem_reason", Text),  # null when the video is whole
    Column("problem_message", Text),
    Index("takes_of_video", "video"),
)

# One row a part of a take that comes in several; a take that came whole has none here.
parts = Table(
    "parts",
    metadata,
    Column(
        "take",
        ForeignKey("takes.number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("part", Integer, primary_key=True, autoincrement=False),  # from 0
    Column("is_last", Boolean, nullable=False),
    Column("first_clip_id", BigInteger, nullable=False),
    Column("path", Text, nullable=False),  # where the file was seen last
    Index("parts_at", "path"),
)

# One row a path or URL at which a video's bytes were seen.
locations = Table(
    "locations",
    metadata,
    Column("number", Id, primary_key=True),
    Column("path", Text, nullable=False),
    Column("video", ForeignKey("videos.number", ondelete="CASCADE"), nullable=False),
    Column("size_bytes", BigInteger),  # null where nobody says
    Column("version", Text, nullable=False),  # time of last change in ns, or an ETag
    Column("removed", BigInteger),  # by which commit; null while it counts
    Index("locations_of_video", "video"),
    Index(
        "one_video_a_path",
        "path",
        unique=True,
        sqlite_where=text("removed IS NULL"),
        postgresql_where=text("removed IS NULL"),
    ),
)

# One row a clip of a shard.
clips = Table(
    "clips",
    metadata,
    Column("clip_id", Id, primary_key=True, autoincrement=False),
    Column("take", BigInteger, nullable=False),
    Column("start_seconds", Float, nullable=False),
    Column("end_seconds", Float, nullable=False),
    *(Column(name, Float, nullable=False) for name in FACTS),
    Column("repeats", Boolean, nullable=False),  # it has the pictures of the clip before
    # Null while the clip lives; else the commit since which it does not, IN_THE_MAKING or DROPPED.
    Column("removed", BigInteger),
    Index("clips_of_take", "take"),
    Index(
        "clips_removed",
        "removed",
        sqlite_where=text("removed IS NOT NULL"),
        postgresql_where=text("removed IS NOT NULL"),
    ),
    Index(
        "clips_that_repeat",
        "removed",
        sqlite_where=text("repeats = 1"),
        postgresql_where=text("repeats"),
    ),
)

# Names of labels; source says who gives them (`model` for the checkpoint's own head).
labels = Table(
    "labels",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Index("one_label_a_name", "source", "name", unique=True),
)

# The best labels of a clip.
clip_labels = Table(
    "clip_labels",
    metadata,
    Column("clip_id", BigInteger, primary_key=True, autoincrement=False),
    Column("label", Integer, primary_key=True, autoincrement=False),
    Column("score", Float, nullable=False),
    Index("clips_with_label", "label", "clip_id"),
    sqlite_with_rowid=False,
)

# One row a column of metadata, whose values are in `video_metadata` or `clip_metadata`, in a column
# called c<number>: what a user calls it is never part of a statement.
metadata_columns = Table(
    "metadata_columns",
    metadata,
    Column("number", Id, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("of", Text, nullable=False),  # video, clip
    Column("type", Text, nullable=False),  # text, integer, real, boolean, timestamp
    Column("num_values", BigInteger, nullable=False),  # those of what was removed included
)

# One row a video that has metadata; further columns are added as they come.
video_metadata = Table(
    "video_metadata",
    metadata,
    Column(
        "video",
        ForeignKey("videos.number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
)

# One row a clip that has metadata; further columns are added as they come.
clip_metadata = Table(
    "clip_metadata",
    metadata,
    Column("clip_id", Id, primary_key=True, autoincrement=False),
)

# One row a selection that was saved by name; the ids of its clips are in a file of the journal.
snapshots = Table(
    "snapshots",
    metadata,
    Column("name", Text, primary_key=True),
    Column("file", Text, nullable=False, unique=True),
    Column("state", BigInteger, nullable=False),  # the commit at which the clips were selected
    Column("time", Text, nullable=False),  # ISO 8601, UTC
    Column("rule", Text, nullable=False),  # how they were selected
    Column("num_clips", BigInteger, nullable=False),  # those that are gone since included
)

# One row a path that could not be embedded.
failures = Table(
    "failures",
    metadata,
    Column("path", Text, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("video_id", Text),  # null where its bytes could not be read
    Column("size_bytes", BigInteger),
    Column("version", Text, nullable=False),
    Column("attempts", Integer, nullable=False),  # to embed this content from this path
    Column("last_attempt", Text, nullable=False),  # ISO 8601, UTC
    Index("failures_of_content", "video_id"),
)
