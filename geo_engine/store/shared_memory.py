"""What processes on one store tell one another, in memory: there is one process, so it has nothing to be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from geo_engine.store.shared import Change, PageSession

__all__ = ["MemoryShared"]


class MemoryShared:
    """``Shared`` without a disk.

    Args:
        locked: guards what the store holds, and raises when it is closed.
    """

    def __init__(self, locked: Callable[[], AbstractContextManager[None]]) -> None:
        self._locked = locked
        self._spent: dict[str, int] = {}
        self._sessions: dict[str, PageSession] = {}

    def changes(self, limit: int) -> list[Change]:  # noqa: ARG002 - there are none
        """Return nothing; see ``Shared.changes``."""
        with self._locked():
            return []

    def take_off(self, numbers: Sequence[int]) -> None:  # noqa: ARG002 - there are none
        """Do nothing; see ``Shared.take_off``."""
        with self._locked():
            return

    def note_warned(self, u7: int, zone_id: str) -> None:  # noqa: ARG002 - nobody would read it
        """Do nothing; see ``Shared.note_warned``."""
        with self._locked():
            return

    def spend(self, key: str, until_ms: int, now_ms: int) -> bool:
        """Use something up; see ``Shared.spend``."""
        with self._locked():
            self._spent = {spent: end_ms for spent, end_ms in self._spent.items() if end_ms > now_ms}
            if key in self._spent:
                return False
            self._spent[key] = until_ms
            return True

    def begin_session(self, session: PageSession, now_ms: int) -> None:
        """Begin a session; see ``Shared.begin_session``."""
        with self._locked():
            self._sessions = {name: one for name, one in self._sessions.items() if one.until_ms > now_ms}
            self._sessions[session.digest] = session

    def set_notices(self, digest: str, notices: Sequence[tuple[str, str]]) -> None:
        """Replace what the next page says; see ``Shared.set_notices``."""
        with self._locked():
            if digest in self._sessions:
                self._sessions[digest] = replace(self._sessions[digest], notices=tuple(notices))

    def session(self, digest: str, now_ms: int) -> PageSession | None:
        """Return a session; see ``Shared.session``."""
        with self._locked():
            found = self._sessions.get(digest)
            return found if found is not None and found.until_ms > now_ms else None

    def end_sessions(self, open_id: str) -> None:
        """End somebody's sessions; see ``Shared.end_sessions``."""
        with self._locked():
            self.end_locked(open_id)

    def end_locked(self, open_id: str) -> None:
        """End somebody's sessions while the caller holds the lock."""
        self._sessions = {name: one for name, one in self._sessions.items() if one.open_id != open_id}
