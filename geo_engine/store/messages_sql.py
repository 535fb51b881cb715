"""The history of messages in the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    bindparam,
    delete,
    exists,
    insert,
    select,
    tuple_,
    update,
)

from geo_engine.alerting.message import SendResult
from geo_engine.alerting.reach import Channel
from geo_engine.store import rows
from geo_engine.store.dialects import upsert
from geo_engine.store.lifecycle import NO_ANSWER, OPEN_STATES, OutboxRow, OutboxState
from geo_engine.store.messages import (
    Cursor,
    Direction,
    MessageFilter,
    MessageOutcome,
    MessageRecord,
    NewMessage,
    after_attempt,
    after_receipt,
    day_of,
    outbox_outcome,
    warning_message,
)
from geo_engine.store.protocol import HISTORY
from geo_engine.store.schema import (
    consent,
    decision,
    dispatch,
    message,
    message_tally,
    message_zone,
    person,
    phone,
    receipt,
)
from geo_engine.store.webhook_events import event_of_message
from geo_engine.store.webhooks_sql import SqlWebhooks

__all__ = ["SqlMessages", "forget_places"]

_Transaction = Callable[[], AbstractContextManager[Connection]]
_DROP: Final = 10_000
# Built once: a message takes six of them, and building costs more than running.
_BY_KEY: Final = select(message).where(message.c.key == bindparam("this_key"))
_DECISION: Final = select(decision).where(decision.c.alert_id == bindparam("alert"))
_INSERT: Final = insert(message).returning(message.c.message_id)
_INSERT_ZONES: Final = insert(message_zone)
_KEEPS_PLACES: Final = (
    select(consent.c.granted)
    .where(consent.c.u7 == person.c.u7, consent.c.purpose == HISTORY)
    .order_by(consent.c.consent_id.desc())
    .limit(1)
    .scalar_subquery()
)
_OWNER: Final = (
    select(person.c.plate, phone.c.phone, _KEEPS_PLACES.label("keeps_places"))
    .join_from(person, phone, person.c.u7 == phone.c.u7, isouter=True)
    .where(person.c.u7 == bindparam("who"))
)
_CHANGES: Final = ("channel", "outcome", "attempts", "errcode", "detail", "msg_id")


class SqlMessages:
    """A ``MessageLog`` in the store's database.

    Args:
        read: begins a reading transaction of the store.
        write: begins a writing one.
        webhooks: told of what is new.
    """

    def __init__(self, read: _Transaction, write: _Transaction, webhooks: SqlWebhooks) -> None:
        self._read = read
        self._write = write
        self._webhooks = webhooks

    def note(self, messages: list[NewMessage]) -> int:
        """Keep messages; see ``MessageLog.note``."""
        if not messages:
            return 0
        with self._write() as connection:
            return sum(self._note(connection, one) for one in messages)

    def attempted(
        self, connection: Connection, row: OutboxRow, result: SendResult, now_ms: int, *, known: bool = False
    ) -> None:
        """Keep a warning after an attempt that reached the channel, in a transaction of the store.

        Args:
            connection: the transaction.
            row: the outbox row after the attempt.
            result: what came of it.
            now_ms: when that was known.
            known: leave a message alone that is there already.
        """
        if known and _by_key(connection, f"warning:{row.alert_id}") is not None:
            return
        found = connection.execute(_DECISION, {"alert": row.alert_id}).mappings().one()
        alert = rows.alert_of(found)
        zones: tuple[str, ...] = ()
        if alert.also:
            # The index by user finds them; a person has few decisions.
            told = select(decision.c.zone_id).where(decision.c.u7 == row.u7, decision.c.told_by == row.alert_id)
            zones = tuple(connection.execute(told.order_by(decision.c.decision_id)).scalars())
        self._note(connection, warning_message(alert, row, result, now_ms, zones))
        if result.msg_id is not None:
            early = connection.execute(select(receipt).where(receipt.c.msg_id == result.msg_id)).one_or_none()
            if early is not None:
                self.received(connection, result.msg_id, early.status, early.at_ms)

    def ended(self, connection: Connection, changed: Iterable[OutboxRow], now_ms: int) -> None:
        """Say of attempted warnings what the outbox says of them, in a transaction of the store."""
        for row in changed:
            if row.state in OPEN_STATES or row.state is OutboxState.DELIVERED or not row.attempts:
                continue
            if row.state is OutboxState.UNKNOWN:
                self._note_lost(connection, row, now_ms)
            found = _by_key(connection, f"warning:{row.alert_id}")
            if found is not None:
                known = self._record(connection, found)
                self._change(connection, known, replace(known.message, outcome=outbox_outcome(row)), now_ms)

    def _note_lost(self, connection: Connection, row: OutboxRow, now_ms: int) -> None:
        """Keep a warning whose sender never came back, if it was on its way: it may have arrived."""
        way = select(dispatch.c.channel).where(dispatch.c.client_msg_id == row.alert_id)
        channel = connection.execute(way).scalar()
        if channel is not None:
            lost = replace(NO_ANSWER, channel=Channel(channel))
            self.attempted(connection, row, lost, now_ms, known=True)

    def received(self, connection: Connection, msg_id: str, status: str, at_ms: int) -> None:
        """Apply a receipt, the first of a message, in a transaction of the store."""
        query = select(message).where(message.c.msg_id == msg_id, message.c.receipt.is_(None))
        for found in connection.execute(query).mappings().all():
            number = message.c.message_id == found["message_id"]
            connection.execute(update(message).where(number).values(receipt=status, receipt_ms=at_ms))
            known = self._record(connection, found)
            self._change(connection, known, after_receipt(known.message, status), at_ms)

    def _note(self, connection: Connection, new: NewMessage) -> bool:
        found = _by_key(connection, new.key)
        if found is not None:
            known = self._record(connection, found)
            self._change(connection, known, after_attempt(known.message, new), new.recorded_ms)
            return False
        owner = connection.execute(_OWNER, {"who": new.u7}).one_or_none()
        _count(connection, new)
        if owner is None:
            return False
        if new.lon is not None and not owner.keeps_places:
            new = replace(new, lon=None, lat=None, datum="")
        values = {**_values(new), "phone": owner.phone, "plate": owner.plate}
        number = int(connection.execute(_INSERT, values).scalar_one())
        zones = [
            {"zone_id": zone, "event_ms": new.event_ms, "message_id": number, "u7": new.u7}
            for zone in dict.fromkeys(new.zones)
        ]
        if zones:
            connection.execute(_INSERT_ZONES, zones)
        self._publish(connection, MessageRecord(number, new, owner.phone, owner.plate), new.recorded_ms)
        return True

    def _change(self, connection: Connection, known: MessageRecord, after: NewMessage, now_ms: int) -> None:
        if after == known.message:
            return
        values = {name: getattr(after, name) for name in _CHANGES} | {"outcome": after.outcome.value}
        connection.execute(update(message).where(message.c.message_id == known.number).values(values))
        if after.outcome is not known.message.outcome:
            self._publish(connection, replace(known, message=after), now_ms)

    def _publish(self, connection: Connection, record: MessageRecord, now_ms: int) -> None:
        if self._webhooks.wanted:
            event = event_of_message(record)
            self._webhooks.add(connection, [] if event is None else [event], now_ms)

    def _record(self, connection: Connection, found: RowMapping) -> MessageRecord:
        return _records(connection, [found])[0]

    def search(self, wanted: MessageFilter, *, limit: int, after: Cursor | None = None) -> list[MessageRecord]:
        """Return messages, the latest first; see ``MessageLog.search``."""
        with self._read() as connection:
            found = connection.execute(_query(wanted, after).limit(max(limit, 0))).mappings().all()
            return _records(connection, found)

    def drop(self, before_ms: Mapping[str, int], others_ms: int) -> int:
        """Erase what is too old; see ``MessageLog.drop``. Cost: a look at an index for each kind there ever was."""
        with self._read() as connection:
            kinds = connection.execute(select(message_tally.c.kind).distinct()).scalars().all()
        ages = {kind: before_ms.get(kind, others_ms) for kind in kinds}
        return sum(self._drop((message.c.kind == kind) & (message.c.event_ms < age)) for kind, age in ages.items())

    def _drop(self, condition: ColumnElement[bool]) -> int:
        dropped = 0
        while True:
            # In pieces: nothing else can be committed meanwhile.
            numbers = select(message.c.message_id).where(condition).limit(_DROP)
            with self._read() as connection:
                found = list(connection.execute(numbers).scalars())
            if not found:
                return dropped
            for first in range(0, len(found), 500):
                piece = found[first : first + 500]
                with self._write() as connection:
                    connection.execute(delete(message_zone).where(message_zone.c.message_id.in_(piece)))
                    dropped += connection.execute(delete(message).where(message.c.message_id.in_(piece))).rowcount

    def tally(self) -> dict[tuple[int, Direction, str], int]:
        """Return how many messages there were; see ``MessageLog.tally``."""
        columns = message_tally.c
        query = select(message_tally).order_by(columns.day, columns.direction, columns.kind)
        with self._read() as connection:
            found = connection.execute(query).all()
        return {(row.day, Direction(row.direction), row.kind): row.messages for row in found}


def forget_places(connection: Connection, u7: int) -> None:
    """Erase where somebody was from their messages."""
    own = (message.c.u7 == u7) & message.c.lon.is_not(None)
    connection.execute(update(message).where(own).values(lon=None, lat=None, datum=""))


def _by_key(connection: Connection, key: str) -> RowMapping | None:
    return connection.execute(_BY_KEY, {"this_key": key}).mappings().one_or_none()


def _values(new: NewMessage) -> dict[str, object]:
    names = (name for name in new.__dataclass_fields__ if name != "zones")
    values = {name: getattr(new, name) for name in names}
    return values | {
        "direction": new.direction.value,
        "kind": str(new.kind),
        "outcome": new.outcome.value,
        "lon": None if new.lon is None else float(new.lon),
        "lat": None if new.lat is None else float(new.lat),
        "u7": int(new.u7),
    }


def _count(connection: Connection, new: NewMessage) -> None:
    values = {"day": day_of(new.event_ms), "direction": new.direction.value, "kind": str(new.kind), "messages": 1}
    one_more = upsert(connection, message_tally).on_conflict_do_update(
        index_elements=list(message_tally.primary_key.columns), set_={"messages": message_tally.c.messages + 1}
    )
    connection.execute(one_more, values)


def _query(wanted: MessageFilter, after: Cursor | None) -> Select[Any]:
    """Return the search; its order is that of an index of the column that is asked for."""
    columns = message.c
    query = select(message)
    for name in ("u7", "phone", "plate", "kind", "direction"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(columns[name] == (value if name == "u7" else str(value)))
    order: tuple[ColumnElement[int], ColumnElement[int]] = (columns.event_ms, columns.message_id)
    if wanted.zone_id is not None and all(one is None for one in (wanted.u7, wanted.phone, wanted.plate)):
        query = query.join(message_zone, message_zone.c.message_id == columns.message_id)
        query = query.where(message_zone.c.zone_id == wanted.zone_id)
        order = (message_zone.c.event_ms, message_zone.c.message_id)
    elif wanted.zone_id is not None:
        zone = message_zone.c
        about = (zone.zone_id == wanted.zone_id) & (zone.event_ms == columns.event_ms)
        query = query.where(exists().where(about & (zone.message_id == columns.message_id)))
    if wanted.since_ms is not None:
        query = query.where(order[0] >= wanted.since_ms)
    if wanted.until_ms is not None:
        query = query.where(order[0] < wanted.until_ms)
    if after is not None:
        # The first condition is what the index begins at, the second leaves out the rest of the same moment.
        query = query.where(order[0] <= after.event_ms, tuple_(*order) < (after.event_ms, after.number))
    if wanted.text:
        parts = [columns[name].icontains(wanted.text, autoescape=True) for name in ("text", "title", "why")]
        query = query.where(parts[0] | parts[1] | parts[2])
    return query.order_by(order[0].desc(), order[1].desc())


def _records(connection: Connection, found: Iterable[RowMapping]) -> list[MessageRecord]:
    read = list(found)
    zones: dict[int, list[str]] = {}
    for first in range(0, len(read), 500):
        numbers = [row["message_id"] for row in read[first : first + 500]]
        query = select(message_zone.c.message_id, message_zone.c.zone_id).where(message_zone.c.message_id.in_(numbers))
        for number, zone in connection.execute(query.order_by(message_zone.c.zone_id)):
            zones.setdefault(number, []).append(zone)
    return [_record_of(row, tuple(zones.get(row["message_id"], ()))) for row in read]


def _record_of(row: RowMapping, zones: tuple[str, ...]) -> MessageRecord:
    values = {name: row[name] for name in NewMessage.__dataclass_fields__ if name != "zones"}
    values["direction"] = Direction(values["direction"])
    values["outcome"] = MessageOutcome(values["outcome"])
    return MessageRecord(
        number=row["message_id"],
        message=NewMessage(**values, zones=zones),
        phone=row["phone"],
        plate=row["plate"],
        receipt=row["receipt"],
        receipt_ms=row["receipt_ms"],
    )
