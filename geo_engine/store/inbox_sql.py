"""The inbox in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, case, delete, exists, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from geo_engine.store.inbox import Handled, InboundRecord, InboundState, NewInbound
from geo_engine.store.schema import inbound

__all__ = ["SqlInbox"]

_WAITING = inbound.c.state == InboundState.WAITING.value
_Transaction = Callable[[], AbstractContextManager[Connection]]


class SqlInbox:
    """An ``Inbox`` in the store's database. Cost: one fsync per writing call, so callers hand in many at a time.

    Args:
        read: begins a reading transaction of the store.
        write: begins a writing one.
    """

    def __init__(self, read: _Transaction, write: _Transaction) -> None:
        self._read = read
        self._write = write

    def add(self, messages: Sequence[NewInbound], now_ms: int) -> int:
        """Keep messages; see ``Inbox.add``."""
        if not messages:
            return 0
        values = [_values(message, now_ms) for message in messages]
        with self._write() as connection:
            before = _last_number(connection)
            connection.execute(upsert(inbound).on_conflict_do_nothing(index_elements=[inbound.c.key]), values)
            # The transaction holds the write lock, so what has a greater number is ours.
            query = select(func.count()).select_from(inbound).where(inbound.c.inbound_id > before)
            return int(connection.execute(query).scalar_one())

    def claim(self, now_ms: int, *, limit: int, lease_ms: int) -> list[InboundRecord]:
        """Take waiting messages; see ``Inbox.claim``."""
        earlier = inbound.alias("earlier")
        held_back = exists().where(
            earlier.c.open_id == inbound.c.open_id,
            earlier.c.state == InboundState.WAITING.value,
            earlier.c.inbound_id < inbound.c.inbound_id,
        )
        query = (
            select(inbound)
            .where(_WAITING, inbound.c.next_ms <= now_ms, ~held_back)
            .order_by(inbound.c.inbound_id)
            .limit(max(limit, 0))
        )
        # Most looks find nothing; only a find is worth a transaction that writes.
        with self._read() as connection:
            if connection.execute(query.limit(1)).first() is None:
                return []
        begun = update(inbound).where(inbound.c.inbound_id == bindparam("this_id"))
        begun = begun.values(attempts=inbound.c.attempts + 1, next_ms=now_ms + lease_ms)
        with self._write() as connection:
            found = connection.execute(query).mappings().all()
            if found:
                connection.execute(begun, [{"this_id": row["inbound_id"]} for row in found])
        return [_record(row, row["attempts"] + 1) for row in found]

    def finish(self, results: Sequence[Handled]) -> None:
        """Record attempts; see ``Inbox.finish``."""
        if not results:
            return
        payload = case((bindparam("forget"), ""), else_=inbound.c.payload)
        next_ms: ColumnElement[int] = func.coalesce(bindparam("retry_at_ms"), inbound.c.next_ms)
        changed = update(inbound).where(_WAITING, inbound.c.inbound_id == bindparam("this_id"))
        changed = changed.values(
            state=bindparam("new_state"), reason=bindparam("new_reason"), payload=payload, next_ms=next_ms
        )
        dropped = delete(inbound).where(_WAITING, inbound.c.inbound_id == bindparam("this_id"))
        kept = [_result_values(result) for result in results if not result.drop]
        gone = [{"this_id": result.number} for result in results if result.drop]
        with self._write() as connection:
            for statement, values in ((changed, kept), (dropped, gone)):
                if values:
                    connection.execute(statement, values)

    def reopen(self, now_ms: int) -> int:
        """Give back what is under way; see ``Inbox.reopen``."""
        with self._write() as connection:
            return int(connection.execute(update(inbound).where(_WAITING).values(next_ms=now_ms)).rowcount)

    def set_aside(self, limit: int) -> list[InboundRecord]:
        """Return what failed; see ``Inbox.set_aside``."""
        query = select(inbound).where(inbound.c.state == InboundState.FAILED.value)
        query = query.order_by(inbound.c.inbound_id.desc()).limit(max(limit, 0))
        with self._read() as connection:
            return [_record(row, row["attempts"]) for row in connection.execute(query).mappings()]

    def erase(self, openid: str) -> int:
        """Erase a person's messages; see ``Inbox.erase``."""
        with self._write() as connection:
            return int(connection.execute(delete(inbound).where(inbound.c.open_id == openid)).rowcount)

    def drop(self, before_ms: int) -> int:
        """Erase old finished messages; see ``Inbox.drop``."""
        with self._write() as connection:
            old = delete(inbound).where(~_WAITING, inbound.c.received_ms < before_ms)
            return int(connection.execute(old).rowcount)

    def counts(self) -> dict[str, int]:
        """Count by state; see ``Inbox.counts``."""
        query = select(inbound.c.state, func.count()).group_by(inbound.c.state)
        with self._read() as connection:
            found = {name: count for name, count in connection.execute(query)}  # noqa: C416 (dict() of rows has no types)
        return {state.value: found.get(state.value, 0) for state in InboundState}


def _last_number(connection: Connection) -> int:
    return int(connection.execute(select(func.coalesce(func.max(inbound.c.inbound_id), 0))).scalar_one())


def _values(message: NewInbound, now_ms: int) -> dict[str, Any]:
    return {
        "key": message.key,
        "received_ms": now_ms,
        "open_id": message.openid,
        "kind": message.kind,
        "time_ms": message.time_ms,
        "payload": message.payload,
        "state": InboundState.WAITING.value,
        "next_ms": now_ms,
    }


def _result_values(result: Handled) -> dict[str, Any]:
    state = InboundState.FAILED if result.reason else InboundState.DONE
    if result.retry_at_ms is not None:
        state = InboundState.WAITING
    return {
        "this_id": result.number,
        "new_state": state.value,
        "new_reason": result.reason,
        "forget": result.forget,
        "retry_at_ms": result.retry_at_ms,
    }


def _record(row: RowMapping, attempts: int) -> InboundRecord:
    return InboundRecord(
        number=row["inbound_id"],
        message=NewInbound(row["key"], row["open_id"], row["kind"], row["time_ms"], row["payload"]),
        received_ms=row["received_ms"],
        state=InboundState(row["state"]),
        attempts=attempts,
        reason=row["reason"],
    )
