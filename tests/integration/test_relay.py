"""The relay between a store and a channel: order, repetition, pauses, ending. The channel is a fake."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from api.workers.relay import Relay, RelaySettings
from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.errors import StoreError
from geo_engine.model import Alert, Vehicle
from geo_engine.store import OutboxState, Person, Store
from geo_engine.store.memory import MemoryStore
from geo_engine.store.open import open_store
from geo_engine.testing import an_alert

T0 = 1_700_000_000_000
LIFE_MS = 120_000
RETRY = SendResult(Outcome.RETRY, errcode=-1)
STOP = SendResult(Outcome.STOP, errcode=40164)
QUICK = RelaySettings(idle_s=0.02)


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now_ms = T0

    def __call__(self) -> int:
        """Return the time it was set to."""
        return self.now_ms


class Channel:
    """A sender that answers by a script, then accepts, and remembers every call."""

    def __init__(self, *script: SendResult | Exception, before: Callable[[Message], None] | None = None) -> None:
        self.script = list(script)
        self.before = before
        self.sent: list[Message] = []
        self.at_once = Counter[int]()
        self.most_at_once = 0
        self.lock = threading.Lock()

    def send(self, message: Message, *, why_not: Callable[[], str] = lambda: "") -> SendResult:
        """Answer the next of the script, unless the message must not leave."""
        if why := why_not():
            return SendResult(Outcome.RETRY, detail=f"not sent: {why}")
        with self.lock:
            self.sent.append(message)
            self.at_once[message.alert.u7] += 1
            self.most_at_once = max(self.most_at_once, *self.at_once.values())
            answer = self.script.pop(0) if self.script else SendResult(Outcome.ACCEPTED, msg_id=f"m{len(self.sent)}")
        if self.before is not None:
            self.before(message)
        with self.lock:
            self.at_once[message.alert.u7] -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer

    def numbers(self) -> list[int]:
        """Return the numbers of the decisions in the order of sending."""
        with self.lock:
            return [int(message.client_msg_id, 16) for message in self.sent]


def numbered(number: int, u7: int | None = None, life_ms: int = LIFE_MS) -> Alert:
    owner = number if u7 is None else u7
    return an_alert(alert_id=f"{number:032x}", u7=owner, time_ms=T0, visit_ms=T0, expires_at_ms=T0 + life_ms)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = {"memory": "memory:", "sqlite": str(tmp_path / "store.db")}.get(request.param)
    store = open_store(url or request.getfixturevalue("postgres_url"))
    store.put_people([Person(u7, f"o-{u7}", Vehicle(u7)) for u7 in range(60)])
    for u7 in range(60):
        store.set_consent(u7, "warnings", True, "v1", T0, "test")
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay_of(store: Store, clock: Clock) -> Iterator[Callable[..., Relay]]:
    made: list[Relay] = []

    def build(channel: Channel, settings: RelaySettings = QUICK, **more: Any) -> Relay:
        made.append(Relay(store, channel, clock, settings=settings, rng=random.Random(1), **more))
        return made[-1]

    yield build
    for relay in made:
        relay.stop(0)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for what a thread is about to do."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def states(store: Store) -> dict[str, int]:
    found = {state.value: store.counts()[f"outbox.{state.value}"] for state in OutboxState}
    return {state: count for state, count in found.items() if count}


def test_a_due_message_is_sent_and_recorded(store: Store, relay_of: Callable[..., Relay]) -> None:
    told: list[tuple[str, str | None]] = []
    channel = Channel()
    relay = relay_of(channel, on_delivered=lambda message, result: told.append((message.open_id, result.msg_id)))
    store.commit([numbered(1)], [], now_ms=T0)
    assert relay.run_once(T0) == 1
    assert relay.run_once(T0) == 0
    assert (channel.numbers(), told, states(store)) == ([1], [("o-1", "m1")], {"delivered": 1})
    assert relay.counts() == {
        "accepted": 1,
        "retry": 0,
        "refused": 0,
        "stop": 0,
        "unknown": 0,
        "claimed": 1,
        "ended": 0,
        "not_sent": 0,
        "errors": 0,
    }


def test_a_refused_message_is_not_repeated_and_not_announced(store: Store, relay_of: Callable[..., Relay]) -> None:
    told: list[Message] = []
    relay = relay_of(
        Channel(SendResult(Outcome.REFUSED, errcode=43004)), on_delivered=lambda message, _: told.append(message)
    )
    store.commit([numbered(1)], [], now_ms=T0)
    assert (relay.run_once(T0), relay.run_once(T0 + 60_000)) == (1, 0)
    assert (states(store), told, relay.counts()["refused"]) == ({"dead": 1}, [], 1)


def test_a_retried_message_keeps_its_key(store: Store, clock: Clock, relay_of: Callable[..., Relay]) -> None:
    channel = Channel(RETRY, RETRY)
    relay = relay_of(channel)
    store.commit([numbered(1)], [], now_ms=T0)
    for _ in range(3):
        assert relay.run_once(clock.now_ms) == 1
        clock.now_ms += 5_000
    assert [message.attempts for message in channel.sent] == [0, 1, 2]
    assert {message.client_msg_id for message in channel.sent} == {f"{1:032x}"}
    assert states(store) == {"delivered": 1}


@pytest.mark.parametrize(
    ("attempts", "shortest_ms", "longest_ms"), [(0, 500, 1_000), (1, 1_000, 2_000), (9, 4_000, 8_000)]
)
def test_the_pause_doubles_up_to_its_limit_with_jitter(
    store: Store, clock: Clock, relay_of: Callable[..., Relay], attempts: int, shortest_ms: int, longest_ms: int
) -> None:
    relay = relay_of(Channel(*[RETRY] * 20), RelaySettings(retry_max_s=8.0))
    store.commit([numbered(1, life_ms=10**7)], [], now_ms=T0)
    for _ in range(attempts + 1):
        clock.now_ms += 10_000
        assert relay.run_once(clock.now_ms) == 1
    assert relay.run_once(clock.now_ms + shortest_ms - 1) == 0
    assert relay.run_once(clock.now_ms + longest_ms) == 1


def test_the_wish_of_the_channel_replaces_the_pause(store: Store, relay_of: Callable[..., Relay]) -> None:
    relay = relay_of(Channel(SendResult(Outcome.RETRY, retry_after_s=42.0)))
    store.commit([numbered(1)], [], now_ms=T0)
    assert relay.run_once(T0) == 1
    assert relay.run_once(T0 + 41_999) == 0
    assert relay.run_once(T0 + 42_000) == 1


def test_a_message_that_never_gets_through_is_set_aside(
    store: Store, clock: Clock, relay_of: Callable[..., Relay]
) -> None:
    channel = Channel(*[RETRY] * 20)
    relay = relay_of(channel, RelaySettings(max_attempts=3))
    store.commit([numbered(1, life_ms=10**7)], [], now_ms=T0)
    for _ in range(6):
        relay.run_once(clock.now_ms)
        clock.now_ms += 60_000
    assert (len(channel.sent), states(store)) == (3, {"dead": 1})
    assert store.counts()["ended.retries_spent"] == 1


def test_a_warning_that_became_pointless_is_not_sent(
    store: Store, clock: Clock, relay_of: Callable[..., Relay]
) -> None:
    channel = Channel()
    relay = relay_of(channel)
    store.commit([numbered(1)], [], now_ms=T0)
    clock.now_ms = T0 + LIFE_MS
    assert relay.run_once(clock.now_ms) == 0
    assert (channel.sent, states(store), relay.counts()["ended"]) == ([], {"expired": 1}, 1)


def test_a_warning_that_became_pointless_after_its_claim_is_not_sent(
    store: Store, clock: Clock, relay_of: Callable[..., Relay]
) -> None:
    channel = Channel()
    relay = relay_of(channel)
    store.commit([numbered(1)], [], now_ms=T0)
    clock.now_ms = T0 + LIFE_MS
    assert relay.run_once(T0) == 1  # claimed in time, but its turn came late
    assert (channel.sent, states(store), relay.counts()["not_sent"]) == ([], {"expired": 1}, 1)


def test_stop_pauses_everybody_and_sending_goes_on_afterwards(
    store: Store, clock: Clock, relay_of: Callable[..., Relay]
) -> None:
    channel = Channel(STOP)
    relay = relay_of(channel, RelaySettings(workers=1, stop_pause_s=30.0))
    store.commit([numbered(number) for number in range(5)], [], now_ms=T0)
    relay.run_once(T0)
    assert (len(channel.sent), relay.counts()["stop"], relay.counts()["not_sent"]) == (1, 1, 1)
    clock.now_ms = T0 + 29_999
    assert relay.run_once(clock.now_ms) == 0
    clock.now_ms = T0 + 30_000
    while relay.run_once(clock.now_ms):
        pass
    assert (sorted(channel.numbers()), states(store)) == ([0, 0, 1, 2, 3, 4], {"delivered": 5})


def test_messages_of_one_person_are_never_under_way_together(store: Store, relay_of: Callable[..., Relay]) -> None:
    channel = Channel(before=lambda _: time.sleep(0.002))
    relay = relay_of(channel)
    store.commit([numbered(number, u7=number % 3) for number in range(30)], [], now_ms=T0)
    relay.start()
    until(lambda: states(store) == {"delivered": 30})
    assert channel.most_at_once == 1
    for u7 in range(3):
        assert [number for number in channel.numbers() if number % 3 == u7] == list(range(u7, 30, 3))


def test_a_slow_message_does_not_hold_up_the_others(store: Store, relay_of: Callable[..., Relay]) -> None:
    free = threading.Event()

    def hold_one(message: Message) -> None:
        if message.alert.u7 == 0:
            free.wait(10)

    channel = Channel(before=hold_one)
    relay = relay_of(channel)
    store.commit([numbered(number) for number in range(40)], [], now_ms=T0)
    relay.start()
    until(lambda: states(store) == {"sending": 1, "delivered": 39})
    free.set()
    until(lambda: states(store) == {"delivered": 40})


def test_notify_wakes_the_relay_at_once(store: Store, relay_of: Callable[..., Relay]) -> None:
    relay = relay_of(Channel(), RelaySettings(idle_s=3_600.0))
    relay.start()
    time.sleep(0.05)
    store.commit([numbered(1)], [], now_ms=T0)
    relay.notify()
    until(lambda: states(store) == {"delivered": 1})


def test_a_sender_that_raises_leaves_the_message_to_its_lease_and_the_others_go_on(
    store: Store, relay_of: Callable[..., Relay], caplog: pytest.LogCaptureFixture
) -> None:
    channel = Channel(ValueError("broken promise"))
    relay = relay_of(channel, RelaySettings(workers=1))
    store.commit([numbered(1), numbered(2)], [], now_ms=T0)
    with caplog.at_level(logging.ERROR):
        relay.run_once(T0)
    assert (states(store), relay.counts()["errors"]) == ({"sending": 1, "delivered": 1}, 1)
    assert "left to its lease" in caplog.text
    assert relay.run_once(T0 + 60_000) == 1
    assert channel.numbers() == [1, 2, 1]
    assert states(store) == {"delivered": 2}


class Flaky(MemoryStore):
    """A store that is away for its first calls of ``expire``."""

    away = 3

    def expire(self, now_ms: int) -> int:
        """Raise while it is away."""
        if self.away:
            self.away -= 1
            message = "away"
            raise StoreError(message)
        return super().expire(now_ms)


def test_the_relay_survives_a_store_that_is_away(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    store = Flaky()
    store.put_people([Person(1, "o-1", Vehicle(1))])
    store.set_consent(1, "warnings", True, "v1", T0, "test")
    store.commit([numbered(1)], [], now_ms=T0)
    relay = Relay(store, Channel(), clock, settings=QUICK)
    relay.start()
    until(lambda: states(store) == {"delivered": 1})
    relay.stop(1.0)
    assert relay.counts()["errors"] == 3
    assert "trying again" in caplog.text


def test_stop_drains_what_is_due(store: Store, relay_of: Callable[..., Relay]) -> None:
    channel = Channel(before=lambda _: time.sleep(0.002))
    relay = relay_of(channel)
    store.commit([numbered(number) for number in range(30)], [], now_ms=T0)
    relay.start()
    relay.stop(10.0)
    assert states(store) == {"delivered": 30}


def test_stop_gives_back_what_it_has_no_time_for(store: Store, clock: Clock, relay_of: Callable[..., Relay]) -> None:
    begun, free = threading.Event(), threading.Event()

    def hold(_: Message) -> None:
        begun.set()
        free.wait(10)

    channel = Channel(before=hold)
    relay = relay_of(channel, RelaySettings(workers=1, idle_s=0.02))
    store.commit([numbered(number) for number in range(5)], [], now_ms=T0)
    relay.start()
    assert begun.wait(10)
    threading.Timer(0.3, free.set).start()
    relay.stop(0.05)
    assert len(channel.sent) == 1
    assert states(store) == {"delivered": 1, "pending": 4}
    # What was given back is not in doubt: another relay sends it once, at once.
    after = Channel()
    other = relay_of(after)
    while other.run_once(clock.now_ms):
        pass
    assert (sorted(after.numbers()), states(store)) == ([1, 2, 3, 4], {"delivered": 5})


def test_a_relay_that_was_killed_repeats_only_what_was_under_way(
    store: Store, clock: Clock, relay_of: Callable[..., Relay]
) -> None:
    store.commit([numbered(1), numbered(2)], [], now_ms=T0)
    store.claim(T0, limit=1, lease_ms=60_000)  # and then the process was gone
    channel = Channel()
    relay = relay_of(channel)
    relay.run_once(T0 + 1)
    assert channel.numbers() == [2]
    clock.now_ms = T0 + 60_000
    relay.run_once(clock.now_ms)
    assert [(message.client_msg_id, message.attempts) for message in channel.sent[1:]] == [(f"{1:032x}", 1)]
    assert states(store) == {"delivered": 2}


def test_an_unknown_outcome_is_repeated_then_left_unknown(
    store: Store, clock: Clock, relay_of: Callable[..., Relay]
) -> None:
    channel = Channel(*[SendResult(Outcome.UNKNOWN)] * 20)
    relay = relay_of(channel)
    store.commit([numbered(1)], [], now_ms=T0)
    for _ in range(30):
        relay.run_once(clock.now_ms)
        clock.now_ms += 5_000
    assert len(channel.sent) > 1
    assert {message.client_msg_id for message in channel.sent} == {f"{1:032x}"}
    assert states(store) == {"unknown": 1}


def test_stop_of_the_channel_lasts_as_long_as_it_asks_and_is_told_by_readiness(
    store: Store, relay_of: Callable[..., Relay], clock: Clock
) -> None:
    channel = Channel(SendResult(Outcome.STOP, errcode=45009, detail="quota", retry_after_s=600.0))
    relay = relay_of(channel)
    relay.start()
    assert relay.ready() is None
    store.commit([numbered(1, life_ms=10**7)], [], now_ms=T0)
    while relay.ready() is None:
        relay.notify()
    assert relay.ready() == "the channel said stop: quota"
    # The message is back in the store before time goes on, or it would be given back from then.
    while states(store) != {"pending": 1}:
        time.sleep(0.001)
    clock.now_ms = T0 + 599_999
    assert relay.run_once(clock.now_ms) == 0
    clock.now_ms = T0 + 600_000
    while len(channel.sent) < 2:
        relay.notify()
    assert relay.ready() is None


def test_message_that_expires_while_the_channel_prepares_is_not_sent(
    store: Store, relay_of: Callable[..., Relay], clock: Clock
) -> None:
    class SlowToken(Channel):
        def send(self, message: Message, *, why_not: Callable[[], str] = lambda: "") -> SendResult:
            clock.now_ms = message.alert.expires_at_ms
            return super().send(message, why_not=why_not)

    channel = SlowToken()
    store.commit([numbered(1)], [], now_ms=T0)
    relay_of(channel).run_once(T0)
    assert channel.sent == []
    assert store.counts()["outbox.expired"] == 1
