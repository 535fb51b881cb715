"""Up to which record of the journal the decisions are in the database: one row, written with them."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from geo_engine.store.schema import journal_mark

__all__ = ["put_position", "read_position"]

_ONLY = 1


def put_position(connection: Connection, position: int) -> None:
    """Move the mark forward; it never goes back."""
    known = connection.execute(select(journal_mark.c.position)).scalar()
    if known is None:
        connection.execute(insert(journal_mark).values(mark_id=_ONLY, position=position))
    elif known < position:
        connection.execute(update(journal_mark).values(position=position))


def read_position(connection: Connection) -> int:
    """Return where the mark is, 0 = nowhere yet."""
    return connection.execute(select(journal_mark.c.position)).scalar() or 0
