"""The sender that chooses, against the fake server over HTTP: ways, reactions, and what is never told twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from geo_engine.alerting.message import Message, Outcome, SendResult
from geo_engine.alerting.reach import Channel, Dispatch, DispatchState, Grant, Reach, Standing, Trigger
from geo_engine.kinds import ZoneKind
from geo_engine.model import Language
from geo_engine.store.memory import MemoryStore
from geo_engine.testing import an_alert
from geo_engine.wechat.channels import Account
from geo_engine.wechat.client import CUSTOM_SEND, SUBSCRIBE_SEND, TEMPLATE_SEND, Quota, WeChatApi
from geo_engine.wechat.errcodes import ERRCODES, TOKEN_ERRCODES, Effect, errcode_rule
from geo_engine.wechat.fake import FakeSettings
from geo_engine.wechat.fake_faults import FakeFault, FaultKind
from geo_engine.wechat.fake_server import FakeServer, start_fake_wechat
from geo_engine.wechat.sender import ChannelSender, customer_body
from geo_engine.wechat.template import RESTRICTION_TEMPLATE

pytestmark = [pytest.mark.network, pytest.mark.enable_socket]

OPEN_ID = "o" + "a" * 27
ONE_TIME = replace(RESTRICTION_TEMPLATE, template_id="once")
LONG_TERM = replace(RESTRICTION_TEMPLATE, template_id="for-good")
ACCOUNT = Account(RESTRICTION_TEMPLATE, (ONE_TIME,), (LONG_TERM,))
FAKE = FakeSettings(subscriptions=(ONE_TIME, LONG_TERM))
HOUR_MS = 3_600_000


@dataclass
class World:
    """A fake server, a ledger, a sender between them, and what was reported."""

    server: FakeServer
    ledger: MemoryStore = field(default_factory=MemoryStore)
    ahead_ms: int = 0
    gone: list[str] = field(default_factory=list)
    alarms: list[SendResult] = field(default_factory=list)

    def now_ms(self) -> int:
        """Return the sender's time."""
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def sender(self, account: Account = ACCOUNT, timeout_s: float = 1.0) -> ChannelSender:
        """Return a new sender, as a restarted process has one."""
        api = WeChatApi(FAKE.app_id, FAKE.app_secret, self.server.url, timeout_s=timeout_s)
        return ChannelSender(
            api, self.ledger, account, self.now_ms, on_gone=self.gone.append, on_alarm=self.alarms.append
        )

    def touch(self, trigger: Trigger = Trigger.MESSAGE) -> None:
        """Let the person do something that both sides learn of."""
        self.server.state.touch(OPEN_ID, trigger.value)
        self.ledger.open_window(OPEN_ID, trigger, self.now_ms())

    def accept(self, template_id: str, *, for_good: bool = False) -> None:
        """Let the person accept a template, and both sides learn of it."""
        self.server.state.accept(OPEN_ID, template_id, for_good=for_good)
        self.ledger.accept(OPEN_ID, template_id, self.now_ms(), for_good=for_good)

    def fault(self, kind: FaultKind = FaultKind.ERRCODE, path: str = TEMPLATE_SEND, **more: Any) -> None:
        """Plan a fault."""
        self.server.state.faults.add(FakeFault(kind, path=path, **more))

    def channels(self) -> list[str]:
        """Return how what reached the phone came."""
        return [found.channel for found in self.server.state.deliveries(OPEN_ID)]


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with start_fake_wechat(settings=FAKE) as running:
        yield running


@pytest.fixture
def world(server: FakeServer) -> World:
    server.state.reset()
    return World(server)


def a_message(number: int = 1, attempts: int = 0, open_id: str = OPEN_ID, **alert: Any) -> Message:
    values = {"alert_id": f"m{number}", "expires_at_ms": 1 << 60} | alert
    return Message(1, an_alert(**values), open_id, "鄂A12345", Language.ZH, f"m{number}", attempts)


