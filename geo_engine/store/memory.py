"""The store in memory: the twin of the SQL store, for tests and for a run that leaves nothing behind."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.alerting.policy import QuietHours, grade_of
from geo_engine.alerting.quota import QuotaUse
from geo_engine.errors import StoreError
from geo_engine.model import Alert, Mute, Severity, Visit
from geo_engine.people.consents import ConsentRecord
from geo_engine.store import lifecycle
from geo_engine.store.identities_memory import MemoryIdentities
from geo_engine.store.inbox_memory import MemoryInbox
from geo_engine.store.lifecycle import OPEN_STATES, OutboxRow, OutboxState
from geo_engine.store.meetings import MemoryMeetings
from geo_engine.store.messages import outbox_outcome, warning_message, was_attempted
from geo_engine.store.messages_memory import MemoryMessages, Owner
from geo_engine.store.protocol import (
    HISTORY,
    WARNINGS,
    AttemptRecord,
    CommitResult,
    DecisionRecord,
    HistoryChange,
    Person,
    TransitionRecord,
    in_history_order,
)
from geo_engine.store.reach_memory import MemoryReach
from geo_engine.store.shared_memory import MemoryShared
from geo_engine.store.webhook_events import events_of_history, withdrawn_event
from geo_engine.store.webhooks_memory import MemoryWebhooks
from geo_engine.zones.zone import Zone

__all__ = ["MemoryStore"]


class MemoryStore(MemoryIdentities, MemoryReach):
    """A ``Store`` without a disk: the same answers as ``SqlStore``, and all gone with the process.

    Cost: ``claim`` and ``expire`` look at every unfinished message.
    """

    def __init__(self) -> None:
        """Start empty."""
        MemoryIdentities.__init__(self)
        MemoryReach.__init__(self)
        self._lock = threading.Lock()
        self._closed = False
        self._people: dict[int, Person] = {}
        self._consents: list[ConsentRecord] = []
        self._warned: dict[int, bool] = {}
        self._decisions: dict[str, tuple[int, Alert, int]] = {}
        self._outbox: dict[int, OutboxRow] = {}
        self._last_outbox_id = 0
        self._open: dict[int, None] = {}
        self._queued: dict[str, int] = {}
        self._attempts: dict[int, list[AttemptRecord]] = {}
        self._sent_as: dict[str, list[int]] = {}
        self._receipts: dict[str, tuple[str, int]] = {}
        self._visits: dict[tuple[int, str], Visit] = {}
        self._revisions: list[tuple[str, int]] = []
        self._mutes: dict[tuple[int, str], Mute] = {}
        self._quiet_hours: dict[int, QuietHours] = {}
        self._keeps_history: dict[int, bool] = {}
        self._history: dict[tuple[int, int, str, str], TransitionRecord] = {}
        self._position = 0
        self._uses: dict[tuple[int, int, int], QuotaUse] = {}
        self.meetings = MemoryMeetings(self._locked)
        self.inbox = MemoryInbox(self._locked)
        self.webhooks = MemoryWebhooks(self._locked)
        self.messages = MemoryMessages(self._locked, self._owner, self.webhooks)
        self.shared = MemoryShared(self._locked)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                message = "store memory: found it closed, expected it open"
                raise StoreError(message)
            yield

    # ---- people and consent

    def put_people(self, people: Sequence[Person]) -> None:
        """Add or replace people; see ``Store.put_people``."""
        with self._locked():
            after = dict(self._people)
            owners = {person.open_id: u7 for u7, person in after.items() if person.open_id is not None}
            for person in people:
                before = after.get(person.u7)
                if before is not None and before.open_id is not None:
                    del owners[before.open_id]
                if person.open_id is not None and owners.setdefault(person.open_id, person.u7) != person.u7:
                    message = "store memory: found an open_id that belongs to another person, expected a free one"
                    raise StoreError(message)
                after[person.u7] = person
            self._people = after

    def people(self) -> list[Person]:
        """Return everybody, ordered by u7; see ``Store.people``."""
        with self._locked():
            return [self._with_consent(self._people[u7]) for u7 in sorted(self._people)]

    def person(self, u7: int) -> Person | None:
        """Return one person; see ``Store.person``."""
        with self._locked():
            found = self._people.get(u7)
            return None if found is None else self._with_consent(found)

    def set_consent(self, u7: int, purpose: str, granted: bool, version: str, at_ms: int, channel: str) -> None:
        """Append a consent record; see ``Store.set_consent``."""
        with self._locked():
            self._consents.append(ConsentRecord(u7, purpose, granted, version, at_ms, channel))
            if purpose == HISTORY:
                self._keeps_history[u7] = granted
                if not granted:
                    self.messages.forget_places_locked(u7)
                    self.webhooks.forget_locked(u7, zones_only=True)
                    self.webhooks.add_locked([withdrawn_event(u7, at_ms)], at_ms)
                    self._history = {key: kept for key, kept in self._history.items() if kept.u7 != u7}
            if purpose == WARNINGS:
                self._warned[u7] = granted
                waiting = () if granted else self._in_state(OutboxState.PENDING)
                self._save(*[lifecycle.withdrawn(row) for row in waiting if row.u7 == u7], now_ms=at_ms)

    def consenting(self, purpose: str) -> list[int]:
        """Return who consents to a purpose; see ``Store.consenting``."""
        with self._locked():
            last = {record.u7: record.granted for record in self._consents if record.purpose == purpose}
            return sorted(u7 for u7, granted in last.items() if granted)

    def _with_consent(self, person: Person) -> Person:
        granted = self._warned.get(person.u7, False)
        return replace(person, vehicle=replace(person.vehicle, consent_warnings=granted))

    # ---- what people do not want to hear

    def set_mute(self, mute: Mute, at_ms: int) -> None:  # noqa: ARG002 - a store on disk keeps the moment
        """Note a mute; see ``Store.set_mute``."""
        with self._locked():
            self._mutes[mute.u7, mute.zone_id] = mute

    def clear_mute(self, u7: int, zone_id: str) -> None:
        """Forget a mute; see ``Store.clear_mute``."""
        with self._locked():
            self._mutes.pop((u7, zone_id), None)

    def mutes(self, now_ms: int) -> list[Mute]:
        """Return the mutes that hold; see ``Store.mutes``."""
        with self._locked():
            kept = (mute for _, mute in sorted(self._mutes.items()))
            return [mute for mute in kept if mute.until_ms is None or mute.until_ms > now_ms]

    def set_quiet_hours(self, u7: int, hours: QuietHours | None, at_ms: int) -> None:  # noqa: ARG002 - as above
        """Set somebody's own quiet hours; see ``Store.set_quiet_hours``."""
        with self._locked():
            self._quiet_hours.pop(u7, None)
            if hours is not None:
                self._quiet_hours[u7] = hours

    def quiet_hours(self, *, u7: int | None = None) -> dict[int, QuietHours]:
        """Return everybody's own quiet hours, or one person's; see ``Store.quiet_hours``."""
        with self._locked():
            return {one: hours for one, hours in sorted(self._quiet_hours.items()) if u7 in (None, one)}

    def forget_wishes(self, u7: int) -> None:
        """Erase what somebody did not want to hear; see ``Store.forget_wishes``."""
        with self._locked():
            self._quiet_hours.pop(u7, None)
            self._mutes = {key: mute for key, mute in self._mutes.items() if key[0] != u7}

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
        with self._locked():
            self._position = max(self._position, position)
            known, queued = len(self._decisions), self._last_outbox_id
            for alert in alerts:
                if alert.alert_id not in self._decisions:
                    self._decide(alert, now_ms)
            self._visits.update({(visit.u7, visit.zone_id): visit for visit in visits})
            self._uses.update({(use.day, use.slot, use.grade): use for use in uses})
            for change in history:
                self._change_history(change)
            willing = {u7 for u7, keeps in self._keeps_history.items() if keeps}
            self.webhooks.add_locked(events_of_history(history, willing), now_ms)
            fresh = len(self._decisions) - known
            return CommitResult(fresh, self._last_outbox_id - queued, len(alerts) - fresh)

    def journal_position(self) -> int:
        """Return the position of the journal; see ``Store.journal_position``."""
        with self._locked():
            return self._position

    def _change_history(self, change: HistoryChange) -> None:
        for record in change.withdrawn:
            self._history.pop(_key(record), None)
        for record in change.added:
            if self._keeps_history.get(record.u7, False):
                self._history.setdefault(_key(record), record)

    def history(self, u7: int, since_ms: int, until_ms: int) -> list[TransitionRecord]:
        """Return a user's transitions in a time; see ``Store.history``."""
        with self._locked():
            found = (record for record in self._history.values() if record.u7 == u7)
            return in_history_order(record for record in found if since_ms <= record.time_ms < until_ms)

    def drop_history(self, before_ms: int) -> int:
        """Erase transitions that are too old; see ``Store.drop_history``."""
        with self._locked():
            known = len(self._history)
            self._history = {key: record for key, record in self._history.items() if record.time_ms >= before_ms}
            return known - len(self._history)

    def _decide(self, alert: Alert, now_ms: int) -> None:
        last = next(reversed(self._decisions.values()), (0, alert, 0))
        self._decisions[alert.alert_id] = (last[0] + 1, alert, now_ms)
        if alert.send:
            self._last_outbox_id += 1
            self._queued[alert.alert_id] = self._last_outbox_id
            self._save(lifecycle.queued(alert, outbox_id=self._last_outbox_id, now_ms=now_ms), now_ms=now_ms)

    def _drop_rows(self, u7: int, open_id: str | None) -> None:
        """Delete what else is kept of a person; see ``Identities.begin_erasure``."""
        if open_id is not None:
            self._drop_reach(open_id)
            self.inbox.erase_locked(open_id)
            self.shared.end_locked(open_id)
        self.meetings.forget_locked(u7)
        self.messages.forget_locked(u7)
        self.webhooks.forget_locked(u7)
        for outbox_id in [number for number, row in self._outbox.items() if row.u7 == u7]:
            self._open.pop(outbox_id, None)
            self._queued.pop(self._outbox.pop(outbox_id).alert_id)
            for made in self._attempts.pop(outbox_id, []):
                self._sent_as.pop(made.msg_id or "", None)
                self._receipts.pop(made.msg_id or "", None)
        self._decisions = {key: kept for key, kept in self._decisions.items() if kept[1].u7 != u7}
        self._consents = [record for record in self._consents if record.u7 != u7]
        self._warned.pop(u7, None)
        self._keeps_history.pop(u7, None)
        self._visits = {key: kept for key, kept in self._visits.items() if key[0] != u7}
        self._history = {key: kept for key, kept in self._history.items() if kept.u7 != u7}
        self._mutes = {key: kept for key, kept in self._mutes.items() if key[0] != u7}
        self._quiet_hours.pop(u7, None)

    def quota_uses(self, since_day: int) -> list[QuotaUse]:
        """Return the use of the quota; see ``Store.quota_uses``."""
        with self._locked():
            return [use for _, use in sorted(self._uses.items()) if use.day >= since_day]

    def open_visits(self, since_ms: int) -> list[Visit]:
        """Return the visits an engine needs after a restart; see ``Store.open_visits``."""
        with self._locked():
            return [
                visit
                for _, visit in sorted(self._visits.items())
                if visit.inside or visit.last_ms >= since_ms or _at_or_after(visit.sent_ms, since_ms)
            ]

    def sent_today(self, since_ms: int) -> dict[int, int]:
        """Return the decisions to send per user since a moment; see ``Store.sent_today``."""
        with self._locked():
            alerts = (alert for _, alert, _ in self._decisions.values())
            return dict(
                sorted(Counter(alert.u7 for alert in alerts if alert.send and alert.time_ms >= since_ms).items())
            )

    def decisions(self, *, limit: int, u7: int | None = None, before: int | None = None) -> list[DecisionRecord]:
        """Return the newest decisions first; see ``Store.decisions``."""
        with self._locked():
            wanted = [
                (number, alert, decided_ms)
                for number, alert, decided_ms in reversed(self._decisions.values())
                if (u7 is None or alert.u7 == u7) and (before is None or number < before)
            ]
            return [self._decision_record(*entry) for entry in wanted[: max(limit, 0)]]

    def _decision_record(self, number: int, alert: Alert, decided_ms: int) -> DecisionRecord:
        outbox_id = self._queued.get(alert.alert_id)
        if outbox_id is None:
            return DecisionRecord(number, alert, decided_ms, state=None, ended="", attempts=0)
        row = self._outbox[outbox_id]
        return DecisionRecord(number, alert, decided_ms, state=row.state, ended=row.ended, attempts=row.attempts)

    def zone_revision(self, sha256: str, now_ms: int, zones: Sequence[Zone] = ()) -> int:  # noqa: ARG002 - no map reads it
        """Return the number of a zone set by its content; see ``Store.zone_revision``."""
        with self._locked():
            if not self._revisions or self._revisions[-1][0] != sha256:
                self._revisions.append((sha256, now_ms))
            return len(self._revisions)

    # ---- outbox

    def claim(self, now_ms: int, *, limit: int, lease_ms: int, holder: int = 0) -> list[Message]:
        """Take due messages, the gravest first; see ``Store.claim``."""
        with self._locked():
            self._lose_leases(now_ms)
            due = sorted(self._due(now_ms), key=self._gravity)[: max(limit, 0)]
            for row in due:
                self._save(lifecycle.claimed(row, now_ms, lease_ms, holder), now_ms=now_ms)
                self._attempts.setdefault(row.outbox_id, []).append(AttemptRecord(row.attempts + 1, now_ms))
            return [self._message(row) for row in due]

    def _due(self, now_ms: int) -> list[OutboxRow]:
        due, met = [], set[int]()
        for row in self._in_state(*OPEN_STATES):
            first, person = row.u7 not in met, self._people.get(row.u7)
            met.add(row.u7)
            reachable = person is not None and person.open_id is not None and self._warned.get(row.u7, False)
            waits = row.state is OutboxState.PENDING and row.next_attempt_ms <= now_ms < row.give_up_ms
            if first and reachable and waits:
                due.append(row)
        return due

    def _gravity(self, row: OutboxRow) -> tuple[int, int]:
        kind = self._decisions[row.alert_id][1].kind
        return grade_of(kind, Severity.NORMAL), row.outbox_id

    def _message(self, row: OutboxRow) -> Message:
        person = self._people[row.u7]
        return Message(
            outbox_id=row.outbox_id,
            alert=self._decisions[row.alert_id][1],
            open_id=person.open_id or "",
            plate=person.vehicle.plate,
            language=person.vehicle.language,
            client_msg_id=row.alert_id,
            attempts=row.attempts,
        )

    def finish(self, outbox_id: int, result: SendResult, *, now_ms: int, retry_at_ms: int | None) -> None:
        """Record the outcome of an attempt; see ``Store.finish``."""
        with self._locked():
            attempts = self._attempts.get(outbox_id)
            if outbox_id not in self._outbox:
                return  # Its person was erased while it was on its way.
            if not attempts:
                message = f"store memory: found no attempt for outbox_id {outbox_id}, expected a claimed one"
                raise StoreError(message)
            if attempts[-1].outcome not in (None, Outcome.UNKNOWN):
                return
            attempts[-1] = _answered(attempts[-1], result, now_ms)
            row = lifecycle.answered(self._outbox[outbox_id], result, retry_at_ms)
            if result.msg_id is not None:
                self._sent_as.setdefault(result.msg_id, []).append(outbox_id)
                if result.msg_id in self._receipts:
                    row = lifecycle.contradicted(row, self._receipts[result.msg_id][0])
            self._save(row, now_ms=now_ms)
            if was_attempted(result):
                self._attempted(row, result, now_ms)

    def end_leases(self, now_ms: int, *, holder: int | None = None) -> None:
        """Count attempts under way as lost; see ``Store.end_leases``."""
        with self._locked():
            held = [row for row in self._in_state(OutboxState.SENDING) if holder in (None, row.holder)]
            self._lose_leases(now_ms, held)

    def lease_holders(self) -> list[int]:
        """Return who has messages under way; see ``Store.lease_holders``."""
        with self._locked():
            return sorted({row.holder for row in self._in_state(OutboxState.SENDING)})

    def expire(self, now_ms: int) -> int:
        """End the waiting messages whose time is over; see ``Store.expire``."""
        with self._locked():
            self._lose_leases(now_ms)
            over = [row for row in self._in_state(OutboxState.PENDING) if row.give_up_ms <= now_ms]
            for row in over:
                person = self._people.get(row.u7)
                open_id = None if person is None else person.open_id
                self._save(
                    lifecycle.given_up(row, open_id=open_id, consent=self._warned.get(row.u7, False)), now_ms=now_ms
                )
            return len(over)

    def receipt(self, msg_id: str, status: str, at_ms: int) -> bool:
        """Keep the channel's receipt; see ``Store.receipt``."""
        with self._locked():
            affected = self._sent_as.get(msg_id, [])
            if msg_id not in self._receipts:
                self._receipts[msg_id] = (status, at_ms)
                changed = [lifecycle.contradicted(self._outbox[outbox_id], status) for outbox_id in affected]
                self._save(*changed, now_ms=at_ms)
                self.messages.received_locked(msg_id, status, at_ms)
            return bool(affected)

    def attempts(self, alert_id: str) -> list[AttemptRecord]:
        """Return the attempts to send a decision; see ``Store.attempts``."""
        with self._locked():
            made = self._attempts.get(self._queued.get(alert_id, 0), [])
            receipts = [self._receipts.get(attempt.msg_id or "", (None, None)) for attempt in made]
            return [
                replace(attempt, receipt=status, receipt_ms=at_ms)
                for attempt, (status, at_ms) in zip(made, receipts, strict=True)
            ]

    def _in_state(self, *states: OutboxState) -> list[OutboxRow]:
        unfinished = (self._outbox[outbox_id] for outbox_id in sorted(self._open))
        return [row for row in unfinished if row.state in states]

    def _save(self, *changed: OutboxRow, now_ms: int) -> None:
        for row in changed:
            self._outbox[row.outbox_id] = row
            if row.state in OPEN_STATES:
                self._open[row.outbox_id] = None
            else:
                self._open.pop(row.outbox_id, None)
            self._ended(row, now_ms)

    # ---- what the outbox says of messages

    def _owner(self, u7: int) -> Owner | None:
        person = self._people.get(u7)
        if person is None:
            return None
        return Owner(self._phones.get(u7), person.vehicle.plate, self._keeps_history.get(u7, False))

    def _attempted(self, row: OutboxRow, result: SendResult, now_ms: int) -> None:
        alert = self._decisions[row.alert_id][1]
        zones = tuple(one.zone_id for _, one, _ in self._decisions.values() if one.told_by == row.alert_id)
        self.messages.note_locked(warning_message(alert, row, result, now_ms, zones if alert.also else ()))
        if result.msg_id in self._receipts:
            self.messages.received_locked(result.msg_id or "", *self._receipts[result.msg_id or ""])

    def _ended(self, row: OutboxRow, now_ms: int) -> None:
        if row.state in OPEN_STATES or row.state is OutboxState.DELIVERED or not row.attempts:
            return
        key = f"warning:{row.alert_id}"
        if row.state is OutboxState.UNKNOWN and self.messages.known_locked(key) is None:
            way = self._dispatches.get(row.alert_id)
            if way is not None:
                self._attempted(row, replace(lifecycle.NO_ANSWER, channel=way[0].channel), now_ms)
        known = self.messages.known_locked(key)
        if known is not None:
            self.messages.change_locked(key, replace(known, outcome=outbox_outcome(row)), now_ms)

    def _lose_leases(self, now_ms: int, lost: Sequence[OutboxRow] | None = None) -> None:
        if lost is None:
            under_way = self._in_state(OutboxState.SENDING)
            lost = [row for row in under_way if row.lease_until_ms is not None and row.lease_until_ms <= now_ms]
        for row in lost:
            attempts = self._attempts[row.outbox_id]
            attempts[-1] = _answered(attempts[-1], lifecycle.NO_ANSWER, now_ms)
            self._save(lifecycle.lease_lost(row), now_ms=now_ms)

    # ---- the store itself

    def counts(self) -> dict[str, int]:
        """Return counts by dotted name; see ``Store.counts``."""
        with self._locked():
            states = Counter(row.state for row in self._outbox.values())
            ended = Counter(str(row.ended) for row in self._outbox.values() if row.ended)
            reasons = Counter(str(alert.reason) for _, alert, _ in self._decisions.values())
            matched = sum(msg_id in self._sent_as for msg_id in self._receipts)
            counted = {f"outbox.{state.value}": states[state] for state in OutboxState}
            counted |= {f"ended.{reason}": ended[reason] for reason in sorted(ended)}
            counted |= {f"decision.{reason}": reasons[reason] for reason in sorted(reasons)}
            return counted | {"receipt.matched": matched, "receipt.unmatched": len(self._receipts) - matched}

    def ready(self) -> None:
        """Return when the store can be written; see ``Store.ready``."""
        with self._locked():
            return

    def close(self) -> None:
        """Refuse every further call; see ``Store.close``."""
        with self._lock:
            self._closed = True


def _at_or_after(time_ms: int | None, since_ms: int) -> bool:
    return time_ms is not None and time_ms >= since_ms


def _key(record: TransitionRecord) -> tuple[int, int, str, str]:
    return record.u7, record.time_ms, record.zone_id, record.kind


def _answered(attempt: AttemptRecord, result: SendResult, now_ms: int) -> AttemptRecord:
    return replace(
        attempt,
        finished_ms=now_ms,
        outcome=result.outcome,
        errcode=result.errcode,
        detail=result.detail,
        msg_id=result.msg_id,
    )
