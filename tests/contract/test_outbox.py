"""What every store promises about the outbox: claim, answer, doubt, expiry, receipts."""

from __future__ import annotations

import pytest

from geo_engine.alerting.message import Outcome, SendResult
from geo_engine.errors import StoreError
from geo_engine.model import ZoneKind
from geo_engine.people.erasure import Erasure, ErasureReason
from geo_engine.store import Person, Store
from geo_engine.store.lifecycle import DOUBT_WINDOW_MS, OutboxState
from tests.contract.stores import (
    ACCEPTED,
    LEASE,
    REFUSED,
    RETRY,
    STOP,
    T0,
    UNKNOWN,
    a_person,
    an_alert,
    claimed,
    consent,
    numbers,
    state_of,
)

# ---- claim


def test_a_claimed_message_is_not_claimed_again_within_its_lease(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    assert numbers(claimed(store)) == [1]
    assert claimed(store, T0 + LEASE - 1) == []


def test_messages_of_one_person_leave_one_after_the_other(store: Store) -> None:
    store.commit([an_alert(1, u7=1), an_alert(2, u7=1), an_alert(3, u7=2)], [], now_ms=T0)
    first = claimed(store)
    assert numbers(first) == [1, 3]
    store.finish(first[0].outbox_id, RETRY, now_ms=T0, retry_at_ms=T0 + 1_000)
    assert claimed(store) == []
    again = claimed(store, T0 + 1_000)
    assert numbers(again) == [1]
    store.finish(again[0].outbox_id, ACCEPTED, now_ms=T0 + 1_000, retry_at_ms=None)
    assert numbers(claimed(store, T0 + 1_000)) == [2]


def test_no_more_than_the_limit_is_claimed_oldest_first(store: Store) -> None:
    store.commit([an_alert(number, u7=number) for number in range(1, 6)], [], now_ms=T0)
    assert numbers(claimed(store, limit=2)) == [1, 2]
    assert claimed(store, limit=0) == []
    assert claimed(store, limit=-1) == []
    assert numbers(claimed(store, limit=9)) == [3, 4, 5]


def test_the_gravest_kind_is_claimed_first_but_never_out_of_a_persons_order(store: Store) -> None:
    kinds = [ZoneKind.CONGESTION, ZoneKind.CONSTRUCTION, ZoneKind.TRUCK_RESTRICTION, ZoneKind.TRUCK_RESTRICTION]
    users = [1, 2, 3, 1]
    alerts = [an_alert(n, u7=u7, kind=kind) for n, (u7, kind) in enumerate(zip(users, kinds, strict=True), start=1)]
    store.commit(alerts, [], now_ms=T0)
    assert numbers(claimed(store, limit=2)) == [3, 2]
    # The second message of person 1 is grave, and still waits for the first.
    assert numbers(claimed(store)) == [1]


def test_an_expired_message_is_not_claimed(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    assert claimed(store, T0 + 120_000) == []
    assert numbers(claimed(store, T0 + 119_999)) == [1]


@pytest.mark.parametrize("person", [None, a_person(open_id=None)], ids=["stranger", "no open_id"])
def test_a_message_waits_until_its_person_has_an_open_id(empty: Store, person: Person | None) -> None:
    consent(empty, 7)
    empty.put_people([] if person is None else [person])
    empty.commit([an_alert(1)], [], now_ms=T0)
    assert claimed(empty) == []
    empty.put_people([a_person(7)])
    assert numbers(claimed(empty)) == [1]


def test_a_message_is_not_claimed_without_consent(empty: Store) -> None:
    empty.put_people([a_person()])
    empty.commit([an_alert(1)], [], now_ms=T0)
    assert claimed(empty) == []
    consent(empty, 7)
    assert numbers(claimed(empty)) == [1]


def test_withdrawn_consent_ends_the_waiting_messages_of_that_person_only(store: Store) -> None:
    store.commit([an_alert(1, u7=1), an_alert(2, u7=2)], [], now_ms=T0)
    consent(store, 1, granted=False)
    consent(store, 1, granted=True)
    assert numbers(claimed(store)) == [2]
    assert state_of(store, 1) is OutboxState.DEAD
    assert store.counts()["ended.no_consent"] == 1


def test_withdrawn_consent_stops_the_next_attempt_of_a_message_under_way(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    (message,) = claimed(store)
    consent(store, 7, granted=False)
    store.finish(message.outbox_id, RETRY, now_ms=T0, retry_at_ms=T0)
    assert claimed(store) == []
    assert store.expire(T0 + 120_000) == 1
    assert store.counts()["ended.no_consent"] == 1


# ---- finish


@pytest.mark.parametrize(
    ("result", "retry_at_ms", "state", "ended"),
    [
        (ACCEPTED, None, OutboxState.DELIVERED, ""),
        (ACCEPTED, T0 + 1, OutboxState.DELIVERED, ""),
        (RETRY, T0 + 1, OutboxState.PENDING, ""),
        (RETRY, None, OutboxState.DEAD, "retries_spent"),
        (RETRY, T0 + 120_000, OutboxState.EXPIRED, "expired"),
        (STOP, T0 + 1, OutboxState.PENDING, ""),
        (REFUSED, T0 + 1, OutboxState.DEAD, "refused"),
        (UNKNOWN, T0 + 1, OutboxState.PENDING, ""),
        (UNKNOWN, None, OutboxState.UNKNOWN, "outcome_unknown"),
        (UNKNOWN, T0 + 120_000, OutboxState.UNKNOWN, "outcome_unknown"),
    ],
)
def test_an_outcome_moves_the_message_on(
    store: Store, result: SendResult, retry_at_ms: int | None, state: OutboxState, ended: str
) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    (message,) = claimed(store)
    store.finish(message.outbox_id, result, now_ms=T0 + 40, retry_at_ms=retry_at_ms)
    (found,) = store.decisions(limit=1)
    assert (found.state, found.ended, found.attempts) == (state, ended, 1)
    (attempt,) = store.attempts(message.client_msg_id)
    assert (attempt.number, attempt.started_ms, attempt.finished_ms) == (1, T0, T0 + 40)
    assert (attempt.outcome, attempt.errcode, attempt.detail) == (result.outcome, result.errcode, result.detail)
    assert attempt.msg_id == result.msg_id


def test_a_retried_message_keeps_its_key_and_counts_its_attempts(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    for attempts in range(3):
        (message,) = claimed(store, T0 + attempts)
        assert (message.client_msg_id, message.attempts) == (f"{1:032x}", attempts)
        store.finish(message.outbox_id, RETRY, now_ms=T0, retry_at_ms=T0 + attempts + 1)
    assert [attempt.number for attempt in store.attempts(f"{1:032x}")] == [1, 2, 3]


def test_finishing_twice_changes_nothing(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    (message,) = claimed(store)
    store.finish(message.outbox_id, REFUSED, now_ms=T0, retry_at_ms=None)
    store.finish(message.outbox_id, ACCEPTED, now_ms=T0 + 9, retry_at_ms=None)
    assert state_of(store) is OutboxState.DEAD
    assert store.attempts(message.client_msg_id)[0].outcome is Outcome.REFUSED


def test_finishing_what_was_never_claimed_is_refused(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    with pytest.raises(StoreError, match="found no attempt for outbox_id 1"):
        store.finish(1, ACCEPTED, now_ms=T0, retry_at_ms=None)


def test_a_message_whose_person_was_erased_on_its_way_ends_without_a_word(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    (message,) = claimed(store)
    store.begin_erasure(Erasure("e" * 32, message.alert.u7, ErasureReason.UNSUBSCRIBED, T0))
    for result in (ACCEPTED, REFUSED):
        store.finish(message.outbox_id, result, now_ms=T0, retry_at_ms=T0 + 9)
    assert (store.decisions(limit=9), store.attempts(message.client_msg_id)) == ([], [])


# ---- doubt: an attempt whose outcome nobody knows


def test_a_lost_lease_is_repeated_with_the_same_key(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    claimed(store)
    (message,) = claimed(store, T0 + LEASE)
    assert (message.client_msg_id, message.attempts) == (f"{1:032x}", 1)
    first, second = store.attempts(f"{1:032x}")
    assert (first.outcome, first.finished_ms) == (Outcome.UNKNOWN, T0 + LEASE)
    assert second.outcome is None


def test_ended_leases_are_repeated_at_once_and_in_doubt(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    claimed(store)
    assert claimed(store, T0 + 1) == []
    store.end_leases(T0 + 1)
    (message,) = claimed(store, T0 + 1)
    assert (message.client_msg_id, message.attempts) == (f"{1:032x}", 1)
    assert store.attempts(f"{1:032x}")[0].outcome is Outcome.UNKNOWN


def test_ending_leases_touches_no_message_that_waits_or_is_done(store: Store) -> None:
    store.commit([an_alert(1), an_alert(2, u7=8)], [], now_ms=T0)
    (first, _) = claimed(store)
    store.finish(first.outbox_id, ACCEPTED, now_ms=T0, retry_at_ms=None)
    store.end_leases(T0 + 1)
    counts = store.counts()
    assert (counts["outbox.delivered"], counts["outbox.pending"]) == (1, 1)


@pytest.mark.parametrize("doubt", ["lease", "answer"])
def test_a_message_in_doubt_is_repeated_only_within_nine_minutes(store: Store, doubt: str) -> None:
    store.commit([an_alert(1, expires_at_ms=T0 + 10**8)], [], now_ms=T0)
    (message,) = claimed(store)
    if doubt == "answer":
        store.finish(message.outbox_id, UNKNOWN, now_ms=T0 + 10, retry_at_ms=T0 + 20)
    last_ms = T0 + DOUBT_WINDOW_MS - 1
    (message,) = claimed(store, last_ms)
    store.finish(message.outbox_id, RETRY, now_ms=last_ms, retry_at_ms=last_ms)
    assert store.expire(last_ms) == 0
    assert claimed(store, last_ms + 1) == []
    assert store.expire(last_ms + 1) == 1
    assert state_of(store) is OutboxState.UNKNOWN
    assert store.counts()["ended.outcome_unknown"] == 1
    assert claimed(store, last_ms + 1) == []


def test_a_message_without_doubt_is_repeated_also_after_nine_minutes(store: Store) -> None:
    store.commit([an_alert(1, expires_at_ms=T0 + 10**8)], [], now_ms=T0)
    (message,) = claimed(store)
    store.finish(message.outbox_id, RETRY, now_ms=T0, retry_at_ms=T0 + DOUBT_WINDOW_MS)
    assert numbers(claimed(store, T0 + DOUBT_WINDOW_MS)) == [1]


def test_a_message_in_doubt_is_not_repeated_once_it_is_pointless(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    claimed(store)
    assert claimed(store, T0 + 120_000) == []
    assert store.expire(T0 + 120_000) == 1
    assert state_of(store) is OutboxState.UNKNOWN


def test_a_refusal_after_doubt_leaves_the_outcome_unknown(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    claimed(store)
    (message,) = claimed(store, T0 + LEASE)
    store.finish(message.outbox_id, REFUSED, now_ms=T0 + LEASE, retry_at_ms=None)
    assert state_of(store) is OutboxState.UNKNOWN


@pytest.mark.parametrize(
    ("result", "state"),
    [(ACCEPTED, OutboxState.DELIVERED), (REFUSED, OutboxState.UNKNOWN), (RETRY, OutboxState.UNKNOWN)],
)
def test_an_answer_after_the_end_counts_only_when_it_says_taken(
    store: Store, result: SendResult, state: OutboxState
) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    (message,) = claimed(store)
    assert store.expire(T0 + 120_000) == 1
    store.finish(message.outbox_id, result, now_ms=T0 + 120_001, retry_at_ms=T0 + 120_002)
    assert state_of(store) is state
    assert store.attempts(message.client_msg_id)[0].outcome is result.outcome
    assert claimed(store, T0 + 120_002) == []


# ---- expire


def test_what_was_never_sent_expires_and_frees_the_next(store: Store) -> None:
    store.commit([an_alert(1), an_alert(2, expires_at_ms=T0 + 200_000)], [], now_ms=T0)
    assert store.expire(T0 + 119_999) == 0
    assert store.expire(T0 + 120_000) == 1
    assert state_of(store, 1) is OutboxState.EXPIRED
    assert store.counts()["ended.expired"] == 1
    assert numbers(claimed(store, T0 + 120_000)) == [2]


def test_what_was_only_retried_expires(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    (message,) = claimed(store)
    store.finish(message.outbox_id, RETRY, now_ms=T0, retry_at_ms=T0 + 1_000)
    assert store.expire(T0 + 120_000) == 1
    assert state_of(store) is OutboxState.EXPIRED


def test_what_is_on_its_way_does_not_expire_before_its_lease(store: Store) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    claimed(store, T0 + 119_000)
    assert store.expire(T0 + 120_000) == 0
    assert state_of(store) is OutboxState.SENDING


@pytest.mark.parametrize(
    ("people", "consents", "reason"),
    [([], True, "no_open_id"), ([a_person(open_id=None)], True, "no_open_id"), ([a_person()], False, "no_consent")],
)
def test_an_expired_message_says_what_it_lacked(
    empty: Store, people: list[Person], consents: bool, reason: str
) -> None:
    empty.put_people(people)
    if consents:
        consent(empty, 7)
    empty.commit([an_alert(1)], [], now_ms=T0)
    assert empty.expire(T0 + 120_000) == 1
    assert empty.counts()[f"ended.{reason}"] == 1
    assert empty.decisions(limit=1)[0].ended == reason


# ---- receipts


@pytest.fixture
def delivered(store: Store) -> Store:
    store.commit([an_alert(1)], [], now_ms=T0)
    store.finish(claimed(store)[0].outbox_id, ACCEPTED, now_ms=T0, retry_at_ms=None)
    return store


def test_a_receipt_closes_its_attempt(delivered: Store) -> None:
    assert delivered.receipt("4711", "success", T0 + 5) is True
    (attempt,) = delivered.attempts(f"{1:032x}")
    assert (attempt.receipt, attempt.receipt_ms) == ("success", T0 + 5)
    assert state_of(delivered) is OutboxState.DELIVERED
    assert delivered.counts()["receipt.matched"] == 1


def test_a_receipt_of_failure_says_that_nothing_arrived(delivered: Store) -> None:
    delivered.receipt("4711", "failed:user block", T0 + 5)
    assert state_of(delivered) is OutboxState.DEAD
    assert delivered.counts()["ended.receipt_failed"] == 1


def test_the_first_receipt_counts(delivered: Store) -> None:
    assert delivered.receipt("4711", "success", T0 + 5) is True
    assert delivered.receipt("4711", "failed: system failed", T0 + 6) is True
    assert delivered.attempts(f"{1:032x}")[0].receipt == "success"
    assert state_of(delivered) is OutboxState.DELIVERED
    assert delivered.counts()["receipt.matched"] == 1


def test_an_unknown_receipt_is_counted(delivered: Store) -> None:
    assert delivered.receipt("no-such", "success", T0) is False
    assert delivered.receipt("no-such", "success", T0) is False
    assert delivered.counts()["receipt.unmatched"] == 1
    assert delivered.attempts(f"{1:032x}")[0].receipt is None


@pytest.mark.parametrize(
    ("status", "state"), [("success", OutboxState.DELIVERED), ("failed:user block", OutboxState.DEAD)]
)
def test_a_receipt_may_come_before_the_answer(store: Store, status: str, state: OutboxState) -> None:
    store.commit([an_alert(1)], [], now_ms=T0)
    (message,) = claimed(store)
    assert store.receipt("4711", status, T0 + 1) is False
    store.finish(message.outbox_id, ACCEPTED, now_ms=T0 + 2, retry_at_ms=None)
    assert state_of(store) is state
    assert store.attempts(message.client_msg_id)[0].receipt == status
    assert store.counts()["receipt.unmatched"] == 0
