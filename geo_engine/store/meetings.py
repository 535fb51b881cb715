"""Meetings in the database and their twin in memory; no position of anybody is in either."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from typing import Final

from sqlalchemy import Connection, case, delete, func, insert, or_, select, update

from geo_engine.meetings.meeting import Meeting, Member, is_open
from geo_engine.store.dialects import insert_new
from geo_engine.store.schema import meeting, meeting_member, meeting_told

__all__ = ["MemoryMeetings", "SqlMeetings", "forget_member"]

_BY_TIME: Final = (meeting.c.from_ms, meeting.c.meeting_id)
_OVER_MS: Final = case(
    (meeting.c.ended_ms.is_not(None) & (meeting.c.ended_ms < meeting.c.until_ms), meeting.c.ended_ms),
    else_=meeting.c.until_ms,
)


class SqlMeetings:
    """A ``MeetingStore`` in the database of a store; each writing method is one transaction of that store."""

    def __init__(
        self,
        read: Callable[[], AbstractContextManager[Connection]],
        write: Callable[[], AbstractContextManager[Connection]],
    ) -> None:
        """Take what begins a reading and a writing transaction."""
        self._read, self._write = read, write

    def add(self, new: Meeting, organiser: Member) -> bool:
        """Keep a new meeting; see ``MeetingStore.add``."""
        with self._write() as connection:
            if not insert_new(connection, meeting, asdict(new)):
                return False
            connection.execute(insert(meeting_member), asdict(organiser))
        return True

    def meeting(self, meeting_id: str) -> Meeting | None:
        """Return a meeting; see ``MeetingStore.meeting``."""
        with self._read() as connection:
            row = connection.execute(select(meeting).where(meeting.c.meeting_id == meeting_id)).mappings().one_or_none()
        return None if row is None else Meeting(**row)

    def by_code(self, code: str) -> Meeting | None:
        """Return the meeting of a code; see ``MeetingStore.by_code``."""
        with self._read() as connection:
            row = connection.execute(select(meeting).where(meeting.c.code == code)).mappings().one_or_none()
        return None if row is None else Meeting(**row)

    def of(self, u7: int) -> list[Meeting]:
        """Return somebody's meetings; see ``MeetingStore.of``."""
        query = select(meeting).join(meeting_member).where(meeting_member.c.u7 == u7).order_by(*_BY_TIME)
        with self._read() as connection:
            return [Meeting(**row) for row in connection.execute(query).mappings()]

    def members(self, meeting_id: str) -> list[Member]:
        """Return who is in a meeting; see ``MeetingStore.members``."""
        columns = meeting_member.c
        query = select(meeting_member).where(columns.meeting_id == meeting_id).order_by(columns.joined_ms, columns.u7)
        with self._read() as connection:
            return [Member(**row) for row in connection.execute(query).mappings()]

    def open_members(self, now_ms: int) -> list[int]:
        """Return who is in an open meeting; see ``MeetingStore.open_members``."""
        opened = (meeting.c.from_ms <= now_ms) & (now_ms < _OVER_MS)
        query = select(meeting_member.c.u7).join(meeting).where(opened).distinct().order_by(meeting_member.c.u7)
        with self._read() as connection:
            return list(connection.execute(query).scalars())

    def put_member(self, member: Member, *, at_most: int) -> bool:
        """Add or replace a member; see ``MeetingStore.put_member``."""
        columns, values = meeting_member.c, asdict(member)
        this = (columns.meeting_id == member.meeting_id) & (columns.u7 == member.u7)
        count = select(func.count()).where(columns.meeting_id == member.meeting_id)
        known = select(meeting.c.meeting_id).where(meeting.c.meeting_id == member.meeting_id)
        with self._write() as connection:
            if connection.execute(update(meeting_member).where(this).values(values)).rowcount:
                return True
            if connection.execute(known).one_or_none() is None or connection.execute(count).scalar_one() >= at_most:
                return False
            connection.execute(insert(meeting_member), values)
        return True

    def remove_member(self, meeting_id: str, u7: int) -> bool:
        """Take somebody out; see ``MeetingStore.remove_member``."""
        told, columns = meeting_told.c, meeting_member.c
        with self._write() as connection:
            connection.execute(
                delete(meeting_told).where(told.meeting_id == meeting_id, or_(told.u7 == u7, told.about == u7))
            )
            gone = delete(meeting_member).where(columns.meeting_id == meeting_id, columns.u7 == u7)
            return bool(connection.execute(gone).rowcount)

    def end(self, meeting_id: str, at_ms: int) -> None:
        """End a meeting; see ``MeetingStore.end``."""
        this = (meeting.c.meeting_id == meeting_id) & meeting.c.ended_ms.is_(None)
        with self._write() as connection:
            connection.execute(update(meeting).where(this).values(ended_ms=at_ms))

    def tell_once(self, meeting_id: str, u7: int, about: int) -> bool:
        """Note what a member is told; see ``MeetingStore.tell_once``."""
        columns = meeting_member.c
        is_member = select(columns.u7).where(columns.meeting_id == meeting_id, columns.u7 == u7)
        values = {"meeting_id": meeting_id, "u7": u7, "about": about}
        with self._write() as connection:
            if connection.execute(is_member).one_or_none() is None:
                return False
            return insert_new(connection, meeting_told, values)

    def drop(self, before_ms: int) -> int:
        """Erase old meetings; see ``MeetingStore.drop``."""
        columns = meeting.c
        with self._read() as connection:
            old = connection.execute(select(columns.meeting_id).where(before_ms > _OVER_MS)).scalars().all()
        if not old:  # a look every minute must not cost a write
            return 0
        with self._write() as connection:
            _erase(connection, list(old))
        return len(old)

    def forget(self, u7: int) -> None:
        """Erase a person; see ``MeetingStore.forget``."""
        with self._write() as connection:
            forget_member(connection, u7)


