"""The identities in a database; the part of ``SqlStore`` that knows who people are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, delete, func, insert, select, update

from geo_engine.errors import StoreError
from geo_engine.model import Language, Vehicle
from geo_engine.people.codes import KEEP_SENT_MS, PendingCode, wait_ms
from geo_engine.people.consents import ConsentRecord
from geo_engine.people.erasure import Erasure, ErasureReason, Tombstone
from geo_engine.people.identity import REST_MS, OwnedVehicle, next_u7
from geo_engine.store import rows
from geo_engine.store.meetings import forget_member
from geo_engine.store.protocol import Person
from geo_engine.store.schema import (
    attempt,
    code_sent,
    consent,
    erasure,
    free_number,
    metadata,
    outbox,
    person,
    phone,
    phone_code,
    receipt,
    tombstone,
    vehicle,
)
from geo_engine.store.webhook_events import erased_event
from geo_engine.store.webhooks_sql import SqlWebhooks

__all__ = ["IMPERSONAL", "SqlIdentities"]

IMPERSONAL: Final = frozenset(
    (
        *("schema_version", "alembic_version", "quota_use", "zone_revision", "code_sent", "erasure", "tombstone"),
        *("free_number", "shared_token", "message_tally", "spent_state", "journal_mark"),
    )
)
"""Tables an erasure leaves alone: no row of theirs names a person, or it is the erasure's own."""

_IDS_PER_QUERY: Final = 500
_VEHICLE_COLUMNS: Final = ("kind", "size_class", "gross_weight_t", "plate", "service", "language", "vehicle")


