"""Snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of snapshots."""
    op.create_table(
        "snapshots",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("file", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.BigInteger, nullable=False),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("num_clips", sa.BigInteger, nullable=False),
    )
