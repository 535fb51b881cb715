"""What a store promises about messages people sent: on disk before the answer, handled in order, or set aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Handled", "InboundRecord", "InboundState", "Inbox", "NewInbound"]


class InboundState(StrEnum):
    """Where a message is in its life."""

    WAITING = "waiting"
    """To be handled, or being handled."""
    DONE = "done"
    FAILED = "failed"
    """Set aside with its reason; nobody tries again."""


@dataclass(frozen=True, slots=True)
class NewInbound:
    """A message to keep.

    Attributes:
        key: equal for repeats of the same message.
        openid: the person.
        kind: what it is about.
        time_ms: when it happened.
        payload: the message as JSON.
    """

    key: str
    openid: str
    kind: str
    time_ms: int
    payload: str


@dataclass(frozen=True, slots=True)
class InboundRecord:
    """A message as it is kept.

    Attributes:
        number: later messages have greater ones; some may be left out.
        message: what was kept.
        received_ms: when it came.
        state: where it is in its life.
        attempts: attempts to handle it that were begun.
        reason: why the last attempt failed, empty = none did.
    """

    number: int
    message: NewInbound
    received_ms: int
    state: InboundState
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class Handled:
    """What came of an attempt.

    Attributes:
        number: of the message.
        reason: why it failed, empty = it is done.
        retry_at_ms: try again then; None = it is done, or set aside for ``reason``.
        forget: keep no longer what the message said, only that there was one.
        drop: keep nothing of it, not even from whom it was.
    """

    number: int
    reason: str = ""
    retry_at_ms: int | None = None
    forget: bool = False
    drop: bool = False


class Inbox(Protocol):
    """The messages people sent. Rows are added and erased; of a row only its life changes.

    Every writing method is one transaction and is on disk when it returns. Any thread may call. Every method raises
    ``StoreError`` when the store is away.
    """

    def add(self, messages: Sequence[NewInbound], now_ms: int) -> int:
        """Keep messages and return how many were new; one whose key is known changes nothing."""
        ...

    def claim(self, now_ms: int, *, limit: int, lease_ms: int) -> list[InboundRecord]:
        """Take up to ``limit`` waiting messages, the oldest first, and begin an attempt of each.

        Of one person only the oldest unfinished message can be taken, so theirs are handled in order. Without a
        ``finish`` within ``lease_ms`` a message can be taken again.
        """
        ...

    def finish(self, results: Sequence[Handled]) -> None:
        """Record what came of attempts; one that is finished or erased is left alone."""
        ...

    def reopen(self, now_ms: int) -> int:
        """Give back everything under way and return how many messages wait: for the start of the only process."""
        ...

    def set_aside(self, limit: int) -> list[InboundRecord]:
        """Return the newest messages that failed."""
        ...

    def erase(self, openid: str) -> int:
        """Erase everything a person sent, handled or not, and return how many messages there were."""
        ...

    def drop(self, before_ms: int) -> int:
        """Erase finished messages that came before a moment, and return how many there were: the retention."""
        ...

    def counts(self) -> dict[str, int]:
        """Return how many messages are in each state."""
        ...
