"""Add what people do not want to hear, the use of the quota, and the words of a decision's reasons."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add what people do not want to hear, the use of the quota, and the words of a decision's reasons."""
    steps.STEPS[1](op.get_bind())