def test_the_cheapest_way_is_used_until_it_is_used_up(world: World) -> None:
    world.touch(Trigger.CLICK)
    world.accept("once")
    sender = world.sender(replace(ACCOUNT, long_term=()))
    results = [sender.send(a_message(number)) for number in range(6)]
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}
    assert world.channels() == ["customer_service"] * 3 + ["subscription"] + ["template"] * 2
    assert sender.counts() == {"sent.customer_service": 3, "sent.one_time": 1, "sent.template": 2}


def test_a_long_term_grant_is_used_again_and_again(world: World) -> None:
    world.accept("for-good", for_good=True)
    sender = world.sender()
    assert [sender.send(a_message(number)).outcome for number in range(3)] == [Outcome.ACCEPTED] * 3
    assert world.channels() == ["subscription"] * 3


def test_a_customer_service_message_is_the_whole_text(world: World) -> None:
    world.touch()
    message = a_message(text="前方 420 米，长江二桥货车禁行")
    assert world.sender().send(message).outcome is Outcome.ACCEPTED
    (found,) = world.server.state.deliveries(OPEN_ID)
    assert found.data == {"text": "前方 420 米，长江二桥货车禁行"}


def test_a_long_text_is_cut_between_two_characters() -> None:
    body: Any = customer_body("o", "a" + "字" * 1_000)
    assert body["text"]["content"] == "a" + "字" * 682


def test_after_a_restart_a_taken_message_is_not_sent_again_by_any_way(world: World) -> None:
    world.touch()
    first = world.sender().send(a_message())
    again = world.sender().send(a_message(attempts=1))
    assert (first.outcome, again.outcome) == (Outcome.ACCEPTED, Outcome.ACCEPTED)
    assert world.channels() == ["customer_service"]


@pytest.mark.parametrize("state", ["killed before the answer", "no answer", "half an answer", "HTML", "500"])
def test_a_customer_service_message_of_unknown_outcome_is_never_repeated(world: World, state: str) -> None:
    world.touch()
    kinds = {"no answer": FaultKind.HANG, "half an answer": FaultKind.CLOSE, "HTML": FaultKind.HTML_200}
    if state == "killed before the answer":
        window = world.ledger.reach(OPEN_ID).windows[0]
        dispatch = Dispatch("m1", OPEN_ID, Channel.CUSTOMER_SERVICE, world.now_ms())
        assert world.ledger.begin(dispatch, window).ok
    else:
        world.fault(kinds.get(state, FaultKind.HTTP_500), CUSTOM_SEND, seconds=2.0, taken=True)
        result = world.sender(timeout_s=0.3).send(a_message())
        assert (result.outcome, result.repeatable) == (Outcome.UNKNOWN, False)
    result = world.sender().send(a_message(attempts=1))
    assert (result.outcome, result.repeatable) == (Outcome.UNKNOWN, False)
    assert len(world.channels()) == (state != "killed before the answer")


def test_a_template_message_of_unknown_outcome_is_repeated_as_it_was_also_when_a_window_opened(world: World) -> None:
    world.fault(FaultKind.HTTP_500, taken=True)
    assert world.sender().send(a_message()).outcome is Outcome.RETRY
    world.touch()
    assert world.sender().send(a_message(attempts=1)).outcome is Outcome.ACCEPTED
    (found,) = world.server.state.deliveries(OPEN_ID)
    assert (found.channel, found.deliveries, found.duplicates) == ("template", 1, 1)


def test_a_template_message_of_unknown_outcome_is_not_repeated_by_another_template(world: World) -> None:
    world.fault(FaultKind.HTTP_500, taken=True)
    world.sender().send(a_message())
    other = Account(replace(RESTRICTION_TEMPLATE, template_id="other"))
    result = world.sender(other).send(a_message(attempts=1))
    assert (result.outcome, result.repeatable) == (Outcome.UNKNOWN, False)


def test_a_message_that_was_certainly_not_taken_may_take_another_way(world: World) -> None:
    world.fault(errcode=-1)
    assert world.sender().send(a_message()).outcome is Outcome.RETRY
    world.touch()
    assert world.sender().send(a_message(attempts=1)).outcome is Outcome.ACCEPTED
    assert world.channels() == ["customer_service"]


