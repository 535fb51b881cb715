"""The life of an outbox row as rules without a database: both stores apply these and nothing else.

pending -> sending -> delivered | pending (again) | dead | unknown | expired

The one hard case is an attempt whose outcome nobody knows (no answer, or a crash between sending and recording). The
channel drops a repetition of a client_msg_id for 10 minutes, so repeating is harmless for 9 minutes after the first
attempt and forbidden later: the message then ends as ``unknown``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.model import Alert

__all__ = [
    "DOUBT_WINDOW_MS",
    "NO_ANSWER",
    "OPEN_STATES",
    "EndReason",
    "OutboxRow",
    "OutboxState",
    "answered",
    "claimed",
    "contradicted",
    "given_up",
    "lease_lost",
    "queued",
    "withdrawn",
]

DOUBT_WINDOW_MS: Final = 9 * 60_000
"""How long after the first attempt a message in doubt may be repeated; WeChat's own window is 10 minutes."""


class OutboxState(StrEnum):
    """Where a message is in its life."""

    PENDING = "pending"
    """Waits for its (next) attempt."""
    SENDING = "sending"
    """Claimed by a relay until its lease ends."""
    DELIVERED = "delivered"
    """The channel took it and no receipt said otherwise."""
    DEAD = "dead"
    """It will not be sent and certainly did not arrive."""
    UNKNOWN = "unknown"
    """It may have arrived; it is not repeated."""
    EXPIRED = "expired"
    """It became pointless before the channel took it."""


OPEN_STATES: Final = (OutboxState.PENDING, OutboxState.SENDING)
"""The states of a message that is not finished; it holds back later messages of the same person."""


class EndReason(StrEnum):
    """Why a message ended without being delivered. Each is counted."""

    REFUSED = "refused"
    RETRIES_SPENT = "retries_spent"
    EXPIRED = "expired"
    NO_CONSENT = "no_consent"
    NO_OPEN_ID = "no_open_id"
    OUTCOME_UNKNOWN = "outcome_unknown"
    RECEIPT_FAILED = "receipt_failed"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One message in the outbox.

    Attributes:
        outbox_id: number in the order of committing.
        alert_id: the decision it carries out.
        u7: the person it goes to.
        state: where it is in its life.
        next_attempt_ms: not before this moment.
        expires_at_ms: pointless from this moment on.
        give_up_ms: no attempt starts from this moment on; earlier than ``expires_at_ms`` when in doubt.
        attempts: attempts started.
        first_attempt_ms: when the first one started, None = never tried.
        lease_until_ms: while ``sending``: when the attempt counts as lost.
        in_doubt: the outcome of some attempt is unknown.
        ended: why it ended without being delivered, empty otherwise.
        holder: the process that claimed it last.
    """

    outbox_id: int
    alert_id: str
    u7: int
    state: OutboxState
    next_attempt_ms: int
    expires_at_ms: int
    give_up_ms: int
    attempts: int = 0
    first_attempt_ms: int | None = None
    lease_until_ms: int | None = None
    in_doubt: bool = False
    ended: str = ""
    holder: int = 0


NO_ANSWER: Final = SendResult(Outcome.UNKNOWN, detail="no answer before the lease ended")
"""The result of an attempt whose relay never came back."""


def queued(alert: Alert, *, outbox_id: int, now_ms: int) -> OutboxRow:
    """Return the new row of a decision to send, due at once."""
    return OutboxRow(
        outbox_id=outbox_id,
        alert_id=alert.alert_id,
        u7=alert.u7,
        state=OutboxState.PENDING,
        next_attempt_ms=now_ms,
        expires_at_ms=alert.expires_at_ms,
        give_up_ms=alert.expires_at_ms,
    )


def claimed(row: OutboxRow, now_ms: int, lease_ms: int, holder: int = 0) -> OutboxRow:
    """Start an attempt."""
    return replace(
        row,
        state=OutboxState.SENDING,
        lease_until_ms=now_ms + lease_ms,
        holder=holder,
        attempts=row.attempts + 1,
        first_attempt_ms=now_ms if row.first_attempt_ms is None else row.first_attempt_ms,
    )


def lease_lost(row: OutboxRow) -> OutboxRow:
    """Return a claimed row to the queue, in doubt: the lease ended without an answer."""
    return replace(_doubted(row), state=OutboxState.PENDING, lease_until_ms=None)


def answered(row: OutboxRow, result: SendResult, retry_at_ms: int | None) -> OutboxRow:
    """Move a row on after its attempt was answered.

    An answer that comes after the lease ended counts only when it says the message was taken: by then the row may
    wait for its next attempt or have ended, and a refusal is found again by that attempt.
    """
    if result.outcome is Outcome.ACCEPTED:
        return replace(row, state=OutboxState.DELIVERED, lease_until_ms=None, ended="")
    if row.state is not OutboxState.SENDING:
        return row
    if result.outcome is Outcome.UNKNOWN:
        row = _doubted(row)
    if result.outcome is Outcome.REFUSED:
        return _ended(row, OutboxState.DEAD, EndReason.REFUSED)
    if retry_at_ms is None:
        return _ended(row, OutboxState.DEAD, EndReason.RETRIES_SPENT)
    if retry_at_ms >= row.give_up_ms:
        return _ended(row, OutboxState.EXPIRED, EndReason.EXPIRED)
    return replace(row, state=OutboxState.PENDING, lease_until_ms=None, next_attempt_ms=retry_at_ms)


def given_up(row: OutboxRow, *, open_id: str | None, consent: bool) -> OutboxRow:
    """End a waiting row whose time is over, and name why it was not delivered in that time."""
    if open_id is None:
        return _ended(row, OutboxState.EXPIRED, EndReason.NO_OPEN_ID)
    if not consent:
        return _ended(row, OutboxState.EXPIRED, EndReason.NO_CONSENT)
    return _ended(row, OutboxState.EXPIRED, EndReason.EXPIRED)


def withdrawn(row: OutboxRow) -> OutboxRow:
    """End a waiting row because the person withdrew their consent."""
    return _ended(row, OutboxState.DEAD, EndReason.NO_CONSENT)


def contradicted(row: OutboxRow, status: str) -> OutboxRow:
    """Apply a receipt: one that reports a failure turns a delivered row into a dead one."""
    if row.state is not OutboxState.DELIVERED or status.strip().lower() == "success":
        return row
    return replace(row, state=OutboxState.DEAD, ended=EndReason.RECEIPT_FAILED)


def _doubted(row: OutboxRow) -> OutboxRow:
    first_ms = row.next_attempt_ms if row.first_attempt_ms is None else row.first_attempt_ms
    return replace(row, in_doubt=True, give_up_ms=min(row.expires_at_ms, first_ms + DOUBT_WINDOW_MS))


def _ended(row: OutboxRow, state: OutboxState, reason: EndReason) -> OutboxRow:
    if row.in_doubt:
        state, reason = OutboxState.UNKNOWN, EndReason.OUTCOME_UNKNOWN
    return replace(row, state=state, lease_until_ms=None, ended=reason)
