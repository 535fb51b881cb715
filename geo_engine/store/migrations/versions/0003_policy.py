"""Add what people do not want to hear, the use of the quota, and the words of a decision's reasons."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what people do not want to hear, the use of the quota, and the words of a decision's reasons."""
    steps.STEPS[1](op.get_bind())