@pytest.mark.parametrize("errcode", [45015, 45047])
def test_a_window_the_channel_calls_closed_is_forgotten_and_the_next_way_taken(world: World, errcode: int) -> None:
    world.touch()
    world.touch(Trigger.SCAN)
    world.fault(path=CUSTOM_SEND, errcode=errcode)
    sender = world.sender()
    assert sender.send(a_message()).outcome is Outcome.ACCEPTED
    assert world.channels() == ["template"]
    assert world.ledger.reach(OPEN_ID).windows == ()
    assert sender.counts()[f"errcode.{errcode}"] == 1


def test_a_grant_the_channel_calls_spent_becomes_nothing_and_the_next_way_is_taken(world: World) -> None:
    world.ledger.accept(OPEN_ID, "once", 5)  # The other side knows of no acceptance.
    world.accept("for-good", for_good=True)
    assert world.sender().send(a_message()).outcome is Outcome.ACCEPTED
    assert world.channels() == ["subscription"]
    assert Grant("once", 0, 5) in world.ledger.reach(OPEN_ID).grants


def test_without_another_way_a_spent_grant_ends_the_message_in_the_channels_words(world: World) -> None:
    world.ledger.accept(OPEN_ID, "once", 5)
    result = world.sender(Account(None, (ONE_TIME,))).send(a_message())
    assert (result.outcome, result.errcode) == (Outcome.REFUSED, 43101)
    assert "grant is spent" in result.detail


@pytest.mark.parametrize(
    ("errcode", "standing"),
    [
        (43004, Standing.GONE),
        (43019, Standing.UNWANTED),
        (48002, Standing.UNWANTED),
        (40003, Standing.WRONG_ID),
    ],
)
def test_a_person_who_cannot_or_will_not_be_reached_is_left_alone(
    world: World, errcode: int, standing: Standing
) -> None:
    world.fault(errcode=errcode)
    sender = world.sender()
    assert sender.send(a_message()).outcome is Outcome.REFUSED
    second = sender.send(a_message(2))
    assert (second.outcome, second.detail) == (Outcome.REFUSED, f"no way: {standing.value}")
    assert world.ledger.reach(OPEN_ID).standing is standing
    assert world.gone == ([OPEN_ID] if standing is Standing.GONE else [])
    assert world.channels() == []


def test_a_person_who_follows_again_is_reached_again_although_our_clock_is_ahead(world: World) -> None:
    world.fault(errcode=43004)
    world.ahead_ms = 5_000
    sender = world.sender()
    sender.send(a_message())
    world.ledger.set_standing(OPEN_ID, Standing.OPEN, world.now_ms() - 5_000)
    assert sender.send(a_message(2)).outcome is Outcome.ACCEPTED


def test_too_many_to_one_person_keeps_all_but_restrictions_back_for_hours(world: World) -> None:
    world.fault(errcode=43117)
    sender = world.sender()
    assert sender.send(a_message()).outcome is Outcome.REFUSED
    works = sender.send(a_message(2, kind=ZoneKind.CONSTRUCTION))
    assert (works.outcome, works.detail) == (Outcome.REFUSED, "no way: too_frequent")
    assert sender.send(a_message(3)).outcome is Outcome.ACCEPTED
    world.ahead_ms = 4 * HOUR_MS + 1_000
    assert sender.send(a_message(4, kind=ZoneKind.CONSTRUCTION)).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("errcode", "rest_s"), [(45009, 600), (45011, 60), (48001, 3_600), (48004, 3_600), (50002, 3_600), (40037, 60)]
)
def test_a_channel_that_takes_nothing_rests_and_others_go_on(world: World, errcode: int, rest_s: int) -> None:
    world.fault(path=CUSTOM_SEND, errcode=errcode)
    sender = world.sender()
    for _ in range(2):
        world.touch()
        assert sender.send(a_message(len(world.channels()))).outcome is Outcome.ACCEPTED
    assert world.channels() == ["template", "template"]
    assert list(sender.closed()) == [Channel.CUSTOMER_SERVICE]
    world.ahead_ms = rest_s * 1_000
    assert sender.send(a_message(9)).outcome is Outcome.ACCEPTED
    assert world.channels()[-1] == "customer_service"
    assert len(world.alarms) == errcode_rule(errcode).alarm


