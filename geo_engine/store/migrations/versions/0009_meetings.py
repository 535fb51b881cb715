"""Add meetings, their members and what those were told."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add meetings, their members and what those were told."""
    steps.STEPS[7](op.get_bind())
