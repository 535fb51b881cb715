"""What every store promises about messages people sent: once by key, in order per person, set aside, erased."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo_engine.errors import StoreError
from geo_engine.store import Store
from geo_engine.store.inbox import Handled, InboundRecord, InboundState, Inbox, NewInbound
from geo_engine.store.memory import MemoryStore
from tests.contract.stores import LEASE, T0, sql
from tests.examples import examples


def a_message(number: int = 1, openid: str = "o-one", **changes: str) -> NewInbound:
    values = {"key": f"msgid:{number}", "openid": openid, "kind": "text", "payload": '{"text":"附近🚛"}'}
    return NewInbound(time_ms=T0 - 1_000, **values | changes)


def claim(inbox: Inbox, after_ms: int = 0, limit: int = 10) -> list[int]:
    return [row.number for row in inbox.claim(T0 + after_ms, limit=limit, lease_ms=LEASE)]


@pytest.fixture
def inbox(empty: Store) -> Inbox:
    return empty.inbox


def test_a_message_is_claimed_as_it_was_kept(inbox: Inbox) -> None:
    assert inbox.add([a_message()], T0) == 1
    [row] = inbox.claim(T0, limit=1, lease_ms=LEASE)
    assert (row.message, row.received_ms, row.attempts) == (a_message(), T0, 1)
    assert (row.state, row.reason) == (InboundState.WAITING, "")


def test_a_message_is_kept_letter_for_letter(inbox: Inbox) -> None:
    odd = a_message(key='k"\\u0041\\', openid="o-'\u2028\x07", payload='{"text":"\\u0000\\ud83d 🚛\\n"}')
    inbox.add([odd], T0)
    [row] = inbox.claim(T0, limit=1, lease_ms=LEASE)
    assert row.message == odd


def test_a_message_is_kept_once_in_one_call_and_over_many(inbox: Inbox) -> None:
    assert inbox.add([a_message(1), a_message(1), a_message(2)], T0) == 2
    assert inbox.add([a_message(1, payload="other"), a_message(3)], T0 + 1) == 1
    assert inbox.add([], T0) == 0
    assert inbox.counts() == {"waiting": 3, "done": 0, "failed": 0}


def test_a_repeat_of_a_finished_message_is_known_too(inbox: Inbox) -> None:
    inbox.add([a_message()], T0)
    [number] = claim(inbox)
    inbox.finish([Handled(number)])
    assert inbox.add([a_message()], T0 + 9_000) == 0
    assert claim(inbox, 9_000) == []


def test_of_one_person_only_the_oldest_is_taken_and_others_go_on(inbox: Inbox) -> None:
    inbox.add([a_message(1), a_message(2), a_message(3, "o-two")], T0)
    first = claim(inbox)
    assert len(first) == 2
    assert claim(inbox) == []
    inbox.finish([Handled(first[0])])
    assert len(claim(inbox)) == 1


def test_a_message_to_be_tried_again_holds_back_the_next_of_its_person(inbox: Inbox) -> None:
    inbox.add([a_message(1), a_message(2)], T0)
    [number] = claim(inbox)
    inbox.finish([Handled(number, "store away", retry_at_ms=T0 + 5_000)])
    assert claim(inbox, 4_999) == []
    [row] = inbox.claim(T0 + 5_000, limit=10, lease_ms=LEASE)
    assert (row.number, row.attempts, row.reason) == (number, 2, "store away")


def test_a_message_without_an_answer_is_taken_again_after_its_lease(inbox: Inbox) -> None:
    inbox.add([a_message()], T0)
    [number] = claim(inbox)
    assert claim(inbox, LEASE - 1) == []
    assert claim(inbox, LEASE) == [number]


def test_a_late_answer_does_not_bring_back_what_is_finished(inbox: Inbox) -> None:
    inbox.add([a_message()], T0)
    [number] = claim(inbox)
    inbox.finish([Handled(number)])
    inbox.finish([Handled(number, "too late", retry_at_ms=T0)])
    assert inbox.counts()["done"] == 1


def test_a_message_that_failed_is_set_aside_with_its_reason(inbox: Inbox) -> None:
    inbox.add([a_message(1), a_message(2, "o-two")], T0)
    inbox.finish([Handled(number, f"bad {number}") for number in claim(inbox)])
    assert [row.reason for row in inbox.set_aside(10)] == ["bad 2", "bad 1"]
    assert [row.message for row in inbox.set_aside(1)] == [a_message(2, "o-two")]
    assert inbox.set_aside(0) == []
    assert claim(inbox, 10 * LEASE) == []


def test_what_a_message_said_can_be_forgotten_and_is_else_kept(inbox: Inbox) -> None:
    inbox.add([a_message(1), a_message(2, "o-two")], T0)
    one, two = claim(inbox)
    inbox.finish([Handled(one, "x", forget=True), Handled(two, "x")])
    assert [row.message.payload for row in inbox.set_aside(10)] == [a_message().payload, ""]


def test_a_message_can_leave_no_row_and_its_neighbours_stay(inbox: Inbox) -> None:
    inbox.add([a_message(1), a_message(2, "o-two")], T0)
    first, second = inbox.claim(T0, limit=9, lease_ms=LEASE)
    inbox.finish([Handled(first.number, drop=True), Handled(second.number)])
    assert inbox.counts() == {"waiting": 0, "done": 1, "failed": 0}
    # Only what is under way can go: a late answer changes nothing.
    inbox.finish([Handled(second.number, drop=True)])
    assert inbox.counts()["done"] == 1
    assert inbox.add([a_message(1), a_message(2, "o-two")], T0) == 1


def test_a_start_gives_back_what_was_under_way(inbox: Inbox) -> None:
    inbox.add([a_message(1), a_message(2, "o-two"), a_message(3, "o-three")], T0)
    one, *_others = claim(inbox)
    inbox.finish([Handled(one)])
    assert claim(inbox, 1) == []
    assert inbox.reopen(T0 + 1) == 2
    assert len(claim(inbox, 1)) == 2


def test_a_limit_is_kept(inbox: Inbox) -> None:
    inbox.add([a_message(number, f"o-{number}") for number in range(5)], T0)
    assert [len(claim(inbox, limit=limit)) for limit in (0, 2, 10)] == [0, 2, 3]


def test_everything_of_a_person_is_erased_and_nothing_of_others(inbox: Inbox) -> None:
    inbox.add([a_message(1), a_message(2), a_message(3, "o-two")], T0)
    taken = claim(inbox)
    assert inbox.erase("o-one") == 2
    inbox.finish([Handled(number) for number in taken])
    assert inbox.counts() == {"waiting": 0, "done": 1, "failed": 0}
    assert inbox.erase("o-one") == 0


def test_old_finished_messages_are_dropped_and_waiting_ones_never(inbox: Inbox) -> None:
    inbox.add([a_message(1), a_message(2, "o-two"), a_message(3, "o-three")], T0)
    done, failed, _waiting = claim(inbox)
    inbox.finish([Handled(done), Handled(failed, "bad")])
    assert inbox.drop(T0) == 0
    assert inbox.drop(T0 + 1) == 2
    assert inbox.counts() == {"waiting": 1, "done": 0, "failed": 0}


def test_a_number_is_never_used_again(inbox: Inbox) -> None:
    inbox.add([a_message(1)], T0)
    [first] = claim(inbox)
    inbox.erase("o-one")
    inbox.add([a_message(2)], T0)
    [second] = claim(inbox)
    assert second > first


def test_a_closed_store_refuses(empty: Store) -> None:
    inbox = empty.inbox
    empty.close()
    with pytest.raises(StoreError):
        inbox.add([a_message()], T0)
    with pytest.raises(StoreError):
        inbox.claim(T0, limit=1, lease_ms=LEASE)


def test_messages_outlive_the_process(tmp_path: Path) -> None:
    store = sql(tmp_path / "store.db")
    store.inbox.add([a_message()], T0)
    store.close()
    again = sql(tmp_path / "store.db")
    assert [row.message for row in again.inbox.claim(T0, limit=1, lease_ms=LEASE)] == [a_message()]
    again.close()


steps = st.one_of(
    st.tuples(st.just("add"), st.integers(0, 9), st.integers(0, 2)),
    st.tuples(st.just("claim"), st.integers(0, 4), st.just(0)),
    st.tuples(st.just("finish"), st.integers(0, 9), st.integers(0, 3)),
    st.tuples(st.just("reopen"), st.just(0), st.just(0)),
    st.tuples(st.just("erase"), st.just(0), st.integers(0, 2)),
    st.tuples(st.just("drop"), st.just(0), st.just(0)),
)


@examples(60)
@given(st.lists(st.tuples(steps, st.integers(0, 40_000)), max_size=30))
def test_both_stores_answer_the_same_whatever_the_order(calls: list[tuple[tuple[str, int, int], int]]) -> None:
    now_ms = T0
    with tempfile.TemporaryDirectory() as folder:
        stores = (MemoryStore(), sql(Path(folder) / "store.db"))
        sides = [Side(store.inbox) for store in stores]
        for (name, number, other), pause_ms in calls:
            now_ms += pause_ms
            answers = [side.answer(name, number, other, now_ms) for side in sides]
            assert answers[0] == answers[1], name
            assert sides[0].inbox.counts() == sides[1].inbox.counts()
        for store in stores:
            store.close()


class Side:
    """One of two inboxes that are asked the same. Numbers only order messages: a store may leave some out."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.numbers: dict[str, int] = {}

    def answer(self, name: str, number: int, other: int, now_ms: int) -> object:
        if name == "add":
            return self.inbox.add([a_message(number, f"o-{other}"), a_message(number + 1, f"o-{other}")], now_ms)
        if name == "claim":
            return self.unnumbered(self.inbox.claim(now_ms, limit=number, lease_ms=LEASE))
        if name == "finish":
            reason, retry_at_ms = ("", "bad")[other > 0], now_ms + 1_000 if other == 1 else None
            known = self.numbers.get(f"msgid:{number}", 10**9)
            self.inbox.finish([Handled(known, reason, retry_at_ms, forget=other == 2)])
            return self.unnumbered(self.inbox.set_aside(10))
        if name == "erase":
            return self.inbox.erase(f"o-{other}")
        return self.inbox.reopen(now_ms) if name == "reopen" else self.inbox.drop(now_ms)

    def unnumbered(self, rows: list[InboundRecord]) -> list[InboundRecord]:
        self.numbers |= {row.message.key: row.number for row in rows}
        return [replace(row, number=0) for row in rows]