def test_when_every_way_rests_a_message_waits_for_the_first_to_open(world: World) -> None:
    world.fault(errcode=45009)
    sender = world.sender()
    first, second = sender.send(a_message()), sender.send(a_message(2))
    assert (first.outcome, first.errcode) == (Outcome.RETRY, 45009)
    assert second.outcome is Outcome.RETRY
    assert first.retry_after_s is not None
    assert 590 < first.retry_after_s <= 600
    assert sender.counts()["errcode.45009"] == 1  # The second one did not ask.


def test_a_template_that_stays_unknown_is_disabled(world: World) -> None:
    world.fault(errcode=40037, times=2)
    sender = world.sender()
    sender.send(a_message())
    world.ahead_ms = 61_000
    second = sender.send(a_message(attempts=1))
    assert second.retry_after_s is not None
    assert second.retry_after_s > 3_500


STOPS = sorted(code for code, rule in ERRCODES.items() if rule.outcome is Outcome.STOP and code not in TOKEN_ERRCODES)


@pytest.mark.parametrize("errcode", STOPS)
def test_what_only_an_operator_can_end_stops_and_alarms(world: World, errcode: int) -> None:
    world.fault(errcode=errcode, times=None)
    result = world.sender().send(a_message())
    rests = errcode_rule(errcode).effect is Effect.CHANNEL_CLOSED
    assert result.outcome is (Outcome.RETRY if rests else Outcome.STOP)
    assert [alarm.errcode for alarm in world.alarms] == [errcode]
    assert world.channels() == []


@pytest.mark.parametrize("errcode", sorted(TOKEN_ERRCODES))
def test_a_token_refused_although_it_was_renewed_stops_and_alarms(errcode: int) -> None:
    with start_fake_wechat(settings=FAKE) as server:
        world = World(server)
        world.fault(errcode=errcode, times=None)
        assert world.sender().send(a_message()).outcome is Outcome.STOP
    assert [alarm.errcode for alarm in world.alarms] == [errcode]
    assert (server.state.tokens.normal_calls, server.state.tokens.forced_calls) == (2, 1)


@pytest.mark.parametrize("errcode", [45009, 45011])
def test_a_quota_of_the_token_closes_no_channel(world: World, errcode: int) -> None:
    world.fault(path="stable_token", errcode=errcode)
    sender = world.sender()
    assert sender.send(a_message()).errcode == errcode
    assert sender.closed() == {}
    assert sender.send(a_message()).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("errcode", [47003, 40249, 45168, 99999])
def test_a_message_the_channel_will_never_take_ends_with_an_alarm_and_no_other_way(world: World, errcode: int) -> None:
    world.touch()
    world.fault(path=CUSTOM_SEND, errcode=errcode)
    result = world.sender().send(a_message())
    assert (result.outcome, result.errcode) == (Outcome.REFUSED, errcode)
    assert [alarm.errcode for alarm in world.alarms] == [errcode]
    assert world.channels() == []


def test_a_wrong_page_is_left_out_from_then_on(world: World) -> None:
    world.fault(errcode=41030)
    sender = world.sender(replace(ACCOUNT, page="https://example.invalid/zone"))
    assert [sender.send(a_message(number)).outcome for number in (1, 2)] == [Outcome.ACCEPTED] * 2
    assert [alarm.errcode for alarm in world.alarms] == [41030]
    assert world.server.state.faults.pending() == ()


def test_without_a_page_41030_is_a_refusal(world: World) -> None:
    world.fault(errcode=41030)
    assert world.sender().send(a_message()).outcome is Outcome.REFUSED


def test_what_must_not_leave_any_more_spends_nothing(world: World) -> None:
    world.touch()
    before = world.ledger.reach(OPEN_ID)
    result = world.sender().send(a_message(), why_not=lambda: "it expired")
    assert (result.outcome, result.detail) == (Outcome.RETRY, "not sent: it expired")
    assert world.ledger.reach(OPEN_ID) == before
    assert world.channels() == []


def test_a_ledger_that_is_away_sends_nothing_and_does_not_raise(world: World) -> None:
    world.ledger.close()
    assert world.sender().send(a_message()).outcome is Outcome.RETRY
    assert world.channels() == []


