"""Add phones and their codes, several vehicles a person, erasures and what stays of them."""

from __future__ import annotations

from alembic import op

from geo_engine.store import steps

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add phones and their codes, several vehicles a person, erasures and what stays of them."""
    steps.STEPS[5](op.get_bind())
