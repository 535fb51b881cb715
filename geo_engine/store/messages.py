"""The history of messages: who was told or said what, when, where, why and how. One contract, two implementations.

LOCATION events are positions, not messages, and are not here; neither are codes of short messages, nor what WeChat
reports about messages of ours (that changes the outcome of the message it is about).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol

from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.model import Alert
from geo_engine.store.lifecycle import OutboxRow, OutboxState

__all__ = [
    "EVENT_KINDS",
    "KINDS",
    "MESSAGE_KINDS",
    "Cursor",
    "Direction",
    "MessageFilter",
    "MessageLog",
    "MessageOutcome",
    "MessageRecord",
    "NewMessage",
    "OutKind",
    "after_attempt",
    "after_receipt",
    "answer_outcome",
    "day_of",
    "hashed",
    "outbox_outcome",
    "warning_message",
    "was_attempted",
    "without_code",
]

_BEIJING_MS: Final = 8 * 3_600_000
_DAY_MS: Final = 86_400_000
_CODE: Final = re.compile(r"\s*[0-9]{6}\s*", re.ASCII)
_CODE_SHOWN: Final = "******"


class Direction(StrEnum):
    """Which way a message went."""

    IN = "in"
    OUT = "out"


class OutKind(StrEnum):
    """What a message of ours is."""

    WARNING = "warning"
    ANSWER = "answer"
    NOTICE = "notice"
    """Somebody or something of a meeting is near."""


MESSAGE_KINDS: Final = frozenset(("text", "image", "voice", "video", "shortvideo", "link", "location"))
"""What people say."""

EVENT_KINDS: Final = frozenset(
    (
        *("subscribe", "unsubscribe", "scan", "click", "view", "view_miniprogram", "scancode_push", "scancode_waitmsg"),
        *("pic_sysphoto", "pic_photo_or_album", "pic_weixin", "location_select", "subscription"),
        *("subscription_change", "authorization_revoke", "authorization_cancellation", "user_info_modified", "other"),
    )
)
"""What people do in the account's chat."""

KINDS: Final = frozenset((*OutKind, *MESSAGE_KINDS, *EVENT_KINDS))
"""Every kind a message of the history can have."""


class MessageOutcome(StrEnum):
    """What became of a message; the reasons of ``lifecycle.EndReason`` are here too. The values stand in the store."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    """The channel took it."""
    DELIVERED = "delivered"
    """The channel's receipt says that it arrived."""
    RETRY = "retry"
    """Not taken; it is tried again."""
    REFUSED = "refused"
    RETRIES_SPENT = "retries_spent"
    EXPIRED = "expired"
    NO_CONSENT = "no_consent"
    NO_OPEN_ID = "no_open_id"
    OUTCOME_UNKNOWN = "outcome_unknown"
    """Nobody knows whether it arrived; it is not repeated."""
    RECEIPT_FAILED = "receipt_failed"
    """The channel took it, and its receipt says that it did not arrive."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to keep, or the next attempt of one.

    Attributes:
        key: equal for the attempts of one message and for repeats of one push, and for nothing else.
        u7: the person.
        direction: from them or to them.
        kind: one of ``KINDS``; a kind this program does not know is kept.
        event_ms: when it was sent, by its sender's clock; of a warning, when its first attempt was recorded.
        recorded_ms: when it was recorded.
        text: what it says.
        title: what it is about in a few words: the names of zones, the label of a place.
        zones: ids of the zones it is about; read from a store they are in the order of their names.
        lon: where, WGS-84 degrees: of a warning the person, of a message in the place it names. Kept only of people
            who consent to ``history``.
        lat: the same.
        datum: the datum the place was given in, empty without one.
        why: the rule or the question it answers, in words.
        cause: the alert id of a warning, the key of the message that is answered.
        channel: the way it took: ``callback`` in, a value of ``alerting.reach.Channel`` out.
        outcome: what became of it.
        attempts: attempts so far.
        errcode: the channel's error number.
        detail: the channel's words.
        msg_id: the channel's number of the message.
    """

    key: str
    u7: int
    direction: Direction
    kind: str
    event_ms: int
    recorded_ms: int
    text: str = ""
    title: str = ""
    zones: tuple[str, ...] = ()
    lon: float | None = None
    lat: float | None = None
    datum: str = ""
    why: str = ""
    cause: str = ""
    channel: str = ""
    outcome: MessageOutcome = MessageOutcome.RECEIVED
    attempts: int = 1
    errcode: int | None = None
    detail: str = ""
    msg_id: str | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the order of messages; a page begins after it."""

    event_ms: int
    number: int


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message as it is kept.

    Attributes:
        number: given in the order of recording.
        message: what was kept.
        phone: the person's phone when it was recorded, None = none was bound.
        plate: plate of the vehicle they drove then, None = unknown.
        receipt: the channel's receipt, None = none yet.
        receipt_ms: when it came.
    """

    number: int
    message: NewMessage
    phone: str | None = None
    plate: str | None = None
    receipt: str | None = None
    receipt_ms: int | None = None

    @property
    def cursor(self) -> Cursor:
        """Return where the next page begins when this is the last of one."""
        return Cursor(self.message.event_ms, self.number)


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What to look for; None and empty = whatever it is.

    Attributes:
        u7: the person.
        phone: eleven digits, as it was bound when the message was recorded.
        plate: plate of the vehicle, whole.
        zone_id: a zone the message is about.
        kind: kind of the message.
        direction: in or out.
        since_ms: not before this moment.
        until_ms: before this moment.
        text: stands in text, title or reason; capital letters A to Z count as small ones, nothing is a wildcard.
    """

    u7: int | None = None
    phone: str | None = None
    plate: str | None = None
    zone_id: str | None = None
    kind: str | None = None
    direction: Direction | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    text: str = ""


class MessageLog(Protocol):
    """The history of messages. Any thread may call; ``StoreError`` when the store is away.

    Besides ``note`` the store writes here itself, in the same transaction: attempts of warnings with
    ``Store.finish``, what became of them with the outbox, receipts with ``Store.receipt``.
    """

    def note(self, messages: list[NewMessage]) -> int:
        """Keep messages in one transaction and return how many were new.

        Phone and plate are those of the person at this moment. A known key changes outcome, channel, attempts,
        errcode, detail and msg_id, and never a message that was accepted. Of a person the store does not know only the
        tally is kept. A place is left out without a consent to ``history``.
        """
        ...

    def search(self, wanted: MessageFilter, *, limit: int, after: Cursor | None = None) -> list[MessageRecord]:
        """Return messages, those that happened last first, from after ``after`` on.

        Cost: an index gives the order for every filter but ``text``, which looks at each message the others leave.
        """
        ...

    def drop(self, before_ms: Mapping[str, int], others_ms: int) -> int:
        """Erase messages that happened before the moment of their kind, and return how many there were.

        Args:
            before_ms: moment by kind.
            others_ms: moment of every other kind.
        """
        ...

    def tally(self) -> dict[tuple[int, Direction, str], int]:
        """Return how many messages there were by day in Beijing (since 1970), direction and kind: nobody is in it.

        It outlives erasure and retention.
        """
        ...


def hashed(*parts: str) -> str:
    """Return a key that shows nothing of its parts: keys of pushes hold the OpenID."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def without_code(text: str) -> str:
    """Return ``text``, hidden when it is nothing but six digits: the code of a short message typed in the chat."""
    return _CODE_SHOWN if _CODE.fullmatch(text) else text


