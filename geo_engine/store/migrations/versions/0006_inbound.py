"""Add the messages people send."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the messages people send."""
    steps.STEPS[4](op.get_bind())
