"""Add what is known of a vehicle beside its kind, class and plate."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what is known of a vehicle beside its kind, class and plate."""
    steps.STEPS[0](op.get_bind())
