"""The catalogue's first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PATH = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    _whole()
    _of_videos()
    _of_clips()
    _of_metadata()
    op.create_table(
        "failures",
        sa.Column("path", PATH, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("video_id", sa.Text),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_attempt", sa.Text, nullable=False),
    )
    op.create_index("failures_of_content", "failures", ["video_id"])


def _whole() -> None:
    op.create_table(
        "collection",
        sa.Column("uuid", sa.Text, primary_key=True),
        sa.Column("numbering", sa.Text, nullable=False),
        sa.Column("next_clip_id", sa.BigInteger, nullable=False),
        sa.Column("reshaped_commit", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "commits",
        sa.Column("number", ID, primary_key=True, autoincrement=False),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("provenance", sa.Text, nullable=False),
    )
    op.create_table(
        "shards",
        sa.Column("first_clip_id", ID, primary_key=True, autoincrement=False),
        sa.Column("end_clip_id", sa.BigInteger, nullable=False),
        sa.Column("num_clips", sa.BigInteger, nullable=False),
        sa.Column("file", sa.Text, nullable=False, unique=True),
        sa.Column("uuid", sa.Text, nullable=False, unique=True),
        sa.Column("provenance", sa.Text, nullable=False),
    )


def _of_videos() -> None:
    op.create_table(
        "videos",
        sa.Column("number", ID, primary_key=True, autoincrement=False),
        sa.Column("video_id", sa.Text, nullable=False, unique=True),
        sa.Column("take", sa.BigInteger),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("duration_seconds", sa.Float, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("frame_rate", sa.Float, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("container", sa.Text, nullable=False),
        sa.Column("first_timestamp_seconds", sa.Float, nullable=False),
        sa.Column("rotation_degrees", sa.Integer, nullable=False),
        sa.Column("is_mirrored", sa.Boolean, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
    )
    op.create_table(
        "takes",
        sa.Column("number", ID, primary_key=True, autoincrement=False),
        sa.Column("uuid", sa.Text, nullable=False, unique=True),
        sa.Column("video", ID, _of("videos.number"), nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("problem_reason", sa.Text),
        sa.Column("problem_message", sa.Text),
    )
    op.create_index("takes_of_video", "takes", ["video"])
    op.create_table(
        "parts",
        sa.Column("take", ID, _of("takes.number"), primary_key=True, autoincrement=False),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("is_last", sa.Boolean, nullable=False),
        sa.Column("first_clip_id", sa.BigInteger, nullable=False),
        sa.Column("path", PATH, nullable=False),
    )
    op.create_index("parts_at", "parts", ["path"])
    op.create_table(
        "locations",
        sa.Column("number", ID, primary_key=True),
        sa.Column("path", PATH, nullable=False),
        sa.Column("video", ID, _of("videos.number"), nullable=False),
        sa.Column("size_bytes", sa.BigInteger),
        sa.Column("version", sa.Text, nullable=False),
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
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
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
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("of", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
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
