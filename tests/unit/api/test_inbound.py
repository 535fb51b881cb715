"""The worker of inbound messages: in order per person, again after errors, set aside, positions in batches."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from api.metrics import Metrics
from api.workers.inbound import InboundSettings, InboundWorker, Located, NothingKept, ReceiptHandler, SetAside
from geo_engine.errors import StoreError
from geo_engine.geodesy.datum import Datum
from geo_engine.store.inbox import NewInbound
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import ManualClock
from geo_engine.wechat.inbound import Inbound, Kind, PingEvent, TemplateResult, TextMessage, to_payload

ONE, TWO = "o" * 28, "p" * 28


def a_text(text: str, openid: str = ONE) -> TextMessage:
    return TextMessage(Kind.TEXT, openid, "gh_1", 1_700_000_000, f"msgid:{openid[0]}{text}", text)


def a_ping(openid: str = ONE, time_s: int = 1_700_000_000) -> PingEvent:
    return PingEvent(Kind.PING, openid, "gh_1", time_s, f"ev:{openid}:{time_s}:LOCATION:", 114.3, 30.5, 65.0)


def kept(message: Inbound) -> NewInbound:
    return NewInbound(message.key, message.openid, message.kind.value, message.time_s * 1000, to_payload(message))


class Recorder:
    """A handler that notes what it is given and fails as often as told."""

    def __init__(self) -> None:
        self.seen: list[Inbound] = []
        self.failures: dict[str, list[Exception]] = {}

    def handle(self, message: Inbound, now_ms: int) -> None:
        planned = self.failures.get(message.key, [])
        if planned:
            raise planned.pop(0)
        self.seen.append(message)

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.seen if isinstance(message, TextMessage)]


class Positions:
    """A source that notes the positions it is given."""

    def __init__(self) -> None:
        self.taken: list[list[Located]] = []
        self.strangers: set[str] = set()
        self.failures = 0

    def take(self, located: Sequence[Located]) -> set[str]:
        if self.failures:
            self.failures -= 1
            message = "store away"
            raise StoreError(message)
        self.taken.append(list(located))
        return self.strangers


class Parts:
    """A worker and everything around it."""

    def __init__(self, **settings: object) -> None:
        self.clock, self.store, self.metrics = ManualClock(), MemoryStore(), Metrics()
        self.handler, self.positions = Recorder(), Positions()
        chosen = InboundSettings(idle_s=0.01, **settings)
        self.worker = InboundWorker(
            self.store.inbox, self.handler, self.positions, self.clock, self.metrics, settings=chosen
        )

    def add(self, *messages: Inbound) -> None:
        self.store.inbox.add([kept(message) for message in messages], self.clock())

    def run(self) -> int:
        return self.worker.run_once(self.clock())

    def counts(self) -> dict[str, int]:
        return {state: count for state, count in self.store.inbox.counts().items() if count}


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_messages_of_one_person_are_handled_in_their_order(parts: Parts) -> None:
    parts.add(a_text("a"), a_text("b"), a_text("c"), a_text("x", TWO))
    assert [parts.run() for _ in range(4)] == [2, 1, 1, 0]
    assert [text for text in parts.handler.texts if text != "x"] == ["a", "b", "c"]
    assert parts.counts() == {"done": 4}


def test_a_message_that_fails_is_tried_again_later_and_holds_back_only_its_person(parts: Parts) -> None:
    parts.handler.failures[a_text("a").key] = [StoreError("away"), OSError("gone")]
    parts.add(a_text("a"), a_text("b"), a_text("x", TWO), a_text("y", TWO))
    for _ in range(3):
        parts.run()
    assert parts.handler.texts == ["x", "y"]
    parts.clock.advance(1.0)
    assert parts.run() == 1
    parts.clock.advance(1.9)
    assert parts.run() == 0
    parts.clock.advance(0.1)
    while parts.run():
        pass
    assert parts.handler.texts == ["x", "y", "a", "b"]


def test_a_message_that_never_works_is_set_aside_with_its_reason(parts: Parts) -> None:
    parts.handler.failures[a_text("a").key] = [StoreError("away\nwith details")] * 99
    parts.add(a_text("a"), a_text("b"))
    for _ in range(20):
        parts.run()
        parts.clock.advance(60.0)
    [row] = parts.store.inbox.set_aside(10)
    assert (row.reason, row.attempts) == ("StoreError: away", 8)
    assert parts.handler.texts == ["b"]


def test_a_handler_can_set_a_message_aside_at_once(parts: Parts) -> None:
    parts.handler.failures[a_text("a").key] = [SetAside("no such venue")]
    parts.add(a_text("a"))
    parts.run()
    assert [row.attempts for row in parts.store.inbox.set_aside(10)] == [1]


def test_a_message_that_ends_the_process_each_time_is_set_aside_too(parts: Parts) -> None:
    parts.add(a_text("a"), a_ping(TWO))
    for _ in range(8):
        parts.store.inbox.claim(parts.clock(), limit=10, lease_ms=0)
    parts.run()
    assert parts.handler.seen == []
    reasons = [(row.reason, bool(row.message.payload)) for row in parts.store.inbox.set_aside(10)]
    assert reasons == [("every attempt ended without an answer", kept) for kept in (False, True)]


def test_a_payload_nobody_can_read_is_set_aside(parts: Parts) -> None:
    parts.store.inbox.add([NewInbound("k", ONE, "text", 0, "{}"), NewInbound("l", TWO, "future", 0, "{}")], 0)
    parts.run()
    assert parts.counts() == {"failed": 2}


def test_positions_are_taken_together_in_the_datum_of_the_setting_and_forgotten() -> None:
    parts = Parts(datum=Datum.GCJ02)
    parts.add(a_ping(ONE), a_ping(TWO), a_text("x", "q" * 28))
    parts.run()
    [both] = parts.positions.taken
    assert [one.openid for one in both] == [ONE, TWO]
    assert both[0] == Located(ONE, 1_700_000_000_000, 114.3, 30.5, 65.0, Datum.GCJ02)
    assert parts.counts() == {"done": 3}
    payloads = [row.message.payload for row in parts.store.inbox._rows.values()]
    assert [bool(payload) for payload in payloads] == [False, False, True]


def test_positions_wait_while_they_cannot_be_taken(parts: Parts) -> None:
    parts.positions.failures = 1
    parts.add(a_ping(ONE))
    parts.run()
    assert parts.counts() == {"waiting": 1}
    parts.clock.advance(1.0)
    parts.run()
    assert (len(parts.positions.taken), parts.counts()) == (1, {"done": 1})


def test_of_a_position_of_a_stranger_nothing_is_kept_and_their_other_messages_wait(parts: Parts) -> None:
    parts.positions.strangers = {TWO}
    parts.add(a_ping(), a_ping(TWO), a_text("b", TWO))
    parts.run()
    assert parts.counts() == {"done": 1, "waiting": 1}
    parts.run()
    assert parts.handler.texts == ["b"]


def test_of_a_message_whose_handler_says_so_nothing_is_kept(parts: Parts) -> None:
    parts.handler.failures[a_text("a").key] = [NothingKept()]
    parts.add(a_text("a"), a_text("b"))
    parts.run()
    assert parts.counts() == {"waiting": 1}
    # It may come again, and is then handled again.
    parts.add(a_text("a"))
    while parts.run():
        pass
    assert parts.handler.texts == ["b", "a"]


def test_positions_nobody_wants_are_forgotten(parts: Parts) -> None:
    worker = InboundWorker(parts.store.inbox, parts.handler, None, parts.clock, parts.metrics)
    parts.add(a_ping(ONE))
    worker.run_once(parts.clock())
    assert parts.counts() == {"done": 1}


def test_old_finished_messages_go_after_their_days(parts: Parts) -> None:
    parts.add(a_text("a"))
    parts.run()
    parts.clock.advance(6.9 * 86_400)
    parts.run()
    assert parts.counts() == {"done": 1}
    parts.clock.advance(0.2 * 86_400)
    parts.run()
    assert parts.counts() == {}


def test_outcomes_are_counted(parts: Parts) -> None:
    parts.handler.failures[a_text("a").key] = [StoreError("away")]
    parts.add(a_text("a"), a_text("x", TWO))
    parts.run()
    page = parts.metrics.page(waiting=0, relay={}, store={"inbox.waiting": 1}).decode()
    assert 'geo_engine_inbound_total{outcome="done"} 1.0' in page
    assert 'geo_engine_inbound_total{outcome="retry"} 1.0' in page
    assert 'geo_engine_inbox{state="waiting"} 1.0' in page


def test_a_result_of_a_template_message_closes_its_attempt_and_nothing_else_does() -> None:
    store, following = MemoryStore(), Recorder()
    handler = ReceiptHandler(store, following)
    handler.handle(TemplateResult(Kind.TEMPLATE_RESULT, ONE, "gh_1", 5, "k", "4711", "success"), 5_000)
    handler.handle(a_text("a"), 5_000)
    ReceiptHandler(store).handle(a_text("b"), 5_000)
    assert store.counts()["receipt.unmatched"] == 1
    assert following.texts == ["a"]


def test_a_started_worker_takes_what_comes_and_what_was_under_way(parts: Parts) -> None:
    parts.add(a_text("a"))
    parts.store.inbox.claim(parts.clock(), limit=1, lease_ms=60_000)
    assert parts.worker.ready() is not None
    parts.worker.start()
    assert parts.worker.ready() is None
    parts.add(a_text("b"))
    parts.worker.notify()
    deadline = time.monotonic() + 5.0
    while len(parts.handler.texts) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    parts.worker.stop()
    assert parts.handler.texts == ["a", "b"]
    assert "inbound" not in {thread.name for thread in threading.enumerate()}


def test_a_worker_survives_a_store_that_is_away(parts: Parts) -> None:
    parts.add(a_text("a"))
    inbox, failures = parts.store.inbox, [StoreError("away")]
    claim = inbox.claim

    def sometimes(*args: object, **kwargs: object) -> object:
        if failures:
            raise failures.pop()
        return claim(*args, **kwargs)

    inbox.claim = sometimes  # type: ignore[method-assign, assignment]
    parts.worker.start()
    deadline = time.monotonic() + 5.0
    while not parts.handler.texts and time.monotonic() < deadline:
        time.sleep(0.005)
    parts.worker.stop()
    assert parts.handler.texts == ["a"]
