"""The outbox of webhooks in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from geo_engine.store.schema import webhook
from geo_engine.store.webhooks import (
    ZONE_EVENTS,
    EventType,
    NewEvent,
    WebhookRow,
    WebhookState,
    Worked,
    new_event_id,
)

__all__ = ["SqlWebhooks", "drop_zone_events"]

_WAITING = webhook.c.state == WebhookState.WAITING.value
_Transaction = Callable[[], AbstractContextManager[Connection]]


class SqlWebhooks:
    """A ``WebhookOutbox`` in the store's database. Cost: one fsync per writing call.

    Args:
        read: begins a reading transaction of the store.
        write: begins a writing one.
        write_beside: begins a writing one that locks its rows by itself.
    """

    def __init__(self, read: _Transaction, write: _Transaction, write_beside: _Transaction) -> None:
        self._read = read
        self._write = write
        self._write_beside = write_beside
        self._endpoints: tuple[str, ...] = ()
        self._lasts_ms = 0

    def tell(self, endpoints: Sequence[str], lasts_ms: int) -> None:
        """Name the receivers; see ``WebhookOutbox.tell``."""
        self._endpoints, self._lasts_ms = tuple(endpoints), lasts_ms

    @property
    def wanted(self) -> bool:
        """Say whether anybody is told anything."""
        return bool(self._endpoints)

    def add(self, connection: Connection, events: Iterable[NewEvent], now_ms: int) -> None:
        """Write events in a transaction of the store."""
        values = [
            {
                "event_id": event_id,
                "endpoint": endpoint,
                "u7": event.u7,
                "type": event.type.value,
                "subject": event.subject,
                "time_ms": event.time_ms,
                "data": event.data,
                "state": WebhookState.WAITING.value,
                "next_ms": now_ms,
                "expires_ms": now_ms + self._lasts_ms,
            }
            for event_id, event in ((new_event_id(), event) for event in events)
            for endpoint in self._endpoints
        ]
        if values:
            connection.execute(insert(webhook), values)

    def claim(self, endpoint: str, now_ms: int, *, limit: int, lease_ms: int) -> list[WebhookRow]:
        """Take events that are due; see ``WebhookOutbox.claim``."""
        query = (
            select(webhook)
            .where(webhook.c.endpoint == endpoint, _WAITING, webhook.c.next_ms <= now_ms)
            .where(webhook.c.expires_ms > now_ms)
            .order_by(webhook.c.webhook_id)
            .limit(max(limit, 0))
        )
        # Most looks find nothing; only a find is worth a transaction that writes.
        with self._read() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return []
        begun = update(webhook).where(webhook.c.webhook_id == bindparam("this_id"))
        begun = begun.values(attempts=webhook.c.attempts + 1, next_ms=now_ms + lease_ms)
        with self._write_beside() as connection:
            found = connection.execute(query.with_for_update(of=webhook, skip_locked=True)).mappings().all()
            if found:
                connection.execute(begun, [{"this_id": row["webhook_id"]} for row in found])
        return [_row(row) for row in found]

    def finish(self, results: Sequence[Worked]) -> None:
        """Record attempts; see ``WebhookOutbox.finish``."""
        taken = [{"this_id": result.number} for result in results if not result.reason]
        failed = [
            {
                "this_id": result.number,
                "new_reason": result.reason,
                "new_state": (WebhookState.DEAD if result.retry_at_ms is None else WebhookState.WAITING).value,
                "again_ms": result.retry_at_ms,
            }
            for result in results
            if result.reason
        ]
        if not results:
            return
        this_one = webhook.c.webhook_id == bindparam("this_id")
        changed = update(webhook).where(this_one, _WAITING)
        changed = changed.values(
            state=bindparam("new_state"),
            reason=bindparam("new_reason"),
            next_ms=func.coalesce(bindparam("again_ms"), webhook.c.next_ms),
        )
        with self._write_beside() as connection:
            if taken:
                connection.execute(delete(webhook).where(this_one), taken)
            if failed:
                connection.execute(changed, failed)

    def expire(self, now_ms: int, keep_ms: int) -> int:
        """Set aside what is over; see ``WebhookOutbox.expire``."""
        with self._write() as connection:
            connection.execute(delete(webhook).where(~_WAITING, webhook.c.expires_ms <= now_ms - keep_ms))
            over = update(webhook).where(_WAITING, webhook.c.expires_ms <= now_ms)
            return int(connection.execute(over.values(state=WebhookState.DEAD.value)).rowcount)

    def counts(self) -> dict[str, int]:
        """Count by state; see ``WebhookOutbox.counts``."""
        query = select(webhook.c.state, func.count()).group_by(webhook.c.state)
        with self._read() as connection:
            found = {name: count for name, count in connection.execute(query)}  # noqa: C416 (dict() of rows has no types)
        return {state.value: found.get(state.value, 0) for state in WebhookState}


def drop_zone_events(connection: Connection, u7: int) -> None:
    """Erase events that say where somebody was."""
    names = [kind.value for kind in ZONE_EVENTS]
    connection.execute(delete(webhook).where(webhook.c.u7 == u7, webhook.c.type.in_(names)))


def _row(row: RowMapping) -> WebhookRow:
    event = NewEvent(EventType(row["type"]), row["subject"], row["time_ms"], row["data"], row["u7"])
    return WebhookRow(
        row["webhook_id"], row["event_id"], row["endpoint"], event, row["attempts"] + 1, row["expires_ms"]
    )
