"""The outbox of webhooks in memory: the twin of the one in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from geo_engine.store.webhooks import ZONE_EVENTS, NewEvent, WebhookRow, WebhookState, Worked, new_event_id

__all__ = ["MemoryWebhooks"]


@dataclass(frozen=True, slots=True)
class _Kept:
    row: WebhookRow
    state: WebhookState
    next_ms: int


class MemoryWebhooks:
    """A ``WebhookOutbox`` without a disk. Every call looks at every event.

    Args:
        locked: guards what the store holds, and raises when it is closed.
    """

    def __init__(self, locked: Callable[[], AbstractContextManager[None]]) -> None:
        self._locked = locked
        self._kept: dict[int, _Kept] = {}
        self._last = 0
        self._endpoints: tuple[str, ...] = ()
        self._lasts_ms = 0

    def tell(self, endpoints: Sequence[str], lasts_ms: int) -> None:
        """Name the receivers; see ``WebhookOutbox.tell``."""
        self._endpoints, self._lasts_ms = tuple(endpoints), lasts_ms

    def add_locked(self, events: Iterable[NewEvent], now_ms: int) -> None:
        """Write events while the caller holds the lock."""
        for event in events:
            event_id = new_event_id()
            for endpoint in self._endpoints:
                self._last += 1
                row = WebhookRow(self._last, event_id, endpoint, event, 0, now_ms + self._lasts_ms)
                self._kept[self._last] = _Kept(row, WebhookState.WAITING, now_ms)

    def claim(self, endpoint: str, now_ms: int, *, limit: int, lease_ms: int) -> list[WebhookRow]:
        """Take events that are due; see ``WebhookOutbox.claim``."""
        with self._locked():
            due = [
                kept
                for kept in self._kept.values()
                if kept.row.endpoint == endpoint
                and kept.state is WebhookState.WAITING
                and kept.next_ms <= now_ms < kept.row.expires_ms
            ][: max(limit, 0)]
            taken = [replace(kept.row, attempts=kept.row.attempts + 1) for kept in due]
            for row in taken:
                self._kept[row.number] = _Kept(row, WebhookState.WAITING, now_ms + lease_ms)
            return taken

    def finish(self, results: Sequence[Worked]) -> None:
        """Record attempts; see ``WebhookOutbox.finish``."""
        with self._locked():
            for result in results:
                kept = self._kept.get(result.number)
                if kept is None:
                    continue
                if not result.reason:
                    del self._kept[result.number]
                elif kept.state is WebhookState.WAITING:
                    state = WebhookState.DEAD if result.retry_at_ms is None else WebhookState.WAITING
                    next_ms = kept.next_ms if result.retry_at_ms is None else result.retry_at_ms
                    self._kept[result.number] = _Kept(kept.row, state, next_ms)

    def expire(self, now_ms: int, keep_ms: int) -> int:
        """Set aside what is over; see ``WebhookOutbox.expire``."""
        with self._locked():
            for number, kept in list(self._kept.items()):
                if kept.state is WebhookState.DEAD and kept.row.expires_ms <= now_ms - keep_ms:
                    del self._kept[number]
            over = [
                number
                for number, kept in self._kept.items()
                if kept.state is WebhookState.WAITING and kept.row.expires_ms <= now_ms
            ]
            for number in over:
                self._kept[number] = replace(self._kept[number], state=WebhookState.DEAD)
            return len(over)

    def counts(self) -> dict[str, int]:
        """Count by state; see ``WebhookOutbox.counts``."""
        with self._locked():
            counted = Counter(kept.state for kept in self._kept.values())
            return {state.value: counted[state] for state in WebhookState}

    def forget_locked(self, u7: int, *, zones_only: bool = False) -> None:
        """Erase somebody's events while the caller holds the lock."""
        self._kept = {
            number: kept
            for number, kept in self._kept.items()
            if kept.row.event.u7 != u7 or (zones_only and kept.row.event.type not in ZONE_EVENTS)
        }
