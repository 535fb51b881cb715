"""Add what a message about several zones names, and when a rule begins that is not in force yet."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add what a message about several zones names, and when a rule begins that is not in force yet."""
    steps.STEPS[3](op.get_bind())