def test_a_ledger_that_goes_away_during_the_call_does_not_lose_the_answer(world: World) -> None:
    world.touch()

    def close() -> str:
        world.ledger.close()
        return ""

    sender = world.sender()
    assert sender.send(a_message(), why_not=close).outcome is Outcome.ACCEPTED
    assert sender.counts()["not_noted"] == 1


def test_messages_to_one_person_never_overlap() -> None:
    slow = replace(FAKE, subscribe_s=0.05)
    with start_fake_wechat(settings=slow) as server:
        world = World(server)
        world.accept("for-good", for_good=True)
        sender = world.sender()
        with ThreadPoolExecutor(6) as pool:
            results = list(pool.map(lambda number: sender.send(a_message(number)), range(6)))
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}
    assert world.channels() == ["subscription"] * 6


def test_two_processes_that_overlap_at_one_person_are_told_to_wait() -> None:
    slow = replace(FAKE, subscribe_s=0.5)
    with start_fake_wechat(settings=slow) as server:
        world = World(server)
        world.accept("for-good", for_good=True)
        senders = [world.sender(timeout_s=3.0) for _ in range(2)]
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda number: senders[number].send(a_message(number)), range(2)))
    assert sorted(result.errcode or 0 for result in results) == [0, 43108]
    (waits,) = [result for result in results if result.errcode]
    assert (waits.outcome, waits.retry_after_s) == (Outcome.RETRY, 2.0)


def test_what_is_left_of_the_day_is_asked_for_and_counted_down(world: World) -> None:
    sender = world.sender(replace(ACCOUNT, reserve=99_999))
    quotas = sender.learn_quota()
    assert quotas[Channel.TEMPLATE] == Quota(100_000, 0, 100_000)
    assert quotas[Channel.ONE_TIME] == quotas[Channel.CUSTOMER_SERVICE] == Quota(500_000, 0, 500_000)
    works = [sender.send(a_message(number, kind=ZoneKind.CONSTRUCTION)) for number in range(2)]
    assert [(one.outcome, one.detail) for one in works] == [
        (Outcome.ACCEPTED, ""),
        (Outcome.REFUSED, "no way: quota"),
    ]
    assert sender.send(a_message(3)).outcome is Outcome.ACCEPTED
    world.ahead_ms = 24 * HOUR_MS
    assert sender.send(a_message(4, kind=ZoneKind.CONSTRUCTION)).outcome is Outcome.ACCEPTED


def test_a_quota_that_is_not_told_counts_as_enough(world: World) -> None:
    world.fault(path="openapi/quota/get", errcode=76021, times=None)
    sender = world.sender(replace(ACCOUNT, reserve=10))
    assert sender.learn_quota() == {}
    assert sender.send(a_message(kind=ZoneKind.VENUE)).outcome is Outcome.ACCEPTED


def test_the_calls_for_a_quota_and_its_clearing(world: World) -> None:
    api = WeChatApi(FAKE.app_id, FAKE.app_secret, world.server.url)
    assert api.quota(SUBSCRIBE_SEND) == Quota(500_000, 0, 500_000)
    assert api.clear_quota() == SendResult(Outcome.ACCEPTED, errcode=0)
    refusal = api.quota("no/such/path")
    assert isinstance(refusal, SendResult)
    assert refusal.errcode == 76021


def test_every_row_of_the_table_has_its_reaction_here() -> None:
    shown = {effect for effect in Effect if effect is not Effect.NONE}
    assert shown == {rule.effect for rule in ERRCODES.values()} - {Effect.NONE}
    assert {rule.effect for code, rule in ERRCODES.items() if code in TOKEN_ERRCODES} == {Effect.NONE}


def test_nothing_known_of_a_person_is_left_behind_by_a_template_message(world: World) -> None:
    world.sender().send(a_message())
    assert world.ledger.reach(OPEN_ID) == Reach()
    kept = world.ledger.dispatch("m1")
    assert kept is not None
    assert kept.state is DispatchState.UNDER_WAY
    world.ledger.forget_reach(OPEN_ID)
    assert world.ledger.dispatch("m1") is None
