"""Snapshots."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table of snapshots."""
    op.create_table(
        "snapshots",
        sa.Column("name", TEXT, primary_key=True),
        sa.Column("file", TEXT, nullable=False, unique=True),
        sa.Column("state", sa.BigInteger, nullable=False),
        sa.Column("time", TEXT, nullable=False),
        sa.Column("rule", TEXT, nullable=False),
        sa.Column("num_clips", sa.BigInteger, nullable=False),
    )
