"""What processes on one store tell one another, in the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection

from geo_engine.store.dialects import insert_new
from geo_engine.store.schema import page_session, person_change, spent_state
from geo_engine.store.shared import Change, Changed, PageSession

__all__ = ["NOTES_SETTING", "SqlShared", "note_changes", "note_triggers"]

_Transaction = Callable[[], AbstractContextManager[Connection]]
_NOTED: Final = (
    ("consent", "INSERT", "NEW", Changed.PERSON),
    ("person", "UPDATE", "NEW", Changed.PERSON),
    ("erasure", "INSERT", "NEW", Changed.PERSON),
    *(
        (table, event, "OLD" if event == "DELETE" else "NEW", Changed.WISHES)
        for table in ("mute", "quiet_hours")
        for event in ("INSERT", "UPDATE", "DELETE")
    ),
)
"""What the engine holds in memory: a row of these tables that is written by another process is noted."""


NOTES_SETTING: Final = "geo_engine.notes"
"""The setting of a PostgreSQL connection that notes what it changes."""


def note_changes(driver: DBAPIConnection, _record: object) -> None:
    """Have a new connection note what it changes.

    The triggers are the connection's own (``TEMP``), so only the processes beside the engine's write notes, always in
    the transaction of the change, and no writing method can forget it.
    """
    cursor = driver.cursor()
    for table, event, row, what in _NOTED:
        cursor.execute(
            f"CREATE TEMP TRIGGER note_{table}_{event.lower()} AFTER {event} ON main.{table} BEGIN"  # noqa: S608
            f" INSERT INTO person_change (u7, what) VALUES ({row}.u7, '{what.value}'); END"
        )
    cursor.close()


def note_triggers(connection: Connection) -> None:
    """Make the triggers in a new PostgreSQL database; they work only where ``NOTES_SETTING`` is on.

    PostgreSQL has no triggers of one connection on a table of all.
    """
    for table, event, row, what in _NOTED:
        name = f"note_{table}_{event.lower()}"
        connection.exec_driver_sql(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"  # noqa: S608
            f" INSERT INTO person_change (u7, what) VALUES ({row}.u7, '{what.value}'); RETURN NULL; END $$"
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW"
            f" WHEN (current_setting('{NOTES_SETTING}', true) = 'on') EXECUTE FUNCTION {name}()"
        )


class SqlShared:
    """``Shared`` in the store's database.

    Args:
        read: begins a reading transaction of the store.
        write: begins a writing one.
        notes: this process stands beside that of the engine.
    """

    def __init__(self, read: _Transaction, write: _Transaction, *, notes: bool) -> None:
        self._read, self._write, self._notes = read, write, notes

    def changes(self, limit: int) -> list[Change]:
        """Return changes nobody took off; see ``Shared.changes``."""
        query = select(person_change).order_by(person_change.c.change_id).limit(max(limit, 0))
        with self._read() as connection:
            return [Change(row.change_id, row.u7, Changed(row.what), row.zone_id) for row in connection.execute(query)]

    def take_off(self, numbers: Sequence[int]) -> None:
        """Forget changes; see ``Shared.take_off``."""
        if not numbers:
            return
        with self._write() as connection:
            connection.execute(delete(person_change).where(person_change.c.change_id.in_(numbers)))

    def note_warned(self, u7: int, zone_id: str) -> None:
        """Note a warning; see ``Shared.note_warned``."""
        if not self._notes:
            return
        with self._write() as connection:
            connection.execute(insert(person_change), {"u7": u7, "what": Changed.WARNED.value, "zone_id": zone_id})

    def spend(self, key: str, until_ms: int, now_ms: int) -> bool:
        """Use something up; see ``Shared.spend``."""
        with self._write() as connection:
            connection.execute(delete(spent_state).where(spent_state.c.until_ms <= now_ms))
            return insert_new(connection, spent_state, {"state": key, "until_ms": until_ms})

    def begin_session(self, session: PageSession, now_ms: int) -> None:
        """Begin a session; see ``Shared.begin_session``."""
        values = {"digest": session.digest, "open_id": session.open_id, "until_ms": session.until_ms}
        with self._write() as connection:
            connection.execute(delete(page_session).where(page_session.c.until_ms <= now_ms))
            connection.execute(insert(page_session), {**values, "notices": _text(session.notices)})

    def set_notices(self, digest: str, notices: Sequence[tuple[str, str]]) -> None:
        """Replace what the next page says; see ``Shared.set_notices``."""
        this = update(page_session).where(page_session.c.digest == digest)
        with self._write() as connection:
            connection.execute(this.values(notices=_text(notices)))

    def session(self, digest: str, now_ms: int) -> PageSession | None:
        """Return a session; see ``Shared.session``."""
        columns = page_session.c
        query = select(page_session).where(columns.digest == digest, columns.until_ms > now_ms)
        with self._read() as connection:
            found = connection.execute(query).one_or_none()
        if found is None:
            return None
        notices = tuple((name, about) for name, about in json.loads(found.notices))
        return PageSession(found.digest, found.open_id, found.until_ms, notices)

    def end_sessions(self, open_id: str) -> None:
        """End somebody's sessions; see ``Shared.end_sessions``."""
        with self._write() as connection:
            connection.execute(delete(page_session).where(page_session.c.open_id == open_id))


def _text(notices: Sequence[tuple[str, str]]) -> str:
    return json.dumps([*notices], ensure_ascii=False)
