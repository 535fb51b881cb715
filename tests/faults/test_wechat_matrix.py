"""Every fault of the WeChat side against outbox, relay and sender: nothing is lost and nobody is told twice.

The fake server answers over HTTP; its clock and that of the relay are one that the test moves on, so that waits of
minutes take no time.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from api.workers.relay import Relay, RelaySettings
from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.alerting.reach import Standing, Trigger
from geo_engine.model import Language, Vehicle
from geo_engine.store import OutboxState, Person, Store
from geo_engine.store.open import open_store
from geo_engine.testing import an_alert
from geo_engine.wechat.channels import Account
from geo_engine.wechat.client import CUSTOM_SEND, SUBSCRIBE_SEND, TEMPLATE_SEND, WeChatApi
from geo_engine.wechat.fake import CallbackTarget, FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.inbound import TemplateResult
from geo_engine.wechat.reading import read_push
from geo_engine.wechat.sender import ChannelSender
from geo_engine.wechat.template import RESTRICTION_TEMPLATE

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

START_MS: Final = 1_793_678_400_000
LIFE_MS: Final = 40 * 60_000
PEOPLE: Final = 6
ONE_TIME = replace(RESTRICTION_TEMPLATE, template_id="once")
FAKE = FakeSettings(subscriptions=(ONE_TIME,))
STABLE = "stable_token"
ERRCODE, HANG, CLOSE, HTML, HTTP_500 = (
    FaultKind.ERRCODE,
    FaultKind.HANG,
    FaultKind.CLOSE,
    FaultKind.HTML_200,
    FaultKind.HTTP_500,
)


def open_id(u7: int) -> str:
    return f"o{u7:027d}"


@dataclass
class World:
    """A store with people and their warnings, the sender, and the fake server, all by one clock."""

    server: FakeServer
    store: Store
    clock: Clock
    gone: list[str] = field(default_factory=list)
    alarms: list[SendResult] = field(default_factory=list)

    def enrol(self) -> None:
        """Write the people into the store, each with one warning that waits."""
        people = [Person(u7, open_id(u7), Vehicle(u7)) for u7 in range(PEOPLE)]
        self.store.put_people(people)
        for u7 in range(PEOPLE):
            self.store.set_consent(u7, "warnings", True, "v1", self.clock.now_ms, "test")
        self.store.commit([self.alert(u7) for u7 in range(PEOPLE)], [], now_ms=self.clock.now_ms)

    def alert(self, u7: int, number: int = 0) -> Any:
        """Return a warning whose text tells it from every other."""
        name, now_ms = f"{number:08x}{u7:024x}", self.clock.now_ms
        times = {"time_ms": now_ms, "visit_ms": now_ms, "expires_at_ms": now_ms + LIFE_MS}
        return an_alert(alert_id=name, u7=u7, text=f"前方禁行 {name}", **times)

    def open_ways(self, trigger: Trigger) -> None:
        """Let everybody open a window, and both sides learn of it."""
        for u7 in range(PEOPLE):
            self.server.state.touch(open_id(u7), trigger.value)
            self.store.open_window(open_id(u7), trigger, self.clock.now_ms)

    def accept(self) -> None:
        """Let everybody accept the one-time template once."""
        for u7 in range(PEOPLE):
            self.server.state.accept(open_id(u7), ONE_TIME.template_id)
            self.store.accept(open_id(u7), ONE_TIME.template_id, self.clock.now_ms)

    def settle(self, step_ms: int = 5_000, timeout_s: float = 5.0) -> None:
        """Let the relay work and time pass until no message is left open."""
        api = WeChatApi(FAKE.app_id, FAKE.app_secret, self.server.url, timeout_s=timeout_s, clock=self.clock)
        account = Account(RESTRICTION_TEMPLATE, (ONE_TIME,))
        sender = ChannelSender(
            api, self.store, account, self.clock, on_gone=self.gone.append, on_alarm=self.alarms.append
        )
        relay = Relay(self.store, sender, self.clock, settings=RelaySettings(max_attempts=50))
        while any(self.states()[state] for state in ("pending", "sending")):
            relay.run_once(self.clock.now_ms)
            self.clock.now_ms += step_ms
        relay.stop(0)
        api.close()

    def states(self) -> Counter[str]:
        """Return how many messages are in which state."""
        counts = self.store.counts()
        return Counter({state.value: counts[f"outbox.{state.value}"] for state in OutboxState})

    def ended(self) -> dict[str, int]:
        """Return the named reasons of what was not delivered."""
        found = self.store.counts().items()
        return {name.removeprefix("ended."): count for name, count in found if name.startswith("ended.")}

    def told(self) -> Counter[str]:
        """Return how often each message was shown."""
        shown: Counter[str] = Counter()
        for found in self.server.state.deliveries():
            # A keyless message is told by its text or its person, who has one warning each.
            name = found.client_msg_id or found.data.get("text", "").removeprefix("前方禁行 ")
            shown[name or f"{0:08x}{int(found.open_id[1:]):024x}"] += 1
        return shown

    def nothing_is_lost_and_nobody_told_twice(self) -> None:
        """Hold every message to the two promises."""
        told = self.told()
        assert set(told.values()) <= {1}
        for record in self.store.decisions(limit=100):
            shown = told[record.alert.alert_id]
            match record.state:
                case OutboxState.DELIVERED:
                    assert shown == 1
                case OutboxState.UNKNOWN:
                    assert record.ended == "outcome_unknown"
                case _:
                    assert (shown, bool(record.ended)) == (0, True)


class Clock:
    """Epoch milliseconds that pass when told to."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ms


