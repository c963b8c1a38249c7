"""The catalogue's first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    _whole()
    _of_videos()
    _of_clips()
    _of_metadata()
    op.create_table(
        "failures",
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("video_id", TEXT),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_attempt", TEXT, nullable=False),
    )
    op.create_index("failures_of_content", "failures", ["video_id"])


def _whole() -> None:
    op.create_table(
        "collection",
        sa.Column("uuid", TEXT, primary_key=True),
        sa.Column("numbering", TEXT, nullable=False),
        sa.Column("next_clip_id", sa.BigInteger, nullable=False),
        sa.Column("reshaped_commit", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "commits",
        sa.Column("number", ID, primary_key=True, autoincrement=False),
        sa.Column("time", TEXT, nullable=False),
        sa.Column("verb", TEXT, nullable=False),
        sa.Column("provenance", TEXT, nullable=False),
    )
    op.create_table(
        "shards",
        sa.Column("first_clip_id", ID, primary_key=True, autoincrement=False),
        sa.Column("end_clip_id", sa.BigInteger, nullable=False),
        sa.Column("num_clips", sa.BigInteger, nullable=False),
        sa.Column("file", TEXT, nullable=False, unique=True),
        sa.Column("uuid", TEXT, nullable=False, unique=True),
        sa.Column("provenance", TEXT, nullable=False),
    )


def _of_videos() -> None:
    op.create_table(
        "videos",
        sa.Column("number", ID, primary_key=True, autoincrement=False),
        sa.Column("video_id", TEXT, nullable=False, unique=True),
        sa.Column("take", sa.BigInteger),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("duration_seconds", sa.Float, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("frame_rate", sa.Float, nullable=False),
        sa.Column("codec", TEXT, nullable=False),
        sa.Column("container", TEXT, nullable=False),
        sa.Column("first_timestamp_seconds", sa.Float, nullable=False),
        sa.Column("rotation_degrees", sa.Integer, nullable=False),
        sa.Column("is_mirrored", sa.Boolean, nullable=False),
        sa.Column("notes", TEXT, nullable=False),
    )
    op.create_table(
        "takes",
        sa.Column("number", ID, primary_key=True, autoincrement=False),
        sa.Column("uuid", TEXT, nullable=False, unique=True),
        sa.Column("video", ID, _of("videos.number"), nullable=False),
        sa.Column("plan", TEXT, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("problem_reason", TEXT),
        sa.Column("problem_message", TEXT),
    )
    op.create_index("takes_of_video", "takes", ["video"])
    op.create_table(
        "parts",
        sa.Column("take", ID, _of("takes.number"), primary_key=True, autoincrement=False),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("is_last", sa.Boolean, nullable=False),
        sa.Column("first_clip_id", sa.BigInteger, nullable=False),
        sa.Column("path", TEXT, nullable=False),
    )
    op.create_index("parts_at", "parts", ["path"])
    op.create_table(
        "locations",
        sa.Column("number", ID, primary_key=True),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("video", ID, _of("videos.number"), nullable=False),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("removed", sa.BigInteger),
    )
    op.create_index("locations_of_video", "locations", ["video"])
    live = sa.text("removed IS NULL")
    op.create_index(
        "one_video_a_path",
        "locations",
        ["path"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )


def _of_clips() -> None:
    op.create_table(
        "clips",
        sa.Column("clip_id", ID, primary_key=True, autoincrement=False),
        sa.Column("take", sa.BigInteger, nullable=False),
        sa.Column("start_seconds", sa.Float, nullable=False),
        sa.Column("end_seconds", sa.Float, nullable=False),
        sa.Column("brightness", sa.Float, nullable=False),
        sa.Column("contrast", sa.Float, nullable=False),
        sa.Column("sharpness", sa.Float, nullable=False),
        sa.Column("motion", sa.Float, nullable=False),
        sa.Column("black_share", sa.Float, nullable=False),
        sa.Column("frozen_share", sa.Float, nullable=False),
        sa.Column("repeats", sa.Boolean, nullable=False),
        sa.Column("removed", sa.BigInteger),
    )
    op.create_index("clips_of_take", "clips", ["take"])
    gone = sa.text("removed IS NOT NULL")
    op.create_index("clips_removed", "clips", ["removed"], sqlite_where=gone, postgresql_where=gone)
    op.create_index(
        "clips_that_repeat",
        "clips",
        ["removed"],
        sqlite_where=sa.text("repeats = 1"),
        postgresql_where=sa.text("repeats"),
    )
    op.create_table(
        "labels",
        sa.Column("number", ID, primary_key=True, autoincrement=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
    )
    op.create_index("one_label_a_name", "labels", ["source", "name"], unique=True)
    op.create_table(
        "clip_labels",
        sa.Column("clip_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("label", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("score", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("clips_with_label", "clip_labels", ["label", "clip_id"])


def _of_metadata() -> None:
    op.create_table(
        "metadata_columns",
        sa.Column("number", ID, primary_key=True, autoincrement=False),
        sa.Column("name", TEXT, nullable=False, unique=True),
        sa.Column("of", TEXT, nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("num_values", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "video_metadata",
        sa.Column("video", ID, _of("videos.number"), primary_key=True, autoincrement=False),
    )
    op.create_table(
        "clip_metadata",
        sa.Column("clip_id", ID, primary_key=True, autoincrement=False),
    )


def _of(column: str) -> sa.ForeignKey:
    return sa.ForeignKey(column, ondelete="CASCADE")
