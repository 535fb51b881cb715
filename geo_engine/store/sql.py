"""The store in a database, SQLite or PostgreSQL, through SQLAlchemy Core; the statements are plain SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any, Final

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Select,
    Table,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    make_url,
    select,
    update,
)

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.alerting.policy import QuietHours, grade_of
from geo_engine.alerting.quota import QuotaUse
from geo_engine.errors import ConfigurationError, StoreError
from geo_engine.model import Alert, Mute, Severity, Visit, ZoneKind
from geo_engine.store import lifecycle, rows, schema
from geo_engine.store.database import Database
from geo_engine.store.dialects import POSTGRESQL, SQLITE, insert_new, upsert
from geo_engine.store.history import change_history, consenting, drop_before, erase_history, read_history
from geo_engine.store.identities_sql import SqlIdentities
from geo_engine.store.inbox_sql import SqlInbox
from geo_engine.store.journal_mark import put_position, read_position
from geo_engine.store.lifecycle import OPEN_STATES, OutboxRow, OutboxState
from geo_engine.store.meetings import SqlMeetings
from geo_engine.store.messages import was_attempted
from geo_engine.store.messages_sql import SqlMessages, forget_places
from geo_engine.store.protocol import (
    HISTORY,
    WARNINGS,
    AttemptRecord,
    CommitResult,
    DecisionRecord,
    HistoryChange,
    Person,
    TransitionRecord,
)
from geo_engine.store.reach_sql import SqlReach
from geo_engine.store.schema import (
    attempt,
    consent,
    decision,
    outbox,
    person,
    quota_use,
    receipt,
    visit,
    zone_revision,
)
from geo_engine.store.shared_sql import SqlShared
from geo_engine.store.sqlite import SqliteDatabase
from geo_engine.store.webhook_events import events_of_history, withdrawn_event
from geo_engine.store.webhooks_sql import SqlWebhooks, drop_zone_events
from geo_engine.zones.zone import Zone

__all__ = ["SqlStore"]

_IDS_PER_QUERY: Final = 500
# A queue is short, because warnings expire within minutes: sorting it costs less than a column to sort it by.
_GRAVITY: Final = case({kind.value: int(grade_of(kind, Severity.NORMAL)) for kind in ZoneKind}, value=decision.c.kind)


class SqlStore(SqlIdentities, SqlReach):
    """A ``Store`` in a database; ``SqliteDatabase`` and ``PostgresDatabase`` say what holds of their transactions.

    A returned commit is on disk. Cost: one fsync per writing call that changes something.
    """

    def __init__(self, url: str | URL, *, create: bool = True, notes: bool = False) -> None:
        """Open the database at ``url`` (``sqlite:///path`` or ``postgresql+psycopg://...``); both must exist.

        Args:
            url: an SQLAlchemy URL.
            create: create the tables in an empty database instead of refusing it.
            notes: note what is changed of people for the process that has the engine; see ``Shared``.

        Raises:
            StoreError: it cannot be opened, is not ours, or its schema has another version.
        """
        self._database = _database(make_url(url))
        self._place = self._database.place
        self.meetings = SqlMeetings(self._read, self._write)
        self.inbox = SqlInbox(self._read, self._write, self._database.write_beside)
        self.webhooks = SqlWebhooks(self._read, self._write, self._database.write_beside)
        self.messages = SqlMessages(self._read, self._write, self.webhooks)
        self.shared = SqlShared(self._read, self._write, notes=notes)
        try:
            self._open(create)
            self._database.opened()
            if notes:
                self._database.note()
        except StoreError:
            self.close()
            raise

    def _open(self, create: bool) -> None:
        if not create:
            with self._read() as connection:
                self._placed(schema.check, connection)
            return
        with self._write() as connection:
            self._placed(self._database.upgrade, connection)

    def _placed(self, step: Callable[[Connection], object], connection: Connection) -> None:
        try:
            step(connection)
        except StoreError as error:
            message = f"store {self._place}: {error}"
            raise StoreError(message) from error

    def _read(self) -> AbstractContextManager[Connection]:
        return self._database.read()

    def _write(self) -> AbstractContextManager[Connection]:
        return self._database.write()

    def scrub(self, *, whole: bool = False) -> bool:
        """Take deleted values out of the files; see ``Identities.scrub``."""
        return self._database.scrub(whole=whole)

    # ---- people and consent

    def put_people(self, people: Sequence[Person]) -> None:
        """Add or replace people; see ``Store.put_people``."""
        if not people:
            return
        with self._write() as connection:
            _put(connection, person, [rows.person_values(value) for value in people])

    def people(self) -> list[Person]:
        """Return everybody, ordered by u7; see ``Store.people``."""
        with self._read() as connection:
            return _people(connection, select(person, _consents().label("consents")).order_by(person.c.u7))

    def person(self, u7: int) -> Person | None:
        """Return one person; see ``Store.person``."""
        with self._read() as connection:
            query = select(person, _consents().label("consents")).where(person.c.u7 == u7)
            return next(iter(_people(connection, query)), None)

    def set_consent(self, u7: int, purpose: str, granted: bool, version: str, at_ms: int, channel: str) -> None:
        """Append a consent record; see ``Store.set_consent``."""
        record = {
            "u7": u7,
            "purpose": purpose,
            "granted": granted,
            "version": version,
            "at_ms": at_ms,
            "channel": channel,
        }
        with self._write() as connection:
            connection.execute(insert(consent), record)
            if purpose == WARNINGS and not granted:
                waiting = _outbox(connection, (outbox.c.u7 == u7) & (outbox.c.state == OutboxState.PENDING))
                self._save(connection, map(lifecycle.withdrawn, waiting), at_ms)
            if purpose == HISTORY and not granted:
                erase_history(connection, u7)
                forget_places(connection, u7)
                drop_zone_events(connection, u7)
                self.webhooks.add(connection, [withdrawn_event(u7, at_ms)], at_ms)

    # ---- what people do not want to hear

    def set_mute(self, mute: Mute, at_ms: int) -> None:
        """Note a mute; see ``Store.set_mute``."""
        values = {"u7": mute.u7, "zone_id": mute.zone_id, "until_ms": mute.until_ms, "at_ms": at_ms}
        with self._write() as connection:
            _put(connection, schema.mute, [values])

    def clear_mute(self, u7: int, zone_id: str) -> None:
        """Forget a mute; see ``Store.clear_mute``."""
        with self._write() as connection:
            columns = schema.mute.c
            connection.execute(delete(schema.mute).where(columns.u7 == u7, columns.zone_id == zone_id))

    def mutes(self, now_ms: int) -> list[Mute]:
        """Return the mutes that hold; see ``Store.mutes``."""
        columns = schema.mute.c
        holds = columns.until_ms.is_(None) | (columns.until_ms > now_ms)
        query = select(columns.u7, columns.zone_id, columns.until_ms).where(holds)
        with self._read() as connection:
            return [Mute(*row) for row in connection.execute(query.order_by(columns.u7, columns.zone_id))]

    def set_quiet_hours(self, u7: int, hours: QuietHours | None, at_ms: int) -> None:
        """Set somebody's own quiet hours; see ``Store.set_quiet_hours``."""
        with self._write() as connection:
            if hours is None:
                connection.execute(delete(schema.quiet_hours).where(schema.quiet_hours.c.u7 == u7))
            else:
                values = {"u7": u7, "from_min": hours.from_min, "until_min": hours.until_min, "at_ms": at_ms}
                _put(connection, schema.quiet_hours, [values])

    def quiet_hours(self, *, u7: int | None = None) -> dict[int, QuietHours]:
        """Return everybody's own quiet hours, or one person's; see ``Store.quiet_hours``."""
        columns = schema.quiet_hours.c
        query = select(columns.u7, columns.from_min, columns.until_min).order_by(columns.u7)
        if u7 is not None:
            query = query.where(columns.u7 == u7)
        with self._read() as connection:
            return {one: QuietHours(from_min, until_min) for one, from_min, until_min in connection.execute(query)}

    def forget_wishes(self, u7: int) -> None:
        """Erase what somebody did not want to hear; see ``Store.forget_wishes``."""
        with self._write() as connection:
            for table in (schema.mute, schema.quiet_hours):
                connection.execute(delete(table).where(table.c.u7 == u7))

    # ---- decisions and visits

    def commit(
        self,
        alerts: Sequence[Alert],
        visits: Sequence[Visit],
        *,
        now_ms: int,
        uses: Sequence[QuotaUse] = (),
        history: Sequence[HistoryChange] = (),
        position: int = 0,
    ) -> CommitResult:
        """Write decisions, outbox rows, visits and history at once; see ``Store.commit``."""
        with self._write() as connection:
            # Looking first is safe: the transaction holds the write lock from its first statement.
            first: dict[str, Alert] = {}
            for alert in alerts:
                first.setdefault(alert.alert_id, alert)
            known = _known_ids(connection, first)
            fresh = [alert for alert_id, alert in first.items() if alert_id not in known]
            queued = [_queued(alert, now_ms) for alert in fresh if alert.send]
            if fresh:
                connection.execute(insert(decision), [rows.alert_values(alert, now_ms) for alert in fresh])
            if queued:
                connection.execute(insert(outbox), queued)
            _put(connection, visit, [rows.visit_values(value) for value in visits])
            _put(connection, quota_use, [rows.use_values(value) for value in uses])
            if position:
                put_position(connection, position)
            willing = change_history(connection, history)
            if self.webhooks.wanted:
                self.webhooks.add(connection, events_of_history(history, willing), now_ms)
        return CommitResult(decisions=len(fresh), queued=len(queued), duplicates=len(alerts) - len(fresh))

    def journal_position(self) -> int:
        """Return the position of the journal; see ``Store.journal_position``."""
        with self._read() as connection:
            return read_position(connection)

    def history(self, u7: int, since_ms: int, until_ms: int) -> list[TransitionRecord]:
        """Return a user's transitions in a time; see ``Store.history``."""
        with self._read() as connection:
            return read_history(connection, u7, since_ms, until_ms)

    def drop_history(self, before_ms: int) -> int:
        """Erase transitions that are too old; see ``Store.drop_history``."""
        with self._write() as connection:
            return drop_before(connection, before_ms)

    def consenting(self, purpose: str) -> list[int]:
        """Return who consents to a purpose; see ``Store.consenting``."""
        with self._read() as connection:
            return consenting(connection, purpose)

    def quota_uses(self, since_day: int) -> list[QuotaUse]:
        """Return the use of the quota; see ``Store.quota_uses``."""
        columns = quota_use.c
        query = select(quota_use).where(columns.day >= since_day).order_by(columns.day, columns.slot, columns.grade)
        with self._read() as connection:
            return [QuotaUse(**row) for row in connection.execute(query).mappings()]

    def open_visits(self, since_ms: int) -> list[Visit]:
        """Return the visits an engine needs after a restart; see ``Store.open_visits``."""
        columns = visit.c
        wanted = columns.inside | (columns.last_ms >= since_ms) | (columns.sent_ms >= since_ms)
        with self._read() as connection:
            found = connection.execute(select(visit).where(wanted).order_by(columns.u7, columns.zone_id)).mappings()
            return [rows.visit_of(row) for row in found]

    def sent_today(self, since_ms: int) -> dict[int, int]:
        """Return the decisions to send per user since a moment; see ``Store.sent_today``."""
        columns = decision.c
        query = select(columns.u7, func.count()).where(columns.send, columns.time_ms >= since_ms)
        with self._read() as connection:
            found = connection.execute(query.group_by(columns.u7).order_by(columns.u7)).all()
        return {u7: count for u7, count in found}  # noqa: C416 (dict() of rows has no types)

    def decisions(self, *, limit: int, u7: int | None = None, before: int | None = None) -> list[DecisionRecord]:
        """Return the newest decisions first; see ``Store.decisions``."""
        query = select(decision, outbox).join_from(decision, outbox, isouter=True)
        if u7 is not None:
            query = query.where(decision.c.u7 == u7)
        if before is not None:
            query = query.where(decision.c.decision_id < before)
        query = query.order_by(decision.c.decision_id.desc()).limit(max(limit, 0))
        with self._read() as connection:
            return [rows.decision_record(row) for row in connection.execute(query).mappings()]

    def zone_revision(self, sha256: str, now_ms: int, zones: Sequence[Zone] = ()) -> int:
        """Return the number of a zone set by its content; see ``Store.zone_revision``."""
        latest_first = zone_revision.c.revision.desc()
        with self._write() as connection:
            latest = connection.execute(select(zone_revision).order_by(latest_first).limit(1)).one_or_none()
            if latest is not None and latest.sha256 == sha256:
                return int(latest.revision)
            revision = 1 if latest is None else int(latest.revision) + 1
            connection.execute(insert(zone_revision), {"revision": revision, "sha256": sha256, "at_ms": now_ms})
            self._database.keep_zones(connection, revision, zones)
            return revision

    # ---- outbox

    def claim(self, now_ms: int, *, limit: int, lease_ms: int, holder: int = 0) -> list[Message]:
        """Take due messages, the gravest first; see ``Store.claim``."""
        due = _due(now_ms).limit(max(limit, 0)).with_for_update(of=outbox, skip_locked=True)
        with self._database.write_beside() as connection:
            self._lose_leases(connection, now_ms)
            found = connection.execute(due).mappings().all()
            before = [rows.outbox_of(row) for row in found]
            after = [lifecycle.claimed(row, now_ms, lease_ms, holder) for row in before]
            self._save(connection, after, now_ms)
            if after:
                started = [{"outbox_id": row.outbox_id, "number": row.attempts, "started_ms": now_ms} for row in after]
                connection.execute(insert(attempt), started)
        return [rows.message_of(row, waiting) for row, waiting in zip(found, before, strict=True)]

    def finish(self, outbox_id: int, result: SendResult, *, now_ms: int, retry_at_ms: int | None) -> None:
        """Record the outcome of an attempt; see ``Store.finish``."""
        columns = attempt.c
        newest = select(attempt).where(columns.outbox_id == outbox_id).order_by(columns.number.desc()).limit(1)
        with self._database.write_beside() as connection:
            there = _outbox(connection, outbox.c.outbox_id == outbox_id)
            if not there:
                return  # Its person was erased while it was on its way.
            found = connection.execute(newest).one_or_none()
            if found is None:
                message = f"store {self._place}: found no attempt for outbox_id {outbox_id}, expected a claimed one"
                raise StoreError(message)
            if found.outcome not in (None, Outcome.UNKNOWN):
                return
            this_attempt = (columns.outbox_id == outbox_id) & (columns.number == found.number)
            connection.execute(update(attempt).where(this_attempt).values(rows.outcome_values(result, now_ms)))
            row = lifecycle.answered(there[0], result, retry_at_ms)
            status = connection.execute(select(receipt.c.status).where(receipt.c.msg_id == result.msg_id)).scalar()
            row = row if status is None else lifecycle.contradicted(row, status)
            self._save(connection, [row], now_ms)
            if was_attempted(result):
                self.messages.attempted(connection, row, result, now_ms)

    def end_leases(self, now_ms: int, *, holder: int | None = None) -> None:
        """Count attempts under way as lost; see ``Store.end_leases``."""
        held = outbox.c.state == OutboxState.SENDING
        with self._write() as connection:
            self._lose_leases(connection, now_ms, held if holder is None else held & (outbox.c.holder == holder))

    def lease_holders(self) -> list[int]:
        """Return who has messages under way; see ``Store.lease_holders``."""
        query = select(outbox.c.holder).where(outbox.c.state == OutboxState.SENDING).distinct()
        with self._read() as connection:
            return sorted(connection.execute(query).scalars())

    def expire(self, now_ms: int) -> int:
        """End the waiting messages whose time is over; see ``Store.expire``."""
        over = (outbox.c.state == OutboxState.PENDING) & (outbox.c.give_up_ms <= now_ms)
        query = (
            select(outbox, person.c.open_id, _consents(outbox.c.u7).label("consents"))
            .join_from(outbox, person, outbox.c.u7 == person.c.u7, isouter=True)
            .where(over)
            .order_by(outbox.c.outbox_id)
        )
        with self._write() as connection:
            self._lose_leases(connection, now_ms)
            ended = [
                lifecycle.given_up(rows.outbox_of(row), open_id=row[person.c.open_id], consent=bool(row["consents"]))
                for row in connection.execute(query).mappings()
            ]
            self._save(connection, ended, now_ms)
        return len(ended)

    def receipt(self, msg_id: str, status: str, at_ms: int) -> bool:
        """Keep the channel's receipt; see ``Store.receipt``."""
        values = {"msg_id": msg_id, "status": status, "at_ms": at_ms}
        sent_with_it = select(attempt.c.outbox_id).where(attempt.c.msg_id == msg_id)
        with self._write() as connection:
            new = insert_new(connection, receipt, values)
            affected = _outbox(connection, outbox.c.outbox_id.in_(sent_with_it))
            if new:
                self._save(connection, [lifecycle.contradicted(row, status) for row in affected], at_ms)
                self.messages.received(connection, msg_id, status, at_ms)
        return bool(affected)

    def _save(self, connection: Connection, changed: Iterable[OutboxRow], now_ms: int) -> None:
        """Write outbox rows, and what they say of their messages."""
        kept = list(changed)
        _save(connection, kept)
        self.messages.ended(connection, kept, now_ms)

    def _lose_leases(self, connection: Connection, now_ms: int, lost: ColumnElement[bool] | None = None) -> None:
        if lost is None:
            lost = (outbox.c.state == OutboxState.SENDING) & (outbox.c.lease_until_ms <= now_ms)
        found = _outbox(connection, lost, skip_locked=True)
        if not found:
            return
        this_one = (attempt.c.outbox_id == bindparam("this_id")) & attempt.c.finished_ms.is_(None)
        values = rows.outcome_values(lifecycle.NO_ANSWER, now_ms)
        connection.execute(
            update(attempt).where(this_one).values(values), [{"this_id": row.outbox_id} for row in found]
        )
        self._save(connection, map(lifecycle.lease_lost, found), now_ms)

    def attempts(self, alert_id: str) -> list[AttemptRecord]:
        """Return the attempts to send a decision; see ``Store.attempts``."""
        query = (
            select(attempt, receipt)
            .join_from(attempt, outbox)
            .join(receipt, receipt.c.msg_id == attempt.c.msg_id, isouter=True)
            .where(outbox.c.alert_id == alert_id)
            .order_by(attempt.c.number)
        )
        with self._read() as connection:
            return [rows.attempt_of(row) for row in connection.execute(query).mappings()]

    # ---- the store itself

    def counts(self) -> dict[str, int]:
        """Return counts by dotted name; see ``Store.counts``."""
        matched = exists().where(attempt.c.msg_id == receipt.c.msg_id)
        with self._read() as connection:
            states = _tally(connection, outbox.c.state)
            ended = _tally(connection, outbox.c.ended)
            reasons = _tally(connection, decision.c.reason)
            receipts = connection.execute(select(func.count()).select_from(receipt)).scalar_one()
            unmatched = connection.execute(select(func.count()).select_from(receipt).where(~matched)).scalar_one()
        counted = {f"outbox.{state.value}": states.get(state.value, 0) for state in OutboxState}
        counted |= {f"ended.{reason}": count for reason, count in ended.items() if reason}
        counted |= {f"decision.{reason}": count for reason, count in reasons.items()}
        return counted | {"receipt.matched": receipts - unmatched, "receipt.unmatched": unmatched}

    def ready(self) -> None:
        """Return when the store can be written; see ``Store.ready``."""
        with self._write() as connection:
            self._placed(schema.check, connection)
            # A write begins even on a file, or a standby server, that may only be read: the first statement that writes
            # is refused.
            connection.execute(update(person).where(false()).values(open_id=None))

    def close(self) -> None:
        """Close every connection; see ``Store.close``."""
        self._database.close()


def _database(url: URL) -> Database:
    if url.get_backend_name() == POSTGRESQL:
        return _postgres(url)
    if url.get_backend_name() == SQLITE:
        return SqliteDatabase(url)
    message = f"store: found a database of the kind {url.get_backend_name()}, expected {SQLITE} or {POSTGRESQL}"
    raise ConfigurationError(message)


def _postgres(url: URL) -> Database:
    try:
        import psycopg  # noqa: F401, PLC0415 (as PostGIS' types it comes with an extra)

        from geo_engine.store.postgres import PostgresDatabase  # noqa: PLC0415
    except ImportError as error:
        message = f"store: found no {error.name} for PostgreSQL, expected it by: pip install 'geo-engine[postgres]'"
        raise ConfigurationError(message) from error
    return PostgresDatabase(url.set(drivername="postgresql+psycopg"))


def _consents(u7: ColumnElement[int] = person.c.u7) -> ColumnElement[bool]:
    """Whether the latest record of the purpose ``warnings`` is a yes; NULL without a record."""
    latest = (
        select(consent.c.granted)
        .where(consent.c.u7 == u7, consent.c.purpose == WARNINGS)
        .order_by(consent.c.consent_id.desc())
        .limit(1)
    )
    return latest.scalar_subquery()


def _people(connection: Connection, query: Select[Any]) -> list[Person]:
    found = connection.execute(query).mappings()
    return [rows.person_of(row, consent_warnings=bool(row["consents"])) for row in found]


def _known_ids(connection: Connection, alert_ids: Iterable[str]) -> set[str]:
    remaining, known = iter(alert_ids), set[str]()
    while chunk := list(islice(remaining, _IDS_PER_QUERY)):
        known.update(connection.execute(select(decision.c.alert_id).where(decision.c.alert_id.in_(chunk))).scalars())
    return known


def _queued(alert: Alert, now_ms: int) -> dict[str, object]:
    values = rows.outbox_values(lifecycle.queued(alert, outbox_id=0, now_ms=now_ms))
    return {name: value for name, value in values.items() if name != "outbox_id"}


def _put(connection: Connection, table: Table, values: Sequence[Mapping[str, object]]) -> None:
    """Write rows, each over the one with its key; the last of several wins."""
    if not values:
        return
    statement = upsert(connection, table)
    others = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    keys = list(table.primary_key.columns)
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), list(values))


