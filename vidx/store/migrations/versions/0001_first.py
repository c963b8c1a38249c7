"""The catalogue's first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    op.create_table(
        "collection",
        sa.Column("uuid", sa.Text, primary_key=True),
        sa.Column("next_clip_id", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "shards",
        sa.Column("first_clip_id", ID, primary_key=True, autoincrement=False),
        sa.Column("num_clips", sa.BigInteger, nullable=False),
        sa.Column("file", sa.Text, nullable=False, unique=True),
        sa.Column("uuid", sa.Text, nullable=False, unique=True),
        sa.Column("provenance", sa.Text, nullable=False),
    )
    op.create_table(
        "videos",
        sa.Column("video_id", sa.Text, primary_key=True),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("duration_seconds", sa.Float, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("frame_rate", sa.Float, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("container", sa.Text, nullable=False),
        sa.Column("first_timestamp_seconds", sa.Float, nullable=False),
        sa.Column("rotation_degrees", sa.Integer, nullable=False),
        sa.Column("problem_reason", sa.Text),
        sa.Column("problem_message", sa.Text),
    )
    op.create_table(
        "locations",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column(
            "video_id",
            sa.Text,
            sa.ForeignKey("videos.video_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("locations_of_video", "locations", ["video_id"])
    op.create_table(
        "clips",
        sa.Column("clip_id", ID, primary_key=True, autoincrement=False),
        sa.Column(
            "video_id",
            sa.Text,
            sa.ForeignKey("videos.video_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("start_seconds", sa.Float, nullable=False),
        sa.Column("end_seconds", sa.Float, nullable=False),
    )
    op.create_index("clips_of_video", "clips", ["video_id"])
    op.create_table(
        "labels",
        sa.Column(
            "clip_id", ID, sa.ForeignKey("clips.clip_id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, primary_key=True),
        sa.Column("score", sa.Float, nullable=False),
    )
    op.create_index("clips_with_label", "labels", ["label", "clip_id"])
    op.create_table(
        "failures",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    )
