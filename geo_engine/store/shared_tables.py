"""The tables through which processes on one store speak to one another (schema step 11)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table

from geo_engine.store.dialects import RowNumber, Text

__all__ = ["shared_tables"]


def shared_tables(metadata: MetaData) -> tuple[Table, Table, Table]:
    """Return ``person_change``, ``spent_state`` and ``page_session``."""
    person_change = Table(
        "person_change",
        metadata,
        Column("change_id", RowNumber, primary_key=True),
        Column("u7", Integer, nullable=False, index=True),
        Column("what", Text, nullable=False),
        Column("zone_id", Text, nullable=False, server_default=""),
        # A number is never used again: taking one off must not take a later one.
        sqlite_autoincrement=True,
    )
    # States that came back: random, of nobody in particular, for ten minutes.
    spent_state = Table(
        "spent_state",
        metadata,
        Column("state", Text, primary_key=True),
        Column("until_ms", BigInteger, nullable=False),
        Index("ix_spent_state_until_ms", "until_ms"),
    )
    page_session = Table(
        "page_session",
        metadata,
        Column("digest", Text, primary_key=True),
        Column("open_id", Text, nullable=False, index=True),
        Column("until_ms", BigInteger, nullable=False, index=True),
        # JSON: pairs of texts.
        Column("notices", Text, nullable=False),
    )
    return person_change, spent_state, page_session
