"""The inbox in the database."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    TextClause,
    bindparam,
    case,
    delete,
    exists,
    func,
    select,
    text,
    update,
)

from geo_engine.store.dialects import POSTGRESQL, SQLITE
from geo_engine.store.inbox import Handled, InboundRecord, InboundState, NewInbound
from geo_engine.store.schema import inbound

__all__ = ["SqlInbox"]

_WAITING = inbound.c.state == InboundState.WAITING.value
# One statement for all rows: the driver lets other threads run while it is carried out, and is not woken for each row.
_ADD: Final = (
    "INSERT INTO inbound (key, received_ms, open_id, kind, time_ms, payload, state, next_ms)"
    " SELECT value ->> 0, :now_ms, value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), value ->> 4,"
    " 'waiting', :now_ms"
    " FROM {rows} WHERE true ON CONFLICT (key) DO NOTHING"
)
_NUMBERS: Final = "inbound_id IN (SELECT CAST(value AS BIGINT) FROM {words})"
_BEGIN: Final = f"UPDATE inbound SET attempts = attempts + 1, next_ms = :next_ms WHERE {_NUMBERS}"  # noqa: S608
_FORGET: Final = f"UPDATE inbound SET state = 'done', reason = '', payload = '' WHERE state = 'waiting' AND {_NUMBERS}"  # noqa: S608
_JSON: Final = {
    SQLITE: {"rows": "json_each(:items)", "words": "json_each(:items)"},
    POSTGRESQL: {
        "rows": "json_array_elements(CAST(:items AS json))",
        "words": "json_array_elements_text(CAST(:items AS json))",
    },
}
_SAID: Final = {
    (name, words): text(words.format(**functions))
    for name, functions in _JSON.items()
    for words in (_ADD, _BEGIN, _FORGET)
}
_Transaction = Callable[[], AbstractContextManager[Connection]]


class SqlInbox:
    """An ``Inbox`` in the store's database. Cost: one fsync per writing call, so callers hand in many at a time.

    Args:
        read: begins a reading transaction of the store.
        write: begins a writing one.
        write_beside: begins a writing one that locks its rows by itself.
    """

    def __init__(self, read: _Transaction, write: _Transaction, write_beside: _Transaction) -> None:
        self._read = read
        self._write = write
        self._write_beside = write_beside

    def add(self, messages: Sequence[NewInbound], now_ms: int) -> int:
        """Keep messages; see ``Inbox.add``."""
        if not messages:
            return 0
        rows = [(one.key, one.openid, one.kind, one.time_ms, one.payload) for one in messages]
        with self._write() as connection:
            values = {"now_ms": now_ms, "items": json.dumps(rows, ensure_ascii=False)}
            return connection.execute(_said(connection, _ADD), values).rowcount

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
        with self._write_beside() as connection:
            found = connection.execute(query.with_for_update(of=inbound, skip_locked=True)).mappings().all()
            if found:
                numbers = json.dumps([row["inbound_id"] for row in found])
                connection.execute(_said(connection, _BEGIN), {"next_ms": now_ms + lease_ms, "items": numbers})
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
        # Positions that were judged, nearly all there is, take one statement.
        judged = [one.number for one in results if _is_judged(one)]
        kept = [_result_values(one) for one in results if not (one.drop or _is_judged(one))]
        gone = [{"this_id": one.number} for one in results if one.drop]
        with self._write_beside() as connection:
            if judged:
                connection.execute(_said(connection, _FORGET), {"items": json.dumps(judged)})
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


def _said(connection: Connection, words: str) -> TextClause:
    return _SAID[connection.dialect.name, words]


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


def _is_judged(result: Handled) -> bool:
    """Say whether a position did its part: done, and nothing of it is kept but that there was one."""
    return result.forget and not (result.reason or result.drop) and result.retry_at_ms is None


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