def _outbox(connection: Connection, condition: ColumnElement[bool], *, skip_locked: bool = False) -> list[OutboxRow]:
    """Read rows and, where writers work side by side, lock them; what another one has locked is waited for or left."""
    query = select(outbox).where(condition).order_by(outbox.c.outbox_id).with_for_update(skip_locked=skip_locked)
    found = connection.execute(query).mappings()
    return [rows.outbox_of(row) for row in found]


def _save(connection: Connection, changed: Iterable[OutboxRow]) -> None:
    values = [{**rows.outbox_values(row), "this_id": row.outbox_id} for row in changed]
    if values:
        names = (name for name in values[0] if name not in ("this_id", "outbox_id", "alert_id", "u7"))
        statement = update(outbox).where(outbox.c.outbox_id == bindparam("this_id"))
        connection.execute(statement.values({name: bindparam(name) for name in names}), values)


def _due(now_ms: int) -> Select[Any]:
    earlier = outbox.alias("earlier")
    held_back = exists().where(
        earlier.c.u7 == outbox.c.u7,
        earlier.c.state.in_([state.value for state in OPEN_STATES]),
        earlier.c.outbox_id < outbox.c.outbox_id,
    )
    return (
        select(outbox, decision, person)
        .join_from(outbox, decision)
        .join(person, person.c.u7 == outbox.c.u7)
        .where(
            outbox.c.state == OutboxState.PENDING,
            outbox.c.next_attempt_ms <= now_ms,
            outbox.c.give_up_ms > now_ms,
            person.c.open_id.is_not(None),
            _consents(outbox.c.u7),
            ~held_back,
        )
        .order_by(_GRAVITY, outbox.c.outbox_id)
    )


def _tally(connection: Connection, column: ColumnElement[str]) -> dict[str, int]:
    found = connection.execute(select(column, func.count()).group_by(column).order_by(column)).all()
    return {name: count for name, count in found}  # noqa: C416 (dict() of rows has no types)
