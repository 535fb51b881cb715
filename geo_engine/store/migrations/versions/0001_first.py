"""What a store of the first release holds."""

from __future__ import annotations

from geo_engine.errors import StoreError

__all__ = ["down_revision", "revision", "upgrade"]

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Refuse: an empty database is made whole, as the schema is today, by ``schema.upgrade``."""
    message = "found a database without a revision, expected one made by: geo-engine db upgrade"
    raise StoreError(message)
