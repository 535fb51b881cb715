"""The history in the database: who was in which zone when, of those who want it kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, select

from geo_engine.store import rows
from geo_engine.store.dialects import upsert
from geo_engine.store.protocol import HISTORY, HistoryChange, TransitionRecord, in_history_order
from geo_engine.store.schema import consent, history

__all__ = ["change_history", "consenting", "drop_before", "erase_history", "read_history"]

_IDS_PER_QUERY: Final = 500
_KEY: Final = ("u7", "time_ms", "zone_id", "kind")


def change_history(connection: Connection, changes: Sequence[HistoryChange]) -> set[int]:
    """Make changes in their order; nothing is added of users who do not consent. Return those who do."""
    users = sorted({int(record.u7) for change in changes for record in (*change.added, *change.withdrawn)})
    willing = set(consenting(connection, HISTORY, users)) if users else set()
    columns = history.c
    this_one = delete(history).where(*(columns[name] == bindparam(f"this_{name}") for name in _KEY))
    for change in changes:
        if change.withdrawn:
            values = map(rows.transition_values, change.withdrawn)
            connection.execute(this_one, [{f"this_{name}": one[name] for name in _KEY} for one in values])
        added = [rows.transition_values(record) for record in change.added if record.u7 in willing]
        if added:
            connection.execute(upsert(connection, history).on_conflict_do_nothing(), added)
    return willing


def consenting(connection: Connection, purpose: str, among: Sequence[int] | None = None) -> list[int]:
    """Return the users, of those given, whose last record for a purpose is a yes, ascending."""
    columns = consent.c
    last = select(func.max(columns.consent_id)).where(columns.purpose == purpose).group_by(columns.u7)
    if among is None:
        query = select(columns.u7).where(columns.consent_id.in_(last), columns.granted)
        return list(connection.execute(query.order_by(columns.u7)).scalars())
    found: list[int] = []
    for first in range(0, len(among), _IDS_PER_QUERY):
        theirs = last.where(columns.u7.in_(among[first : first + _IDS_PER_QUERY]))
        found += connection.execute(select(columns.u7).where(columns.consent_id.in_(theirs), columns.granted)).scalars()
    return sorted(found)


def read_history(connection: Connection, u7: int, since_ms: int, until_ms: int) -> list[TransitionRecord]:
    """Return a user's transitions in a time; see ``Store.history``."""
    columns = history.c
    query = select(history).where(columns.u7 == u7, columns.time_ms >= since_ms, columns.time_ms < until_ms)
    return in_history_order(rows.transition_of(row) for row in connection.execute(query).mappings())


def erase_history(connection: Connection, u7: int) -> None:
    """Erase a user's transitions."""
    connection.execute(delete(history).where(history.c.u7 == u7))


def drop_before(connection: Connection, before_ms: int) -> int:
    """Erase what is older; see ``Store.drop_history``."""
    return int(connection.execute(delete(history).where(history.c.time_ms < before_ms)).rowcount)
