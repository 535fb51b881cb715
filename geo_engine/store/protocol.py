"""What a store promises: people, decisions, the outbox, visits. One contract, an SQL form and a twin in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.alerting.policy import QuietHours
from geo_engine.alerting.quota import QuotaUse
from geo_engine.alerting.reach import ReachLedger, TokenShelf
from geo_engine.meetings.protocol import MeetingStore
from geo_engine.model import Alert, Mute, TransitionKind, TransitionReason, Vehicle, Visit
from geo_engine.store.identities import Identities
from geo_engine.store.inbox import Inbox
from geo_engine.store.lifecycle import OutboxState
from geo_engine.store.messages import MessageLog
from geo_engine.store.shared import Shared
from geo_engine.store.webhooks import WebhookOutbox
from geo_engine.zones.zone import Zone

__all__ = [
    "HISTORY",
    "WARNINGS",
    "AttemptRecord",
    "CommitResult",
    "DecisionRecord",
    "HistoryChange",
    "Person",
    "Store",
    "TransitionRecord",
    "in_history_order",
]

WARNINGS: Final = "warnings"
"""The consent purpose "locate me and warn me". Without a granted record nobody is warned."""

HISTORY: Final = "history"
"""The consent purpose "keep which zones I was in". Without a granted record nothing of it is written."""

_KINDS: Final = tuple(TransitionKind)


@dataclass(frozen=True, slots=True)
class Person:
    """A user as the store knows them.

    Attributes:
        u7: the user's number.
        open_id: the person's id at the channel, None = not bound, so nothing can be sent; one open_id, one person.
        vehicle: what they drive and their language. Its ``consent_warnings`` is filled from the consent records
            when it is read, and is ignored when it is written: consent has one door, ``set_consent``.
    """

    u7: int
    open_id: str | None
    vehicle: Vehicle

    def __post_init__(self) -> None:
        """Refuse a vehicle that belongs to somebody else."""
        if self.vehicle.u7 != self.u7:
            message = f"person {self.u7}: found the vehicle of u7 {self.vehicle.u7}, expected the person's own"
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What a commit added: new decisions, new outbox rows, and decisions that were there already."""

    decisions: int
    queued: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision as it is listed, with what became of it.

    Attributes:
        number: position in the order of committing, starting at 1.
        alert: the decision.
        decided_ms: when it was committed.
        state: state of its outbox row, None when the decision was not to send.
        ended: why the outbox row ended without being delivered, empty otherwise.
        attempts: attempts to send it.
    """

    number: int
    alert: Alert
    decided_ms: int
    state: OutboxState | None
    ended: str
    attempts: int


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt to send, and the channel's receipt for it when there is one.

    Attributes:
        number: 1 for the first attempt of a message.
        started_ms: when it was claimed.
        finished_ms: when its outcome was recorded, None = still open.
        outcome: what came of it, None = still open.
        errcode: the channel's error number.
        detail: the channel's words.
        msg_id: the channel's number of the message.
        receipt: status of the receipt (``success`` or why not), None = no receipt yet.
        receipt_ms: when the receipt came.
    """

    number: int
    started_ms: int
    finished_ms: int | None = None
    outcome: Outcome | None = None
    errcode: int | None = None
    detail: str = ""
    msg_id: str | None = None
    receipt: str | None = None
    receipt_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """An enter, exit or cross in a user's history.

    Attributes:
        u7: the user.
        time_ms: event time of the ping that showed it.
        zone_id: the zone as staff named it.
        kind: what happened.
        reason: why it was noted; ``late`` = a ping that came late showed it afterwards.
        lon: position of the user, WGS-84 degrees, None = unknown.
        lat: the same.
        revision: revision of the zone set by which it was judged.
    """

    u7: int
    time_ms: int
    zone_id: str
    kind: TransitionKind
    reason: TransitionReason
    lon: float | None
    lat: float | None
    revision: int


@dataclass(frozen=True, slots=True)
class HistoryChange:
    """What one step writes into the history: first what it withdraws, then what it adds."""

    added: Sequence[TransitionRecord] = ()
    withdrawn: Sequence[TransitionRecord] = ()