class SqlIdentities:
    """Mixed into ``SqlStore``, whose transactions it uses."""

    webhooks: SqlWebhooks

    def _read(self) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    def _write(self) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    # ---- who somebody is

    def follow(self, open_id: str, language: Language, at_ms: int) -> int:
        """Return somebody's number, a new one if need be; see ``Identities.follow``."""
        known = self.u7_of(open_id)
        if known is not None:
            return known
        with self._write() as connection:
            # Asked again: another thread may have been faster.
            found = connection.execute(select(person.c.u7).where(person.c.open_id == open_id)).scalar()
            if found is not None:
                return int(found)
            u7 = _new_u7(connection, at_ms)
            connection.execute(delete(free_number).where(free_number.c.u7 == u7))
            newcomer = Person(u7, open_id, Vehicle(u7, language=language))
            connection.execute(insert(person), rows.person_values(newcomer))
            return u7

    def u7_of(self, open_id: str) -> int | None:
        """Return somebody's number; see ``Identities.u7_of``."""
        with self._read() as connection:
            return connection.execute(select(person.c.u7).where(person.c.open_id == open_id)).scalar()

    def numbers_of(self, open_ids: Sequence[str]) -> dict[str, int]:
        """Return many numbers; see ``Identities.numbers_of``."""
        found: dict[str, int] = {}
        with self._read() as connection:
            for first in range(0, len(open_ids), _IDS_PER_QUERY):
                wanted = person.c.open_id.in_(open_ids[first : first + _IDS_PER_QUERY])
                rows_found = connection.execute(select(person.c.open_id, person.c.u7).where(wanted))
                found.update((row.open_id, row.u7) for row in rows_found)
        return found

    def set_language(self, u7: int, language: Language) -> None:
        """Set somebody's language; see ``Identities.set_language``."""
        with self._write() as connection:
            for table in (person, vehicle):
                connection.execute(update(table).where(table.c.u7 == u7).values(language=language.value))

    # ---- phones

    def put_code(self, pending: PendingCode, keys: Sequence[str]) -> int:
        """Keep a code if it may be sent; see ``Identities.put_code``."""
        now_ms, columns = pending.sent_ms, code_sent.c
        with self._write() as connection:
            connection.execute(delete(code_sent).where(columns.at_ms <= now_ms - KEEP_SENT_MS))
            waits = []
            for key in keys:
                sent = connection.execute(select(columns.at_ms).where(columns.key == key).order_by(columns.at_ms))
                waits.append(wait_ms(sent.scalars().all(), now_ms))
            longest_ms = max(waits, default=0)
            if longest_ms == 0:
                connection.execute(insert(code_sent), [{"key": key, "at_ms": now_ms} for key in keys])
                connection.execute(delete(phone_code).where(phone_code.c.u7 == pending.u7))
                connection.execute(insert(phone_code), _code_values(pending))
            return longest_ms

    def try_code(self, u7: int) -> PendingCode | None:
        """Count a try; see ``Identities.try_code``."""
        own = phone_code.c.u7 == u7
        with self._write() as connection:
            connection.execute(update(phone_code).where(own).values(tries=phone_code.c.tries + 1))
            found = connection.execute(select(phone_code).where(own)).mappings().one_or_none()
            return None if found is None else PendingCode(**found)

    def set_phone(self, u7: int, phone_number: str, at_ms: int) -> None:
        """Bind a phone; see ``Identities.set_phone``."""
        with self._write() as connection:
            connection.execute(delete(phone_code).where(phone_code.c.u7 == u7))
            connection.execute(delete(phone).where((phone.c.u7 == u7) | (phone.c.phone == phone_number)))
            connection.execute(insert(phone), {"u7": u7, "phone": phone_number, "at_ms": at_ms})

    def phone_of(self, u7: int) -> str | None:
        """Return somebody's phone; see ``Identities.phone_of``."""
        with self._read() as connection:
            return connection.execute(select(phone.c.phone).where(phone.c.u7 == u7)).scalar()

    # ---- vehicles

    def vehicles_of(self, u7: int) -> list[OwnedVehicle]:
        """Return somebody's vehicles; see ``Identities.vehicles_of``."""
        query = select(vehicle).where(vehicle.c.u7 == u7).order_by(vehicle.c.vehicle_id)
        with self._read() as connection:
            return [_owned(row) for row in connection.execute(query).mappings()]

    def put_vehicle(self, value: Vehicle, at_ms: int) -> int:
        """Add a vehicle; see ``Identities.put_vehicle``."""
        u7 = value.u7
        values = _vehicle_values(rows.person_values(Person(u7, None, value)))
        with self._write() as connection:
            if connection.execute(select(person.c.u7).where(person.c.u7 == u7)).scalar() is None:
                message = f"found no person {u7} to own a vehicle, expected one who follows"
                raise StoreError(message)
            new = insert(vehicle).values(**values, u7=u7, active=False, at_ms=at_ms)
            vehicle_id = int(connection.execute(new.returning(vehicle.c.vehicle_id)).scalar_one())
            _activate(connection, u7, vehicle_id)
            return vehicle_id

    def activate_vehicle(self, u7: int, vehicle_id: int) -> bool:
        """Make a vehicle the active one; see ``Identities.activate_vehicle``."""
        with self._write() as connection:
            return _activate(connection, u7, vehicle_id)

    def remove_vehicle(self, u7: int, vehicle_id: int) -> bool:
        """Take a vehicle away; see ``Identities.remove_vehicle``."""
        with self._write() as connection:
            gone = _row_of(connection, u7, vehicle_id)
            if gone is None:
                return False
            connection.execute(delete(vehicle).where(vehicle.c.vehicle_id == vehicle_id))
            if gone["active"]:
                last = select(func.max(vehicle.c.vehicle_id)).where(vehicle.c.u7 == u7)
                successor = connection.execute(last).scalar()
                if successor is None:
                    nothing = Person(u7, None, Vehicle(u7, language=Language(gone["language"])))
                    _drive(connection, u7, _vehicle_values(rows.person_values(nothing)))
                else:
                    _activate(connection, u7, successor)
            return True

    # ---- consent and erasure

    def consents(self, u7: int) -> list[ConsentRecord]:
        """Return somebody's consent records; see ``Identities.consents``."""
        names = ("u7", "purpose", "granted", "version", "at_ms", "channel")
        query = select(*(consent.c[name] for name in names)).where(consent.c.u7 == u7).order_by(consent.c.consent_id)
        with self._read() as connection:
            return [ConsentRecord(**row) for row in connection.execute(query).mappings()]

    def begin_erasure(self, begun: Erasure) -> None:
        """Delete a person and block their number; see ``Identities.begin_erasure``."""
        with self._write() as connection:
            open_id = connection.execute(select(person.c.open_id).where(person.c.u7 == begun.u7)).scalar()
            _delete_person(connection, begun.u7, open_id)
            if connection.execute(select(erasure.c.u7).where(erasure.c.u7 == begun.u7)).scalar() is None:
                values = {
                    "u7": begun.u7,
                    "erasure_id": begun.erasure_id,
                    "reason": begun.reason.value,
                    "begun_ms": begun.begun_ms,
                    "open_id": open_id,
                }
                connection.execute(insert(erasure), values)
                self.webhooks.add(connection, [erased_event(begun.u7, begun.begun_ms)], begun.begun_ms)

    def erasures(self) -> list[Erasure]:
        """Return the erasures under way; see ``Identities.erasures``."""
        with self._read() as connection:
            found = connection.execute(select(erasure).order_by(erasure.c.u7)).all()
        return [Erasure(row.erasure_id, row.u7, ErasureReason(row.reason), row.begun_ms) for row in found]

    def finish_erasure(self, u7: int, at_ms: int) -> Tombstone | None:
        """Complete an erasure; see ``Identities.finish_erasure``."""
        with self._write() as connection:
            begun = connection.execute(select(erasure).where(erasure.c.u7 == u7)).one_or_none()
            if begun is None:
                return None
            # Whoever follows again meanwhile is a new person, and what came in by this OpenID is theirs.
            owner = connection.execute(select(person.c.u7).where(person.c.open_id == begun.open_id)).scalar()
            _delete_person(connection, u7, begun.open_id if owner in (None, u7) else None)
            connection.execute(delete(erasure).where(erasure.c.u7 == u7))
            stone = Tombstone(begun.erasure_id, ErasureReason(begun.reason), at_ms)
            values = {"tombstone_id": stone.tombstone_id, "reason": stone.reason.value, "at_ms": at_ms}
            connection.execute(insert(tombstone), values)
            connection.execute(delete(free_number).where(free_number.c.u7 == u7))
            connection.execute(insert(free_number), {"u7": u7, "freed_ms": at_ms})
            return stone

    def tombstones(self) -> list[Tombstone]:
        """Return what stays of erased people; see ``Identities.tombstones``."""
        query = select(tombstone).order_by(tombstone.c.at_ms, tombstone.c.tombstone_id)
        with self._read() as connection:
            found = connection.execute(query).all()
        return [Tombstone(row.tombstone_id, ErasureReason(row.reason), row.at_ms) for row in found]


