"""Add the history of users who want one."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the history of users who want one."""
    steps.STEPS[2](op.get_bind())
