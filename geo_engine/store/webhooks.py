"""Events on their way to other systems, and the outbox they wait in."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

__all__ = [
    "ZONE_EVENTS",
    "EventType",
    "NewEvent",
    "WebhookOutbox",
    "WebhookRow",
    "WebhookState",
    "Worked",
    "new_event_id",
]


class EventType(StrEnum):
    """What an event says; the name of its CloudEvents type."""

    MESSAGE_RECEIVED = "geo-engine.message.received"
    MESSAGE_SENT = "geo-engine.message.sent"
    MESSAGE_DELIVERED = "geo-engine.message.delivered"
    MESSAGE_FAILED = "geo-engine.message.failed"
    ZONE_ENTERED = "geo-engine.zone.entered"
    ZONE_EXITED = "geo-engine.zone.exited"
    ZONE_CROSSED = "geo-engine.zone.crossed"
    ZONE_WITHDRAWN = "geo-engine.zone.withdrawn"
    """A transition told earlier did not happen: a ping that came late showed it."""
    HISTORY_WITHDRAWN = "geo-engine.history.withdrawn"
    """Forget where this number was: the person agrees no more that it is kept."""
    PERSON_ERASED = "geo-engine.person.erased"
    """Forget everything of this number."""


ZONE_EVENTS: Final = (
    EventType.ZONE_ENTERED,
    EventType.ZONE_EXITED,
    EventType.ZONE_CROSSED,
    EventType.ZONE_WITHDRAWN,
)
"""Events that say where somebody was: of people who consent to ``history`` only."""


class WebhookState(StrEnum):
    """Where an event is in its life; one that was taken is gone."""

    WAITING = "waiting"
    DEAD = "dead"
    """Its time was over, or its endpoint is gone; nobody tries again."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to tell.

    Attributes:
        type: what it says.
        subject: what it is about, such as ``message/17``.
        time_ms: when that happened.
        data: what it says in full, as a JSON object.
        u7: whose it is: it goes when the person is erased. None = nobody's, or it tells of the erasure itself.
    """

    type: EventType
    subject: str
    time_ms: int
    data: str
    u7: int | None


@dataclass(frozen=True, slots=True)
class WebhookRow:
    """An event on its way to one endpoint.

    Attributes:
        number: of the row.
        event_id: of the event, the same at every endpoint and attempt.
        endpoint: the name of the receiver.
        event: what is told.
        attempts: attempts begun.
        expires_ms: no attempt from then on.
    """

    number: int
    event_id: str
    endpoint: str
    event: NewEvent
    attempts: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Worked:
    """What came of an attempt.

    Attributes:
        number: of the row.
        reason: why it failed, empty = it was taken.
        retry_at_ms: when to try again; None = never.
    """

    number: int
    reason: str = ""
    retry_at_ms: int | None = None


class WebhookOutbox(Protocol):
    """Events that wait for their receivers, each at least once.

    The store writes them in the transaction of what they tell, once ``tell`` named receivers. Any thread may call;
    ``StoreError`` when the store is away.
    """

    def tell(self, endpoints: Sequence[str], lasts_ms: int) -> None:
        """Write events for these receivers from now on, each good for ``lasts_ms``; none = write none."""
        ...

    def claim(self, endpoint: str, now_ms: int, *, limit: int, lease_ms: int) -> list[WebhookRow]:
        """Take waiting events of a receiver that are due, the oldest first, and begin an attempt of each.

        Without a ``finish`` within ``lease_ms`` an event can be taken again.
        """
        ...

    def finish(self, results: Sequence[Worked]) -> None:
        """Record what came of attempts in one transaction; an event that was taken or erased is gone."""
        ...

    def expire(self, now_ms: int, keep_ms: int) -> int:
        """Set events aside whose time is over, erase those set aside ``keep_ms`` ago, return how many were set aside.

        This is done for every receiver, also one nobody names any more.
        """
        ...

    def counts(self) -> dict[str, int]:
        """Return how many events are in each state."""
        ...


def new_event_id() -> str:
    """Return the id of an event: random, as the specification of the signatures asks."""
    return f"msg_{secrets.token_hex(16)}"
