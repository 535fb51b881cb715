"""Add what processes on one store tell one another, and who holds a message under way."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add what processes on one store tell one another, and who holds a message under way."""
    steps.STEPS[9](op.get_bind())
