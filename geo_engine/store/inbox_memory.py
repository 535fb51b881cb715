"""The inbox in memory: the twin of the one in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from geo_engine.store.inbox import Handled, InboundRecord, InboundState, NewInbound

__all__ = ["MemoryInbox"]


class MemoryInbox:
    """An ``Inbox`` without a disk. ``claim`` looks at every message.

    Args:
        locked: guards what the store holds, and raises when it is closed.
    """

    def __init__(self, locked: Callable[[], AbstractContextManager[None]]) -> None:
        self._locked = locked
        self._rows: dict[int, InboundRecord] = {}
        self._due_ms: dict[int, int] = {}
        self._keys: set[str] = set()
        self._last = 0

    def add(self, messages: Sequence[NewInbound], now_ms: int) -> int:
        """Keep messages; see ``Inbox.add``."""
        with self._locked():
            before = len(self._keys)
            for message in messages:
                if message.key in self._keys:
                    continue
                self._last += 1
                self._keys.add(message.key)
                self._rows[self._last] = InboundRecord(self._last, message, now_ms, InboundState.WAITING, 0, "")
                self._due_ms[self._last] = now_ms
            return len(self._keys) - before

    def claim(self, now_ms: int, *, limit: int, lease_ms: int) -> list[InboundRecord]:
        """Take waiting messages; see ``Inbox.claim``."""
        with self._locked():
            taken: list[InboundRecord] = []
            people: set[str] = set()
            for number, row in self._rows.items():
                if row.state is not InboundState.WAITING or row.message.openid in people:
                    continue
                people.add(row.message.openid)
                if self._due_ms[number] <= now_ms and len(taken) < limit:
                    taken.append(replace(row, attempts=row.attempts + 1))
            for row in taken:
                self._rows[row.number] = row
                self._due_ms[row.number] = now_ms + lease_ms
            return taken

    def finish(self, results: Sequence[Handled]) -> None:
        """Record attempts; see ``Inbox.finish``."""
        with self._locked():
            for result in results:
                row = self._rows.get(result.number)
                if row is None or row.state is not InboundState.WAITING:
                    continue
                if result.drop:
                    self._drop([row])
                    continue
                message = replace(row.message, payload="") if result.forget else row.message
                self._rows[row.number] = replace(row, message=message, state=_state(result), reason=result.reason)
                if result.retry_at_ms is not None:
                    self._due_ms[row.number] = result.retry_at_ms

    def reopen(self, now_ms: int) -> int:
        """Give back what is under way; see ``Inbox.reopen``."""
        with self._locked():
            waiting = [row.number for row in self._rows.values() if row.state is InboundState.WAITING]
            self._due_ms |= dict.fromkeys(waiting, now_ms)
            return len(waiting)

    def set_aside(self, limit: int) -> list[InboundRecord]:
        """Return what failed; see ``Inbox.set_aside``."""
        with self._locked():
            failed = [row for row in self._rows.values() if row.state is InboundState.FAILED]
            return failed[::-1][: max(limit, 0)]

    def erase(self, openid: str) -> int:
        """Erase a person's messages; see ``Inbox.erase``."""
        with self._locked():
            return self.erase_locked(openid)

    def erase_locked(self, openid: str) -> int:
        """Erase a person's messages while the caller holds the lock."""
        return self._drop([row for row in self._rows.values() if row.message.openid == openid])

    def drop(self, before_ms: int) -> int:
        """Erase old finished messages; see ``Inbox.drop``."""
        with self._locked():
            finished = [row for row in self._rows.values() if row.state is not InboundState.WAITING]
            return self._drop([row for row in finished if row.received_ms < before_ms])

    def counts(self) -> dict[str, int]:
        """Count by state; see ``Inbox.counts``."""
        with self._locked():
            states = [row.state for row in self._rows.values()]
            return {state.value: states.count(state) for state in InboundState}

    def _drop(self, rows: Sequence[InboundRecord]) -> int:
        for row in rows:
            del self._rows[row.number], self._due_ms[row.number]
            self._keys.discard(row.message.key)
        return len(rows)


def _state(result: Handled) -> InboundState:
    if result.retry_at_ms is not None:
        return InboundState.WAITING
    return InboundState.FAILED if result.reason else InboundState.DONE
