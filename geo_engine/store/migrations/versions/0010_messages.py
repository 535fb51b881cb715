"""Add the history of messages, its tally, and the events that wait for other systems."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the history of messages, its tally, and the events that wait for other systems."""
    steps.STEPS[8](op.get_bind())