@contextmanager
def a_world(settings: FakeSettings = FAKE, store: Store | None = None) -> Iterator[World]:
    clock = Clock()
    with start_fake_wechat(settings=settings, clock=clock) as server:
        made = World(server, store or open_store("memory:"), clock)
        made.enrol()
        yield made
        made.store.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """A server for the whole matrix: starting one takes longer than most rows."""
    with a_world() as made:
        yield made


@pytest.fixture(params=["memory", "sqlite"])
def world(shared: World, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    # Hours later: what an earlier test did to tokens, windows and pauses is over.
    shared.clock.now_ms += 24 * 3_600_000
    shared.server.state.reset()
    shared.server.state.tokens.forced_calls = 0
    store = open_store("memory:" if request.param == "memory" else str(tmp_path / "store.db"))
    made = World(shared.server, store, shared.clock)
    made.enrol()
    yield made
    store.close()


@dataclass(frozen=True)
class Row:
    """A fault, the ways that are open, and what must come of it.

    Attributes:
        name: the fault.
        fault: what is planned.
        delivered: how many of the messages arrive.
        ended: the named reasons of the others.
        channels: how the delivered ones come.
        window: what everybody did before, None = nothing.
        grant: everybody accepted one message.
        alarms: an operator hears of it.
        forced: tokens the server is made to give anew.
    """

    name: str
    fault: FakeFault
    delivered: int = PEOPLE
    ended: dict[str, int] = field(default_factory=dict)
    channels: str = "template"
    window: Trigger | None = None
    grant: bool = False
    alarms: bool = False
    forced: int = 0


def strikes(kind: FaultKind = ERRCODE, path: str = TEMPLATE_SEND, **more: Any) -> FakeFault:
    return FakeFault(kind, path=path, **{"seconds": 1.2, **more})


NONE = {"expired": PEOPLE}
ROWS = [
    Row("no fault", strikes(path="nowhere")),
    Row("no fault, in a window", strikes(path="nowhere"), channels="customer_service", window=Trigger.MESSAGE),
    Row("no fault, with a grant", strikes(path="nowhere"), channels="subscription", grant=True),
    Row("40001 once", strikes(errcode=40001), forced=1),
    Row("42001 once", strikes(errcode=42001), forced=1),
    Row("40164 for a while", strikes(errcode=40164, times=5), alarms=True),
    Row("40164 for ever", strikes(errcode=40164, times=None), 0, NONE, alarms=True),
    Row("45009 once", strikes(errcode=45009), alarms=True),
    Row("45009 for ever", strikes(errcode=45009, times=None), 0, NONE, alarms=True),
    Row("45011 once", strikes(errcode=45011)),
    Row("45015", strikes(path=CUSTOM_SEND, errcode=45015, times=None), window=Trigger.MESSAGE),
    Row("45047", strikes(path=CUSTOM_SEND, errcode=45047, times=None), window=Trigger.MESSAGE),
    Row("43004", strikes(errcode=43004), PEOPLE - 1, {"refused": 1}),
    Row("43101", strikes(path=SUBSCRIBE_SEND, errcode=43101, times=None), grant=True),
    Row("43108 once", strikes(path=SUBSCRIBE_SEND, errcode=43108), channels="subscription", grant=True),
    Row("43117", strikes(errcode=43117), PEOPLE - 1, {"refused": 1}),
    Row("47003", strikes(errcode=47003), PEOPLE - 1, {"refused": 1}, alarms=True),
    Row("-1 some times", strikes(errcode=-1, times=9)),
    Row("-1 in a window", strikes(path=CUSTOM_SEND, times=9), channels="customer_service", window=Trigger.MESSAGE),
    Row("hang", strikes(HANG)),
    Row("hang, but taken", strikes(HANG, taken=True)),
    Row("half-close", strikes(CLOSE, times=3)),
    Row("half-close, but taken", strikes(CLOSE, times=3, taken=True)),
    Row("HTML 200", strikes(HTML, times=3)),
    Row("HTML 200, but taken", strikes(HTML, times=3, taken=True)),
    Row("5xx", strikes(HTTP_500, times=3)),
    Row("5xx, but taken", strikes(HTTP_500, times=3, taken=True)),
    Row("slow token", strikes(HANG, STABLE)),
    Row("broken token", strikes(CLOSE, STABLE, times=3)),
    Row("HTML for a token", strikes(HTML, STABLE, times=3)),
    Row("5xx for a token", strikes(HTTP_500, STABLE, times=3)),
    *(
        Row(
            f"{kind.value} without a key{', but taken' if taken else ''}",
            strikes(kind, CUSTOM_SEND, times=2, taken=taken),
            PEOPLE - 2,
            {"outcome_unknown": 2},
            "customer_service",
            Trigger.MESSAGE,
        )
        for kind in (HANG, CLOSE, HTML, HTTP_500)
        for taken in (False, True)
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_fault_has_the_reaction_of_the_table(world: World, row: Row) -> None:
    if row.window is not None:
        world.open_ways(row.window)
    if row.grant:
        world.accept()
    world.server.state.faults.add(row.fault)
    # A short time limit only where the fault is that nothing is answered: on a busy machine others would meet it too.
    timeout_s = 0.5 if row.fault.kind is HANG else 5.0
    world.settle(step_ms=20_000 if row.ended == NONE else 5_000, timeout_s=timeout_s)
    world.nothing_is_lost_and_nobody_told_twice()
    channels = Counter(found.channel for found in world.server.state.deliveries())
    assert (world.states()["delivered"], world.ended()) == (row.delivered, row.ended)
    assert channels[row.channels] >= row.delivered
    assert set(channels) <= {row.channels}
    assert bool(world.alarms) is row.alarms
    assert world.server.state.tokens.forced_calls == row.forced


def test_a_token_refused_for_ever_is_forced_once_per_pause_of_the_relay_and_nothing_is_sent() -> None:
    with a_world() as world:
        world.server.state.faults.add(strikes(errcode=40001, times=None))
        world.settle()
        world.nothing_is_lost_and_nobody_told_twice()
        assert world.ended() == NONE
        # The account's limit is 20 a day; one minute between two tries would use it up, were it not for the 4 workers
        # that share each renewal.
        assert world.server.state.tokens.forced_calls <= LIFE_MS // 60_000
        assert world.alarms


def test_who_left_is_named_for_deletion_and_hears_nothing_more() -> None:
    with a_world() as world:
        world.server.state.unfollow(open_id(0))
        world.settle()
        assert world.gone == [open_id(0)]
        assert world.store.reach(open_id(0)).standing is Standing.GONE
        world.store.commit([world.alert(0, number=1)], [], now_ms=world.clock.now_ms)
        world.settle()
        assert world.ended() == {"refused": 2}
        assert world.states()["delivered"] == PEOPLE - 1


def test_a_person_who_unfollows_while_messages_wait_gets_none_of_them() -> None:
    with a_world() as world:
        world.server.state.faults.add(strikes(errcode=-1, times=PEOPLE))
        world.server.state.unfollow(open_id(3))
        world.settle()
        world.nothing_is_lost_and_nobody_told_twice()
        assert world.server.state.deliveries(open_id(3)) == ()


# ---- a thousand at once


def thousand(world: World, errcode_for_ever: int | None = None) -> Counter[Outcome]:
    api = WeChatApi(FAKE.app_id, FAKE.app_secret, world.server.url, timeout_s=20.0, clock=world.clock)
    sender = ChannelSender(api, world.store, Account(RESTRICTION_TEMPLATE), world.clock)

    def send(number: int) -> Outcome:
        alert = world.alert(number, number=1)
        return sender.send(Message(number, alert, open_id(number), None, Language.ZH, alert.alert_id, 0)).outcome

    send(2_000)
    if errcode_for_ever is None:
        world.server.state.tokens.revoke()
    else:
        world.server.state.faults.add(strikes(errcode=errcode_for_ever, times=None))
    with ThreadPoolExecutor(64) as pool:
        outcomes = Counter(pool.map(send, range(1_000)))
    api.close()
    return outcomes


def test_a_thousand_concurrent_40001_cost_one_new_token_and_every_message_arrives_once() -> None:
    with a_world() as world:
        assert thousand(world) == {Outcome.ACCEPTED: 1_000}
        tokens = world.server.state.tokens
        assert (tokens.normal_calls, tokens.forced_calls) == (2, 0)
        assert Counter(world.told().values()) == {1: 1_001}


def test_a_thousand_concurrent_40001_for_ever_force_one_new_token() -> None:
    with a_world() as world:
        outcomes = thousand(world, errcode_for_ever=40001)
        assert set(outcomes) <= {Outcome.STOP, Outcome.RETRY}
        tokens = world.server.state.tokens
        assert (tokens.normal_calls, tokens.forced_calls) == (2, 1)
        assert Counter(world.told().values()) == {1: 1}


# ---- receipts


@contextmanager
def callback(take: Callable[[bytes], None]) -> Iterator[str]:
    """Run an account's callback that hands every body to ``take``."""

    class Door(BaseHTTPRequestHandler):
        """Answers every push with ``success``."""

        def do_POST(self) -> None:
            take(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "7")
            self.end_headers()
            self.wfile.write(b"success")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("delay_s", [0.0, 0.3], ids=["before the answer is noted", "late"])
def test_receipts_close_their_attempts_however_often_and_whenever_they_come(delay_s: float) -> None:
    store = open_store("memory:")
    pushed: list[bytes] = []

    def take(body: bytes) -> None:
        pushed.append(body)
        receipt = read_push(body)
        assert isinstance(receipt, TemplateResult)
        store.receipt(receipt.msg_id, receipt.status, START_MS)

    with callback(take) as url:
        target = CallbackTarget(url, "token")
        settings = replace(FAKE, callback=target, receipt_delay_s=delay_s, receipt_copies=3)
        with a_world(settings, store) as world:
            world.settle()
            pushes = world.server.pushes
            assert pushes is not None
            pushes.settle()
            assert len(pushed) == 3 * PEOPLE
            attempts = [store.attempts(record.alert.alert_id) for record in store.decisions(limit=100)]
            assert [len(made) for made in attempts] == [1] * PEOPLE
            assert {made[0].receipt for made in attempts} == {"success"}
            assert store.counts()["receipt.matched"] == PEOPLE
            assert store.counts()["receipt.unmatched"] == 0
            # Once more, reordered, and with another word than the first: nothing changes.
            for made in reversed(attempts):
                assert store.receipt(str(made[0].msg_id), "failed:user block", START_MS)
            assert world.states()["delivered"] == PEOPLE