def day_of(time_ms: int) -> int:
    """Return the number of the day in Beijing."""
    return (time_ms + _BEIJING_MS) // _DAY_MS


def was_attempted(result: SendResult) -> bool:
    """Say whether the channel saw the message, or may have."""
    return result.channel is not None or result.outcome in (Outcome.ACCEPTED, Outcome.UNKNOWN)


def outbox_outcome(row: OutboxRow) -> MessageOutcome:
    """Return what the outbox says became of a message."""
    if row.state is OutboxState.DELIVERED:
        return MessageOutcome.ACCEPTED
    return MessageOutcome(str(row.ended)) if row.ended else MessageOutcome.RETRY


def warning_message(
    alert: Alert, row: OutboxRow, result: SendResult, now_ms: int, zones: tuple[str, ...] = ()
) -> NewMessage:
    """Return the message of a warning after an attempt.

    Args:
        alert: the decision.
        row: its outbox row after the attempt.
        result: what came of the attempt; it has a channel.
        now_ms: when that was known.
        zones: further zones the message tells of.
    """
    return NewMessage(
        key=f"warning:{alert.alert_id}",
        u7=alert.u7,
        direction=Direction.OUT,
        kind=OutKind.WARNING,
        event_ms=now_ms,
        recorded_ms=now_ms,
        text=alert.text,
        title="、".join((alert.zone_name, *alert.also_names)),
        zones=(alert.zone_id, *(zone for zone in zones if zone != alert.zone_id)),
        lon=alert.lon,
        lat=alert.lat,
        datum="wgs84",
        why=f"{alert.trigger.value}: {alert.why}" if alert.why else alert.trigger.value,
        cause=alert.alert_id,
        channel="" if result.channel is None else result.channel.value,
        outcome=outbox_outcome(row),
        attempts=row.attempts,
        errcode=result.errcode,
        detail=result.detail,
        msg_id=result.msg_id,
    )


_CLOSED: Final = frozenset((MessageOutcome.ACCEPTED, MessageOutcome.DELIVERED, MessageOutcome.RECEIPT_FAILED))


def after_attempt(known: NewMessage, new: NewMessage) -> NewMessage:
    """Return a known message after its next attempt; what was accepted stays so."""
    if known.outcome in _CLOSED or known.direction is Direction.IN:
        return known
    return replace(
        known,
        channel=new.channel or known.channel,
        outcome=new.outcome,
        attempts=max(known.attempts, new.attempts),
        errcode=new.errcode,
        detail=new.detail,
        msg_id=new.msg_id or known.msg_id,
    )


def after_receipt(known: NewMessage, status: str) -> NewMessage:
    """Return a known message after the channel's receipt; it arrived also when nobody knew whether it was taken."""
    good = status.strip().lower() == "success"
    return replace(known, outcome=MessageOutcome.DELIVERED if good else MessageOutcome.RECEIPT_FAILED)


def answer_outcome(result: SendResult) -> MessageOutcome:
    """Return what the result of a message without an outbox row means."""
    match result.outcome:
        case Outcome.ACCEPTED:
            return MessageOutcome.ACCEPTED
        case Outcome.REFUSED:
            return MessageOutcome.REFUSED
        case Outcome.UNKNOWN:
            return MessageOutcome.OUTCOME_UNKNOWN
        case _:
            return MessageOutcome.RETRY
