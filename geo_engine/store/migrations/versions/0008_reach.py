"""Add how people can be reached, and the token the processes of an account share."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add how people can be reached, and the token the processes of an account share."""
    steps.STEPS[6](op.get_bind())
