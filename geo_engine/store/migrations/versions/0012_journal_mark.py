"""Add up to which record of the journal the decisions are in the database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add up to which record of the journal the decisions are in the database."""
    op.create_table(
        "journal_mark",
        sa.Column("mark_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