def _new_u7(connection: Connection, now_ms: int) -> int:
    # A consent, too, holds a number: somebody new must not find a yes somebody else gave.
    highest = [connection.execute(select(func.max(table.c.u7))).scalar() for table in (person, consent, erasure)]
    taken = select(person.c.u7).where(person.c.u7 == free_number.c.u7).exists()
    agreed = select(consent.c.u7).where(consent.c.u7 == free_number.c.u7).exists()
    rested = (
        select(free_number.c.u7)
        .where(free_number.c.freed_ms <= now_ms - REST_MS, ~taken, ~agreed)
        .order_by(free_number.c.freed_ms, free_number.c.u7)
        .limit(1)
    )
    u7 = next_u7(
        max((number for number in highest if number is not None), default=None),
        connection.execute(rested).scalar(),
        lambda: _gap(connection),
    )
    if u7 is None:
        message = "found every number in use, expected a free one for a new person"
        raise StoreError(message)
    return u7


def _gap(connection: Connection) -> int | None:
    """Return the lowest number nobody ever had, by a pass over the numbers in use."""
    used = select(person.c.u7).union(select(consent.c.u7), select(erasure.c.u7), select(free_number.c.u7)).subquery()
    expected = 0
    for number in connection.execute(select(used.c.u7).order_by(used.c.u7)).scalars():
        if number > expected:
            return expected
        expected = number + 1
    return None


def _code_values(pending: PendingCode) -> dict[str, object]:
    return {name: getattr(pending, name) for name in pending.__dataclass_fields__}


def _vehicle_values(row: Mapping[str, Any] | RowMapping) -> dict[str, Any]:
    return {name: row[name] for name in _VEHICLE_COLUMNS}


def _owned(row: RowMapping) -> OwnedVehicle:
    found = rows.vehicle_of({name: row[name] for name in ("u7", *_VEHICLE_COLUMNS)}, consent_warnings=False)
    return OwnedVehicle(row["vehicle_id"], found, row["active"])


def _row_of(connection: Connection, u7: int, vehicle_id: int) -> RowMapping | None:
    own = (vehicle.c.u7 == u7) & (vehicle.c.vehicle_id == vehicle_id)
    return connection.execute(select(vehicle).where(own)).mappings().one_or_none()


def _activate(connection: Connection, u7: int, vehicle_id: int) -> bool:
    row = _row_of(connection, u7, vehicle_id)
    if row is None:
        return False
    # Two statements: only the rows that change are written.
    connection.execute(update(vehicle).where(vehicle.c.u7 == u7, vehicle.c.active).values(active=False))
    connection.execute(update(vehicle).where(vehicle.c.vehicle_id == vehicle_id).values(active=True))
    _drive(connection, u7, _vehicle_values(row))
    return True


def _drive(connection: Connection, u7: int, values: Mapping[str, Any]) -> None:
    connection.execute(update(person).where(person.c.u7 == u7).values(**values))


def _delete_person(connection: Connection, u7: int, open_id: str | None) -> None:
    """Delete the rows of every table that names a person, and what hangs on these."""
    sent = select(outbox.c.outbox_id).where(outbox.c.u7 == u7)
    receipts = select(attempt.c.msg_id).where(attempt.c.outbox_id.in_(sent), attempt.c.msg_id.is_not(None))
    connection.execute(delete(receipt).where(receipt.c.msg_id.in_(receipts)))
    connection.execute(delete(attempt).where(attempt.c.outbox_id.in_(sent)))
    forget_member(connection, u7)
    for table in reversed(metadata.sorted_tables):
        names = None if table.name in IMPERSONAL else _names(table, u7, open_id)
        if names is not None:
            connection.execute(delete(table).where(names))


def _names(table: Table, u7: int, open_id: str | None) -> ColumnElement[bool] | None:
    """Return the condition by which a table's row names a person; None when none can."""
    if "u7" not in table.c:
        return table.c.open_id == open_id if "open_id" in table.c and open_id is not None else None
    by_number: ColumnElement[bool] = table.c.u7 == u7
    if "open_id" not in table.c or open_id is None:
        return by_number
    return by_number | (table.c.u7.is_(None) & (table.c.open_id == open_id))