def in_history_order(records: Iterable[TransitionRecord]) -> list[TransitionRecord]:
    """Return transitions by time, exits before crosses before enters, zone."""
    return sorted(records, key=lambda record: (record.time_ms, _KINDS.index(record.kind), record.zone_id))


class Store(Identities, ReachLedger, TokenShelf, Protocol):
    """The memory that survives a crash.

    Every writing method is one transaction: all of it or nothing. Every method may be called from any thread.
    Times are epoch milliseconds UTC and are given by the caller. Every method raises ``StoreError`` when the store is
    away, closed, or refuses the request.
    """

    @property
    def inbox(self) -> Inbox:
        """Return the messages people sent; they share the store's transactions and its end."""
        ...

    @property
    def shared(self) -> Shared:
        """Return what processes on this store tell one another."""
        ...

    def put_people(self, people: Sequence[Person]) -> None:
        """Add people or replace what is known about them; consent records stay as they are.

        Raises:
            StoreError: an open_id belongs to another person already. Nobody of ``people`` is written.
        """
        ...

    def people(self) -> list[Person]:
        """Return everybody, ordered by u7."""
        ...

    def person(self, u7: int) -> Person | None:
        """Return one person, None when unknown."""
        ...

    def set_consent(self, u7: int, purpose: str, granted: bool, version: str, at_ms: int, channel: str) -> None:
        """Append a consent record; the record appended last counts, whatever its ``at_ms``.

        Withdrawing ``warnings`` ends the person's waiting messages at once with the reason ``no_consent``; withdrawing
        ``history`` erases the person's history at once.

        Args:
            u7: the person.
            purpose: what the consent is about, e.g. ``warnings``.
            granted: True = yes, False = withdrawn.
            version: version of the text the person saw.
            at_ms: when they decided.
            channel: where they decided, e.g. ``wechat-menu``.
        """
        ...

    def set_mute(self, mute: Mute, at_ms: int) -> None:
        """Note that a person does not want to hear of a zone; replaces what they said of it before."""
        ...

    def clear_mute(self, u7: int, zone_id: str) -> None:
        """Forget that a person did not want to hear of a zone."""
        ...

    def mutes(self, now_ms: int) -> list[Mute]:
        """Return the mutes that have not ended at ``now_ms``, by user and zone."""
        ...

    def set_quiet_hours(self, u7: int, hours: QuietHours | None, at_ms: int) -> None:
        """Set a person's own quiet hours, None = those of the policy hold for them again."""
        ...

    def quiet_hours(self, *, u7: int | None = None) -> dict[int, QuietHours]:
        """Return the quiet hours of everybody who has their own, by user; or of one person, if they have."""
        ...

    def forget_wishes(self, u7: int) -> None:
        """Erase the mutes and quiet hours of a person: part of erasing the person."""
        ...

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
        """Write decisions, an outbox row for each decision to send, visits, counts and history, in ONE transaction.

        With it goes ``position``, the number of the record of the journal the decisions come from; it never goes back,
        0 = there is no journal.

        A decision whose ``alert_id`` is known already changes nothing and is counted as a duplicate. A visit replaces
        the one of the same user and zone, a count the one of the same day, slot and grade; the last of several wins.
        Changes of the history are made in their order. A transition is known by user, time, zone and kind: added
        again it changes nothing, as one that is not there and is withdrawn. Of users who do not consent to
        ``history`` nothing is added.
        """
        ...

    def journal_position(self) -> int:
        """Return up to which record of the journal the decisions are here, 0 = none."""
        ...

    def history(self, u7: int, since_ms: int, until_ms: int) -> list[TransitionRecord]:
        """Return a user's transitions with ``since_ms <= time_ms < until_ms``, by time, exits before enters, zone."""
        ...

    def drop_history(self, before_ms: int) -> int:
        """Erase everybody's transitions older than ``before_ms`` and return how many there were: the retention."""
        ...

    def consenting(self, purpose: str) -> list[int]:
        """Return the users whose last record for a purpose is a yes, ascending."""
        ...

    def quota_uses(self, since_day: int) -> list[QuotaUse]:
        """Return what was asked for and sent on the local days from ``since_day`` on, in their order."""
        ...

    def claim(self, now_ms: int, *, limit: int, lease_ms: int, holder: int = 0) -> list[Message]:
        """Take up to ``limit`` messages that are due, the gravest kind first, then the oldest; start an attempt each.

        A message is due when it waits, its time has come, it is not expired, its person has an open_id and consents,
        and no earlier message of the same person is unfinished. The caller has ``lease_ms`` to call ``finish``;
        afterwards the outcome of the attempt counts as unknown. The lease must exceed the longest possible send.
        ``holder`` is the number of the process that claims.
        """
        ...

    def finish(self, outbox_id: int, result: SendResult, *, now_ms: int, retry_at_ms: int | None) -> None:
        """Record what came of the claimed attempt and move the message on.

        Args:
            outbox_id: the message, as ``claim`` gave it.
            result: what came of the attempt.
            now_ms: when the answer came.
            retry_at_ms: when to try again if the outcome allows it, None = no more tries.

        A second call for the same attempt changes nothing, except that a late answer replaces ``unknown``. Nor does
        one for a message that is not there any more: its person was erased while it was on its way.

        Raises:
            StoreError: the message is there and was never claimed.
        """
        ...

    def end_leases(self, now_ms: int, *, holder: int | None = None) -> None:
        """Count every attempt under way as lost, whatever is left of its lease: those of one holder, or None = all.

        For holders that are known to be dead: a driver who comes closer by the second must not wait for a lease
        to run out.
        """
        ...

    def lease_holders(self) -> list[int]:
        """Return the processes that have messages under way, ascending."""
        ...

    def expire(self, now_ms: int) -> int:
        """End the waiting messages whose time is over and return how many there were.

        A message that certainly never left becomes ``expired``. One with an attempt of unknown outcome becomes
        ``unknown`` already when the channel might no longer drop its repetition.
        """
        ...

    def receipt(self, msg_id: str, status: str, at_ms: int) -> bool:
        """Keep the channel's receipt; the first one for a ``msg_id`` counts.

        A status other than ``success`` turns a delivered message into a dead one (``receipt_failed``). The receipt may
        come before ``finish``.

        Returns:
            Whether an attempt has this ``msg_id``; if not, the receipt is kept and counted as unmatched.
        """
        ...

    def open_visits(self, since_ms: int) -> list[Visit]:
        """Return the visits an engine needs after a restart, by user and zone.

        These are the visits still inside and those last seen, or last warned about, at ``since_ms`` or later.
        """
        ...

    def sent_today(self, since_ms: int) -> dict[int, int]:
        """Return per user the decisions to send whose event time is ``since_ms`` or later, whatever became of them."""
        ...

    def zone_revision(self, sha256: str, now_ms: int, zones: Sequence[Zone] = ()) -> int:
        """Return the revision number of a zone set with this content: the latest one if unchanged, else the next.

        The zones of a new revision are kept where a map program can read them: in PostGIS, nowhere else.
        """
        ...

    def decisions(self, *, limit: int, u7: int | None = None, before: int | None = None) -> list[DecisionRecord]:
        """Return the newest decisions first, of one user if given, with a number below ``before`` if given."""
        ...

    def attempts(self, alert_id: str) -> list[AttemptRecord]:
        """Return the attempts to send a decision, in order."""
        ...

    def counts(self) -> dict[str, int]:
        """Return counts by dotted name.

        ``outbox.<state>`` for every state, ``ended.<reason>``, ``decision.<reason>``, ``receipt.matched`` and
        ``receipt.unmatched``. Cost: one pass over an index of each table.
        """
        ...

    def ready(self) -> None:
        """Return when the store can be written, else raise ``StoreError``."""
        ...

    @property
    def meetings(self) -> MeetingStore:
        """Return the meetings it keeps."""
        ...

    @property
    def messages(self) -> MessageLog:
        """Return the history of messages; attempts, outcomes and receipts of warnings are written into it here."""
        ...

    @property
    def webhooks(self) -> WebhookOutbox:
        """Return the events that wait for other systems."""
        ...

    def close(self) -> None:
        """Close every connection. Calling it again does nothing; any other call afterwards raises ``StoreError``."""
        ...