def forget_member(connection: Connection, u7: int) -> None:
    """Erase a person from all meetings, and the meetings they called."""
    theirs = connection.execute(select(meeting.c.meeting_id).where(meeting.c.organiser == u7)).scalars().all()
    _erase(connection, list(theirs))
    told = meeting_told.c
    connection.execute(delete(meeting_told).where(or_(told.u7 == u7, told.about == u7)))
    connection.execute(delete(meeting_member).where(meeting_member.c.u7 == u7))


def _erase(connection: Connection, meeting_ids: list[str]) -> None:
    for meeting_id in meeting_ids:
        for table in (meeting_told, meeting_member, meeting):
            connection.execute(delete(table).where(table.c.meeting_id == meeting_id))


class MemoryMeetings:
    """A ``MeetingStore`` without a disk: the same answers as ``SqlMeetings``, and all gone with the process."""

    def __init__(self, locked: Callable[[], AbstractContextManager[None]]) -> None:
        """Take the lock of the store it belongs to."""
        self._locked = locked
        self._meetings: dict[str, Meeting] = {}
        self._members: dict[tuple[str, int], Member] = {}
        self._told: set[tuple[str, int, int]] = set()

    def add(self, new: Meeting, organiser: Member) -> bool:
        """Keep a new meeting; see ``MeetingStore.add``."""
        with self._locked():
            taken = any(one.meeting_id == new.meeting_id or one.code == new.code for one in self._meetings.values())
            if not taken:
                self._meetings[new.meeting_id] = new
                self._members[new.meeting_id, organiser.u7] = organiser
            return not taken

    def meeting(self, meeting_id: str) -> Meeting | None:
        """Return a meeting; see ``MeetingStore.meeting``."""
        with self._locked():
            return self._meetings.get(meeting_id)

    def by_code(self, code: str) -> Meeting | None:
        """Return the meeting of a code; see ``MeetingStore.by_code``."""
        with self._locked():
            return next((one for one in self._meetings.values() if one.code == code), None)

    def of(self, u7: int) -> list[Meeting]:
        """Return somebody's meetings; see ``MeetingStore.of``."""
        with self._locked():
            mine = [self._meetings[meeting_id] for meeting_id, who in self._members if who == u7]
            return sorted(mine, key=lambda one: (one.from_ms, one.meeting_id))

    def members(self, meeting_id: str) -> list[Member]:
        """Return who is in a meeting; see ``MeetingStore.members``."""
        with self._locked():
            return sorted(self._in(meeting_id), key=lambda one: (one.joined_ms, one.u7))

    def open_members(self, now_ms: int) -> list[int]:
        """Return who is in an open meeting; see ``MeetingStore.open_members``."""
        with self._locked():
            return sorted({u7 for meeting_id, u7 in self._members if is_open(self._meetings[meeting_id], now_ms)})

    def put_member(self, member: Member, *, at_most: int) -> bool:
        """Add or replace a member; see ``MeetingStore.put_member``."""
        key = (member.meeting_id, member.u7)
        with self._locked():
            known = member.meeting_id in self._meetings
            if key not in self._members and (not known or len(self._in(member.meeting_id)) >= at_most):
                return False
            self._members[key] = member
            return True

    def remove_member(self, meeting_id: str, u7: int) -> bool:
        """Take somebody out; see ``MeetingStore.remove_member``."""
        with self._locked():
            self._told = {one for one in self._told if one[0] != meeting_id or u7 not in one[1:]}
            return self._members.pop((meeting_id, u7), None) is not None

    def end(self, meeting_id: str, at_ms: int) -> None:
        """End a meeting; see ``MeetingStore.end``."""
        with self._locked():
            known = self._meetings.get(meeting_id)
            if known is not None and known.ended_ms is None:
                self._meetings[meeting_id] = replace(known, ended_ms=at_ms)

    def tell_once(self, meeting_id: str, u7: int, about: int) -> bool:
        """Note what a member is told; see ``MeetingStore.tell_once``."""
        key = (meeting_id, u7, about)
        with self._locked():
            if (meeting_id, u7) not in self._members or key in self._told:
                return False
            self._told.add(key)
            return True

    def drop(self, before_ms: int) -> int:
        """Erase old meetings; see ``MeetingStore.drop``."""
        with self._locked():
            return self._erase([one.meeting_id for one in self._meetings.values() if one.over_ms < before_ms])

    def forget(self, u7: int) -> None:
        """Erase a person; see ``MeetingStore.forget``."""
        with self._locked():
            self.forget_locked(u7)

    def forget_locked(self, u7: int) -> None:
        """Erase a person while the caller holds the lock."""
        self._erase([one.meeting_id for one in self._meetings.values() if one.organiser == u7])
        self._told = {one for one in self._told if u7 not in one[1:]}
        self._members = {key: member for key, member in self._members.items() if key[1] != u7}

    def _in(self, meeting_id: str) -> list[Member]:
        return [member for member in self._members.values() if member.meeting_id == meeting_id]

    def _erase(self, meeting_ids: list[str]) -> int:
        for meeting_id in meeting_ids:
            del self._meetings[meeting_id]
            self._members = {key: member for key, member in self._members.items() if key[0] != meeting_id}
            self._told = {one for one in self._told if one[0] != meeting_id}
        return len(meeting_ids)
