"""The rules of an outbox row, without any store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.store.lifecycle import (
    DOUBT_WINDOW_MS,
    EndReason,
    OutboxRow,
    OutboxState,
    answered,
    claimed,
    contradicted,
    given_up,
    lease_lost,
    withdrawn,
)

T0 = 1_700_000_000_000
FAR_MS = T0 + 10**8
WAITING = OutboxRow(1, "a", 7, OutboxState.PENDING, next_attempt_ms=T0, expires_at_ms=FAR_MS, give_up_ms=FAR_MS)
SENDING = claimed(WAITING, T0, 60_000)
DOUBTED = lease_lost(SENDING)
DELIVERED = answered(SENDING, SendResult(Outcome.ACCEPTED), None)


def test_the_first_attempt_is_remembered_and_later_ones_do_not_move_it() -> None:
    again = claimed(lease_lost(SENDING), T0 + 70_000, 60_000)
    assert (SENDING.first_attempt_ms, SENDING.attempts, SENDING.lease_until_ms) == (T0, 1, T0 + 60_000)
    assert (again.first_attempt_ms, again.attempts, again.lease_until_ms) == (T0, 2, T0 + 130_000)


@pytest.mark.parametrize("life_ms", [DOUBT_WINDOW_MS - 1, DOUBT_WINDOW_MS, DOUBT_WINDOW_MS + 1])
def test_doubt_ends_the_tries_at_the_window_or_the_expiry_whichever_is_first(life_ms: int) -> None:
    row = lease_lost(replace(SENDING, expires_at_ms=T0 + life_ms, give_up_ms=T0 + life_ms))
    assert row.in_doubt
    assert row.give_up_ms == T0 + min(life_ms, DOUBT_WINDOW_MS)


def test_a_retry_without_doubt_leaves_the_time_to_give_up_alone() -> None:
    row = answered(SENDING, SendResult(Outcome.RETRY), T0 + 5)
    assert (row.state, row.give_up_ms, row.in_doubt, row.lease_until_ms) == (OutboxState.PENDING, FAR_MS, False, None)


@pytest.mark.parametrize(
    ("row", "state", "reason"),
    [
        (WAITING, OutboxState.EXPIRED, EndReason.EXPIRED),
        (DOUBTED, OutboxState.UNKNOWN, EndReason.OUTCOME_UNKNOWN),
    ],
)
def test_giving_up_says_whether_the_message_may_have_arrived(
    row: OutboxRow, state: OutboxState, reason: EndReason
) -> None:
    ended = given_up(row, open_id="o", consent=True)
    assert (ended.state, ended.ended) == (state, reason)


def test_withdrawing_in_doubt_leaves_the_outcome_unknown() -> None:
    assert withdrawn(WAITING).state is OutboxState.DEAD
    assert withdrawn(DOUBTED).state is OutboxState.UNKNOWN


@pytest.mark.parametrize("status", ["success", " Success ", "SUCCESS"])
def test_a_receipt_of_success_changes_nothing(status: str) -> None:
    assert contradicted(DELIVERED, status) == DELIVERED


@pytest.mark.parametrize("status", ["failed:user block", "failed: system failed", ""])
def test_any_other_receipt_ends_a_delivered_message_and_no_other(status: str) -> None:
    assert contradicted(DELIVERED, status).state is OutboxState.DEAD
    assert contradicted(SENDING, status) == SENDING


@pytest.mark.parametrize("row", [DOUBTED, given_up(DOUBTED, open_id="o", consent=True), DELIVERED])
def test_a_late_answer_that_it_was_not_taken_changes_nothing(row: OutboxRow) -> None:
    for outcome in (Outcome.RETRY, Outcome.REFUSED, Outcome.STOP, Outcome.UNKNOWN):
        assert answered(row, SendResult(outcome), T0) == row
    assert answered(row, SendResult(Outcome.ACCEPTED), None).state is OutboxState.DELIVERED
