"""What the outbox hands to a channel and what a channel answers: shared by every store and sender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from geo_engine.alerting.reach import Channel
from geo_engine.model import Alert, Language

__all__ = ["Message", "MessageSender", "Outcome", "SendResult"]


class Outcome(StrEnum):
    """How an attempt to send ended."""

    ACCEPTED = "accepted"
    """The channel took it and gave a message id; a receipt may follow."""
    RETRY = "retry"
    """Not taken, may be tried again later with the same client_msg_id."""
    REFUSED = "refused"
    """Never going to be taken; no retry."""
    STOP = "stop"
    """Nothing can be sent at all until an operator acts (bad secret, IP not allowed)."""
    UNKNOWN = "unknown"
    """Nobody knows whether it was taken (the answer never came)."""


@dataclass(frozen=True, slots=True)
class Message:
    """One outbox row ready to be sent.

    Attributes:
        outbox_id: number of the outbox row.
        alert: the decision it came from.
        open_id: the person's id at the channel.
        plate: licence plate to show, None when unknown.
        language: language of the person.
        client_msg_id: the dedupe key given to the channel, the same at every attempt.
        attempts: attempts made before this one.
    """

    outbox_id: int
    alert: Alert
    open_id: str
    plate: str | None
    language: Language
    client_msg_id: str
    attempts: int


@dataclass(frozen=True, slots=True)
class SendResult:
    """What came of one attempt.

    Attributes:
        outcome: how it ended.
        errcode: the channel's error number, 0 = taken, None = it did not answer.
        detail: the channel's words, or ours.
        msg_id: the channel's number of the message.
        retry_after_s: the channel's wish, None = the relay's own back-off.
        in_doubt: something else than the channel answered, or nothing did: it may have been taken all the same.
        reached: False = it failed before the channel saw the message (no token).
        repeatable: False = the channel knows no dedupe key, so after a doubt nothing may be sent again.
        channel: the way it took, None = it did not leave, or nobody chose a way. It does not count in comparisons.
    """

    outcome: Outcome
    errcode: int | None = None
    detail: str = ""
    msg_id: str | None = None
    retry_after_s: float | None = None
    in_doubt: bool = False
    reached: bool = True
    repeatable: bool = True
    channel: Channel | None = field(default=None, compare=False)


class MessageSender(Protocol):
    """A channel that takes messages. Implementations never raise for what the channel answers."""

    def send(self, message: Message, *, why_not: Callable[[], str] = lambda: "") -> SendResult:
        """Try to send ``message`` once and say what came of it.

        ``why_not`` is asked at the last moment before anything leaves and says why it must not, empty if it may; the
        answer is then RETRY.
        """
        ...
